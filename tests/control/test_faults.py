"""Rows 13 to 18 of the fault table, each named by what it shows (19: test_grouping)."""

import asyncio
from dataclasses import replace

import pytest
from world import KEY, World, altered, policy

from control.limits import Approval
from domain.causes import CauseKind
from domain.commands import Action, Command, ReceiptStatus
from domain.errors import CommandRefused, UnknownSubject
from domain.events import EventKind

MALIGNANT, SCHEDULE, ARREARS = CauseKind.MALIGNANT, CauseKind.SCHEDULE, CauseKind.ARREARS


# 13: a write times out


async def test_13_a_lost_write_is_read_back_before_it_is_written_again() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].lose_writes = 1
    await world.say(world.verdict(MALIGNANT))
    assert world.field.reads == ["m0"]  # read first
    assert world.commands() == ["trip"]
    await world.at(2)  # the back-off has passed
    assert world.commands() == ["trip", "trip"]
    assert not world.closed()
    (receipt,) = world.receipts()
    assert (receipt.status, receipt.writes) == (ReceiptStatus.CONFIRMED, 2)


async def test_13_a_lost_reply_is_proven_by_reading_back_without_a_second_write() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].lose_replies = 1
    await world.say(world.verdict(MALIGNANT))
    assert world.commands() == ["trip"]
    (receipt,) = world.receipts()
    assert (receipt.status, receipt.reason) == (
        ReceiptStatus.CONFIRMED,
        "proven by a later reading",
    )


async def test_13_without_a_way_to_read_the_next_sweep_that_tells_goes_on() -> None:
    world = World(reads=False)
    await world.at(0)
    world.field.meters["m0"].lose_writes = 1
    await world.say(world.verdict(MALIGNANT))
    await world.at(4, relays=False)
    assert world.commands() == ["trip"]  # nothing is written blindly
    await world.at(6)
    assert world.commands() == ["trip", "trip"]
    assert not world.closed()


async def test_13_what_can_not_be_told_is_unknown_and_raises_one_alarm() -> None:
    world = World()
    await world.at(0)
    meter = world.field.meters["m0"]
    meter.online = False
    await world.say(world.verdict(MALIGNANT))  # alive at 0 s: it is tried
    for second in (5, 10, 20, 31):
        await world.at(second)
    (receipt,) = world.receipts()
    assert (receipt.status, receipt.relay_closed) == (ReceiptStatus.UNKNOWN, None)
    assert world.supervisor.meter("m0").unproven
    assert world.supervisor.meter("m0").relay_closed is None
    for second in range(40, 4000, 40):
        await world.at(second)
    assert world.alarms() == [EventKind.COMMAND_UNPROVEN]
    meter.online = True
    await world.at(4000)
    assert not world.closed()


async def test_13_a_relay_that_does_not_move_is_tried_a_bounded_number_of_times() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].stuck = True
    await world.say(world.verdict(MALIGNANT))
    for second in range(1, 31):
        await world.at(second)
    assert world.alarms() == [EventKind.COMMAND_UNPROVEN]
    (event,) = [e for e in world.events if e.kind is EventKind.COMMAND_UNPROVEN]
    assert event.group == "bus0"
    for second in range(31, 3600, 10):
        await world.at(second)
    assert len(world.commands()) < 3 * 20  # 300 s at most between tries, 3 writes a try
    assert len(world.alarms()) == 1


# 14: an expired or altered command


async def test_14_an_expired_command_is_not_sent() -> None:
    world = World(rules=policy(retry_after_s=40))
    await world.at(0)
    world.field.meters["m0"].lose_writes = 1
    order = asyncio.ensure_future(world.ask(Action.TRIP))
    receipt = await order
    assert receipt.status is ReceiptStatus.UNKNOWN  # a second try would have come after its expiry
    expired = world.field.meters["m0"].seen[0]
    await world.at(60)
    assert (await world.field.execute(expired)).status is ReceiptStatus.EXPIRED


async def test_14_every_command_is_sealed_and_an_altered_one_is_refused() -> None:
    world = World(2)
    await world.at(0)
    await world.say(world.verdict(MALIGNANT))
    (command,) = world.field.meters["m0"].seen
    assert command.is_intact(KEY)
    assert (await world.field.execute(altered(command))).status is ReceiptStatus.REFUSED
    assert world.closed("m1")


async def test_14_a_command_whose_cause_is_gone_is_withdrawn() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].lose_writes = 1
    await world.say(world.verdict(SCHEDULE))
    await world.say(world.verdict(SCHEDULE, False))
    await world.at(100)
    assert world.closed()
    assert world.commands() == ["trip"]
    (receipt,) = world.receipts()
    assert receipt.status is ReceiptStatus.REFUSED
    assert receipt.reason == "withdrawn: what it was for is no more"


# 15: a trip on stale data


async def test_15_a_verdict_on_stale_data_trips_nobody() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(MALIGNANT, age_s=31))
    await world.say(world.verdict(MALIGNANT, age_s=-31))  # or from a clock that runs ahead
    assert world.commands() == []
    assert world.ledger.causes() == []
    assert world.supervisor.status().stale_refused == 2
    await world.say(world.verdict(MALIGNANT, age_s=29))
    assert not world.closed()


