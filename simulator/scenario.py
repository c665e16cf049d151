"""A seeded evening on the demonstration campus, as data: who switches on what, which meter is
tampered with, what the operator asks for, and which kinds of trips must show.

Both sides of a demonstration build the same scenario from the same arguments: the simulator lives
it, the station checks itself against it.
"""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from domain.causes import CauseKind
from domain.commands import Action
from domain.policy import ShedPolicy
from domain.site import RoomKind, Site
from simulator.campus import Campus
from simulator.demo_site import LAUNDRY_GROUP, OFF_AFTER_S
from simulator.faults import FaultKind, FaultSpec
from simulator.traces import RecordedUse, TraceLibrary
from simulator.uses import PlannedUse

SHORTEST_S, LONGEST_S = 60.0, 7 * 86_400.0
WARM_UP_S = 15.0  # every meter is read a few times before anything happens
BUSY_S = 120.0  # a use every 6-10 s until here, every 24-36 s after it
LAST_USE_S = 12.0  # no use starts later than this before the end: its trip must be proven in time
EVENING = time(20, 35)
# The white list of the demonstration covers hair dryers of 1100-1400 W at 220 V, which is this band
# at any supply: uses stay out of it, so that a missed trip can't hide behind a permitted load.
PERMITTED_W = (1000.0, 1650.0)
LONGEST_USE_S = 300.0
RECORDED_CHOSEN = 64
SHED_FROM_S = 110.0  # shorter scenarios leave no time to shed and to come back

# Rooms whose money runs out: a load that no rule of power minds, until the balance ends it.
DEBTORS = 2
DEBT_FROM_S, DEBT_FOR_S = 8.0, 600.0
DEBT_SHOWS_S = 70.0  # a counter of 10 Wh, read every 30 s, tells of it by then

# What stands in for recordings where there are none: appliance and how long it is used, s.
MODELS: tuple[tuple[str, float, float], ...] = (
    ("kettle", 90, 240),
    ("kettle", 90, 240),
    ("electric-stove", 120, 300),
    ("toaster", 60, 150),
    ("rice-cooker", 180, 300),
    ("oven", 120, 240),
)
CONFUSERS: tuple[tuple[str, float, float], ...] = (
    ("microwave", 40, 120),
    ("hair-dryer", 60, 180),
    ("refrigerator", 30, 60),
    ("tv", 60, 300),
    ("filament-lamp", 60, 300),
)


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """What the operator orders, when, and the reason on the order."""

    meter: str
    action: Action
    at_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A change of the shedding policy at a time; the rest of the policy stays."""

    at_s: float
    shed: ShedPolicy
    reason: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that is planned, in campus seconds.

    `expected` names the meters of each kind of trip that must show before the end; a malignant
    trip is expected of every planned forbidden use. `expected_alarms` are causes that must be
    raised but open nothing.
    """

    seed: int
    start_s: float
    duration_s: float
    day_shift_s: float
    uses: tuple[PlannedUse, ...]
    confusers: tuple[PlannedUse, ...]
    overloads: tuple[PlannedUse, ...]
    debts: tuple[PlannedUse, ...]
    faults: tuple[FaultSpec, ...]
    operator_actions: tuple[OperatorAction, ...]
    policy_changes: tuple[PolicyChange, ...]
    expected: Mapping[CauseKind, tuple[str, ...]]
    expected_alarms: Mapping[CauseKind, tuple[str, ...]]

    @property
    def planned(self) -> tuple[PlannedUse, ...]:
        """All planned uses, in order of time."""
        together = (*self.uses, *self.confusers, *self.overloads, *self.debts)
        return tuple(sorted(together, key=lambda use: (use.on_s, use.meter)))

    @property
    def debtors(self) -> tuple[str, ...]:
        """The meters of the rooms whose money runs out."""
        return tuple(use.meter for use in self.debts)

    @property
    def expected_kinds(self) -> tuple[CauseKind, ...]:
        """The kinds of trips that must show."""
        return tuple(self.expected)


