"""Arrears, payments and the real relay supervisor: whatever comes first, one state at the end."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from arrears_campus import Campus, local
from world import World

from domain.causes import CauseKind, Verdict
from domain.commands import Action, ReceiptStatus
from domain.ports import KeepPower

DUE = "2026-03-05 08:00"


class Station:
    """The keeper of arrears and a real supervisor on one clock."""

    def __init__(self, folder: Path) -> None:
        self.world = World(3)
        self.campus = Campus(folder, clock=self.world.clock)
        self.campus.has(-1)
        self.campus.check()

    async def until(self, text: str) -> None:
        """Leap to a local time, with a fresh sweep there."""
        await self.world.at((local(text) - local("2026-03-04 12:00")).total_seconds())

    async def round(self, *accounts: str) -> None:
        """One round of the keeper, and all that follows from it."""
        await self.world.say(*self.campus.keeper.check(accounts or None))

    def kinds(self, meter: str = "m0") -> set[CauseKind]:
        return {cause.kind for cause in self.world.supervisor.meter(meter).causes}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.campus.stop()


async def test_a_room_in_arrears_is_cut_when_due_and_given_back_when_paid(station: Station) -> None:
    await station.until("2026-03-05 07:59")
    await station.round()
    assert station.world.closed()
    await station.until(DUE)
    await station.round()
    assert (station.world.closed(), station.kinds()) == (False, {CauseKind.ARREARS})
    assert station.world.closed("m1")
    station.campus.has(10)
    await station.round("b1-101")
    assert (station.world.closed(), station.kinds()) == (True, set())
    assert station.world.commands() == ["trip", "close"]


async def test_a_payment_ends_arrears_and_nothing_else(station: Station) -> None:
    await station.until(DUE)
    await station.round()
    await station.world.say(station.world.verdict(CauseKind.MALIGNANT))
    station.campus.has(10)
    await station.round("b1-101")
    assert station.kinds() == {CauseKind.MALIGNANT}
    assert not station.world.closed()


async def test_a_payment_that_leaves_too_much_debt_closes_nothing(station: Station) -> None:
    await station.until(DUE)
    await station.round()
    station.campus.has(-0.5)
    await station.round("b1-101")
    assert not station.world.closed()


async def test_keep_power_wins_against_arrears_and_says_so(station: Station) -> None:
    await station.until(DUE)
    receipt = await station.world.ask(Action.KEEP_POWER)
    assert receipt.status is ReceiptStatus.CONFIRMED
    await station.round()  # the keeper does not know of the lock: the supervisor holds it back
    status = station.world.supervisor.meter("m0")
    assert station.world.closed()
    assert [cause.kind for cause in status.suspended] == [CauseKind.ARREARS]
    refused = await station.world.ask(Action.TRIP, reason="unpaid")
    assert refused.status is ReceiptStatus.REFUSED
    assert "keep-power" in refused.reason


async def test_a_lock_released_at_night_cuts_nobody_at_night(station: Station) -> None:
    world, campus = station.world, station.campus

    def locked(meter: str) -> KeepPower | None:
        return world.supervisor.meter(meter).keep_power

    campus.kept = _Locked(locked)  # type: ignore[assignment]
    campus.restart()
    campus.check()
    await station.until(DUE)
    await station.round()
    assert not world.closed()
    await world.ask(Action.KEEP_POWER)
    await station.round()
    view = campus.keeper.level("b1-101")
    assert view is not None
    assert (world.closed(), view.held_back) == (True, "keep-power")
    await station.until("2026-03-05 23:30")
    await world.ask(Action.RELEASE)
    await station.round()
    assert world.closed()
    await station.until("2026-03-06 08:00")
    await station.round()
    assert not world.closed()


class _Locked:
    """Which meters are locked, as the keeper asks for it."""

    def __init__(self, find: object) -> None:
        self._find = find

    def __contains__(self, meter: str) -> bool:
        return self._find(meter) is not None  # type: ignore[operator]


async def test_paid_while_the_trip_is_on_the_wire_the_relay_ends_closed(station: Station) -> None:
    world, campus = station.world, station.campus
    await station.until(DUE)

    def pay(command: object) -> None:
        # At the very moment when the trip is written to the meter.
        if getattr(command, "action", None) is Action.TRIP:
            campus.has(10)
            said.append(
                asyncio.ensure_future(world.supervisor.on_verdicts(campus.keeper.check(["b1-101"])))
            )

    said: list[asyncio.Future[None]] = []
    world.field.before_write = pay
    await station.round()
    await asyncio.gather(*said)
    await world.supervisor.settle()
    assert len(said) == 1
    assert (world.closed(), station.kinds()) == (True, set())
    assert world.supervisor.meter("m0").shall_be_closed
    assert world.commands() == ["trip", "close"]


async def test_paid_before_the_trip_is_sent_nobody_is_cut(station: Station) -> None:
    world, campus = station.world, station.campus
    await station.until(DUE)
    await world.supervisor.on_verdicts(campus.keeper.check())
    campus.has(10)
    await world.supervisor.on_verdicts(campus.keeper.check(["b1-101"]))
    await world.supervisor.settle()
    assert (world.closed(), station.kinds(), world.commands()) == (True, set(), [])


async def test_in_arrears_again_while_the_close_is_on_the_wire_a_warning_comes_first(
    station: Station,
) -> None:
    world, campus = station.world, station.campus
    await station.until(DUE)
    await station.round()
    campus.has(0)

    def spend(command: object) -> None:
        if getattr(command, "action", None) is Action.CLOSE:
            campus.has(-0.01)
            said.append(
                asyncio.ensure_future(world.supervisor.on_verdicts(campus.keeper.check(["b1-101"])))
            )

    said: list[asyncio.Future[None]] = []
    world.field.before_write = spend
    await station.round("b1-101")
    await asyncio.gather(*said)
    await world.supervisor.settle()
    assert len(said) == 1
    assert (world.closed(), station.kinds()) == (True, set())


async def test_a_round_that_began_before_a_payment_never_speaks_after_it(
    station: Station,
) -> None:
    """Two threads look at once: the newest word arrives last."""
    campus, world = station.campus, station.world
    await station.until(DUE)
    loop = asyncio.get_running_loop()
    jobs: list[asyncio.Future[None]] = []
    words: list[bool | None] = []
    cutting, paid = threading.Event(), threading.Event()

    def send(verdicts: Sequence[Verdict]) -> None:
        word = next(one.violated for one in verdicts if one.meter == "m0")
        if word:
            cutting.set()
            paid.wait(0.3)  # a slow thread: the other one would overtake it if it could
        else:
            paid.set()
        words.append(word)
        loop.call_soon_threadsafe(
            lambda: jobs.append(asyncio.ensure_future(world.supervisor.on_verdicts(verdicts)))
        )

    def pay() -> None:
        cutting.wait(5)
        campus.has(10)
        campus.keeper.check_and_send(["b1-101"], send)

    await asyncio.gather(
        asyncio.to_thread(campus.keeper.check_and_send, None, send), asyncio.to_thread(pay)
    )
    await asyncio.sleep(0)
    await asyncio.gather(*jobs)
    await world.supervisor.settle()
    assert words == [True, False]
    assert (world.closed(), station.kinds()) == (True, set())


async def test_paid_while_the_meter_is_offline_it_closes_when_it_is_back(station: Station) -> None:
    world, campus = station.world, station.campus
    await station.until(DUE)
    await station.round()
    world.field.meters["m0"].online = False
    campus.has(10)
    await station.round("b1-101")
    assert station.kinds() == set()
    assert not world.closed()
    world.field.meters["m0"].online = True
    for minute in ("08:01", "08:02", "08:03"):  # it is tried again at growing intervals
        await station.until(f"2026-03-05 {minute}")
    assert world.closed()
