"""How long something has held: the memory that rules with a delay carry from sweep to sweep.

Plain numpy arrays, a place a meter: a sweep has a few dozen rows and comes several times a second,
so the fixed cost of each operation is what counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from domain.policy import GroupPolicy, Policy

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]  # milliseconds since 1970, UTC
Flags = npt.NDArray[np.bool_]
Truths = npt.NDArray[np.int8]  # 1 = True, 0 = False, CANNOT_TELL = null

CANNOT_TELL = -1
NEVER = np.iinfo(np.int64).min // 4  # far enough back, and differences do not overflow
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAMPLE = ("power_w", "power_factor", "voltage_v", "current_a")


def truth(value: int) -> bool | None:
    """Return one of Truths as True, False or None."""
    return None if value == CANNOT_TELL else bool(value)


def to_ms(moment: datetime) -> int:
    """Return a time as whole milliseconds since 1970, UTC."""
    return int((moment - _EPOCH) // timedelta(milliseconds=1))


def from_ms(value: int) -> datetime:
    """Return milliseconds since 1970 as a time in UTC."""
    return _EPOCH + timedelta(milliseconds=int(value))


@dataclass(frozen=True, slots=True)
class Trace:
    """What one rule remembers of each meter: the first and last sample of the stretch in which its
    condition held (NEVER = none), the value at the first, and the last verdict given."""

    meters: tuple[str, ...] = ()
    since: Times = field(default_factory=lambda: np.empty(0, np.int64))
    seen: Times = field(default_factory=lambda: np.empty(0, np.int64))
    first: Floats = field(default_factory=lambda: np.empty(0, np.float64))
    said: Truths = field(default_factory=lambda: np.empty(0, np.int8))
    known: Flags = field(default_factory=lambda: np.empty(0, np.bool_))

    def at(self, meters: tuple[str, ...]) -> "Trace":
        """Return the trace of these meters in this order; unknown ones start empty."""
        if self.meters == meters:
            return self
        place = {meter: number for number, meter in enumerate(self.meters)}
        where = np.fromiter((place.get(meter, -1) for meter in meters), np.int64, len(meters))
        old = where >= 0

        def taken(values: npt.NDArray[Any], empty: Any) -> npt.NDArray[Any]:
            out = np.full(len(meters), empty, values.dtype)
            out[old] = values[where[old]]
            return out

        return Trace(
            meters,
            taken(self.since, NEVER),
            taken(self.seen, NEVER),
            taken(self.first, np.nan),
            taken(self.said, CANNOT_TELL),
            taken(self.known, False),
        )

    def without(self, meters: tuple[str, ...]) -> "Trace":
        """Return the trace of all the other meters."""
        gone = set(meters)
        return self.at(tuple(meter for meter in self.meters if meter not in gone))

    def plus(self, other: "Trace") -> "Trace":
        """Return both traces as one."""
        return Trace(
            self.meters + other.meters,
            np.concatenate([self.since, other.since]),
            np.concatenate([self.seen, other.seen]),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.said, other.said]),
            np.concatenate([self.known, other.known]),
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """What the rules with a delay remember, one trace a rule.

    One memory serves several rules, and either the whole site or one bus; a memory for each bus is
    faster, because nothing has to be looked up by name.
    """

    traces: Mapping[str, Trace] = field(default_factory=dict)

    def of(self, rule: str) -> Trace:
        """Return what one rule remembers; nothing at first."""
        return self.traces.get(rule, Trace())

    def having(self, rule: str, fresh: Trace) -> "Memory":
        """Return a memory in which these meters are as in `fresh` and the others as before."""
        before = self.of(rule)
        if before.meters != fresh.meters:
            others = before.without(fresh.meters)
            fresh = others.plus(fresh) if others.meters else fresh
        return Memory({**self.traces, rule: fresh})


class Rows:
    """The columns of a state frame as arrays, missing numbers as nan."""

    def __init__(self, state: pl.DataFrame) -> None:
        self.state = state
        self.meters: tuple[str, ...] = tuple(state["meter"].to_list())

    def __len__(self) -> int:
        return len(self.meters)

    def number(self, name: str) -> Floats:
        """Return a numeric column, nan where missing."""
        return self.state[name].cast(pl.Float64).to_numpy()

    def truths(self, name: str) -> Truths:
        """Return a Boolean column as Truths."""
        return self.state[name].cast(pl.Int8).fill_null(CANNOT_TELL).to_numpy()

    def times(self, name: str, missing: int) -> Times:
        """Return a time column in ms since 1970."""
        return self.state[name].dt.epoch("ms").fill_null(missing).to_numpy()

    def fresh(self, stale_after_s: float) -> Flags:
        """True where the last good row is young enough to judge by."""
        return self.number("age_s") <= stale_after_s

    def by_group(
        self, policy: Policy, limits: Callable[[GroupPolicy], Mapping[str, Any]]
    ) -> tuple[npt.NDArray[np.int64], Sequence[Mapping[str, Any]]]:
        """Return the limits of each group once, and for each meter which of them is its own."""
        column = self.state["group"]
        which = np.zeros(len(self), np.int64)
        table: list[Mapping[str, Any]] = []
        for number, group in enumerate(column.unique(maintain_order=True).to_list()):
            which[(column == group).to_numpy()] = number
            table.append(limits(policy.group(group)))
        return which, table

    def evidence(self, place: int, since: int, first: float, quantity: str) -> tuple[Any, ...]:
        """Return the first and the last sample of a stretch as evidence rows, oldest first."""
        row = self.state.row(place, named=True)
        out: list[Mapping[str, Any]] = []
        if since > NEVER and (row["time"] is None or from_ms(since) != row["time"]):
            out.append({"time": from_ms(since).isoformat(), quantity: plain(first)})
        if row["time"] is not None:
            sample = {name: row[name] for name in _SAMPLE}
            out.append({"time": row["time"].isoformat(), **sample})
        return tuple(out)


def plain(value: float) -> float | None:
    """Return a number of an array as a float, None where it is missing or without end."""
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts about a stretch of time, in the order of the meters: the trace to keep, how long
    the condition has held (s, nan = it does not), the verdicts, which changed or are the first."""

    trace: Trace
    held_s: Floats
    verdict: Truths
    changed: Flags

    def worth_saying(self) -> list[int]:
        """Return the places of meters that are violated, changed, or judged for the first time."""
        return [int(place) for place in np.flatnonzero(self.changed | (self.verdict == 1))]


