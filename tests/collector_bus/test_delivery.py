"""Sweeps handed on: whoever takes them may be slow or broken, the bus goes on."""

import asyncio
from datetime import UTC, datetime

import pytest
from leap_line import rig_of, running

from collector.delivery import Delivery
from domain.frame import Sweep, sweep_frame

DDSY = "acrel-ddsy1352"
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def sweep(number: int) -> Sweep:
    return Sweep(f"s{number}", "bus1", NOW, NOW, sweep_frame([]))


async def test_a_taker_that_waits_does_not_hold_up_the_next_sweep() -> None:
    taken: list[str] = []
    gate = asyncio.Event()

    async def take(one: Sweep) -> None:
        await gate.wait()
        taken.append(one.id)

    delivery = Delivery(take, most=10)
    for number in range(3):
        await delivery.hand_on(sweep(number))
    assert taken == []
    gate.set()
    await delivery.drain()
    assert taken == ["s0", "s1", "s2"]


async def test_past_the_limit_the_bus_waits_for_the_oldest() -> None:
    gates = [asyncio.Event() for _ in range(3)]

    async def take(one: Sweep) -> None:
        await gates[int(one.id[1:])].wait()

    delivery = Delivery(take, most=2)
    await delivery.hand_on(sweep(0))
    second = asyncio.create_task(delivery.hand_on(sweep(1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not second.done()
    gates[0].set()
    await second
    gates[1].set()
    await delivery.drain()


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_taker_that_raises_loses_its_sweep_only_and_is_counted(profiles, is_async) -> None:
    taken: list[Sweep] = []

    def take(one: Sweep) -> None:
        taken.append(one)
        if len(taken) == 2:
            raise RuntimeError("the disk is full, say")

    async def take_later(one: Sweep) -> None:
        await asyncio.sleep(0)
        take(one)

    rig = rig_of(profiles, [DDSY])
    rig.runner._delivery._take = take_later if is_async else take
    async with running(rig):
        await rig.until(lambda: len(taken) >= 5)
    assert rig.runner.health().sweeps_not_taken == 1
