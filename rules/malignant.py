"""Malignant load: a step up that is resistive and lasts. The rule, and its limits a meter.

Power is at nominal voltage throughout (conductance), so that a sagging feeder hides nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from domain.causes import RuleMode
from domain.policy import Band, MalignantPolicy, Policy
from domain.site import Meter
from rules.ring import Floats, Index
from rules.step import READING_S, StepLimits

RULE = "malignant"
MOST_BANDS = 6
# Fewest samples that show a step: one alone may be a glitch of the meter.
FEWEST_SAMPLES = 2
# Fewest samples that show a plateau.
STEADY_SAMPLES = 3


def ratio_of(power_factor: float) -> float:
    """Return |Q|/P of a power factor; 1 gives 0."""
    return math.tan(math.acos(power_factor)) if power_factor > 0 else math.inf


@dataclass(frozen=True, slots=True)
class MalignantLimits:
    """The policy as arrays, one value a meter; bands as (6, n), unused ones never match."""

    step: StepLimits
    quick_hold_s: Floats
    hold_s: Floats
    swing_hold_s: Floats
    inrush_j: Floats
    steady: Floats
    band_from_w: Floats
    band_to_w: Floats
    band_ratio: Floats

    def columns(self, site: Index, power_w: Floats) -> dict[str, Floats]:
        """Return the limits of some meters as columns for the rule; `ratio_max` is that of the
        band in which `power_w` lies, NaN outside every band."""
        inside = (self.band_from_w[:, site] <= power_w) & (power_w < self.band_to_w[:, site])
        ratio = np.where(inside, self.band_ratio[:, site], -np.inf).max(axis=0)
        return {
            "ratio_max": np.where(inside.any(axis=0), ratio, np.nan),
            "quick_hold_s": self.quick_hold_s[site],
            "hold_s": self.hold_s[site],
            "swing_hold_s": self.swing_hold_s[site],
            "inrush_j": self.inrush_j[site],
            "steady": self.steady[site],
        }


def bands_of(rules: MalignantPolicy) -> tuple[tuple[float, float, float], ...]:
    """Return the bands in force as (from W, to W, largest |dQ|/dP); none while the mode is off."""
    if rules.mode is RuleMode.OFF:
        return ()
    bands = rules.bands or (Band(from_w=rules.step_w, to_w=500_000),)
    general = min(rules.reactive_ratio_max, ratio_of(rules.power_factor_min))
    return tuple(
        (
            band.from_w,
            band.to_w,
            general if band.power_factor_min is None else ratio_of(band.power_factor_min),
        )
        for band in bands
    )


def limits_of(meters: Sequence[Meter], policy: Policy) -> MalignantLimits:
    """Lay the policy out for every meter, in roster order."""
    rules = [policy.group(meter.policy_group).malignant for meter in meters]

    def column(name: str) -> Floats:
        return np.array([getattr(rule, name) for rule in rules], np.float64)

    bands = np.full((3, MOST_BANDS, len(meters)), np.inf)
    cache: dict[int, npt.NDArray[np.float64]] = {}
    for place, rule in enumerate(rules):
        if id(rule) not in cache:
            cache[id(rule)] = np.array(bands_of(rule), np.float64).reshape(-1, 3).T
        own = cache[id(rule)]
        bands[:, : own.shape[1], place] = own
    step = StepLimits(
        step_w=bands[0].min(axis=0),
        longest_gap_ms=column("longest_gap_s") * 1000,
        nominal_voltage_v=column("nominal_voltage_v"),
        factor_step=column("power_factor_resolution"),
    )
    return MalignantLimits(
        step=step,
        quick_hold_s=column("quick_hold_s"),
        hold_s=column("hold_s"),
        swing_hold_s=column("swing_hold_s"),
        inrush_j=column("inrush_j"),
        steady=column("steady_tolerance"),
        band_from_w=bands[0],
        band_to_w=bands[1],
        band_ratio=bands[2],
    )


def malignant() -> pl.Expr:
    """The rule over a frame of watched steps (`StepTracker.describe` + `MalignantLimits.columns`).

    True: a resistive load in a watched band has come on. False: it is something else. Null: too
    early to tell. With the step's reactive power told, a resistive step needs only `quick_hold_s`,
    because a motor's start is not resistive. Without, it must outlast such a start.
    """
    elapsed_s = pl.col("held_s") - READING_S
    repeated = pl.col("samples") >= FEWEST_SAMPLES
    told = pl.col("ratio_least").is_not_null()
    resistive = pl.col("ratio_least") <= pl.col("ratio_max")
    in_band = pl.col("ratio_max").is_not_null()
    lasts = pl.col("held_s") >= pl.col("hold_s")
    unchanged = pl.col("change_w") <= pl.col("steady") * pl.col("step_power_w")
    at_its_peak = pl.col("step_power_w") >= (1 - pl.col("steady")) * pl.col("peak_w")
    outlasts_a_start = (
        ((pl.col("spaced") >= STEADY_SAMPLES) & unchanged & at_its_peak)
        | ((pl.col("spaced") > STEADY_SAMPLES) & at_its_peak)
        | (pl.col("energy_j") >= pl.col("inrush_j"))
        | (elapsed_s >= pl.col("swing_hold_s"))
    )
    quick = told & resistive & repeated & (elapsed_s >= pl.col("quick_hold_s"))
    slow = ~told & repeated & lasts & outlasts_a_start & ~pl.col("comes_back")
    # A step that is something else is let go once its reading has settled.
    settled = lasts & (
        (pl.col("spaced") >= STEADY_SAMPLES) | ((pl.col("spaced") >= FEWEST_SAMPLES) & unchanged)
    )
    return (
        pl.when(in_band & (quick | slow))
        .then(pl.lit(value=True))
        .when(settled & (~in_band | (told & ~resistive) | (~told & pl.col("comes_back"))))
        .then(pl.lit(value=False))
        .otherwise(pl.lit(None, dtype=pl.Boolean))
        .alias("violated")
    )