def hold(
    trace: Trace, condition: Truths, value: Floats, at: Times, delay_s: Floats, gap_s: float
) -> Judged:
    """Turn a condition of this moment into verdicts about a stretch of time.

    All arrays have a place a meter, in the order of `trace`; `at` is when each was sampled. The
    verdict is True once the condition has held for delay_s by the samples' own times; null where
    the condition is null. A stretch survives samples that cannot tell for up to `gap_s`.
    """
    holds, unknown = condition == 1, condition == CANNOT_TELL
    unbroken = (trace.since > NEVER) & (at - trace.seen <= gap_s * 1000)
    begun = holds & ~unbroken
    lasting = unbroken & (holds | unknown)
    since = np.where(begun, at, np.where(lasting, trace.since, NEVER))
    seen = np.where(holds, at, np.where(lasting, trace.seen, NEVER))
    first = np.where(begun, value, np.where(lasting, trace.first, np.nan))
    held_s = np.where(since > NEVER, (at - since) / 1000, np.nan)
    reached = np.where(holds, held_s >= delay_s, False)
    verdict = np.where(unknown, CANNOT_TELL, reached).astype(np.int8)
    changed = (verdict != trace.said) | ~trace.known
    known = np.ones(len(trace.meters), np.bool_)
    return Judged(Trace(trace.meters, since, seen, first, verdict, known), held_s, verdict, changed)
