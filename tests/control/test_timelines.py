"""Trip causes as timelines: what opens, what closes, and when."""

import asyncio
from datetime import timedelta

import pytest
from world import NOON, World, policy

from domain.causes import CauseKind, RuleMode
from domain.commands import Action, ReceiptStatus
from domain.errors import CommandRefused, UnknownSubject
from domain.events import EventKind
from domain.policy import GroupPolicy, OverpowerPolicy

MALIGNANT, OVERPOWER, SCHEDULE = CauseKind.MALIGNANT, CauseKind.OVERPOWER, CauseKind.SCHEDULE
SHED, TAMPER, ARREARS = CauseKind.SHED, CauseKind.TAMPER, CauseKind.ARREARS


async def test_a_malignant_load_is_cut_and_restored_after_the_delay() -> None:
    world = World()
    await world.at(0)
    assert world.closed()
    await world.at(3)
    await world.say(world.verdict(MALIGNANT))
    assert not world.closed()
    await world.at(62)  # 59 s after the relay was proven open
    assert not world.closed()
    await world.at(63)
    assert world.closed()
    assert world.commands() == ["trip", "close"]
    assert [cause.cleared_by for cause in world.ledger.causes()] == ["supervisor"]


async def test_the_relay_closes_only_when_every_cause_has_cleared() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(OVERPOWER), world.verdict(SCHEDULE), world.verdict(ARREARS))
    await world.say(world.verdict(SCHEDULE, False))
    await world.at(60)  # the load cause is restored here
    assert not world.closed()
    await world.say(world.verdict(ARREARS, False))
    assert world.closed()


async def test_paying_a_debt_does_not_close_a_safety_trip() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(MALIGNANT), world.verdict(ARREARS))
    await world.at(10)
    await world.say(world.verdict(ARREARS, False))
    assert not world.closed()


async def test_a_load_that_is_gone_because_it_was_cut_does_not_close_the_relay() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(OVERPOWER))
    await world.at(2)
    await world.say(world.verdict(OVERPOWER, False))
    await world.at(30)
    assert not world.closed()


async def test_the_fourth_load_trip_of_a_day_stays_open_until_an_operator_closes() -> None:
    world = World()
    for number in range(4):
        await world.at(number * 100)
        await world.say(world.verdict(MALIGNANT))
        await world.at(number * 100 + 60)
        assert world.closed() is (number < 3)
    assert world.told(EventKind.RESTORE_LOCKED) == [
        "3 restores today are all the policy gives: open for malignant until an operator closes"
    ]
    await world.at(86_400)  # a new day does not open the lock
    assert not world.closed()
    receipt = await world.ask(Action.CLOSE, "m0", "Ms Li", "the heater was taken away")
    assert receipt.status is ReceiptStatus.CONFIRMED
    assert world.closed()


async def test_the_daily_count_begins_anew_at_local_midnight() -> None:
    world = World()
    for number in range(3):
        await world.at(number * 100)
        await world.say(world.verdict(MALIGNANT))
    await world.at(300)
    assert world.supervisor.meter("m0").restores_today == 3
    await world.at(12 * 3600 + 1)  # 00:00:01 in Shanghai
    await world.say(world.verdict(MALIGNANT))
    await world.at(12 * 3600 + 61)
    assert world.closed()
    assert world.supervisor.meter("m0").restores_today == 1


async def test_a_tamper_trip_is_ended_by_an_operator_only() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(TAMPER))
    await world.at(5)
    await world.say(world.verdict(TAMPER, False))
    await world.at(7200)
    assert not world.closed()
    (cause,) = world.supervisor.meter("m0").causes
    await world.supervisor.clear_cause("m0", cause.id, "Ms Li", "looked at the box")
    await world.supervisor.settle()
    assert world.closed()


