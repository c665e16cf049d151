"""The rule engine: every sweep is judged when it arrives, on what the samples themselves say.

Time comes from the sweeps, never from a clock, so stored history can be judged again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from domain.causes import CauseKind, Evidence, Verdict
from domain.frame import SWEEP_SCHEMA, Quality, Sweep
from domain.policy import MalignantPolicy, Policy
from domain.site import Meter
from rules.detector import (
    FALSE,
    NULL,
    SUSPECT,
    TRUE,
    WATCH,
    Changes,
    Conviction,
    MalignantDetector,
    instant,
)
from rules.durations import Memory
from rules.malignant import RULE, bands_of
from rules.overpower import judge_overpower
from rules.ring import Flags, Floats, Index, Rows, Samples
from rules.schedule import judge_schedule
from rules.shed import ShedMemory, judge_shed
from rules.state import LatestState
from rules.tamper import judge_tamper

# Samples kept a meter, and how many of them go into the evidence before and after a step.
RING_SAMPLES = 300
EVIDENCE_BEFORE = 10
EVIDENCE_MOST = 60
# Row orders of sweeps that are remembered before they are forgotten all at once.
LAYOUTS = 4096
NOTHING = -9

_GOOD = list(Quality).index(Quality.GOOD)
_FLOATS = ("power_w", "voltage_v", "current_a", "power_factor")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which meters a sweep's rows are: remembered, because a bus is read in one order."""

    names: pl.Series
    known: Index  # places in the sweep of meters that are in the roster
    rows: Index  # their site rows
    span: Rows  # the same rows, as a slice where they are neighbours
    distinct: bool


