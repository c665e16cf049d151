"""Whatever happens in whatever order: once things are quiet, each relay is as its causes say."""

import asyncio
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world import World, policy

from control.desired import holding
from domain.causes import CauseKind
from domain.commands import Action
from domain.ports import KeepPower

METERS = 4
TRIPS_PER_MIN = 2
QUIET_S = 800
Step = tuple[str, ...] | tuple[str, int] | tuple[object, ...]

meters = st.integers(0, METERS - 1).map(lambda number: f"m{number}")
kinds = st.sampled_from(
    [
        CauseKind.MALIGNANT,
        CauseKind.OVERPOWER,
        CauseKind.ARREARS,
        CauseKind.SCHEDULE,
        CauseKind.SHED,
    ]
)
verdicts = st.tuples(st.just("verdict"), meters, kinds, st.sampled_from([True, True, False, None]))
steps = st.one_of(
    verdicts,
    verdicts,
    verdicts,
    st.tuples(st.just("burst"), kinds),
    st.tuples(st.just("order"), meters, st.sampled_from(list(Action))),
    st.tuples(st.just("leap"), st.integers(1, 45)),
    st.tuples(st.just("leap"), st.integers(1, 5)),
    st.tuples(st.just("offline"), meters),
    st.tuples(st.just("online"), meters),
    st.tuples(st.just("lose writes"), meters),
    st.tuples(st.just("lose replies"), meters),
    st.tuples(st.just("moves alone"), meters),
    st.tuples(st.just("ledger"), st.booleans()),
    st.tuples(st.just("crash")),
    st.tuples(st.just("approve")),
    st.tuples(st.just("breathe")),
)


async def play(world: World, step: tuple[object, ...]) -> None:
    """Do one step; nothing is waited for, so that the next one may come in between."""
    name, given_to = step[0], step[1:]
    field = world.field.meters
    if name == "verdict":
        meter, kind, violated = given_to
        said = world.verdict(kind, violated, meter)  # type: ignore[arg-type]
        await world.supervisor.on_verdicts([said])
    elif name == "burst":
        kind = given_to[0]
        said_of_all = [world.verdict(kind, meter=m.name) for m in world.roster]  # type: ignore[arg-type]
        await world.supervisor.on_verdicts(said_of_all)
    elif name == "order":
        meter, action = given_to
        request = world.supervisor.request(action, meter, "Ms Li", "any")  # type: ignore[arg-type]
        task = asyncio.ensure_future(request)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
    elif name == "leap":
        world.clock.leap(float(given_to[0]))  # type: ignore[arg-type]
        await world.sweep()
    elif name in ("offline", "online"):
        field[str(given_to[0])].online = name == "online"
    elif name == "lose writes":
        field[str(given_to[0])].lose_writes += 1
    elif name == "lose replies":
        field[str(given_to[0])].lose_replies += 1
    elif name == "moves alone":
        fake = field[str(given_to[0])]
        fake.closed = not fake.closed
    elif name == "ledger":
        world.ledger.down = not given_to[0]
    elif name == "crash":
        await world.crash()
    elif name == "approve":
        await approve_all(world)
    elif name == "breathe":
        await world.supervisor.settle()
    world.supervisor.tick()
    for _ in range(3):
        await asyncio.sleep(0)


async def approve_all(world: World) -> None:
    if world.ledger.down:
        return
    for approval in world.supervisor.status().approvals:
        if world.clock.now() < approval.expires_at:
            await world.supervisor.approve(approval.id, "Mr Zhao")


async def quieten(world: World) -> None:
    """End all troubles and let time pass, with somebody there to approve."""
    world.ledger.down = False
    for fake in world.field.meters.values():
        fake.online, fake.lose_writes, fake.lose_replies = True, 0, 0
    still, before = 0, -1
    for _ in range(0, QUIET_S, 20):
        world.clock.leap(20)
        await world.sweep()
        await world.supervisor.settle()
        await approve_all(world)
        await world.supervisor.settle()
        waits = any(world.supervisor.meter(m.name).wait for m in world.roster)
        still = 0 if waits or before != len(world.ledger.rows) else still + 1
        before = len(world.ledger.rows)
        if still == 5:  # 100 s: longer than the delay of a restore and than any pause
            return


def holds(world: World, meter: str) -> bool:
    """Whether the ledger, and nobody's memory, says that this relay shall be open."""
    lock: KeepPower | None = next(
        (k for k in world.ledger.keep_power() if k.meter == meter and k.released_at is None), None
    )
    causes = world.ledger.causes(open_only=True, meter=meter)
    return bool(holding(causes, lock, world.policy.control, world.clock.now()))


def is_kept(world: World, meter: str) -> bool:
    locks = world.ledger.keep_power()
    return any(lock.meter == meter and lock.released_at is None for lock in locks)


def forced(world: World, meter: str) -> bool:
    """Whether the meter is left ignoring its own protection."""
    return world.field.meters[meter].forced


def most_in_a_minute(times: list[float]) -> int:
    return max((sum(t <= u < t + 60 for u in times) for t in times), default=0)


def run(body: Callable[[], object]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=4, max_size=25))
def test_any_order_of_things_ends_with_every_relay_as_its_causes_say(
    happenings: list[tuple[object, ...]],
) -> None:
    async def body() -> None:
        limits = {
            "trips_per_min": TRIPS_PER_MIN,
            "retry_after_most_s": 30,
            "approval_expires_s": 100,
        }
        world = World(METERS, policy(**limits), buses=2)
        await world.at(0)
        for step in happenings:
            await play(world, step if isinstance(step, tuple) else (step,))
        await quieten(world)
        for meter in world.roster:
            shall_be_open = holds(world, meter.name)
            assert world.closed(meter.name) is not shall_be_open, meter.name
            assert shall_be_open or forced(world, meter.name) is is_kept(world, meter.name)
            status = world.supervisor.meter(meter.name)
            assert status.shall_be_closed is not shall_be_open
            assert status.relay_closed is not shall_be_open
            assert not status.unproven
        assert most_in_a_minute(world.field.automatic_trips) <= TRIPS_PER_MIN
        assert all(receipt is not None for _, receipt in world.ledger.commands())
        assert world.supervisor.status().rows_owed == 0
        assert world.supervisor.status().verdicts_waiting == 0

    run(body)


last_words = st.lists(
    st.tuples(
        meters,
        st.sampled_from([CauseKind.ARREARS, CauseKind.SCHEDULE, CauseKind.SHED]),
        st.booleans(),
        st.sampled_from(["", "crash", "offline", "lose writes", "lose replies"]),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(last_words)
def test_the_relay_follows_the_last_word_of_each_rule(
    words: list[tuple[str, CauseKind, bool, str]],
) -> None:
    async def body() -> None:
        world = World(METERS, policy(trips_per_min=100))
        await world.at(0)
        said: dict[tuple[str, CauseKind], bool] = {}
        for number, (meter, kind, violated, trouble) in enumerate(words):
            if trouble:
                await play(world, (trouble, meter))
            await play(world, ("verdict", meter, kind, violated))
            said[meter, kind] = violated
            await play(world, ("leap", 1 + number % 3))
        await quieten(world)
        for fake in (meter.name for meter in world.roster):
            shall_be_open = any(held for (meter, _), held in said.items() if meter == fake)
            assert world.closed(fake) is not shall_be_open, fake

    run(body)
