"""Relay commands: refused, proven or unknown, and never written blindly (rows 13 and 14)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from leap_line import KEY, Rig, rig_of, running

from collector.field import PollSettings
from collector.profile import Profile, Write
from domain.commands import Action, Receipt, ReceiptStatus
from domain.events import EventKind
from simulator.faults import FaultKind

DDSY = "acrel-ddsy1352"
WITH_RELAY = ["acrel-adf400l", "acrel-ddsy1352", "eastron-sdm320c", "hiking-dds238"]
CONFIRMED, REFUSED = ReceiptStatus.CONFIRMED, ReceiptStatus.REFUSED
UNKNOWN, EXPIRED = ReceiptStatus.UNKNOWN, ReceiptStatus.EXPIRED


def truth(rig: Rig, meter: str = "m1") -> bool:
    """Where the simulated relay really is."""
    return rig.meters[meter].state(rig.clock.now().timestamp()).relay_closed


def writes(rig: Rig, unit: int = 1) -> list[bytes]:
    return [frame for _, frame in rig.requests_to(unit) if frame[1] in (5, 6, 16)]


async def test_every_model_with_a_relay_trips_and_closes_with_proof(profiles) -> None:
    rig = rig_of(profiles, WITH_RELAY)
    async with running(rig):
        for unit, model in enumerate(WITH_RELAY, 1):
            name = f"m{unit}"
            tripped = await rig.runner.execute(rig.command(name, Action.TRIP))
            assert (tripped.status, tripped.relay_closed) == (CONFIRMED, False), model
            assert truth(rig, name) is False
            closed = await rig.runner.execute(rig.command(name, Action.CLOSE))
            assert (closed.status, closed.relay_closed) == (CONFIRMED, True), model
            assert truth(rig, name) is True
    assert rig.runner.health().commands == 2 * len(WITH_RELAY)
    assert rig.runner.health().commands_unproven == 0


async def test_the_profiles_with_a_relay_are_the_ones_tested_above(profiles) -> None:
    assert sorted(name for name, p in profiles.items() if p.relay is not None) == WITH_RELAY


async def test_the_proof_keeps_what_was_written_and_the_registers_read_back(profiles) -> None:
    rig = rig_of(profiles, [DDSY])
    async with running(rig, poll=False):
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    write, read = receipt.proof["steps"]
    assert (write["write"], write["words"]) == ("function 16 at 0x0057", ["0x0001", "0x0001"])
    assert read["read"] == {"holding 0x0224": ["0x0008"]}
    assert read["values"]["relay_closed"] is False
    assert receipt.writes == 1 and receipt.proof["unit_id"] == 1


async def test_close_keep_power_and_release_are_three_different_things(profiles) -> None:
    rig = rig_of(profiles, [DDSY])
    forced = lambda: rig.meters["m1"].state(rig.clock.now().timestamp()).forced_control  # noqa: E731
    async with running(rig):
        for action, is_forced in (
            (Action.KEEP_POWER, True),
            (Action.RELEASE, False),
            (Action.TRIP, True),
            (Action.CLOSE, False),
        ):
            receipt = await rig.runner.execute(rig.command("m1", action))
            assert receipt.status is CONFIRMED, receipt.reason
            assert forced() is is_forced, action


async def test_keeping_power_without_forced_control_closes_and_says_so(profiles) -> None:
    rig = rig_of(profiles, ["hiking-dds238"])
    async with running(rig):
        await rig.runner.execute(rig.command("m1", Action.TRIP))
        receipt = await rig.runner.execute(rig.command("m1", Action.KEEP_POWER))
    assert receipt.status is CONFIRMED and receipt.relay_closed is True
    assert "the station keeps the power" in receipt.reason


async def test_releasing_without_forced_control_writes_nothing(profiles) -> None:
    rig = rig_of(profiles, ["hiking-dds238"])
    async with running(rig):
        receipt = await rig.runner.execute(rig.command("m1", Action.RELEASE))
        rig.add(FaultKind.DEAD)
        unreadable = await rig.runner.execute(rig.command("m1", Action.RELEASE))
    assert (receipt.status, receipt.relay_closed, receipt.writes) == (CONFIRMED, True, 0)
    assert unreadable.status is UNKNOWN
    assert writes(rig) == []


# Row 13


@pytest.mark.parametrize("link", ["rtu-over-tcp", "tcp", "serial"])
async def test_row_13_an_unanswered_write_is_read_back_not_repeated(profiles, link: str) -> None:
    rig = rig_of(profiles, [DDSY], link=link)
    rig.add(FaultKind.WRITE_UNANSWERED, meter="m1", count=1)
    async with running(rig):
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert receipt.status is CONFIRMED
    assert "not acknowledged" in receipt.reason
    assert len(writes(rig)) == 1, "the relay had moved: no second write"
    assert truth(rig) is False


async def test_row_13_a_lost_write_is_repeated_only_after_the_read_back_shows_it(profiles) -> None:
    rig = rig_of(profiles, [DDSY], settings=PollSettings(write_attempts=2))
    # The meter hears neither write nor anything else for a moment.
    rig.add(FaultKind.DEAD, meter="m1", functions=(16,), count=1)
    async with running(rig):
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert receipt.status is CONFIRMED and receipt.writes == 2
    frames = [frame[1] for _, frame in rig.requests_to(1)]
    first = frames.index(16)
    second = frames.index(16, first + 1)
    assert 3 in frames[first:second], "read back between the two"


async def test_row_13_when_it_cannot_be_told_it_is_unknown_and_bounded(profiles) -> None:
    rig = rig_of(profiles, [DDSY] * 2)
    async with running(rig):
        await rig.more_rounds(1)
        rig.add(FaultKind.DEAD, meter="m1")
        started_s, asked = rig.clock.monotonic(), len(rig.requests_to(1))
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert (receipt.status, receipt.relay_closed) == (UNKNOWN, None)
    assert len(writes(rig)) == 1
    assert rig.clock.monotonic() - started_s < 5
    assert len(rig.requests_to(1)) - asked <= 5
    assert rig.runner.health().commands_unproven == 1


async def test_row_13_a_write_that_never_gets_through_ends_unknown_after_its_attempts(
    profiles,
) -> None:
    rig = rig_of(profiles, [DDSY], settings=PollSettings(write_attempts=3))
    rig.add(FaultKind.DEAD, meter="m1", functions=(16,))
    async with running(rig):
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert (receipt.status, receipt.relay_closed) == (UNKNOWN, True)
    assert len(writes(rig)) == receipt.writes == 3


async def test_a_relay_that_does_not_move_is_refused_with_what_it_reads(profiles) -> None:
    rig = rig_of(profiles, [DDSY])
    rig.add(FaultKind.RELAY_STUCK, meter="m1")
    async with running(rig):
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert (receipt.status, receipt.relay_closed) == (REFUSED, True)
    assert "relay reads closed" in receipt.reason
    assert len(writes(rig)) == 1, "acknowledged: not written again"


async def test_a_late_reading_from_before_the_trip_does_not_prove_anything(profiles) -> None:
    rig = rig_of(profiles, [DDSY])
    rig.add(FaultKind.LATE, meter="m1", functions=(3,), count=1, delay_s=0.9)
    rig.add(FaultKind.RELAY_STUCK, meter="m1")
    async with running(rig, poll=False):
        before = asyncio.create_task(rig.runner.read_once("m1", ["relay_closed"]))
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
        await before
    assert receipt.status is not CONFIRMED
    assert truth(rig) is True


# Row 14


@pytest.mark.parametrize(
    "altered",
    [
        {"meter": "m2"},
        {"action": Action.CLOSE},
        {"reason": "another"},
        {"requested_by": "mallory"},
        {"id": "c2"},
        {"cause_id": "x"},
        {"seal": ""},
    ],
)
async def test_row_14_an_altered_command_is_refused(profiles, altered) -> None:
    async with running(rig_of(profiles, [DDSY] * 2), poll=False) as rig:
        command = replace(rig.command("m1", Action.TRIP), **altered)
        receipt = await rig.runner.execute(command)
    assert receipt.status is REFUSED and "altered" in receipt.reason
    assert rig.link.sent == []


async def test_row_14_a_command_sealed_with_another_key_is_refused(profiles) -> None:
    async with running(rig_of(profiles, [DDSY]), poll=False) as rig:
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP).sealed(KEY + b"x"))
    assert receipt.status is REFUSED and rig.link.sent == []


async def test_row_14_an_expired_command_is_not_begun(profiles) -> None:
    async with running(rig_of(profiles, [DDSY]), poll=False) as rig:
        command = rig.command("m1", Action.TRIP, expires_in_s=5)
        rig.clock.leap(5)
        receipt = await rig.runner.execute(command)
    assert receipt.status is EXPIRED and receipt.writes == 0
    assert rig.link.sent == []


async def test_row_14_a_command_that_expires_while_it_waits_is_not_sent(profiles) -> None:
    async with running(rig_of(profiles, [DDSY]), poll=False) as rig:
        first = asyncio.create_task(rig.runner.execute(rig.command("m1", Action.TRIP)))
        await rig.until(lambda: len(rig.link.sent) == 1)
        short = replace(
            rig.command("m1", Action.CLOSE), expires_at=rig.clock.now() + timedelta(seconds=0.1)
        ).sealed(KEY)
        second = await rig.runner.execute(short)
        assert (await first).status is CONFIRMED
    assert second.status is EXPIRED and second.writes == 0
    assert len(writes(rig)) == 1 and truth(rig) is False


async def test_a_command_that_expires_between_its_writes_is_finished(profiles) -> None:
    # Close is forced close, then release: between the two the meter would protect nobody.
    async with running(rig_of(profiles, [DDSY])) as rig:
        await rig.runner.execute(rig.command("m1", Action.TRIP))
        receipt = await rig.runner.execute(rig.command("m1", Action.CLOSE, expires_in_s=0.15))
    assert receipt.status is CONFIRMED and receipt.writes == 2


async def test_the_link_is_down_so_nothing_is_sent_and_that_is_said(profiles) -> None:
    rig = rig_of(profiles, [DDSY])
    rig.link.refusing = True
    async with running(rig):
        await rig.until(lambda: EventKind.BUS_DOWN in rig.kinds())
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert receipt.status is REFUSED and "nothing was sent" in receipt.reason


async def test_a_link_lost_after_the_write_is_told_by_reading_back_on_the_next(profiles) -> None:
    rig = rig_of(profiles, [DDSY])
    send = rig.link.send

    def cut(frame: bytes) -> None:
        send(frame)
        if frame[1] == 16:
            rig.link.close()

    rig.link.send = cut  # type: ignore[method-assign]
    async with running(rig):
        await rig.more_rounds(1)
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert receipt.status is CONFIRMED and len(writes(rig)) == 1
    assert rig.runner.health().reconnects >= 1


async def test_unknown_meters_and_models_without_a_relay_are_refused(profiles) -> None:
    async with running(rig_of(profiles, ["eastron-sdm120"]), poll=False) as rig:
        unknown = await rig.runner.execute(rig.command("m9", Action.TRIP))
        without = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert unknown.status is REFUSED and "no such meter" in unknown.reason
    assert without.status is REFUSED and "no relay" in without.reason
    assert rig.link.sent == []


async def test_a_profile_whose_relay_would_write_forbidden_registers_is_refused(profiles) -> None:
    """A profile is checked when loaded; the writer does not trust that."""
    good: Profile = profiles["hiking-dds238"]
    assert good.relay is not None
    erase = good.relay.trip.model_copy(
        update={"writes": (Write(function=16, address=0x0000, words=(0,)),)}
    )
    bad = good.model_copy(update={"relay": good.relay.model_copy(update={"trip": erase})})
    async with running(rig_of({**profiles, bad.name: bad}, [bad.name]), poll=False) as rig:
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    assert receipt.status is REFUSED and "forbids" in receipt.reason
    assert rig.link.sent == []


@pytest.mark.parametrize(
    ("code", "status", "sent"),
    [(6, CONFIRMED, 2), (5, REFUSED, 1), (2, REFUSED, 1), (4, REFUSED, 1)],
)
async def test_exceptions_to_a_write(profiles, code: int, status, sent: int) -> None:
    rig = rig_of(profiles, [DDSY])
    rig.add(FaultKind.EXCEPTION, meter="m1", functions=(16,), code=code, count=1)
    async with running(rig):
        receipt = await rig.runner.execute(rig.command("m1", Action.TRIP))
    # Busy is asked again; "accepted, still working" is read back, and here nothing had moved.
    assert receipt.status is status, receipt.reason
    assert len(writes(rig)) == sent
    faults = rig.kinds("m1").count(EventKind.CONFIGURATION_FAULT)
    assert faults == (1 if code == 2 else 0)


async def test_two_commands_for_one_meter_do_not_mix(profiles) -> None:
    async with running(rig_of(profiles, [DDSY])) as rig:
        receipts: list[Receipt] = await asyncio.gather(
            rig.runner.execute(rig.command("m1", Action.TRIP)),
            rig.runner.execute(rig.command("m1", Action.CLOSE)),
        )
    assert [receipt.status for receipt in receipts] == [CONFIRMED] * 2
    assert [receipt.relay_closed for receipt in receipts] == [False, True]
    assert truth(rig) is True


async def test_after_a_command_the_relay_state_is_in_the_next_sweep(profiles) -> None:
    async with running(rig_of(profiles, [DDSY] * 3)) as rig:
        await rig.more_rounds(1)
        await rig.runner.execute(rig.command("m2", Action.TRIP))
        sweeps = await rig.more_rounds(1)
        states = [s.frame["relay_closed"].to_list()[1] for s in [*rig.rounds[-3:], *sweeps]]
    assert False in states
