"""What happens in between: while a write waits, while the bus is busy, while nobody knows."""

import asyncio
from concurrent.futures import Future

from world import MemoryLedger, World, policy

from domain.causes import CauseKind
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.ports import JournalRow

MALIGNANT, OVERPOWER, SCHEDULE = CauseKind.MALIGNANT, CauseKind.OVERPOWER, CauseKind.SCHEDULE


class SlowLedger(MemoryLedger):
    """A ledger that takes commands only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[tuple[Future[None], tuple[JournalRow, ...]]] = []
        self.slow = True

    def record(self, *rows: JournalRow) -> "Future[None]":
        if self.slow and any(isinstance(row, Command) for row in rows):
            future: Future[None] = Future()
            self.held.append((future, rows))
            return future
        return super().record(*rows)

    def let(self) -> None:
        self.slow = False
        for future, rows in self.held:
            super().record(*rows)
            future.set_result(None)


async def breathe(world: World, times: int = 30) -> None:
    for _ in range(times):
        world.supervisor.tick()
        await asyncio.sleep(0)


async def test_a_trip_counts_in_the_minute_in_which_it_is_sent() -> None:
    ledger = SlowLedger()
    world = World(2, policy(trips_per_min=1, command_expires_s=300), buses=2, ledger=ledger)
    await world.at(0)
    await world.supervisor.on_verdicts([world.verdict(SCHEDULE)])
    await breathe(world)
    world.clock.leap(61)  # the ledger is slow: the place in the first minute is over
    await world.sweep()
    await world.supervisor.on_verdicts([world.verdict(SCHEDULE, meter="m1")])
    await breathe(world)
    ledger.let()
    await world.supervisor.settle()
    assert len(world.field.automatic_trips) == 1
    await world.at(125)
    assert len(world.field.automatic_trips) == 2


async def test_a_cause_that_ends_while_its_trip_waits_for_the_bus_trips_nobody() -> None:
    world = World(3, buses=1)
    await world.at(0)
    go_on, carry_out = asyncio.Event(), world.field.execute

    async def slow(command: Command) -> Receipt:
        await go_on.wait()
        return await carry_out(command)

    world.field.execute = slow  # type: ignore[method-assign]
    await world.supervisor.on_verdicts([world.verdict(SCHEDULE, meter=f"m{n}") for n in range(3)])
    await breathe(world)  # two are on the bus, the third waits
    await world.supervisor.on_verdicts([world.verdict(SCHEDULE, False, "m2")])
    go_on.set()
    await world.supervisor.settle()
    assert [world.closed(f"m{n}") for n in range(3)] == [False, False, True]
    assert world.commands("m2") == []


async def test_a_load_that_goes_while_its_trip_is_unproven_is_not_tripped_again() -> None:
    world = World(reads=False)
    await world.at(0)
    world.field.meters["m0"].lose_writes = 1
    await world.say(world.verdict(OVERPOWER))
    await world.say(world.verdict(OVERPOWER, False))
    assert world.supervisor.meter("m0").causes  # the relay may be open: that proves nothing yet
    await world.at(4)  # the relay reads closed
    assert world.commands() == ["trip"]
    (cause,) = world.ledger.causes()
    assert cause.cleared_by == "supervisor"
    assert world.told()[-1:] == []


async def test_a_load_that_comes_again_while_its_trip_is_unproven_is_tripped() -> None:
    world = World(reads=False)
    await world.at(0)
    world.field.meters["m0"].lose_writes = 1
    await world.say(world.verdict(OVERPOWER))
    await world.say(world.verdict(OVERPOWER, False))
    await world.say(world.verdict(OVERPOWER))
    await world.at(4)
    assert not world.closed()


async def test_a_command_is_bound_to_its_cause_even_if_another_holds() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].lose_writes = 1
    await world.say(world.verdict(MALIGNANT), world.verdict(SCHEDULE))
    by_kind = {cause.kind: cause.id for cause in world.supervisor.meter("m0").causes}
    await world.supervisor.clear_cause("m0", by_kind[MALIGNANT], "Ms Li", "a mistake")
    await world.at(2)
    assert not world.closed()
    bound = [command.cause_id for command in world.field.meters["m0"].seen]
    assert bound == [by_kind[MALIGNANT], by_kind[SCHEDULE]]


async def test_a_person_is_told_at_once_when_an_order_is_overtaken() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].online = False
    order = asyncio.ensure_future(world.supervisor.request(Action.TRIP, "m0", "Mr Wu", "works"))
    while not world.supervisor.meter("m0").causes:
        await asyncio.sleep(0)
    await world.supervisor.settle()
    assert not order.done()
    (cause,) = world.supervisor.meter("m0").causes
    await world.supervisor.clear_cause("m0", cause.id, "Ms Li", "the wrong room")
    await world.supervisor.settle()
    assert order.done()
    _, receipt = order.result()
    assert receipt.reason == "overtaken: the cause of this trip has ended"


async def test_a_close_is_overtaken_by_a_cause_that_comes_while_it_waits() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.TRIP)
    world.field.meters["m0"].lose_writes = 1
    order = asyncio.ensure_future(world.supervisor.request(Action.CLOSE, "m0", "Mr Wu", "done"))
    while not world.field.meters["m0"].seen[1:]:
        await asyncio.sleep(0)
        world.supervisor.tick()
    await world.say(world.verdict(SCHEDULE))
    _, receipt = await asyncio.wait_for(order, 5)
    assert receipt.status in (ReceiptStatus.REFUSED, ReceiptStatus.UNKNOWN)
    assert receipt.reason == "overtaken: schedule holds the relay open"
    await world.at(20)
    assert not world.closed()


async def test_a_proof_that_shows_the_opposite_is_none() -> None:
    world = World()
    await world.at(0)

    async def liar(command: Command) -> Receipt:
        world.field.meters["m0"].seen.append(command)
        return Receipt(
            command.id, "m0", command.action, ReceiptStatus.CONFIRMED, "done", True,
            world.clock.now(), 1,
        )  # fmt: skip

    world.field.execute = liar  # type: ignore[method-assign]
    await world.say(world.verdict(SCHEDULE))
    for second in range(1, 10):
        await world.at(second)
    assert len(world.commands()) == 3  # it was tried again
    assert ReceiptStatus.CONFIRMED not in [receipt.status for receipt in world.receipts()]
    assert world.supervisor.meter("m0").alarmed


async def test_receipts_of_two_meters_wait_for_the_ledger_together() -> None:
    world = World(2, buses=2)
    await world.at(0)
    begun: list[str] = []

    def both(command: Command) -> None:
        begun.append(command.meter)
        world.ledger.down = len(begun) == 2

    world.field.before_write = both
    await world.say(world.verdict(SCHEDULE), world.verdict(SCHEDULE, meter="m1"))
    assert world.receipts() == []
    world.field.before_write = lambda _command: None
    world.ledger.down = False
    await world.at(5)
    assert [receipt.status for receipt in world.receipts()] == [ReceiptStatus.CONFIRMED] * 2
    assert world.supervisor.status().rows_owed == 0


async def test_the_meter_s_own_lock_that_was_never_proven_is_owed_after_a_restart() -> None:
    world = World()
    await world.at(0)
    world.field.meters["m0"].lose_writes = 100
    order = asyncio.ensure_future(world.ask(Action.KEEP_POWER))
    for second in (1, 3, 8, 20, 36):
        await world.at(second)
    assert (await order).status is not ReceiptStatus.CONFIRMED
    tried = len(world.commands())
    await world.crash()
    world.field.meters["m0"].lose_writes = 0
    await world.at(40)
    assert world.commands()[tried:] == ["keep-power"]
    world.field.meters["m0"].lose_writes = 100
    order = asyncio.ensure_future(world.ask(Action.RELEASE))
    for second in (41, 43, 48, 60, 77):
        await world.at(second)
    await order
    tried = len(world.commands())
    await world.crash()
    world.field.meters["m0"].lose_writes = 0
    await world.at(80)
    assert world.commands()[tried:] == ["release"]


async def test_a_close_goes_on_until_the_meter_is_proven_to_guard_itself_again() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.TRIP)
    world.field.meters["m0"].lose_replies = 1
    order = asyncio.ensure_future(world.ask(Action.CLOSE))
    for second in (1, 3, 5):
        await world.at(second)
    assert (await order).status is ReceiptStatus.CONFIRMED
    assert world.commands() == ["trip", "close", "close"]
    assert not world.field.meters["m0"].forced


async def test_a_close_that_was_given_up_half_way_is_followed_by_a_release() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.TRIP)
    world.field.meters["m0"].lose_replies = 3
    order = asyncio.ensure_future(world.ask(Action.CLOSE))
    for second in (1, 4, 9, 14, 20):
        await world.at(second)
    assert (await order).status is ReceiptStatus.UNKNOWN
    assert world.commands() == ["trip", "close", "close", "close", "release"]
    assert not world.field.meters["m0"].forced
    assert world.closed()