async def test_15_a_meter_that_has_not_answered_lately_is_not_tripped() -> None:
    world = World()
    await world.at(0)
    world.clock.leap(31)
    await world.say(world.verdict(MALIGNANT))
    assert world.commands() == []
    assert world.supervisor.meter("m0").relay_closed is None  # stale: cannot tell


# 16: a trip against keep-power


async def test_16_a_trip_against_keep_power_is_refused_and_the_caller_is_told() -> None:
    world = World()
    await world.at(0)
    assert (await world.ask(Action.KEEP_POWER, who="Dr Chen", reason="examination")).status is (
        ReceiptStatus.CONFIRMED
    )
    receipt = await world.ask(Action.TRIP, who="Mr Wu", reason="test")
    assert receipt.status is ReceiptStatus.REFUSED
    assert receipt.reason == ("keep-power holds (by Dr Chen: examination); release it first")
    assert world.commands() == ["keep-power"]
    assert world.ledger.causes() == []


async def test_16_keep_power_suspends_what_the_policy_lists_and_alarms_at_once() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.KEEP_POWER)
    await world.say(world.verdict(ARREARS))
    assert world.alarms() == []
    await world.say(world.verdict(MALIGNANT))
    assert world.alarms() == [EventKind.KEEP_POWER]
    assert world.closed()
    assert len(world.supervisor.meter("m0").suspended) == 2
    receipt = await world.ask(Action.RELEASE)
    assert receipt.status is ReceiptStatus.CONFIRMED
    assert not world.closed()  # the causes hold again
    assert world.commands() == ["keep-power", "release", "trip"]


async def test_16_a_cause_that_the_policy_does_not_list_still_trips() -> None:
    world = World(rules=policy(keep_power_suspends=("arrears",)))
    await world.at(0)
    await world.ask(Action.KEEP_POWER)
    await world.say(world.verdict(MALIGNANT))
    assert not world.closed()
    await world.at(60)  # restored, and the meter's own lock is put back
    assert world.closed()
    assert world.commands() == ["keep-power", "trip", "keep-power"]


async def test_16_keep_power_on_an_open_meter_closes_it_unless_a_cause_forbids() -> None:
    world = World()
    await world.at(0)
    await world.say(world.verdict(ARREARS))
    assert not world.closed()
    assert (await world.ask(Action.KEEP_POWER)).status is ReceiptStatus.CONFIRMED
    assert world.closed()
    other = World()
    await other.at(0)
    await other.ask(Action.TRIP, reason="works")
    receipt = await other.ask(Action.KEEP_POWER)
    assert receipt.status is ReceiptStatus.REFUSED
    assert receipt.reason == "manual holds the relay open and keep-power does not suspend it"
    assert not other.closed()


async def test_16_release_does_not_move_the_relay() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.KEEP_POWER)
    receipt = await world.ask(Action.RELEASE)
    assert (receipt.status, receipt.relay_closed) == (ReceiptStatus.CONFIRMED, True)
    await world.ask(Action.TRIP)
    receipt = await world.ask(Action.RELEASE)
    assert receipt.status is ReceiptStatus.REFUSED  # it would close a relay that is held open
    assert not world.closed()


# 17: a recharge while tripping


async def test_17_a_recharge_while_the_trip_is_on_the_wire_ends_closed() -> None:
    world = World()
    await world.at(0)
    recharge: list[asyncio.Task[None]] = []

    def pay(command: Command) -> None:
        if command.action is Action.TRIP:
            paid = world.supervisor.on_verdicts([world.verdict(ARREARS, False)])
            recharge.append(asyncio.ensure_future(paid))

    world.field.before_write = pay
    await world.say(world.verdict(ARREARS))
    await world.supervisor.settle()
    assert world.closed()
    assert world.commands() == ["trip", "close"]
    assert world.ledger.causes(open_only=True) == []


async def test_17_any_number_of_opposite_orders_leaves_what_was_said_last() -> None:
    world = World()
    await world.at(0)
    orders = [
        asyncio.ensure_future(world.ask(action, reason=f"{number}"))
        for number, action in enumerate([Action.TRIP, Action.CLOSE] * 4)
    ]
    receipts = await asyncio.gather(*orders)
    assert world.closed()
    assert receipts[-1].status is ReceiptStatus.CONFIRMED
    assert {r.status for r in receipts} <= {ReceiptStatus.CONFIRMED, ReceiptStatus.REFUSED}


# 18: a mass trip


def mass(world: World, count: int, kind: CauseKind = MALIGNANT) -> list[object]:
    return [world.verdict(kind, meter=f"m{n}") for n in range(count)]


def opened(world: World) -> int:
    return sum(not meter.closed for meter in world.field.meters.values())


def asked(world: World) -> Approval:
    (approval,) = world.supervisor.status().approvals
    return approval