async def test_shadow_and_alarm_causes_are_kept_and_open_nothing() -> None:
    world = World()
    await world.at(0)
    await world.say(
        world.verdict(MALIGNANT, shadow=True), world.verdict(OVERPOWER, mode=RuleMode.ALARM)
    )
    assert world.closed()
    assert world.commands() == []
    assert sorted(cause.kind for cause in world.ledger.causes()) == [MALIGNANT, OVERPOWER]
    assert world.alarms() == [EventKind.CAUSE_RAISED]  # the alarm cause; a trial is no alarm
    await world.say(
        world.verdict(MALIGNANT, False, shadow=True),
        world.verdict(OVERPOWER, False, mode=RuleMode.ALARM),
    )
    assert world.ledger.causes(open_only=True) == []


async def test_a_verdict_that_cannot_tell_changes_nothing() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(SCHEDULE))
    await world.say(world.verdict(SCHEDULE, None))
    assert not world.closed()
    await world.say(world.verdict(OVERPOWER, None))
    assert [cause.kind for cause in world.supervisor.meter("m0").causes] == [SCHEDULE]


async def test_a_manual_trip_ends_by_itself_at_its_time() -> None:
    world = World()
    await world.at(0)
    until = NOON + timedelta(seconds=600)
    receipt = await world.ask(Action.TRIP, "m0", "Mr Wu", "works on the wall", until=until)
    assert (receipt.status, receipt.relay_closed) == (ReceiptStatus.CONFIRMED, False)
    (command, _), *_ = world.ledger.commands()
    assert (command.requested_by, command.reason) == ("Mr Wu", "works on the wall")
    await world.at(599)
    assert not world.closed()
    await world.at(600)
    assert world.closed()


async def test_closing_tells_which_cause_still_holds_the_relay_open() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(SCHEDULE), world.verdict(MALIGNANT))
    receipt = await world.ask(Action.CLOSE, "m0", "Ms Li", "asked for")
    assert receipt.status is ReceiptStatus.REFUSED
    assert receipt.reason == "schedule still holds the relay open; ended: malignant"
    await world.say(world.verdict(SCHEDULE, False))
    assert world.closed()


async def test_a_cause_and_its_command_are_durable_before_the_relay_moves() -> None:
    world = World()
    await world.at(0)
    found: list[tuple[bool, bool]] = []

    def look(command: object) -> None:
        commands = [sent.id for sent, _ in world.ledger.commands()]
        causes = [cause.id for cause in world.ledger.causes(open_only=True)]
        found.append((command.id in commands, command.cause_id in causes))  # type: ignore[attr-defined]

    world.field.before_write = look
    await world.say(world.verdict(MALIGNANT))
    assert found == [(True, True)]


async def test_nothing_moves_while_the_ledger_takes_nothing_and_all_goes_on_after() -> None:
    world = World()
    await world.at(0)
    world.ledger.down = True
    await world.say(world.verdict(SCHEDULE))
    await world.at(5)
    assert world.closed()
    assert world.supervisor.status().verdicts_waiting == 1
    world.ledger.down = False
    await world.at(10)
    assert not world.closed()
    assert world.supervisor.status().verdicts_waiting == 0


async def test_a_receipt_that_the_ledger_did_not_take_is_written_when_it_is_back() -> None:
    world = World()
    await world.at(0)
    world.field.before_write = lambda _command: setattr(world.ledger, "down", True)
    await world.say(world.verdict(SCHEDULE))
    assert not world.closed()
    assert world.receipts() == []
    world.ledger.down = False
    await world.at(5)
    assert [receipt.status for receipt in world.receipts()] == [ReceiptStatus.CONFIRMED]


async def test_an_offline_meter_is_cut_when_it_comes_back() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].online = False
    await world.at(40)
    await world.say(world.verdict(SCHEDULE))
    assert world.commands() == []
    assert world.supervisor.meter("m0").wait == "meter"
    world.field.meters["m0"].online = True
    await world.at(600)
    assert not world.closed()
    assert world.alarms() == []


async def test_a_cause_that_clears_while_the_meter_is_offline_cuts_nobody() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].online = False
    await world.at(40)
    await world.say(world.verdict(SCHEDULE))
    await world.say(world.verdict(SCHEDULE, False))
    world.field.meters["m0"].online = True
    await world.at(600)
    assert world.commands() == []


