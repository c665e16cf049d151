"""Rollups as pure functions: samples to minutes, minutes to hours, hours to days.

Minutes begin at whole UTC minutes; hours and days begin at whole hours and midnights of the
site's clock, so a day has 23 to 25 hours. Rolling the same window again gives the same rows.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from domain.frame import Quality
from domain.ports import ROLLUP_SCHEMA, Resolution

FINER = {
    Resolution.MINUTE: Resolution.RAW,
    Resolution.HOUR: Resolution.MINUTE,
    Resolution.DAY: Resolution.HOUR,
}
_EVERY = {Resolution.MINUTE: "1m", Resolution.HOUR: "1h", Resolution.DAY: "1d"}
_MEANS = {
    "power_mean_w": "power_w",
    "current_mean_a": "current_a",
    "voltage_mean_v": "voltage_v",
    "power_factor_mean": "power_factor",
    "frequency_mean_hz": "frequency_hz",
    "closed_ratio": "relay_closed",
}
_LOWEST = {"power_min_w": "power_w", "voltage_min_v": "voltage_v"}
_HIGHEST = {"power_max_w": "power_w", "current_max_a": "current_a", "voltage_max_v": "voltage_v"}


def window_start(moment: datetime, resolution: Resolution, time_zone: str) -> datetime:
    """Return the start, in UTC, of the minute, hour or day that holds a moment."""
    if resolution is Resolution.MINUTE:
        return moment.astimezone(UTC).replace(second=0, microsecond=0)
    local = moment.astimezone(ZoneInfo(time_zone))
    start = local.replace(minute=0, second=0, microsecond=0)
    if resolution is Resolution.DAY:
        start = start.replace(hour=0, fold=0)
    return start.astimezone(UTC)


def window_end(start: datetime, resolution: Resolution, time_zone: str) -> datetime:
    """Return the end, in UTC, of the window that begins at `start`."""
    if resolution is Resolution.MINUTE:
        return start + timedelta(minutes=1)
    if resolution is Resolution.HOUR:
        return start + timedelta(hours=1)
    tomorrow = start.astimezone(ZoneInfo(time_zone)).date() + timedelta(days=1)
    midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=ZoneInfo(time_zone))
    return midnight.astimezone(UTC)


def roll(finer: pl.DataFrame, resolution: Resolution, time_zone: str) -> pl.DataFrame:
    """Roll samples (to minutes) or the next finer rollup (to hours, days) up: ROLLUP_SCHEMA.

    Rows must be ordered by meter and time. Means are over good samples; in coarser windows they
    are weighted with `good_samples`, which is exact for quantities that every good sample has.
    Least, greatest, first and last are over every value read. Nothing read in a window is null.
    """
    start = _start(resolution, time_zone)
    rows = _of_samples() if resolution is Resolution.MINUTE else _of_rollups()
    return (
        finer.lazy()
        .group_by("meter", start.alias("start"), maintain_order=True)
        .agg(rows)
        .select(
            pl.col("start" if name == "time" else name).cast(kind).alias(name)
            for name, kind in ROLLUP_SCHEMA.items()
        )
        .collect()
    )


def _start(resolution: Resolution, time_zone: str) -> pl.Expr:
    time = pl.col("time")
    if resolution is Resolution.MINUTE:
        return time.dt.truncate(_EVERY[resolution])
    local = time.dt.convert_time_zone(time_zone).dt.truncate(_EVERY[resolution])
    return local.dt.convert_time_zone("UTC")


def _of_samples() -> list[pl.Expr]:
    energy = pl.col("energy_wh").drop_nulls()
    good = pl.col("quality") == Quality.GOOD.value
    return [
        *(pl.col(quantity).filter(good).mean().alias(name) for name, quantity in _MEANS.items()),
        *(pl.col(quantity).min().alias(name) for name, quantity in _LOWEST.items()),
        *(pl.col(quantity).max().alias(name) for name, quantity in _HIGHEST.items()),
        energy.first().alias("energy_first_wh"),
        energy.last().alias("energy_last_wh"),
        pl.col("balance_minor").drop_nulls().last().alias("balance_last_minor"),
        pl.len().alias("samples"),
        good.sum().alias("good_samples"),
    ]


def _of_rollups() -> list[pl.Expr]:
    weight = pl.col("good_samples")
    means = []
    for name in _MEANS:
        known = pl.when(pl.col(name).is_not_null()).then(weight).sum()
        means.append(pl.when(known > 0).then((pl.col(name) * weight).sum() / known).alias(name))
    return [
        *means,
        *(pl.col(name).min() for name in _LOWEST),
        *(pl.col(name).max() for name in _HIGHEST),
        pl.col("energy_first_wh").drop_nulls().first(),
        pl.col("energy_last_wh").drop_nulls().last(),
        pl.col("balance_last_minor").drop_nulls().last(),
        pl.col("samples").sum(),
        pl.col("good_samples").sum(),
    ]
