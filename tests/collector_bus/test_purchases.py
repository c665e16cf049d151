"""Purchases: written once, believed only when the meter counts them, never repeated blindly."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from leap_line import KEY, Rig, rig_of, running

import simulator
from collector.catalogue import read_profile
from collector.field import PollSettings
from collector.profile import Profile
from domain.purchases import Purchase, PurchaseStatus
from simulator.faults import FaultKind

MODEL = "simulated-prepaid"
CONFIRMED, REFUSED = PurchaseStatus.CONFIRMED, PurchaseStatus.REFUSED
WAITING, UNKNOWN = PurchaseStatus.WAITING, PurchaseStatus.UNKNOWN
EXPIRED = PurchaseStatus.EXPIRED


@pytest.fixture(scope="module")
def prepaid(profiles: dict[str, Profile]) -> dict[str, Profile]:
    folder = Path(simulator.__file__).parent / "profiles"
    profile, faults = read_profile(folder / f"{MODEL}.toml")
    assert faults == [] and profile is not None
    return {**profiles, MODEL: profile}


def bus_of(prepaid: dict[str, Profile], held_minor: int = 1_000, **more: object) -> Rig:
    rig = rig_of(prepaid, [MODEL], **more)  # type: ignore[arg-type]
    rig.meters["m1"].purse.change(held_minor)
    return rig


def order(rig: Rig, amount_minor: int = 5_000, **changes: object) -> Purchase:
    now = rig.clock.now()
    purchase = Purchase(
        "p1", "m1", amount_minor, 0, 1_000, 500, "tester", now, now + timedelta(seconds=30)
    )
    return replace(purchase, **changes).sealed(KEY)  # type: ignore[arg-type]


def held(rig: Rig) -> tuple[int | None, int]:
    purse = rig.meters["m1"].purse
    return purse.balance_minor, purse.purchases


def writes(rig: Rig) -> list[bytes]:
    return [frame for _, frame in rig.requests_to(1) if frame[1] in (5, 6, 16)]


@pytest.mark.parametrize("link", ["rtu-over-tcp", "tcp", "serial"])
async def test_a_purchase_is_written_once_and_counted_by_the_meter(prepaid, link: str) -> None:
    rig = bus_of(prepaid, link=link)
    async with running(rig):
        receipt = await rig.runner.purchase(order(rig))
    assert (receipt.status, receipt.remaining_minor, receipt.count) == (CONFIRMED, 6_000, 1)
    assert held(rig) == (6_000, 1)
    assert receipt.writes == 1 and len(writes(rig)) == 1
    before, write, after = receipt.proof["steps"]
    assert before["values"] == {"balance_minor": 1_000, "purchase_count": 0}
    assert (write["write"], write["words"]) == (
        "function 16 at 0x0030",
        ["0x0001", "0x0000", "0x1388"],
    )
    assert after["values"] == {"balance_minor": 6_000, "purchase_count": 1}


async def test_it_goes_ahead_of_the_round_and_the_new_balance_is_in_the_next_sweep(prepaid) -> None:
    rig = rig_of(prepaid, [MODEL] * 12, settings=PollSettings(slow_every_s=3600))
    rig.meters["m1"].purse.change(1_000)
    async with running(rig):
        await rig.more_rounds(2)
        sent = len(rig.link.sent)
        receipt = await rig.runner.purchase(order(rig))
        between = [frame for _, frame in rig.link.sent[sent:]]
        place = next(at for at, frame in enumerate(between) if frame[1] == 16)
        sweeps = await rig.more_rounds(2)
    assert receipt.status is CONFIRMED
    assert place <= 2, "one transaction under way, the look before, the write"
    shown = [
        row["balance_minor"]
        for sweep in sweeps
        for row in sweep.frame.to_dicts()
        if row["meter"] == "m1"
    ]
    assert 6_000 in shown


async def test_it_goes_ahead_of_everything_that_waits_on_the_bus(prepaid) -> None:
    rig = rig_of(prepaid, [MODEL] * 12)
    rig.meters["m1"].purse.change(1_000)
    async with running(rig, poll=False):
        await rig.runner.read_once("m2")
        asked = [asyncio.create_task(rig.runner.read_once(f"m{n}")) for n in range(2, 13)]
        await rig.until(lambda: rig.runner.health().queue_depth > 5)
        sent = len(rig.link.sent)
        assert (await rig.runner.purchase(order(rig))).status is CONFIRMED
        after = [frame[0] for _, frame in rig.link.sent[sent:]]
        await asyncio.gather(*asked)
    # One read may go out while the next word of the purchase is being made up.
    assert after.count(1) == 3 and len(after) <= 8, after


async def test_row_13_an_unanswered_write_is_read_back_and_not_repeated(prepaid) -> None:
    rig = bus_of(prepaid)
    rig.add(FaultKind.WRITE_UNANSWERED, meter="m1", count=1)
    async with running(rig):
        receipt = await rig.runner.purchase(order(rig))
    assert receipt.status is CONFIRMED and "not acknowledged" in receipt.reason
    assert held(rig) == (6_000, 1) and len(writes(rig)) == 1


async def test_row_13_a_write_that_was_not_heard_is_unknown_and_not_repeated(prepaid) -> None:
    rig = bus_of(prepaid)
    rig.add(FaultKind.DEAD, meter="m1", functions=(16,), count=1)
    async with running(rig):
        receipt = await rig.runner.purchase(order(rig))
    assert receipt.status is UNKNOWN and receipt.count == 0
    assert len(writes(rig)) == 1 and held(rig) == (1_000, 0)


async def test_row_13_power_off_after_the_write_is_unknown_and_bounded(prepaid) -> None:
    rig = bus_of(prepaid)
    rig.add(FaultKind.WRITE_UNANSWERED, meter="m1", count=1)
    async with running(rig, poll=False):
        task = asyncio.create_task(rig.runner.purchase(order(rig)))
        await rig.until(lambda: len(writes(rig)) == 1)
        rig.add(FaultKind.DEAD, meter="m1")
        receipt = await task
    assert receipt.status is UNKNOWN and "could not be read back" in receipt.reason
    assert (receipt.remaining_minor, receipt.count) == (1_000, 0), "as read before the write"
    assert held(rig) == (6_000, 1), "the meter had taken it, and nobody claims to know"
    assert len(rig.link.sent) <= 4


async def test_an_acknowledged_write_that_the_meter_does_not_count_is_unknown(prepaid) -> None:
    rig = bus_of(prepaid)
    rig.add(FaultKind.WRITE_LOST, meter="m1", count=1)
    async with running(rig):
        receipt = await rig.runner.purchase(order(rig))
    assert receipt.status is UNKNOWN and held(rig) == (1_000, 0) and len(writes(rig)) == 1


async def test_the_same_purchase_again_adds_nothing_and_is_confirmed_again(prepaid) -> None:
    rig = bus_of(prepaid)
    async with running(rig):
        purchase = order(rig)
        first, second = await asyncio.gather(
            rig.runner.purchase(purchase), rig.runner.purchase(purchase)
        )
    assert (first.status, second.status, second.writes) == (CONFIRMED, CONFIRMED, 0)
    assert held(rig) == (6_000, 1) and len(writes(rig)) == 1


async def test_a_doubled_frame_on_the_wire_is_added_once_by_the_count_it_carries(prepaid) -> None:
    rig = bus_of(prepaid)
    async with running(rig):
        await rig.runner.purchase(order(rig))
        write = writes(rig)[0]
        rig.link.send(write)  # a gateway that sends twice
        await rig.pass_s(2)
    assert held(rig) == (6_000, 1) and rig.meters["m1"].purse.refused == 1


async def test_a_purchase_written_by_somebody_else_meanwhile_is_unknown(prepaid) -> None:
    rig = bus_of(prepaid)
    purse = rig.meters["m1"].purse
    purse.change(2_000)
    purse.purchases = 1
    async with running(rig):
        other = await rig.runner.purchase(order(rig))
        purse.purchases = 3
        later = await rig.runner.purchase(order(rig))
    assert (other.status, later.status) == (UNKNOWN, UNKNOWN)
    assert writes(rig) == []


async def test_a_meter_that_counts_less_than_before_is_another_meter(prepaid) -> None:
    rig = bus_of(prepaid)
    async with running(rig):
        receipt = await rig.runner.purchase(order(rig, count_before=7))
    assert receipt.status is REFUSED and "counts 0 purchases" in receipt.reason
    assert writes(rig) == []


async def test_what_the_meter_says_no_to_is_refused_and_busy_waits(prepaid) -> None:
    rig = bus_of(prepaid)
    async with running(rig):
        rig.add(FaultKind.EXCEPTION, meter="m1", functions=(16,), count=1, code=3)
        no = await rig.runner.purchase(order(rig))
        rig.add(FaultKind.EXCEPTION, meter="m1", functions=(16,), count=1, code=6)
        busy = await rig.runner.purchase(order(rig))
        taken = await rig.runner.purchase(order(rig))
    assert (no.status, busy.status, taken.status) == (REFUSED, WAITING, CONFIRMED)
    assert "illegal value" in no.reason
    assert len(writes(rig)) == 3, "one each: a busy meter is not asked twice by one purchase"


async def test_an_offline_meter_or_bus_gets_nothing_and_waits(prepaid) -> None:
    rig = bus_of(prepaid)
    async with running(rig, poll=False):
        rig.add(FaultKind.DEAD, meter="m1")
        dead = await rig.runner.purchase(order(rig))
        rig.faults.clear()
        rig.link.refusing = True
        rig.link.close()
        down = await rig.runner.purchase(order(rig))
    assert (dead.status, dead.writes) == (WAITING, 0)
    assert (down.status, down.writes) == (WAITING, 0)
    assert writes(rig) == []


async def test_altered_expired_and_impossible_purchases_are_never_begun(prepaid) -> None:
    rig = bus_of(prepaid)
    now = rig.clock.now()
    async with running(rig, poll=False):
        altered = await rig.runner.purchase(replace(order(rig), amount_minor=9_000))
        expired = await rig.runner.purchase(order(rig, expires_at=now))
        huge = await rig.runner.purchase(order(rig, amount_minor=1_000_001))
        nothing = await rig.runner.purchase(order(rig, amount_minor=0))
        stranger = await rig.runner.purchase(order(rig, meter="m9"))
    assert [one.status for one in (altered, expired, huge, nothing, stranger)] == [
        REFUSED, EXPIRED, REFUSED, REFUSED, REFUSED,
    ]  # fmt: skip
    assert rig.link.sent == []


async def test_more_than_the_meter_can_hold_is_refused_before_it_is_sent(prepaid) -> None:
    rig = bus_of(prepaid, held_minor=4_999_000)
    async with running(rig):
        receipt = await rig.runner.purchase(order(rig, remaining_before_minor=4_999_000))
    assert receipt.status is REFUSED and writes(rig) == []


@pytest.mark.parametrize("model", ["acrel-ddsy1352", "acrel-adf400l"])
async def test_shipped_models_are_read_and_never_written(prepaid, model: str) -> None:
    rig = rig_of(prepaid, [model])
    rig.meters["m1"].purse.change(4_321)
    async with running(rig):
        reading = await rig.runner.read_prepaid("m1")
        receipt = await rig.runner.purchase(order(rig))
    assert (reading.remaining_minor, reading.count, reading.energy_wh) == (4_321, 0, 50_000)
    assert not reading.writable
    assert receipt.status is REFUSED and "takes no purchases" in receipt.reason
    assert writes(rig) == []


async def test_a_reading_says_what_is_missing(prepaid) -> None:
    rig = rig_of(prepaid, ["hiking-dds238", MODEL])
    rig.add(FaultKind.DEAD, meter="m2")
    async with running(rig, poll=False):
        no_purse = await rig.runner.read_prepaid("m1")
        dead = await rig.runner.read_prepaid("m2")
        stranger = await rig.runner.read_prepaid("m9")
    assert [one.remaining_minor for one in (no_purse, dead, stranger)] == [None] * 3
    assert "keeps no balance" in no_purse.note and dead.writable and dead.note
    assert "no such meter" in stranger.note