def demo_scenario(
    site: Site,
    *,
    seed: int = 1,
    start_s: float,
    duration_s: float,
    traces: TraceLibrary | None = None,
) -> Scenario:
    """Plan an evening of `duration_s` (60 s to a week) on a site made by `demo_site`.

    Raises ValueError for another duration and for a site without enough dormitory rooms.
    """
    if not SHORTEST_S <= duration_s <= LONGEST_S:
        raise ValueError(f"duration_s must be {SHORTEST_S:g}-{LONGEST_S:g}, got {duration_s:g}")
    dice = random.Random(f"{seed}:scenario")
    dorms = [meter.name for meter in site.meters if meter.kind is RoomKind.DORM]
    if len(dorms) < 60:
        raise ValueError(f"the scenario needs 60 dormitory rooms, the site has {len(dorms)}")
    dice.shuffle(dorms)
    manual, *others = dorms
    overload_rooms, confuser_rooms, use_rooms = others[:8], others[8:28], others[28:-DEBTORS]
    debtors = tuple(others[-DEBTORS:])
    end_s = start_s + duration_s
    uses = tuple(_uses(use_rooms, dice, start_s, end_s, traces))
    overloads = tuple(_overloads(overload_rooms, dice, start_s, end_s))
    laundries = tuple(m.name for m in site.meters if m.policy_group == LAUNDRY_GROUP)
    day_shift_s = evening_shift_s(site.time_zone, start_s)
    changes = _shed_window(site, seed, start_s, duration_s, day_shift_s, traces)
    expected = {
        CauseKind.MALIGNANT: tuple(dict.fromkeys(use.meter for use in uses)),
        CauseKind.OVERPOWER: tuple(dict.fromkeys(use.meter for use in overloads)),
        CauseKind.SCHEDULE: laundries,
        CauseKind.MANUAL: (manual,),
    }
    if duration_s >= DEBT_SHOWS_S:
        expected[CauseKind.ARREARS] = debtors
    if changes:
        expected[CauseKind.SHED] = tuple(
            m.name for m in site.meters if m.shed_priority is not None and m.name not in laundries
        )
    bypassed = laundries[:1]
    return Scenario(
        seed=seed,
        start_s=start_s,
        duration_s=duration_s,
        day_shift_s=day_shift_s,
        uses=uses,
        confusers=tuple(_confusers(confuser_rooms, dice, start_s, end_s)),
        overloads=overloads,
        debts=tuple(
            PlannedUse(room, "induction-hob", start_s + DEBT_FROM_S, DEBT_FOR_S, number=100)
            for room in debtors
        ),
        faults=tuple(
            FaultSpec(kind=FaultKind.RELAY_BYPASSED, meter=meter, start_s=start_s + WARM_UP_S)
            for meter in bypassed
        ),
        operator_actions=(
            OperatorAction(manual, Action.TRIP, start_s + 22, "wiring is inspected"),
            OperatorAction(manual, Action.CLOSE, start_s + 42, "wiring was inspected"),
        ),
        policy_changes=changes,
        expected=expected,
        expected_alarms={CauseKind.TAMPER: bypassed},
    )


def demo_campus(site: Site, scenario: Scenario, traces: TraceLibrary | None = None) -> Campus:
    """Return the campus that lives a scenario; no room brings forbidden appliances of its own."""
    return Campus.of_site(
        site,
        seed=scenario.seed,
        start_s=scenario.start_s,
        traces=traces,
        day_shift_s=scenario.day_shift_s,
        planned=scenario.planned,
        forbidden_share=0.0,
    )


def planned_faults(scenario: Scenario) -> tuple[FaultSpec, ...]:
    """Return the faults for the simulated line, in order of time."""
    return tuple(sorted(scenario.faults, key=lambda fault: fault.start_s or 0.0))


def evening_shift_s(time_zone: str, start_s: float) -> float:
    """Return the seconds to add to `start_s` to make it the evening of the same local day."""
    local = datetime.fromtimestamp(start_s, UTC).astimezone(ZoneInfo(time_zone))
    evening = local.replace(
        hour=EVENING.hour, minute=EVENING.minute, second=0, microsecond=0, fold=0
    )
    return evening.timestamp() - start_s


def _moments(dice: random.Random, start_s: float, end_s: float) -> Iterator[float]:
    at_s = start_s + WARM_UP_S + dice.uniform(0, 2)
    while at_s <= end_s - LAST_USE_S:
        yield at_s
        busy = at_s < start_s + BUSY_S
        at_s += dice.uniform(6, 10) if busy else dice.uniform(24, 36)


