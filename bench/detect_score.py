"""Scores of the malignant-load benchmark: recall, false trips, confusers, latency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.detect_rooms import LEAD_S, SHORT_USE_S, Placed, Rooms

LONG_USE_S = 30
# A reading above this share of the use's peak is "on", as in events.parquet.
BURST_SHARE = 0.3
RESAMPLES = 1000
CONFUSERS = ("VacuumCleaner", "Printer")


@dataclass(slots=True)
class Trips:
    """What a detector said: for each room its trips and clearings, s of the day, in order."""

    on_s: dict[int, list[float]] = field(default_factory=dict)
    off_s: dict[int, list[float]] = field(default_factory=dict)

    def add(self, room: int, at_s: float) -> None:
        """Note a trip."""
        self.on_s.setdefault(room, []).append(at_s)

    def clear(self, room: int, at_s: float) -> None:
        """Note that the tripped load is off."""
        self.off_s.setdefault(room, []).append(at_s)

    def within(self, room: int, start_s: float, end_s: float) -> float | None:
        """Return the first trip in [start, end], or None."""
        return next((t for t in self.on_s.get(room, ()) if start_s <= t <= end_s), None)

    def holds_at(self, room: int, at_s: float) -> bool:
        """Say whether the room stood tripped just before a time."""
        on = max((t for t in self.on_s.get(room, ()) if t < at_s), default=None)
        return on is not None and not any(on <= t < at_s for t in self.off_s.get(room, ()))


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one run. Recalls are macro averages over device groups, then classes;
    None where there was nothing to score. Latencies are in samples, from the switch-on that the
    verdict is about; `latency_first_p99` from the use's first one, which may be a flick of 2 s."""

    recall: float | None
    recall_long: float | None
    recall_refrigerator: float | None
    recall_pairs: float | None
    recall_short: float | None
    recall_by_class: Mapping[str, float]
    uses: int
    latency_p50: float | None
    latency_p99: float | None
    latency_first_p99: float | None
    false_trips: Mapping[str, "Rate"]
    confuser_trips: Mapping[str, "Rate"]
    limited_trips: Mapping[str, "Rate"]


@dataclass(frozen=True, slots=True)
class Rate:
    """Trips per room-day or per use, with its 95 % bootstrap interval and the number behind."""

    value: float
    low: float
    high: float
    trips: int
    of: int


@dataclass(frozen=True, slots=True)
class _Outcome:
    placed: Placed
    hit: bool
    latency: float | None
    latency_first: float | None


def score(rooms: Rooms, trips: Trips, period_s: int) -> Score:
    """Hold what a detector said against the truth of the rooms."""
    outcomes = [_outcome(placed, trips, period_s) for placed in rooms.uses]
    forbidden = [o for o in outcomes if o.placed.use.trace.rule_class == "forbidden"]
    single = [o for o in forbidden if o.placed.pair is None]
    scored = [o for o in single if o.placed.use.lasted_s >= SHORT_USE_S]
    long = [o for o in scored if o.placed.use.lasted_s >= LONG_USE_S]
    cold = [o for o in scored if rooms.variant[o.placed.room] == "refrigerator"]
    pairs = [
        o for o in forbidden if o.placed.pair is not None and o.placed.use.lasted_s >= SHORT_USE_S
    ]
    latencies = [o.latency for o in scored if o.latency is not None]
    from_first = [o.latency_first for o in scored if o.latency_first is not None]
    return Score(
        recall=_macro(scored),
        recall_long=_macro(long),
        recall_refrigerator=_macro(cold),
        recall_pairs=_macro(pairs),
        recall_short=_macro([o for o in single if o.placed.use.lasted_s < SHORT_USE_S]),
        recall_by_class=_by_class(scored),
        uses=len(scored),
        latency_p50=float(np.percentile(latencies, 50)) if latencies else None,
        latency_p99=float(np.percentile(latencies, 99)) if latencies else None,
        latency_first_p99=float(np.percentile(from_first, 99)) if from_first else None,
        false_trips=_false_trips(rooms, trips, period_s),
        confuser_trips={
            name: rate for name in CONFUSERS if (rate := _per_use(outcomes, name)) is not None
        },
        limited_trips=_limited(outcomes),
    )


