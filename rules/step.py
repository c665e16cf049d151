"""Steps up in a meter's power, followed sample by sample until a rule can tell what they are.

Nothing here knows what is forbidden: a step is a rise above the level before it, and this file
says how large, how long, how steady and how resistive it is so far.
"""

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np

from rules.base import Base, Bases, level
from rules.electric import conductance_power, reactive_bounds
from rules.ring import Flags, Floats, Index, Rows, SampleRing, Samples, Times

# Samples before a step that tell its level (medians) and its reactive power (range).
BASELINE_SAMPLES = 5
REACTIVE_SAMPLES = 12
# The loads below a step may have changed their reactive power by this share meanwhile.
REACTIVE_DRIFT = 0.05
# A convicted load is off when this share of it has gone.
GONE_SHARE = 0.6
# ... or when what is left is less than this share of the smallest step.
STILL_SHARE = 0.8
# Readings are means over about a second, so a sample stands for the second before it.
READING_S = 1.0
# Samples closer than this may show the same reading of the meter twice.
SPACED_S = 0.9
# A step back in a meter's clock up to this is a late sample, beyond it the clock was set.
LATE_S = 5.0
# How long the level before a conviction is worth anything after the supply was cut, ms.
CLEAN_MS = 3_600_000
# A load that comes back after a cut draws at least this share of what it drew before.
SAME_SHARE = 0.7
# How long a step that was let go is remembered: a heater may hide behind another load, ms.
OPEN_MS = 900_000


class Phase(IntEnum):
    """What is known of a meter: nothing, no step, a step being watched, a forbidden load on."""

    UNKNOWN = 0
    IDLE = 1
    WATCHED = 2
    CONVICTED = 3


# Plain numbers for the arithmetic: looking up an enum member costs more than the comparison.
UNKNOWN, IDLE, WATCHED, CONVICTED = (int(phase) for phase in Phase)


@dataclass(frozen=True, slots=True)
class StepLimits:
    """What a step is, for each meter: arrays of n."""

    step_w: Floats
    longest_gap_ms: Floats
    nominal_voltage_v: Floats
    factor_step: Floats


