"""Readings of a meter over a range: checked first, then read piece by piece in order of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

import polars as pl

from api.deps import ApiLimits
from api.formats import Format
from api.params import ReadingsQuery
from api.plain import utc_text
from domain.errors import InvalidInput
from domain.faults import Fault
from domain.frame import SWEEP_SCHEMA
from domain.ports import ROLLUP_SCHEMA, Resolution, TimeSeries

DEFAULT_RANGE = timedelta(hours=1)
STEP = {
    # Raw samples have no fixed step: a sweep takes about this long or longer.
    Resolution.RAW: timedelta(seconds=1),
    Resolution.MINUTE: timedelta(minutes=1),
    Resolution.HOUR: timedelta(hours=1),
    Resolution.DAY: timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked request: start <= time < end, the value columns in the order of the table."""

    meter: str
    start: datetime
    end: datetime
    resolution: Resolution
    quantities: tuple[str, ...]


def plan_readings(query: ReadingsQuery, meter: str, now: datetime, limits: ApiLimits) -> Plan:
    """Check a request against the limits. Raises InvalidInput with every fault."""
    end = query.end or now
    start = query.start or end - DEFAULT_RANGE
    quantities, faults = _quantities(query.quantities, query.resolution)
    faults += _range_faults(start, end, query.resolution, limits)
    if faults:
        raise InvalidInput(faults)
    return Plan(meter, start, end, query.resolution, quantities)


def _quantities(asked: str | None, resolution: Resolution) -> tuple[tuple[str, ...], list[Fault]]:
    schema = SWEEP_SCHEMA if resolution is Resolution.RAW else ROLLUP_SCHEMA
    known = tuple(name for name in schema if name not in ("time", "meter"))
    if asked is None:
        return known, []
    names = {name.strip() for name in asked.split(",") if name.strip()}
    words = f"not known at resolution {resolution.value}; known are {', '.join(known)}"
    faults = [Fault("query.quantities", words, name) for name in sorted(names - set(known))]
    if not names:
        faults.append(Fault("query.quantities", f"names none; known are {', '.join(known)}"))
    return tuple(name for name in known if name in names), faults


def _range_faults(
    start: datetime, end: datetime, resolution: Resolution, limits: ApiLimits
) -> list[Fault]:
    if start >= end:
        words = f"start ({utc_text(start)}) must be before end ({utc_text(end)})"
        return [Fault("query.start", words)]
    is_raw = resolution is Resolution.RAW
    most_days = limits.raw_range_most_days if is_raw else limits.range_most_days
    if end - start <= timedelta(days=most_days):
        return []
    words = f"at most {most_days:g} days of resolution {resolution.value} can be asked for at once"
    if is_raw:
        words += "; ask for resolution 1m, 1h or 1d"
    return [Fault("query.start", words)]


def spans(plan: Plan, chunk_rows: int) -> list[tuple[datetime, datetime]]:
    """Cut a plan's range into pieces of about `chunk_rows` rows."""
    step = STEP[plan.resolution] * chunk_rows
    cuts, cut = [], plan.start
    while cut < plan.end:
        cuts.append((cut, min(cut + step, plan.end)))
        cut += step
    return cuts


def check_rows(series: TimeSeries, plan: Plan, kind: Format, limits: ApiLimits) -> None:
    """Count before anything is sent. Raises InvalidInput when there are more rows than allowed."""
    most = limits.json_rows_most if kind is Format.JSON else limits.rows_most
    if plan.resolution is not Resolution.RAW and _steps(plan) <= most:
        return
    column = "quality" if plan.resolution is Resolution.RAW else "samples"
    rows = 0
    for start, end in spans(plan, limits.chunk_rows):
        rows += series.window(start, end, [plan.meter], [column], plan.resolution).height
        if rows > most:
            words = f"more than {most} rows as {kind.value}: ask for a shorter range"
            words += "" if plan.resolution is Resolution.DAY else " or a coarser resolution"
            words += "" if kind is not Format.JSON else f" (or another format: {limits.rows_most})"
            raise InvalidInput([Fault("query.start", words)])


def _steps(plan: Plan) -> float:
    return (plan.end - plan.start) / STEP[plan.resolution] + 1


def read_pieces(series: TimeSeries, plan: Plan, chunk_rows: int) -> Iterator[pl.DataFrame]:
    """Return frames of time, meter and quantities in order of time, each read when asked for.

    The first is read here, so that a store that is down is an error and not a broken answer.
    What is missing is null; so is what is not a finite number. Raises StoreUnavailable.
    """
    pieces = _pieces(series, plan, chunk_rows)
    return chain([next(pieces)], pieces)


def _pieces(series: TimeSeries, plan: Plan, chunk_rows: int) -> Iterator[pl.DataFrame]:
    floats = pl.selectors.float()
    for start, end in spans(plan, chunk_rows):
        frame = series.window(start, end, [plan.meter], plan.quantities, plan.resolution)
        yield frame.select(
            "time", "meter", *(pl.col(name) for name in plan.quantities)
        ).with_columns(pl.when(floats.is_finite()).then(floats).name.keep())