def _window(placed: Placed, period_s: int) -> tuple[float, float]:
    """The time in which a trip is due to a use: from switch-on until its last sample is in."""
    return placed.on_s, placed.off_s + period_s


def _outcome(placed: Placed, trips: Trips, period_s: int) -> _Outcome:
    start, end = _window(placed, period_s)
    if placed.pair is not None and trips.holds_at(placed.room, start):
        return _Outcome(placed, hit=True, latency=None, latency_first=None)
    first = trips.within(placed.room, start, end)
    if first is None:
        return _Outcome(placed, hit=False, latency=None, latency_first=None)
    burst = _burst_start(placed, first)
    return _Outcome(placed, True, (first - burst) / period_s, (first - start) / period_s)


def _burst_start(placed: Placed, tripped_s: float) -> float:
    """When the burst began that a trip is about: readings above the use's threshold without one
    below it, on the room's clock."""
    trace = placed.use.trace
    own_s = tripped_s - placed.on_s + placed.use.on_s
    inside = (trace.t >= placed.use.on_s) & (trace.t <= max(own_s, placed.use.on_s))
    t, power = trace.t[inside], trace.power_w[inside]
    above = power > BURST_SHARE * power.max(initial=0.0)
    if not above.any():
        return placed.on_s
    last = int(np.flatnonzero(above)[-1])
    pauses = np.flatnonzero(~above[:last])
    start = int(t[pauses[-1] + 1]) if len(pauses) else int(t[0])
    return start - placed.use.on_s + placed.on_s


def _by_class(outcomes: Sequence[_Outcome]) -> dict[str, float]:
    groups: dict[str, dict[str, list[bool]]] = {}
    for outcome in outcomes:
        trace = outcome.placed.use.trace
        groups.setdefault(trace.appliance, {}).setdefault(trace.group, []).append(outcome.hit)
    return {
        appliance: float(np.mean([np.mean(hits) for hits in own.values()]))
        for appliance, own in sorted(groups.items())
    }


def _macro(outcomes: Sequence[_Outcome]) -> float | None:
    classes = _by_class(outcomes)
    return float(np.mean(list(classes.values()))) if classes else None


def _false_trips(rooms: Rooms, trips: Trips, period_s: int) -> dict[str, Rate]:
    """Trips that no use explains, a room-day, by variant."""
    spans: dict[int, list[tuple[float, float]]] = {}
    for placed in rooms.uses:
        start, end = _window(placed, period_s)
        # A thermostat's or burst's second trip belongs to its use too.
        spans.setdefault(placed.room, []).append((start - LEAD_S, end + LEAD_S + period_s))
    counts = np.array(
        [
            sum(
                not any(low <= t <= high for low, high in spans.get(room, ()))
                for t in trips.on_s.get(room, ())
            )
            for room in range(len(rooms))
        ]
    )
    rates = {}
    for variant in ("plain", "refrigerator"):
        members = [i for i, name in enumerate(rooms.variant) if name == variant]
        if members:
            days = [rooms.source_day[i] for i in members]
            rates[variant] = rate(counts[members].astype(float).tolist(), days)
    return rates


def _per_use(outcomes: Sequence[_Outcome], appliance: str) -> Rate | None:
    own = [
        o for o in outcomes if o.placed.use.trace.appliance == appliance and o.placed.pair is None
    ]
    if not own:
        return None
    days = [o.placed.use.trace.day for o in own]
    return rate([float(o.hit) for o in own], days)


def _limited(outcomes: Sequence[_Outcome]) -> dict[str, Rate]:
    names = sorted(
        {
            o.placed.use.trace.appliance
            for o in outcomes
            if o.placed.use.trace.rule_class == "limited"
        }
    )
    rates = {name: _per_use(outcomes, name) for name in names}
    return {name: found for name, found in rates.items() if found is not None}


def rate(counts: Sequence[float], days: Sequence[str], seed: int = 1) -> Rate:
    """Return the mean of `counts` with a 95 % interval; whole source days are drawn again."""
    names = sorted(set(days))
    place = {name: number for number, name in enumerate(names)}
    member = np.array([place[day] for day in days])
    sums = np.bincount(member, weights=np.asarray(counts), minlength=len(names))
    sizes = np.bincount(member, minlength=len(names))
    draws = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    total = float(np.sum(counts))
    return Rate(total / len(counts), float(low), float(high), int(total), len(counts))