class StepTracker:
    """Follows the level and the step of every meter, O(1) a sample, all meters of a sweep at once.

    `advance` returns the meters (site indices) that are watched or convicted, or were until now.
    Arrays are public to the rules on top, which end a watch by `absorb` or `convict`.
    """

    def __init__(self, meters: int, limits: StepLimits, ring: SampleRing) -> None:
        self.limits = limits
        self.ring = ring
        self.phase = np.zeros(meters, np.int8)
        self.time_ms = np.zeros(meters, np.int64)
        self.power_w = np.full(meters, np.nan)
        # False while a load of a step's size may have been on since before the first sample.
        self.is_known = np.zeros(meters, np.bool_)
        # The supply was cut: the first step after it is the whole room coming back.
        self.was_cut = np.zeros(meters, np.bool_)
        # Single precision holds any meter's power and is half the memory to move.
        self.level_w = np.full((BASELINE_SAMPLES, meters), np.nan, np.float32)
        # The step under watch, or the one convicted.
        self.base = Bases(meters)
        self.since_ms = np.zeros(meters, np.int64)
        self.count = np.zeros(meters, np.int64)
        # Of these, the ones that can't be the same reading, and the last of them.
        self.spaced = np.zeros(meters, np.int64)
        self.spaced_w = np.full(meters, np.nan)
        self.spaced_ms = np.zeros(meters, np.int64)
        self.lowest_w = np.full(meters, np.nan)
        self.peak_w = np.full(meters, np.nan)
        self.change_w = np.full(meters, np.nan)
        self.energy_j = np.zeros(meters)
        self.ratio_least = np.full(meters, np.nan)
        self.ratio_most = np.full(meters, np.nan)
        self.excess_w = np.full(meters, np.nan)
        # The base of the last conviction: what the room drew without the forbidden load.
        self.clean = Bases(meters)
        self.comes_back = np.zeros(meters, np.bool_)
        # The base of a step that was let go as not resistive: when part of it goes off, the rest
        # is held against that.
        self.is_open = np.zeros(meters, np.bool_)
        self.open = Bases(meters)

    def advance(self, rows: Rows, samples: Samples) -> Index:
        """Take one good sample of each of the meters of `rows` (in `samples` order).

        Samples that are not newer than the last one change nothing. Returns the site indices of
        the meters whose phase is, or was before, WATCHED or CONVICTED.
        """
        limits = self.limits
        power = conductance_power(
            samples.power_w, samples.voltage_v, limits.nominal_voltage_v[rows]
        )
        elapsed_ms = samples.time_ms - self.time_ms[rows]
        step_w = limits.step_w[rows]
        # The level is nowhere below the lowest of its samples: most meters end here.
        lowest = self.level_w[0][rows].copy()
        for newer in self.level_w[1:]:
            np.minimum(lowest, newer[rows], out=lowest)
        special = power >= lowest + step_w
        special |= self.phase[rows] != IDLE
        special |= elapsed_ms <= 0
        special |= elapsed_ms > limits.longest_gap_ms[rows]
        if self.is_open.any():
            special |= self.is_open[rows] & (self.power_w[rows] - power >= step_w / 2)
        chosen = np.flatnonzero(special)
        if not len(chosen):
            self._settle(rows, power, samples.time_ms, step_w)
            return chosen
        # All are settled as one slice and the few special ones put back: far less than picking.
        start = rows.start or 0 if isinstance(rows, slice) else 0
        site = chosen + start if isinstance(rows, slice) else rows[chosen]
        kept = (
            self.level_w[:, site],
            self.power_w[site],
            self.time_ms[site],
            self.is_known[site],
        )
        self._settle(rows, power, samples.time_ms, step_w)
        self.level_w[:, site], self.power_w[site], self.time_ms[site], self.is_known[site] = kept
        return self._advance_special(
            site, power[chosen], elapsed_ms[chosen] / 1000.0, samples.take(chosen)
        )

    def _settle(self, rows: Rows, power: Floats, time_ms: Times, step_w: Floats) -> None:
        """A sample without a step: it becomes part of the level."""
        for older, newer in pairwise(self.level_w):
            older[rows] = newer[rows]
        self.level_w[-1][rows] = power
        self.power_w[rows] = power
        self.time_ms[rows] = time_ms
        self.is_known[rows] |= power < step_w

    def _advance_special(
        self, site: Index, power: Floats, elapsed_s: Floats, samples: Samples
    ) -> Index:
        phase = self.phase[site]
        clock_set = elapsed_s < -LATE_S
        fresh = (elapsed_s > 0) | clock_set | (phase == UNKNOWN)
        gone = clock_set | (elapsed_s * 1000 > self.limits.longest_gap_ms[site])
        restart = fresh & (gone | (phase == UNKNOWN))
        idle = fresh & ~restart & (phase == IDLE)
        watched = fresh & ~restart & (phase == WATCHED)
        convicted = fresh & ~restart & (phase == CONVICTED)
        was_active = fresh & (phase >= WATCHED)
        if restart.any():
            self._restart(site[restart], power[restart])
        if idle.any():
            self._look(site[idle], power[idle], elapsed_s[idle], samples.take(idle))
        if watched.any():
            self._watch(site[watched], power[watched], elapsed_s[watched], samples.take(watched))
        if convicted.any():
            take = samples.take(convicted)
            self._follow(site[convicted], power[convicted], elapsed_s[convicted], take)
        self.power_w[site[fresh]] = power[fresh]
        self.time_ms[site[fresh]] = samples.time_ms[fresh]
        active: Index = site[was_active | (fresh & (self.phase[site] >= WATCHED))]
        return active

    def _restart(self, site: Index, power: Floats) -> None:
        """The first sample, or the first after a long silence: the level is taken as it is."""
        self.level_w[:, site] = power
        self.phase[site] = IDLE
        self.is_known[site] = power < self.limits.step_w[site]

    def _look(self, site: Index, power: Floats, elapsed_s: Floats, samples: Samples) -> None:
        """A sample of an idle meter that may matter: a rise above the level, or part of a step
        that was let go now gone; anything else becomes part of the level."""
        step_w = self.limits.step_w[site]
        rose = power - level(self.level_w[:, site].astype(np.float64), elapsed_s) >= step_w
        fell = ~rose & self.is_open[site] & (self.power_w[site] - power >= step_w / 2)
        neither = ~(rose | fell)
        if neither.any():
            self._push(site[neither], power[neither])
        if rose.any():
            self._begin(site[rose], power[rose], elapsed_s[rose], samples.take(rose))
        if fell.any():
            self._reopen(site[fell], power[fell], elapsed_s[fell], samples.take(fell))

    def _begin(self, site: Index, power: Floats, elapsed_s: Floats, samples: Samples) -> None:
        """A rise above the level: the step's first sample."""
        self.base.power_w[site] = level(self.level_w[:, site].astype(np.float64), elapsed_s)
        self.base.reactive_from(
            site,
            self.ring.before(site, 1, REACTIVE_SAMPLES),
            self.limits.step_w[site],
            self.limits.nominal_voltage_v[site],
            self.limits.factor_step[site],
        )
        self.comes_back[site] = self.was_cut[site]
        self.was_cut[site] = False
        back = self.comes_back[site]
        if back.any():
            self._return_to_clean(site[back], power[back], samples.take(back))
        self._open_watch(site, power, elapsed_s, samples)

    def _open_watch(self, site: Index, power: Floats, elapsed_s: Floats, samples: Samples) -> None:
        """Start to watch what is drawn above the base, if that is a step at all."""
        small = power - self.base.power_w[site] < self.limits.step_w[site]
        self.phase[site[small]] = IDLE
        self._push(site[small], power[small])
        new = site[~small]
        self.phase[new] = WATCHED
        self.since_ms[new] = samples.time_ms[~small]
        self.count[new] = 0
        self.spaced[new] = 0
        self.spaced_ms[new] = 0
        self.spaced_w[new] = np.nan
        self.lowest_w[new] = np.inf
        self.peak_w[new] = 0.0
        self.energy_j[new] = 0.0
        self._measure(new, power[~small], elapsed_s[~small], samples.take(~small))

    def _reopen(self, site: Index, power: Floats, elapsed_s: Floats, samples: Samples) -> None:
        """Part of a step that was let go has gone off: look at the rest anew."""
        recent = samples.time_ms - self.open.time_ms[site] <= OPEN_MS
        self.base.take(site, self.open)
        self.base.power_w[site[~recent]] = np.inf
        self.comes_back[site] = False
        self.is_open[site] = False
        self._open_watch(site, power, elapsed_s, samples)

    def _return_to_clean(self, site: Index, power: Floats, samples: Samples) -> None:
        """The supply is back and the room comes back as a whole: hold it against what it drew
        before the load that was convicted, if that was lately and can be compared."""
        told = ~np.isnan(samples.power_factor) | ~np.isnan(samples.current_a)
        lately = samples.time_ms - self.clean.time_ms[site] <= CLEAN_MS
        higher = self.clean.power_w[site] > self.base.power_w[site]
        comparable = ~told | ~np.isnan(self.clean.least_var[site])
        self.base.take(site[lately & higher & comparable], self.clean)
        # On power alone it is the same load only if most of its power is there again.
        same = power - self.base.power_w[site] >= SAME_SHARE * self.clean.step_w[site]
        self.comes_back[site[lately & same]] = False

    def _watch(self, site: Index, power: Floats, elapsed_s: Floats, samples: Samples) -> None:
        """A further sample of a step: still up, or over."""
        over = power - self.base.power_w[site] < self.limits.step_w[site]
        ended, going = site[over], ~over
        self.phase[ended] = IDLE
        self._push(ended, power[over])
        self._measure(site[going], power[going], elapsed_s[going], samples.take(going))

    def _measure(self, site: Index, power: Floats, elapsed_s: Floats, samples: Samples) -> None:
        excess = power - self.base.power_w[site]
        self.count[site] += 1
        self.lowest_w[site] = np.minimum(self.lowest_w[site], excess)
        self.peak_w[site] = np.maximum(self.peak_w[site], excess)
        spaced = samples.time_ms - self.spaced_ms[site] >= SPACED_S * 1000
        new = site[spaced]
        self.change_w[new] = np.abs(power[spaced] - self.spaced_w[new])
        self.spaced[new] += 1
        self.spaced_w[new] = power[spaced]
        self.spaced_ms[new] = samples.time_ms[spaced]
        self.energy_j[site] += excess * elapsed_s
        least, most = reactive_bounds(
            power,
            samples.voltage_v,
            samples.current_a,
            samples.power_factor,
            self.limits.factor_step[site],
        )
        # |dQ| lies between the gap of the two ranges and their widest difference.
        gap = np.maximum(least - self.base.most_var[site], self.base.least_var[site] - most)
        drift = REACTIVE_DRIFT * self.base.least_var[site]
        self.ratio_least[site] = np.maximum(gap - drift, 0.0) / excess
        widest = np.maximum(most - self.base.least_var[site], self.base.most_var[site] - least)
        self.ratio_most[site] = widest / excess
        self.excess_w[site] = excess

    def _follow(self, site: Index, power: Floats, elapsed_s: Floats, samples: Samples) -> None:
        """A convicted load is over when most of its power has gone, at once or in two samples.

        If a step's worth is still on, it came on meanwhile: it is watched in its turn.
        """
        recent = np.maximum(self.level_w[:, site].max(axis=0), self.power_w[site])
        size = self.excess_w[site]
        left_w = power - self.base.power_w[site]
        over = (left_w < size / 2) | (left_w < STILL_SHARE * self.limits.step_w[site])
        over |= recent - power > GONE_SHARE * size
        self._push(site[~over], power[~over])
        ended = site[over]
        if not len(ended):
            return
        self.is_known[ended] = True
        self.level_w[:, ended] = power[over]
        self._open_watch(ended, power[over], elapsed_s[over], samples.take(over))

    def _push(self, site: Index, power: Floats) -> None:
        for older, newer in pairwise(self.level_w):
            older[site] = newer[site]
        self.level_w[-1][site] = power
        self.is_known[site] |= power < self.limits.step_w[site]

    def absorb(self, site: Index) -> None:
        """The watched step is nobody's business: its level is the new level."""
        self.phase[site] = IDLE
        self.level_w[:, site] = self.power_w[site]

    def let_go(self, site: Index) -> None:
        """The watched step is something else; if part of it goes off soon, the rest is watched."""
        told = site[~np.isnan(self.ratio_least[site])]
        self.is_open[told] = True
        self.open.keep(told, self.base, self.time_ms[told], self.excess_w[told])
        self.absorb(site)

    def convict(self, site: Index) -> None:
        """The watched step is a forbidden load; it stays so until its power has gone."""
        self.phase[site] = CONVICTED
        self.clean.keep(site, self.base, self.time_ms[site], self.excess_w[site])
        self.level_w[:, site] = self.power_w[site]

    def convict_load(self, row: int, base: Base, power_w: float) -> None:
        """A load that was let be before is forbidden now: above its base by `power_w`."""
        self.base.put(row, base)
        self.excess_w[row] = power_w
        self.convict(np.array([row]))

    def describe(self, site: Index) -> dict[str, Floats | Index | Flags]:
        """Return the watched steps as columns, a row a meter: power in W at nominal voltage."""
        return {
            "row": site,
            "step_power_w": self.excess_w[site],
            "lowest_w": self.lowest_w[site],
            "peak_w": self.peak_w[site],
            "change_w": self.change_w[site],
            "energy_j": self.energy_j[site],
            "held_s": (self.time_ms[site] - self.since_ms[site]) / 1000.0 + READING_S,
            "samples": self.count[site],
            "spaced": self.spaced[site],
            "ratio_least": self.ratio_least[site],
            "ratio_most": self.ratio_most[site],
            "comes_back": self.comes_back[site],
        }
