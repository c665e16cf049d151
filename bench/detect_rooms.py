"""Rooms for the malignant-load benchmark: sums of recorded loads over 24 h, uses inserted.

Everything is on a grid of one second, from fixed seeds. Active and reactive power are added;
distortion power is added as squares (the phases of harmonics are not in the data); power factor
and current follow from the sums and are never averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.detect_data import DAY_S, Array, Recordings, Trace, Use

LAPTOPS, DESKTOPS, MONITORS = ("PC-Laptop",), ("PC-Desktop",), ("Monitor",)
LAMPS, ROUTERS, CHARGERS = ("Lamp",), ("Router", "EthernetSwitch"), ("Charger",)
COLD = ("Refrigerator", "Freezer")
# What stands in for electronics in the measured-PF track, where no computer was recorded with Q.
OTHER_ELECTRONICS = ("TV-LCD", "Fan")
FIRST_USE_S, LAST_USE_S = 7 * 3600, DAY_S - 1800
LEAD_S = 10  # seconds of a use's recording taken along before and after it
LONGEST_USE_S = 900  # a longer use is cut here: verdicts come in seconds
SHORT_USE_S = 10
NOMINAL_V = 230.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is composed: uses a room-day, uses of a device group (and short ones), pairs."""

    uses_a_room: int = 12
    uses_a_group: int = 48
    short_uses_a_group: int = 12
    pairs: int = 96
    repeats_measured: int = 3
    least_rooms: int = 100


@dataclass(frozen=True, slots=True)
class Placed:
    """A use as it happens in a room, s of the room's day; `pair` joins two uses within 5 s."""

    room: int
    use: Use
    on_s: int
    off_s: int
    pair: int | None = None


@dataclass(slots=True)
class Rooms:
    """n room-days: arrays of (n, 86400); reactive parts and voltage only where measured."""

    power_w: Array
    reactive_var: Array | None = None
    distortion_var: Array | None = None
    voltage_v: Array | None = None
    variant: list[str] = field(default_factory=list)
    source_day: list[str] = field(default_factory=list)
    uses: list[Placed] = field(default_factory=list)
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.variant)


@dataclass(slots=True)
class _Load:
    """A sum of loads over the day; distortion is held as its square."""

    power: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(DAY_S))
    reactive: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(DAY_S))
    distortion2: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(DAY_S))

    def add(self, trace: Trace, seconds: npt.NDArray[np.int64], where: slice) -> None:
        self.power[where] += trace.at(seconds, trace.power_w)
        if trace.reactive_var is not None:
            self.reactive[where] += trace.at(seconds, trace.reactive_var)
        if trace.distortion_var is not None:
            self.distortion2[where] += trace.at(seconds, trace.distortion_var) ** 2

    def copy(self) -> "_Load":
        return _Load(self.power.copy(), self.reactive.copy(), self.distortion2.copy())


