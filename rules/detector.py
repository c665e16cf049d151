"""The malignant-load detector: samples in, what changed out. The engine and the benchmark run it.

Ring, step tracker and rule together, for all meters at once; white-listed runs are the only
per-meter work, and there are few of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from domain.policy import Policy, WhiteListEntry
from domain.site import Meter
from rules.base import Base
from rules.malignant import FEWEST_SAMPLES, limits_of, malignant
from rules.ring import Index, Rows, SampleRing, Samples
from rules.step import CONVICTED, IDLE, UNKNOWN, WATCHED, StepTracker
from rules.whitelist import Step, has_run_out, permitted_as

# A suspect step is read again ahead of the round at most for this long.
SUSPECT_S = 10.0
# A room that draws more than this has its supply back, W.
SUPPLY_W = 5.0
# Permitted loads that are followed at once in one room.
RUNS_A_METER = 8
# Verdicts as small integers.
TRUE, FALSE, NULL, WATCH, SUSPECT = 1, 0, -1, -2, -3

_NONE: Index = np.empty(0, np.intp)


def _nothing() -> Index:
    return _NONE


@dataclass(frozen=True, slots=True)
class Conviction:
    """A forbidden load that came on: the site index of its meter and what was measured."""

    row: int
    matched: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a sweep changed, as site indices: convictions, loads gone, steps under watch."""

    convicted: tuple[Conviction, ...] = ()
    cleared: Index = field(default_factory=_nothing)
    suspects: Index = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True)
class _Run:
    """A white-listed load that is on."""

    entry: WhiteListEntry
    since: datetime
    base: Base
    power_w: float
    matched: Mapping[str, Any]