async def test_a_relay_that_moved_alone_is_told_and_put_right() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].closed = False
    await world.at(2)
    assert world.told(EventKind.RELAY_MOVED_ALONE) == ["relay moved without a command: open"]
    assert world.closed()
    await world.say(world.verdict(SCHEDULE))
    world.field.meters["m0"].closed = True
    await world.at(4)
    assert world.told(EventKind.RELAY_MOVED_ALONE)[-1] == (
        "relay moved without a command: closed while schedule holds it open"
    )
    assert world.alarms() == [EventKind.RELAY_MOVED_ALONE]
    assert not world.closed()


async def test_a_relay_that_goes_on_opening_alone_is_closed_more_and_more_slowly() -> None:
    world = World()
    for second in range(0, 3600, 2):
        await world.at(second)
        world.field.meters["m0"].closed = False
    closes = len(world.commands())
    assert 5 < closes < 30  # of 1,800 times it opened


async def test_an_unverified_polarity_stops_automatic_trips_and_raises_one_alarm() -> None:
    world = World(rules=policy(polarity_verified=()))
    await world.at(0)
    await world.say(world.verdict(MALIGNANT))
    await world.at(5)
    assert world.commands() == []
    assert world.alarms() == [EventKind.CONFIGURATION_FAULT]
    receipt = await world.ask(Action.TRIP, "m0", "Mr Wu", "commissioning")
    assert receipt.status is ReceiptStatus.CONFIRMED


async def test_switching_a_rule_off_ends_its_causes() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(OVERPOWER))
    assert not world.closed()
    off = GroupPolicy(overpower=OverpowerPolicy(mode=RuleMode.OFF))
    await world.supervisor.set_policy(world.policy.model_copy(update={"groups": {"dorm": off}}))
    await world.supervisor.settle()
    assert world.closed()


async def test_an_order_needs_a_meter_a_person_and_a_reason() -> None:
    world = World()
    with pytest.raises(UnknownSubject):
        await world.supervisor.request(Action.TRIP, "nobody", "Mr Wu", "why not")
    for who, reason in (("", "why"), ("Mr Wu", " ")):
        with pytest.raises(CommandRefused):
            await world.supervisor.request(Action.TRIP, "m0", who, reason)
    with pytest.raises(CommandRefused, match="passed already"):
        await world.supervisor.request(Action.TRIP, "m0", "Mr Wu", "why", NOON)


async def test_the_same_order_id_gives_the_same_answer_and_moves_the_relay_once() -> None:
    world = World()
    await world.at(0)
    first = asyncio.ensure_future(world.ask(Action.TRIP, command_id="order-1"))
    again = asyncio.ensure_future(world.ask(Action.TRIP, command_id="order-1"))
    assert await first == await again
    world.restart()
    after = await world.ask(Action.TRIP, command_id="order-1")
    assert after == await first
    assert world.commands() == ["trip"]
    with pytest.raises(CommandRefused, match="another order"):
        await world.ask(Action.CLOSE, command_id="order-1")


async def test_every_step_is_in_the_audit_trail_with_its_actor() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(MALIGNANT))
    await world.at(60)
    assert [(event.kind.value, event.actor) for event in world.events] == [
        ("cause-raised", "rule malignant"),
        ("command-sent", "supervisor"),
        ("command-done", "supervisor"),
        ("cause-cleared", "supervisor"),
        ("command-sent", "supervisor"),
        ("command-done", "supervisor"),
    ]
    assert world.events == world.ledger.events()[::-1]


async def test_an_order_waits_for_proof_no_longer_than_its_time() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].online = False
    order = asyncio.ensure_future(
        world.supervisor.request(Action.TRIP, "m0", "Mr Wu", "leak in the room")
    )
    await asyncio.sleep(0)
    for second in (1, 5, 10, 20, 36):
        await world.at(second)
    _, receipt = await order
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert receipt.relay_closed is None
    world.field.meters["m0"].online = True
    await world.at(400)
    assert not world.closed()  # the trip stands, and was carried out when the meter came back