class Composer:
    """Builds the rooms of one sampling period and one track."""

    def __init__(
        self, recordings: Recordings, period_s: int, *, measured: bool, scale: Scale, seed: int
    ) -> None:
        self._recordings = recordings
        self._period_s = period_s
        self._measured = measured
        self._scale = scale
        self._rng = np.random.default_rng([seed, period_s, int(measured)])
        self._day_cache: dict[str, _Load] = {}
        self._left_out: list[str] = []
        self._pools = {
            "laptop": self._pool("laptop", LAPTOPS),
            "desktop": [] if measured else self._pool("desktop", DESKTOPS),
            "monitor": [] if measured else self._pool("monitor", MONITORS),
            "lamp": self._pool("lamp", LAMPS),
            "router": [] if measured else self._pool("router", ROUTERS),
            "charger": [] if measured else self._pool("charger", CHARGERS),
            "other": self._pool("other", OTHER_ELECTRONICS) if measured else [],
            "cold": self._pool("refrigerator", COLD),
        }

    def compose(self) -> Rooms:
        """Return all variants: plain, with a refrigerator, with two uses within 5 s."""
        singles = self._chosen_uses()
        per_room = self._scale.uses_a_room
        least = self._scale.least_rooms
        count = max(-(-len(singles) // per_room), least)
        batches = [singles[i::count] for i in range(count)]
        pairs = self._pairs(singles)
        pair_batches = [pairs[i : i + per_room] for i in range(0, len(pairs), per_room)]
        has_cold = bool(self._pools["cold"])
        total = count * (2 if has_cold else 1) + len(pair_batches)
        rooms = self._empty(total)
        place = 0
        for batch in batches:
            base, day = self._base()
            for variant in ("plain", "refrigerator") if has_cold else ("plain",):
                load, source = base.copy(), day
                if variant == "refrigerator":
                    source = self._add_days(load, "cold", 1)[0]
                uses = self._insert_singles(load, place, batch)
                self._store(rooms, place, load, variant, source, uses)
                place += 1
        for number, pair_batch in enumerate(pair_batches):
            load, day = self._base()
            uses = self._insert_pairs(load, place, pair_batch, number * per_room)
            self._store(rooms, place, load, "pairs", day, uses)
            place += 1
        rooms.left_out = tuple(self._left_out)
        return rooms

    def _pool(self, role: str, appliances: tuple[str, ...]) -> list[list[Trace]]:
        days = self._recordings.days(appliances, self._period_s)
        fit = [
            parts for parts in days.values() if all(p.has_reactive == self._measured for p in parts)
        ]
        if not fit:
            self._left_out.append(role)
        return fit

    def _chosen_uses(self) -> list[Use]:
        fit = [
            use
            for use in self._recordings.uses
            if use.trace.period_s <= self._period_s and use.trace.has_reactive == self._measured
        ]
        groups: dict[tuple[str, str, bool], list[Use]] = {}
        for use in fit:
            key = (use.trace.appliance, use.trace.group, use.lasted_s >= SHORT_USE_S)
            groups.setdefault(key, []).append(use)
        chosen: list[Use] = []
        for (_, _, is_long), uses in sorted(groups.items()):
            most = self._scale.uses_a_group if is_long else self._scale.short_uses_a_group
            order = self._rng.permutation(len(uses))[:most]
            repeats = self._scale.repeats_measured if self._measured else 1
            chosen += [uses[i] for i in order] * repeats
        return [chosen[i] for i in self._rng.permutation(len(chosen))]

    def _pairs(self, singles: Sequence[Use]) -> list[tuple[Use, Use]]:
        forbidden = [u for u in singles if _is_scored(u)]
        other = [u for u in singles if u.lasted_s >= SHORT_USE_S]
        if not forbidden:
            return []
        pick = self._rng.integers
        return [
            (forbidden[pick(len(forbidden))], other[pick(len(other))])
            for _ in range(self._scale.pairs)
        ]

    def _base(self) -> tuple[_Load, str]:
        load = _Load()
        pick = self._rng.integers
        days = self._add_days(load, "laptop", int(pick(2, 5)))
        screens = int(pick(0, 3))
        for role, count in (
            ("desktop", screens),
            ("monitor", screens),
            ("lamp", int(pick(1, 4))),
            ("router", 1),
            ("charger", int(pick(1, 4))),
            ("other", int(pick(1, 3))),
        ):
            days += self._add_days(load, role, count)
        return load, next(iter(days), "")

    def _add_days(self, load: _Load, role: str, count: int) -> list[str]:
        """Add up to `count` recordings of a role, none twice in one room: the same recording twice
        would be two appliances that switch in the same second for ever."""
        pool = self._pools[role]
        chosen = [pool[i] for i in self._rng.permutation(len(pool))[:count]]
        for parts in chosen:
            day = self._whole_day(parts)
            # Recordings of one session switch in step and have no time of day of their own here.
            turn = int(self._rng.integers(DAY_S)) if self._measured else 0
            load.power += np.roll(day.power, turn)
            load.reactive += np.roll(day.reactive, turn)
            load.distortion2 += np.roll(day.distortion2, turn)
        return [parts[0].day for parts in chosen]

    def _whole_day(self, parts: list[Trace]) -> _Load:
        """A source day at its own time of day. Where nothing was recorded the nearest reading is
        held; a recording without a time of day is repeated round the clock."""
        key = parts[0].day
        if key not in self._day_cache:
            load = _Load()
            second = np.arange(DAY_S, dtype=np.int64)
            ordered = sorted(parts, key=lambda part: part.start_s or 0)
            starts = [part.start_s or 0 for part in ordered]
            bounds = [0, *starts[1:], DAY_S]
            for part, start, low, high in zip(ordered, starts, bounds, bounds[1:], strict=False):
                own = second[low:high] - start
                if part.start_s is None or self._measured:
                    own = own % (int(part.t[-1]) + 1)
                load.add(part, np.maximum(own, int(part.t[0])), slice(low, high))
            self._day_cache[key] = load
        return self._day_cache[key]

    def _insert_singles(self, load: _Load, room: int, uses: Sequence[Use]) -> list[Placed]:
        slot = (LAST_USE_S - FIRST_USE_S) // max(len(uses), 1)
        placed = []
        for number, use in enumerate(uses):
            spare = max(slot - LONGEST_USE_S - 300, 1)
            on_s = FIRST_USE_S + number * slot + int(self._rng.integers(spare))
            placed.append(_insert(load, room, use, on_s))
        return placed

    def _insert_pairs(
        self, load: _Load, room: int, pairs: Sequence[tuple[Use, Use]], first: int
    ) -> list[Placed]:
        slot = (LAST_USE_S - FIRST_USE_S) // max(len(pairs), 1)
        placed = []
        for number, (one, two) in enumerate(pairs):
            spare = max(slot - LONGEST_USE_S - 300, 1)
            on_s = FIRST_USE_S + number * slot + int(self._rng.integers(spare))
            apart = int(self._rng.integers(0, 6))
            order = (one, two) if self._rng.random() < 0.5 else (two, one)
            placed.append(_insert(load, room, order[0], on_s, first + number))
            placed.append(_insert(load, room, order[1], on_s + apart, first + number))
        return placed

    def _empty(self, count: int) -> Rooms:
        def grid() -> Array:
            return np.zeros((count, DAY_S), np.float32)

        rooms = Rooms(grid())
        if self._measured:
            rooms.reactive_var, rooms.distortion_var, rooms.voltage_v = grid(), grid(), grid()
        return rooms

    def _store(
        self, rooms: Rooms, place: int, load: _Load, variant: str, day: str, uses: list[Placed]
    ) -> None:
        rooms.power_w[place] = load.power
        if rooms.reactive_var is not None and rooms.distortion_var is not None:
            rooms.reactive_var[place] = load.reactive
            rooms.distortion_var[place] = np.sqrt(load.distortion2)
        if rooms.voltage_v is not None:
            rooms.voltage_v[place] = self._supply(uses)
        rooms.variant.append(variant)
        rooms.source_day.append(day)
        rooms.uses += uses

    def _supply(self, uses: Sequence[Placed]) -> Array:
        """The voltage of a recording round the clock, and during each use that of its own."""
        supply = np.full(DAY_S, np.float32(NOMINAL_V))
        sources = [p for parts in self._pools["lamp"] for p in parts if p.voltage_v is not None]
        if sources:
            source = sources[int(self._rng.integers(len(sources)))]
            supply = _voltage(source, np.arange(DAY_S) % (int(source.t[-1]) + 1))
        for use in uses:
            if use.use.trace.voltage_v is not None:
                low, high = max(use.on_s - LEAD_S, 0), min(use.off_s + LEAD_S, DAY_S)
                own = np.arange(low, high) - use.on_s + use.use.on_s
                supply[low:high] = _voltage(use.use.trace, own)
        return supply


def _voltage(trace: Trace, seconds: npt.NDArray[np.int64]) -> Array:
    assert trace.voltage_v is not None  # noqa: S101 - both callers have looked
    volts = trace.at(np.maximum(seconds, int(trace.t[0])), trace.voltage_v)
    return np.where(np.isnan(volts) | (volts < 1), np.float32(NOMINAL_V), volts)


def _is_scored(use: Use) -> bool:
    return use.trace.rule_class == "forbidden" and use.lasted_s >= SHORT_USE_S


def _insert(load: _Load, room: int, use: Use, on_s: int, pair: int | None = None) -> Placed:
    """Add a use to a room so that it switches on at `on_s`."""
    off_s = min(on_s + min(use.off_s - use.on_s, LONGEST_USE_S), DAY_S - LEAD_S - 1)
    seconds = np.arange(on_s - LEAD_S, off_s + LEAD_S, dtype=np.int64)
    inside = seconds - on_s + use.on_s
    keep = (inside >= 0) & (inside <= int(use.trace.t[-1]))
    first, last = int(np.argmax(keep)), len(keep) - int(np.argmax(keep[::-1]))
    where = slice(int(seconds[first]), int(seconds[last - 1]) + 1)
    load.add(use.trace, inside[first:last], where)
    return Placed(room, use, on_s, off_s, pair)