class RuleEngine:
    """Judges sweeps by the site's policy. Not thread-safe: the field's loop owns it.

    `judge` returns the verdicts worth saying: violated ones (each time), changed ones (also the
    first of each meter, True, False or null), and suspect ones (null, asking for a quick
    confirming read). A shadow engine says the same with `shadow` set.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        policy: Policy,
        time_zone: ZoneInfo,
        shadow: bool = False,
        samples: int = RING_SAMPLES,
    ) -> None:
        self.meters = tuple(meters)
        self.shadow = shadow
        self._zone = time_zone
        self._policy = policy
        self._row = {meter.name: row for row, meter in enumerate(self.meters)}
        self._names = [meter.name for meter in self.meters]
        self.detector = MalignantDetector(self.meters, policy, time_zone, samples)
        self.state = LatestState(self.meters)
        # What was last said of malignant loads.
        self._said = np.full(len(self.meters), NOTHING, np.int8)
        self._evidence: dict[int, Evidence] = {}
        self._layouts: dict[str, _Layout] = {}
        self._on_bus: dict[str, Index] = {}
        for bus in {meter.bus for meter in self.meters}:
            rows = [row for row, meter in enumerate(self.meters) if meter.bus == bus]
            self._on_bus[bus] = np.array(rows, np.intp)
        self._memory: dict[str, Memory] = {}
        self._shed = ShedMemory()

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    def set_policy(self, policy: Policy) -> None:
        """Judge by another policy from the next sweep on."""
        self._policy = policy
        self.detector.set_policy(policy)

    def restore_shedding(self, memory: ShedMemory) -> None:
        """Take over which meters are shed, from the ledger after a restart."""
        self._shed = memory

    def judge(self, sweep: Sweep) -> list[Verdict]:
        """Take a sweep in and return what is worth saying about its meters."""
        verdicts = self.judge_malignant(sweep)
        if not sweep.confirming:
            verdicts += self._judge_state(sweep)
        if self.shadow:
            return [replace(verdict, shadow=True) for verdict in verdicts]
        return verdicts

    def judge_malignant(self, sweep: Sweep) -> list[Verdict]:
        """Take a sweep in and judge malignant loads only."""
        layout = self._layout(sweep)
        verdicts: list[Verdict] = []
        for places, rows in self._passes(sweep.frame, layout):
            samples, relay = _samples(sweep.frame, places)
            self.state.take(rows, samples, relay)
            if relay is not None and (relay == 0.0).any():
                self.detector.supply_cut(_index(rows, len(self.meters))[relay == 0.0])
            changes = self.detector.observe(rows, samples)
            verdicts += self._say(rows, changes)
        if len(layout.known):
            verdicts += self._say_stale(layout.span, sweep.ended_at)
        return verdicts

    def _judge_state(self, sweep: Sweep) -> list[Verdict]:
        policy, now, zone = self._policy, sweep.ended_at, self._zone
        rows = self._on_bus.get(sweep.bus)
        verdicts: list[Verdict] = []
        if rows is not None:
            state = self.state.frame(rows, now)
            memory = self._memory.get(sweep.bus, Memory())
            for judge in (judge_overpower, judge_tamper, judge_schedule):
                said, memory = judge(state, memory, policy, now, zone)
                verdicts += said
            self._memory[sweep.bus] = memory
        if policy.shed.cap_w is not None or self._shed.shed or not self._shed.has_spoken:
            site = self.state.frame(None, now)
            said, self._shed = judge_shed(site, self._shed, policy, now, zone)
            verdicts += said
        return verdicts

    def _layout(self, sweep: Sweep) -> _Layout:
        names = sweep.frame.get_column("meter")
        key = f"{sweep.bus}/{len(names)}"
        layout = self._layouts.get(key)
        if layout is not None and layout.names.equals(names):
            return layout
        found = [self._row.get(name, -1) for name in names]
        known = np.array([place for place, row in enumerate(found) if row >= 0], np.intp)
        rows = np.array(found, np.intp)[known]
        distinct = len(np.unique(rows)) == len(rows)
        layout = _Layout(names, known, rows, _as_slice(rows), distinct)
        if len(self._layouts) >= LAYOUTS:
            self._layouts.clear()
        self._layouts[key] = layout
        return layout

    def _passes(self, frame: pl.DataFrame, layout: _Layout) -> Iterator[tuple[Index, Rows]]:
        """The good rows of a sweep, as (places in the sweep, site rows), no meter twice a pass."""
        good = _good(frame)
        if len(layout.known) < len(good):
            good = good[layout.known]
        if layout.distinct and good.all():
            if len(good):
                yield layout.known, layout.span
            return
        places, rows = layout.known[good], layout.rows[good]
        while len(rows):
            _, first = np.unique(rows, return_index=True)
            first.sort()
            yield places[first], rows[first]
            places, rows = np.delete(places, first), np.delete(rows, first)

    def _say(self, rows: Rows, changes: Changes) -> list[Verdict]:
        for conviction in changes.convicted:
            self._evidence[conviction.row] = self._evidence_of(conviction)
        verdicts = [self._verdict(row, SUSPECT) for row in changes.suspects.tolist()]
        now = self.detector.verdicts(rows)
        # A watch ends in True or False; until then what was said stands.
        worth = (now == TRUE) | ((now != self._said[rows]) & (now != WATCH))
        if worth.any():
            changed = _index(rows, len(self.meters))[worth].tolist()
            told = zip(changed, now[worth].tolist(), strict=True)
            verdicts += [self._tell(row, verdict) for row, verdict in told]
        return verdicts

    def _say_stale(self, rows: Rows, now: datetime) -> list[Verdict]:
        """A meter that has been silent for too long can't be told about any more."""
        now_ms = round(now.timestamp() * 1000)
        stale = self.state.silent_for(rows, now_ms, self._policy.control.stale_after_s)
        if not stale.any():
            return []
        silent = _index(rows, len(self.meters))[stale]
        return [self._tell(row, NULL, now) for row in silent[self._said[silent] != NULL].tolist()]

    def _tell(self, row: int, verdict: int, at: datetime | None = None) -> Verdict:
        self._said[row] = verdict
        if verdict != TRUE:
            self._evidence.pop(row, None)
        return self._verdict(row, verdict, at)

    def _verdict(self, row: int, verdict: int, at: datetime | None = None) -> Verdict:
        return Verdict(
            meter=self._names[row],
            kind=CauseKind.MALIGNANT,
            rule=RULE,
            mode=self._policy.group(self.meters[row].policy_group).malignant.mode,
            violated=bool(verdict) if verdict in (TRUE, FALSE) else None,
            time=at or instant(int(self.state.time_ms[row])),
            evidence=self._evidence.get(row) if verdict == TRUE else None,
            suspect=verdict == SUSPECT,
        )

    def _evidence_of(self, conviction: Conviction) -> Evidence:
        row, matched = conviction.row, conviction.matched
        rules = self._policy.group(self.meters[row].policy_group).malignant
        count = min(EVIDENCE_BEFORE + int(matched["samples"]), EVIDENCE_MOST)
        times, past = self.detector.ring.window(row, count)
        columns = zip(
            times.tolist(),
            past.power_w.tolist(),
            past.power_factor.tolist(),
            past.voltage_v.tolist(),
            past.current_a.tolist(),
            strict=True,
        )
        samples = tuple(
            {
                "time": instant(time).isoformat(),
                "power_w": _told(power, 1),
                "power_factor": _told(factor, 4),
                "voltage_v": _told(voltage, 1),
                "current_a": _told(current, 3),
            }
            for time, power, factor, voltage, current in columns
        )
        return Evidence(RULE, matched, _limits(rules), samples, self._policy.version)


