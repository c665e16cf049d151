"""The loop itself: on a running clock, bounded on each bus, stopped without cutting off a write."""

import asyncio

from world import World, policy

from domain.causes import CauseKind
from domain.clock import SystemClock
from domain.commands import Action, Command, Receipt, ReceiptStatus

MALIGNANT, SCHEDULE = CauseKind.MALIGNANT, CauseKind.SCHEDULE


class Slow:
    """A bus that carries a command out only when it is let; counts how many it was given."""

    def __init__(self, world: World) -> None:
        self._carry_out = world.field.execute
        world.field.execute = self.execute  # type: ignore[method-assign]
        self.go_on = asyncio.Event()
        self.begun = asyncio.Event()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}

    async def execute(self, command: Command) -> Receipt:
        bus = f"bus{int(command.meter[1:]) % 2}"
        self.now[bus] = self.now.get(bus, 0) + 1
        self.most[bus] = max(self.most.get(bus, 0), self.now[bus])
        self.begun.set()
        await self.go_on.wait()
        self.now[bus] -= 1
        return await self._carry_out(command)


async def test_the_loop_carries_an_order_out_on_a_running_clock_and_stops() -> None:
    world = World()
    world.clock = SystemClock()  # type: ignore[assignment]
    world.field.clock = world.clock
    world.restart()
    loop = asyncio.ensure_future(world.supervisor.run())
    await world.sweep()
    _, receipt = await asyncio.wait_for(
        world.supervisor.request(Action.TRIP, "m0", "Mr Wu", "works"), 10
    )
    assert receipt.status is ReceiptStatus.CONFIRMED
    await world.supervisor.on_verdicts([world.verdict(SCHEDULE)])
    _, receipt = await asyncio.wait_for(
        world.supervisor.request(Action.CLOSE, "m0", "Mr Wu", "works are done"), 10
    )
    assert receipt.reason == "schedule still holds the relay open; ended: manual"
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_stop_lets_the_write_on_the_wire_end_and_keeps_its_receipt() -> None:
    world = World()
    await world.at(0)
    bus = Slow(world)
    loop = asyncio.ensure_future(world.supervisor.run())
    await world.supervisor.on_verdicts([world.verdict(SCHEDULE)])
    await asyncio.wait_for(bus.begun.wait(), 10)
    loop.cancel()
    bus.go_on.set()
    await asyncio.gather(loop, return_exceptions=True)
    assert not world.closed()
    assert [receipt.status for receipt in world.receipts()] == [ReceiptStatus.CONFIRMED]


async def test_a_bus_is_given_a_few_commands_at_once_and_buses_work_side_by_side() -> None:
    world = World(12, policy(trips_per_min=100), buses=2)
    await world.at(0)
    bus = Slow(world)
    await world.supervisor.on_verdicts([world.verdict(MALIGNANT, meter=f"m{n}") for n in range(12)])
    world.supervisor.tick()
    await asyncio.wait_for(bus.begun.wait(), 10)
    for _ in range(100):
        await asyncio.sleep(0)
    assert bus.now == {"bus0": 2, "bus1": 2}
    bus.go_on.set()
    await world.supervisor.settle()
    assert bus.most == {"bus0": 2, "bus1": 2}
    assert not any(world.closed(f"m{n}") for n in range(12))


async def test_a_bus_that_does_not_answer_keeps_nobody_waiting_for_ever() -> None:
    world = World()
    await world.at(0)
    bus = Slow(world)
    order = asyncio.ensure_future(world.supervisor.request(Action.TRIP, "m0", "Mr Wu", "works"))
    while not bus.begun.is_set():
        await asyncio.sleep(0)
        world.supervisor.tick()
    world.clock.leap(36)
    while not order.done():
        world.supervisor.tick()
        await asyncio.sleep(0)
    _, receipt = order.result()
    assert receipt.status is ReceiptStatus.UNKNOWN
    assert receipt.reason == "still under way: the bus has not answered in time"
    bus.go_on.set()
    await world.supervisor.settle()
    assert [row.relay_closed for row in world.receipts()] == [None]  # it had expired on the bus


async def test_one_meter_s_trouble_does_not_hold_up_another() -> None:
    world = World(2, buses=2)
    await world.at(0)

    def driver_for(meter: str) -> object:
        if meter == "m0":
            raise RuntimeError("a bug")
        return world.field

    world.supervisor._core.field = type(world.supervisor._core.field)(driver_for)  # type: ignore[arg-type]
    await world.say(world.verdict(SCHEDULE, meter="m0"), world.verdict(SCHEDULE, meter="m1"))
    assert (world.closed("m0"), world.closed("m1")) == (True, False)
