"""What both time-series adapters share: the tables' columns and the check before a write."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from domain.errors import InvalidInput
from domain.faults import Fault
from domain.frame import SWEEP_SCHEMA
from domain.ports import ROLLUP_SCHEMA, Rejected, Resolution

# The times that a signed 64-bit count of nanoseconds can hold, which is how InfluxDB keeps time.
EARLIEST_MS = -9_223_372_036_854
LATEST_MS = 9_223_372_036_854
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame that fits its table: full schema, finite values, `rows` the row numbers it had
    in the frame that came in (null when nothing was left out), and what was refused."""

    frame: pl.DataFrame
    rows: pl.Series | None
    rejected: tuple[Rejected, ...]

    def row_in_input(self, row: int) -> int:
        """Return the row number in the frame that came in."""
        return row if self.rows is None else int(self.rows[row])


def schema_of(resolution: Resolution) -> dict[str, pl.DataType]:
    """Return the columns of a table: SWEEP_SCHEMA for raw samples, ROLLUP_SCHEMA for rollups."""
    return SWEEP_SCHEMA if resolution is Resolution.RAW else ROLLUP_SCHEMA


def values_of(resolution: Resolution) -> tuple[str, ...]:
    """Return the names of the columns that hold values: all but time and meter."""
    return tuple(name for name in schema_of(resolution) if name not in ("time", "meter"))


def chosen_values(quantities: Sequence[str] | None, resolution: Resolution) -> tuple[str, ...]:
    """Return the asked-for value columns in schema order. Raises InvalidInput on an unknown one."""
    known = values_of(resolution)
    if quantities is None:
        return known
    unknown = sorted(set(quantities) - set(known))
    if unknown:
        raise InvalidInput(
            [
                Fault(
                    "quantities",
                    f"unknown at resolution {resolution.value}; known: {', '.join(known)}",
                    name,
                )
                for name in unknown
            ]
        )
    return tuple(name for name in known if name in set(quantities))


def empty_window(values: tuple[str, ...], resolution: Resolution) -> pl.DataFrame:
    """Return a window without rows: time, meter and the given value columns."""
    schema = schema_of(resolution)
    return pl.DataFrame(schema={name: schema[name] for name in ("time", "meter", *values)})


def milliseconds(moment: datetime) -> int:
    """Return Unix milliseconds, rounded up, so that `start <= time < end` holds for ms times.

    Raises InvalidInput when the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise InvalidInput(
            [Fault("time", f"{moment.isoformat()} has no time zone; UTC is allowed")]
        )
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return -(
        (-(since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds)) // 1000
    )


def prepare(frame: pl.DataFrame, resolution: Resolution) -> Prepared:
    """Fit a frame to its table: missing columns become null, NaN and infinity become null.

    Rows without a meter or a storable time are refused one by one. Raises InvalidInput when the
    frame lacks time or meter, or a column is of another kind.
    """
    schema = schema_of(resolution)
    fitted = _fitted(frame, schema)
    fitted = _finite(fitted)
    if _all_good(fitted):
        return Prepared(fitted, None, ())
    names = [name for name in fitted["meter"].unique() if _is_name(name)]
    in_time = pl.col("time").to_physical().is_between(EARLIEST_MS, LATEST_MS)
    good = fitted.select(
        (in_time & pl.col("meter").is_in(names)).fill_null(value=False)
    ).to_series()
    bad = (~good).arg_true().to_list()
    rejected = tuple(Rejected(row, _reason(fitted.row(row, named=True))) for row in bad)
    return Prepared(fitted.filter(good), good.arg_true(), rejected)


def _finite(frame: pl.DataFrame) -> pl.DataFrame:
    broken = [c.name for c in frame if c.dtype == pl.Float64() and not _is_finite(c)]
    return frame.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in broken
    )


def _is_finite(column: pl.Series) -> bool:
    if column.null_count():
        return column.is_finite().all()
    return bool(np.isfinite(column.to_numpy()).all())


def _all_good(frame: pl.DataFrame) -> bool:
    if frame["time"].null_count() or frame["meter"].null_count() or frame.is_empty():
        return frame.is_empty()
    times_ms = frame["time"].to_physical().to_numpy()
    if times_ms.min() < EARLIEST_MS or times_ms.max() > LATEST_MS:
        return False
    names = frame["meter"].unique().to_list()
    return "" not in names and _CONTROL.search("".join(names)) is None


def _is_name(name: str | None) -> bool:
    return bool(name) and _CONTROL.search(name or "") is None


def _fitted(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    if frame.schema == pl.Schema(schema):
        return frame
    missing = [name for name in ("time", "meter") if name not in frame.columns]
    if missing:
        raise InvalidInput([Fault("frame", f"needs a column {name!r}") for name in missing])
    columns = [
        pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, dtype=kind).alias(name)
        for name, kind in schema.items()
    ]
    try:
        return frame.select(columns)
    except pl.exceptions.PolarsError as error:
        raise InvalidInput([Fault("frame", f"does not fit its table: {error}")]) from error


def _reason(row: dict[str, object]) -> str:
    if row["time"] is None:
        return "no time"
    if not row["meter"]:
        return "no meter"
    if not _is_name(str(row["meter"])):
        return "control character in the meter's name"
    return "time outside 1677-09-21 to 2262-04-11"