def _uses(
    rooms: list[str],
    dice: random.Random,
    start_s: float,
    end_s: float,
    traces: TraceLibrary | None,
) -> Iterator[PlannedUse]:
    recorded = _recorded_choice(dice, traces)
    for number, at_s in enumerate(_moments(dice, start_s, end_s)):
        room = rooms[number % len(rooms)]
        if recorded:
            use = recorded[number % len(recorded)]
            lasting_s = min(LONGEST_USE_S, float(use.lasting_s))
            yield PlannedUse(room, use.appliance, at_s, lasting_s, use, number=100)
        else:
            appliance, shortest_s, longest_s = dice.choice(MODELS)
            for_s = dice.uniform(shortest_s, longest_s)
            yield PlannedUse(room, appliance, at_s, for_s, number=100)


def _recorded_choice(dice: random.Random, traces: TraceLibrary | None) -> list[RecordedUse]:
    """Choose recordings that rise at once and stay up, so that no trip is a matter of luck.

    Classes take turns, or there would be nothing but kettles.
    """
    if traces is None:
        return []
    lowest_w, highest_w = PERMITTED_W
    known = [u for u in traces.uses() if not lowest_w <= u.power_w <= highest_w]
    dice.shuffle(known)
    by_class: dict[str, list[RecordedUse]] = {}
    for use in known:
        by_class.setdefault(use.appliance, []).append(use)
    most = math.ceil(2 * RECORDED_CHOSEN / max(1, len(by_class)))
    traces.preload(use for uses in by_class.values() for use in uses[:most])
    steady = {
        name: [use for use in uses[:most] if _is_steady(use, traces)]
        for name, uses in by_class.items()
    }
    turns = [
        uses[turn] for turn in range(most) for _, uses in sorted(steady.items()) if turn < len(uses)
    ]
    return turns[:RECORDED_CHOSEN]


def _is_steady(use: RecordedUse, traces: TraceLibrary) -> bool:
    recording = traces.use(use)
    early = [
        power_w
        for second, power_w in zip(recording.seconds, recording.power_w, strict=True)
        if 2 <= second <= 20
    ]
    return len(early) >= 3 and min(early) >= 0.8 * use.power_w


def _overloads(
    rooms: list[str], dice: random.Random, start_s: float, end_s: float
) -> Iterator[PlannedUse]:
    """A microwave and an induction hob together: over the room's limit, by loads that no rule of
    power factor minds."""
    at_s, number = start_s + WARM_UP_S + 2, 0
    while at_s <= end_s - 3 * LAST_USE_S:
        room = rooms[number % len(rooms)]
        yield PlannedUse(room, "microwave", at_s, 90, number=100)
        yield PlannedUse(room, "induction-hob", at_s + dice.uniform(1, 3), 120, number=100)
        number += 1
        at_s = start_s + 55 if number == 1 else at_s + dice.uniform(500, 700)


def _confusers(
    rooms: list[str], dice: random.Random, start_s: float, end_s: float
) -> Iterator[PlannedUse]:
    at_s, number = start_s + WARM_UP_S + 4, 0
    while at_s <= end_s - LAST_USE_S:
        appliance, shortest_s, longest_s = CONFUSERS[number % len(CONFUSERS)]
        for_s = dice.uniform(shortest_s, longest_s)
        yield PlannedUse(rooms[number % len(rooms)], appliance, at_s, for_s, number=100)
        number += 1
        busy = at_s < start_s + BUSY_S
        at_s += dice.uniform(9, 14) if busy else dice.uniform(60, 120)


def _shed_window(
    site: Site,
    seed: int,
    start_s: float,
    duration_s: float,
    day_shift_s: float,
    traces: TraceLibrary | None,
) -> tuple[PolicyChange, ...]:
    """A site cap a little under what the campus draws while the laundries are off.

    Asked of a campus that lives the same evening without the planned uses.
    """
    if duration_s < SHED_FROM_S:
        return ()
    at_s = start_s + OFF_AFTER_S + 23
    plain = Campus.of_site(
        site, seed=seed, start_s=start_s, traces=traces, day_shift_s=day_shift_s, forbidden_share=0
    )
    meters = [m.name for m in site.meters if m.policy_group != LAUNDRY_GROUP and not m.head]
    lowest_w = min(
        sum(plain.demand(meter, at_s + after_s).power_w for meter in meters)
        for after_s in range(0, 21, 2)
    )
    cap_w = math.floor(lowest_w * 0.95 / 100) * 100.0
    cap = ShedPolicy(cap_w=cap_w, delay_s=5, restore_after_s=20, meters_a_step=3)
    return (
        PolicyChange(at_s, cap, "supply shortage: site cap"),
        PolicyChange(at_s + 35, ShedPolicy(), "supply shortage is over"),
    )
