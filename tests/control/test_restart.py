"""Restarts on the real ledger: what was decided goes on, and nothing is sent blindly."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import NOON, World, policy

from domain.causes import CauseKind
from domain.commands import Action, ReceiptStatus
from domain.errors import CommandRefused
from domain.events import EventKind
from domain.policy import Policy
from storage.ledger.sql_ledger import SqlLedger

MALIGNANT, SCHEDULE, SHED = CauseKind.MALIGNANT, CauseKind.SCHEDULE, CauseKind.SHED


class Station:
    """A world whose ledger is a file; `restart` closes and opens it."""

    def __init__(self, file: Path) -> None:
        self._url = f"sqlite:///{file}"
        self._ledger: SqlLedger | None = None

    def world(self, meters: int = 1, rules: Policy | None = None) -> World:
        self._ledger = SqlLedger(self._url)
        return World(meters, rules, ledger=self._ledger)

    async def restart(self, world: World) -> None:
        await world.crash()
        self.close()
        world.ledger = self._ledger = SqlLedger(self._url)
        world.restart()

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    station = Station(tmp_path / "ledger.sqlite")
    yield station
    station.close()


async def test_an_open_cause_is_carried_out_after_a_restart(station: Station) -> None:
    world = station.world()
    await world.at(0)
    world.field.meters["m0"].online = False
    await world.at(40)
    await world.say(world.verdict(SCHEDULE))
    await station.restart(world)
    world.field.meters["m0"].online = True
    await world.at(50)
    assert not world.closed()
    await world.say(world.verdict(SCHEDULE, False))
    assert world.closed()


async def test_a_relay_that_is_open_already_is_read_and_not_tripped_again(
    station: Station,
) -> None:
    world = station.world()
    await world.at(0)
    await world.say(world.verdict(SCHEDULE))
    assert world.commands() == ["trip"]
    await station.restart(world)
    await world.at(5, relays=False)
    await world.at(10)
    assert world.commands() == ["trip"]
    assert world.field.reads == ["m0"]


async def test_a_command_without_a_receipt_is_unknown_and_read_back_first(
    station: Station,
) -> None:
    world = station.world()
    await world.at(0)
    stop = asyncio.Event()

    async def die(_command: object) -> object:
        stop.set()
        return await asyncio.Future()  # the process is killed while the write is on the wire

    carry_out = world.field.execute
    world.field.execute = die  # type: ignore[method-assign, assignment]
    await world.supervisor.on_verdicts([world.verdict(SCHEDULE)])
    world.supervisor.tick()
    await asyncio.wait_for(stop.wait(), 5)
    world.field.meters["m0"].closed = False  # the write did arrive
    world.field.execute = carry_out  # type: ignore[method-assign]
    await station.restart(world)
    await world.at(5, relays=False)
    ((_, receipt),) = world.ledger.commands()
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert world.field.reads == ["m0"]
    assert world.commands() == []  # it is open: nothing had to be sent again
    assert world.supervisor.meter("m0").relay_closed is False


async def test_a_restore_goes_on_with_its_delay_and_its_count(station: Station) -> None:
    world = station.world()
    for number in range(3):
        await world.at(number * 100)
        await world.say(world.verdict(MALIGNANT))
        await world.at(number * 100 + 30)
        await station.restart(world)
        await world.at(number * 100 + 59)
        assert not world.closed()
        await world.at(number * 100 + 60)
        assert world.closed()
    await world.at(300)
    await world.say(world.verdict(MALIGNANT))
    await station.restart(world)
    await world.at(500)
    assert not world.closed()
    assert world.supervisor.meter("m0").locked


async def test_a_lock_is_not_forgotten_over_midnight_and_a_restart(station: Station) -> None:
    world = station.world()
    for number in range(4):
        await world.at(number * 100)
        await world.say(world.verdict(MALIGNANT))
        await world.at(number * 100 + 60)
    await station.restart(world)
    await world.at(2 * 86_400)
    assert not world.closed()
    assert len(world.ledger.events(kind=EventKind.RESTORE_LOCKED)) == 1
    await world.ask(Action.CLOSE)
    assert world.closed()


async def test_keep_power_holds_after_a_restart(station: Station) -> None:
    world = station.world()
    await world.at(0)
    await world.ask(Action.KEEP_POWER, who="Dr Chen", reason="examination")
    await station.restart(world)
    await world.at(5)
    await world.say(world.verdict(MALIGNANT))
    assert world.closed()
    receipt = await world.ask(Action.TRIP)
    assert receipt.status is ReceiptStatus.REFUSED
    assert "Dr Chen" in receipt.reason
    await world.ask(Action.RELEASE)
    await station.restart(world)
    await world.at(10)
    assert not world.closed()


async def test_a_manual_trip_ends_at_its_time_after_a_restart(station: Station) -> None:
    world = station.world()
    await world.at(0)
    until = NOON.replace(hour=5)
    await world.ask(Action.TRIP, until=until)
    await station.restart(world)
    await world.at(3599)
    assert not world.closed()
    await world.at(3600)
    assert world.closed()


async def test_a_restart_does_not_empty_the_minute(station: Station) -> None:
    world = station.world(8, policy(trips_per_min=2))
    await world.at(0)
    await world.say(*(world.verdict(SHED, meter=f"m{n}") for n in range(4)))
    assert len(world.field.automatic_trips) == 2
    await station.restart(world)
    await world.at(30)
    await world.say(*(world.verdict(SHED, meter=f"m{n}") for n in range(4, 8)))
    assert len(world.field.automatic_trips) == 2


async def test_an_open_approval_is_still_asked_for_after_a_restart(station: Station) -> None:
    world = station.world(5, policy(trips_per_min=2))
    await world.at(0)
    await world.say(*(world.verdict(SHED, meter=f"m{n}") for n in range(5)))
    (before,) = world.supervisor.status().approvals
    await station.restart(world)
    await world.at(100)  # the minute is empty again, but these wait for a person
    assert len(world.field.automatic_trips) == 2
    (after,) = world.supervisor.status().approvals
    assert (after.id, sorted(after.meters)) == (before.id, sorted(before.meters))
    await world.supervisor.approve(after.id, "Ms Li")
    await world.supervisor.settle()
    assert all(not world.closed(f"m{n}") for n in range(5))
    assert len(world.ledger.events(kind=EventKind.TRIPS_LIMITED)) == 1


async def test_a_question_that_was_answered_or_has_expired_is_not_asked_again(
    station: Station,
) -> None:
    world = station.world(5, policy(trips_per_min=2))
    await world.at(0)
    names = [meter.name for meter in world.roster]
    mass = await world.supervisor.request_many(Action.TRIP, names, "Mr Wu", "burst pipe")
    assert mass.approval is not None
    await station.restart(world)
    await world.at(5)
    with pytest.raises(CommandRefused, match="asks"):
        await world.supervisor.approve(mass.approval.id, "Mr Wu")
    await world.at(601)
    assert world.supervisor.status().approvals == ()
    await station.restart(world)
    await world.at(602)
    assert world.supervisor.status().approvals == ()
    assert world.commands() == []


async def test_the_ledger_tells_the_whole_story(station: Station) -> None:
    world = station.world()
    await world.at(0)
    await world.say(world.verdict(MALIGNANT))
    await world.at(60)
    (cause,) = world.ledger.causes()
    assert (cause.kind, cause.cleared_by) == (MALIGNANT, "supervisor")
    assert cause.evidence is not None
    assert cause.evidence.limits == {"limit_w": 1100.0}
    sent = world.ledger.commands()[::-1]
    assert [command.action for command, _ in sent] == [Action.TRIP, Action.CLOSE]
    assert [receipt.status for _, receipt in sent if receipt] == [ReceiptStatus.CONFIRMED] * 2
    assert sent[0][0].cause_id == cause.id
    assert [event.kind.value for event in world.ledger.events()[::-1]] == [
        "cause-raised",
        "command-sent",
        "command-done",
        "cause-cleared",
        "command-sent",
        "command-done",
    ]
    assert [(row.meter, row.cause_id) for row in world.ledger.restores_since(NOON)] == [
        ("m0", cause.id)
    ]