def instant(time_ms: int) -> datetime:
    """Return a Unix time in ms as UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


class MalignantDetector:
    """Watches every meter for forbidden loads; `rows` are site indices in roster order."""

    def __init__(
        self, meters: Sequence[Meter], policy: Policy, zone: ZoneInfo, samples: int = 300
    ) -> None:
        self.meters = tuple(meters)
        self._zone = zone
        self.ring = SampleRing(len(meters), samples)
        self._limits = limits_of(meters, policy)
        self.steps = StepTracker(len(meters), self._limits.step, self.ring)
        self._policy = policy
        self._runs: dict[int, list[_Run]] = {}
        self._rule = malignant()

    def set_policy(self, policy: Policy) -> None:
        """Judge by other limits from the next sample on; what is under watch stays so."""
        self._policy = policy
        self._limits = limits_of(self.meters, policy)
        self.steps.limits = self._limits.step
        off = np.isinf(self._limits.step.step_w) & (self.steps.phase >= WATCHED)
        self.steps.absorb(np.flatnonzero(off))

    def supply_cut(self, rows: Index) -> None:
        """Say that the relays of these meters are open."""
        self.steps.was_cut[rows] = True

    def verdicts(self, rows: Rows) -> npt.NDArray[np.int8]:
        """Return what is known now of each meter: TRUE, FALSE, NULL = cannot tell, WATCH = a step
        is being watched."""
        steps = self.steps
        told = np.where(steps.is_known[rows], FALSE, NULL).astype(np.int8)
        phase = steps.phase[rows]
        told[phase == CONVICTED] = TRUE
        told[phase == WATCHED] = WATCH
        told[phase == UNKNOWN] = NULL
        return told

    def observe(self, rows: Rows, samples: Samples) -> Changes:
        """Take one good sample of each of the meters of `rows` and say what changed."""
        steps = self.steps
        was_convicted = steps.phase[rows] == CONVICTED
        self.ring.add(rows, samples)
        active = steps.advance(rows, samples)
        cleared = _NONE
        if was_convicted.any():
            before = np.arange(len(self.meters))[rows][was_convicted]
            cleared = before[steps.phase[before] != CONVICTED]
        watched = active[steps.phase[active] == WATCHED] if len(active) else active
        ripe = watched[steps.count[watched] >= FEWEST_SAMPLES] if len(watched) else watched
        convicted = self._judge(ripe) if len(ripe) else []
        if self._runs:
            convicted += self._check_runs(rows)
        if steps.was_cut.any():
            self._end_cuts(rows)
        suspects = _NONE
        if len(watched):
            still = watched[steps.phase[watched] == WATCHED]
            age_s = (steps.time_ms[still] - steps.since_ms[still]) / 1000.0
            suspects = still[age_s <= SUSPECT_S]
        return Changes(tuple(convicted), cleared, suspects)

    def _judge(self, watched: Index) -> list[Conviction]:
        steps = self.steps
        limits = self._limits.columns(watched, steps.excess_w[watched])
        frame = pl.DataFrame({**steps.describe(watched), **limits}, nan_to_null=True)
        judged = frame.with_columns(self._rule).drop_nulls("violated")
        if judged.is_empty():
            return []
        other = judged.filter(~pl.col("violated"))
        rows = other["row"].to_numpy()
        steps.let_go(rows)
        # A room that came back as a whole, its steps not told apart, may hold anything.
        unsure = rows[other["comes_back"].to_numpy()]
        steps.is_known[unsure] = steps.power_w[unsure] < self._limits.step.step_w[unsure]
        convictions = (self._convict(r) for r in judged.filter("violated").iter_rows(named=True))
        return [conviction for conviction in convictions if conviction is not None]

    def _convict(self, found: Mapping[str, Any]) -> Conviction | None:
        """Convict a step, or let it run where the white list permits it."""
        row = int(found["row"])
        site = np.array([row])
        meter = self.meters[row]
        now = instant(int(self.steps.time_ms[row]))
        base = self.steps.base.of(row)
        step = Step(found["step_power_w"], found["ratio_least"], found["ratio_most"])
        entries = self._policy.group(meter.policy_group).malignant.white_list
        entry = permitted_as(entries, meter.name, step, now, self._zone) if entries else None
        matched = _matched(found, step, base.power_w, int(self.steps.since_ms[row]))
        if entry is None:
            self.steps.convict(site)
            return Conviction(row, matched)
        self.steps.absorb(site)
        since = instant(int(self.steps.since_ms[row]))
        runs = self._runs.setdefault(row, [])
        runs.append(_Run(entry, since, base, step.power_w, matched))
        del runs[:-RUNS_A_METER]
        return None

    def _check_runs(self, rows: Rows) -> list[Conviction]:
        """Forget permitted loads that are off; convict those that outstay their permission."""
        seen = set(np.arange(len(self.meters))[rows].tolist())
        convictions: list[Conviction] = []
        for row in [row for row in self._runs if row in seen]:
            now = instant(int(self.steps.time_ms[row]))
            on = [run for run in self._runs[row] if self._is_on(row, run)]
            for run in list(on):
                reason = has_run_out(run.entry, run.since, now, self._zone)
                if reason and self.steps.phase[row] == IDLE:
                    self.steps.convict_load(row, run.base, run.power_w)
                    ran_out = {"white_list": run.entry.name, "ran_out": reason}
                    convictions.append(Conviction(row, {**run.matched, **ran_out}))
                    on.remove(run)
            if on:
                self._runs[row] = on
            else:
                del self._runs[row]
        return convictions

    def _is_on(self, row: int, run: _Run) -> bool:
        return bool(self.steps.power_w[row] >= run.base.power_w + run.power_w / 2)

    def _end_cuts(self, rows: Rows) -> None:
        """A room that draws power without a step has its supply back."""
        site = np.arange(len(self.meters))[rows]
        back = (self.steps.power_w[site] > SUPPLY_W) & (self.steps.phase[site] == IDLE)
        self.steps.was_cut[site[back]] = False


def _matched(found: Mapping[str, Any], step: Step, base_w: float, since_ms: int) -> dict[str, Any]:
    """What was measured, for the evidence: names with units, rounded as people read them."""
    bounds = step.factor_bounds()

    def rounded(name: str, digits: int) -> float | None:
        return None if found[name] is None else round(float(found[name]), digits)

    return {
        "since": instant(since_ms).isoformat(),
        "step_w": rounded("step_power_w", 1),
        "base_w": round(base_w, 1),
        "held_s": rounded("held_s", 2),
        "samples": int(found["samples"]),
        "energy_j": rounded("energy_j", 0),
        "power_factor_least": None if bounds is None else round(bounds[0], 4),
        "power_factor_most": None if bounds is None else round(bounds[1], 4),
        "reactive_ratio_least": rounded("ratio_least", 4),
        "judged_by": "power only" if bounds is None else "power and power factor",
    }