def _index(rows: Rows, count: int) -> Index:
    return np.arange(count)[rows] if isinstance(rows, slice) else rows


def _as_slice(rows: Index) -> Rows:
    """Neighbouring meters as a slice: numpy then reads and writes them in place."""
    if not len(rows):
        return rows
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows) and (np.diff(rows) == 1).all():
        return slice(first, last + 1)
    return rows


def _good(frame: pl.DataFrame) -> Flags:
    """Which rows may be judged: read well, with a time and an active power."""
    quality = frame.get_column("quality")
    if quality.dtype != SWEEP_SCHEMA["quality"]:
        quality = quality.cast(SWEEP_SCHEMA["quality"])
    good: Flags = quality.to_physical().to_numpy() == _GOOD
    good &= np.isfinite(frame.get_column("power_w").to_numpy())
    times = frame.get_column("time")
    return good & times.is_not_null().to_numpy() if times.null_count() else good


def _samples(frame: pl.DataFrame, places: Index) -> tuple[Samples, Floats | None]:
    """The rows of a sweep at some places, as arrays, and the relay: 1, 0, NaN = not read, None =
    no row of the sweep tells it."""
    everything = len(places) == frame.height

    def column(name: str) -> Floats:
        values = frame.get_column(name)
        if values.null_count() == len(values):
            return np.full(len(places), np.nan)
        array: Floats = values.cast(pl.Float64).to_numpy()
        return array if everything else array[places]

    clock = frame.get_column("time").cast(pl.Int64)
    times = (clock.fill_null(0) if clock.null_count() else clock).to_numpy()
    samples = Samples(times if everything else times[places], *(column(name) for name in _FLOATS))
    unread = frame.get_column("relay_closed").null_count() == frame.height
    return samples, None if unread else column("relay_closed")


def _told(value: float, digits: int) -> float | None:
    return None if np.isnan(value) else round(value, digits)


def _limits(rules: MalignantPolicy) -> dict[str, object]:
    """The thresholds of the rule as they stand, for the evidence."""
    return {
        "bands": [
            {"from_w": low, "to_w": high, "reactive_ratio_max": round(ratio, 4)}
            for low, high, ratio in bands_of(rules)
        ],
        "power_factor_min": rules.power_factor_min,
        "hold_s": rules.hold_s,
        "quick_hold_s": rules.quick_hold_s,
        "swing_hold_s": rules.swing_hold_s,
        "inrush_j": rules.inrush_j,
        "nominal_voltage_v": rules.nominal_voltage_v,
        "white_list": [entry.name for entry in rules.white_list],
    }