async def test_18_above_the_limit_trips_wait_for_one_approval_with_one_alarm() -> None:
    world = World(50, policy(trips_per_min=20), buses=2)
    await world.at(0)
    await world.say(*mass(world, 50))  # type: ignore[arg-type]
    assert opened(world) == 20
    assert world.alarms() == [EventKind.TRIPS_LIMITED]
    assert len(asked(world).meters) == 30
    await world.at(30)
    assert opened(world) == 20
    await world.supervisor.approve(asked(world).id, "Ms Li")
    await world.supervisor.settle()
    assert opened(world) == 50
    by = {command.requested_by for command, _ in world.ledger.commands()}
    assert by == {"supervisor", "supervisor, approved by Ms Li"}


async def test_18_an_approval_expires_and_is_asked_for_again() -> None:
    world = World(30, policy(trips_per_min=10))
    await world.at(0)
    await world.say(*mass(world, 30, CauseKind.SHED))  # type: ignore[arg-type]
    first = asked(world).id
    for second in range(20, 600, 20):
        await world.at(second)
    assert opened(world) == 10
    await world.at(600)
    assert opened(world) == 20  # a new minute has room for ten
    with pytest.raises(CommandRefused, match="expired"):
        await world.supervisor.approve(first, "Ms Li")
    assert asked(world).id != first
    assert world.alarms() == [EventKind.TRIPS_LIMITED] * 2


async def test_18_a_planned_switch_off_takes_turns_and_leaves_room_for_a_heater() -> None:
    world = World(41, policy(trips_per_min=20))
    await world.at(0)
    await world.say(*mass(world, 40, SCHEDULE))  # type: ignore[arg-type]
    assert opened(world) == 15
    await world.say(world.verdict(MALIGNANT, meter="m40"))
    assert not world.closed("m40")
    await world.at(60)
    assert opened(world) == 30  # 15 more, while the room of the heater was restored
    await world.at(120)
    assert opened(world) == 40
    assert world.alarms() == []


async def test_18_a_mass_order_needs_two_different_people() -> None:
    world = World(30, policy(trips_per_min=20))
    await world.at(0)
    names = [meter.name for meter in world.roster]
    outcome = await world.supervisor.request_many(Action.TRIP, names, "Mr Wu", "burst pipe")
    assert outcome.outcomes == ()
    assert outcome.approval is not None
    assert opened(world) == 0
    for who in ("Mr Wu", " mr wu ", "", "supervisor"):
        with pytest.raises(CommandRefused):
            await world.supervisor.approve(outcome.approval.id, who)
    with pytest.raises(UnknownSubject):
        await world.supervisor.approve("no such question", "Ms Li")
    granted = await world.supervisor.approve(outcome.approval.id, "Ms Li")
    for _ in range(5):
        await asyncio.sleep(0)
        await world.supervisor.settle()
    assert opened(world) == 30
    assert await world.supervisor.approve(outcome.approval.id, "Ms Li") == granted
    cause = world.ledger.causes()[0]
    assert (cause.raised_by, cause.reason) == ("Mr Wu", "burst pipe (approved by Ms Li)")


async def test_18_single_orders_can_not_get_round_the_limit() -> None:
    world = World(4, policy(trips_per_min=3))
    await world.at(0)
    receipts = [await world.ask(Action.TRIP, f"m{number}") for number in range(4)]
    assert [receipt.status for receipt in receipts] == [ReceiptStatus.CONFIRMED] * 3 + [
        ReceiptStatus.REFUSED
    ]
    assert "waits for approval" in receipts[3].reason
    await world.supervisor.approve(asked(world).id, "Mr Zhao")
    for _ in range(5):
        await asyncio.sleep(0)
        await world.supervisor.settle()
    assert opened(world) == 4


async def test_18_a_mass_below_the_limit_needs_nobody_else() -> None:
    world = World(3)
    await world.at(0)
    names = [meter.name for meter in world.roster]
    order = asyncio.ensure_future(
        world.supervisor.request_many(Action.TRIP, names, "Mr Wu", "burst pipe")
    )
    while not order.done():
        await asyncio.sleep(0)
        await world.supervisor.settle()
    assert [receipt.status for _, receipt in order.result().outcomes] == [
        ReceiptStatus.CONFIRMED
    ] * 3


async def test_18_a_meter_that_no_longer_needs_its_trip_leaves_the_question() -> None:
    world = World(3, policy(trips_per_min=1))
    await world.at(0)
    await world.say(*mass(world, 3, CauseKind.SHED))  # type: ignore[arg-type]
    assert asked(world).meters == ("m1", "m2")
    await world.say(world.verdict(CauseKind.SHED, False, "m1"))
    assert asked(world).meters == ("m2",)
    await world.supervisor.approve(asked(world).id, "Ms Li")
    await world.supervisor.settle()
    assert [world.closed(f"m{n}") for n in range(3)] == [False, True, False]


def test_a_command_sealed_with_another_key_is_not_intact() -> None:
    world = World()
    command = Command(
        "1", "m0", Action.TRIP, "why", "who", world.clock.now(), world.clock.now()
    ).sealed(b"another key")
    assert not command.is_intact(KEY)
    assert not replace(command.sealed(KEY), reason="altered").is_intact(KEY)
