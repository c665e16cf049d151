"""What both time-series adapters share: the tables' columns and the check before a write."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from domain.errors import InvalidInput
from domain.faults import Fault
from domain.frame import SWEEP_SCHEMA
from domain.ports import ROLLUP_SCHEMA, Rejected, Resolution

# The times that a signed 64-bit count of nanoseconds can hold, which is how InfluxDB keeps time.
EARLIEST_MS = -9_223_372_036_854
LATEST_MS = 9_223_372_036_854


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
    floats = [name for name, kind in schema.items() if kind == pl.Float64()]
    fitted = fitted.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in floats
    )
    time_ms = pl.col("time").to_physical()
    good = fitted.select(
        pl.all_horizontal(
            pl.col("time").is_not_null(),
            time_ms.is_between(EARLIEST_MS, LATEST_MS),
            pl.col("meter").is_not_null(),
            pl.col("meter") != "",
            ~pl.col("meter").fill_null("").str.contains(r"[\x00-\x1f\x7f]"),
        ).fill_null(value=False)
    ).to_series()
    if good.all():
        return Prepared(fitted, None, ())
    bad = (~good).arg_true().to_list()
    rejected = tuple(Rejected(row, _reason(fitted.row(row, named=True))) for row in bad)
    return Prepared(fitted.filter(good), good.arg_true(), rejected)


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
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in str(row["meter"])):
        return "control character in the meter's name"
    return "time outside 1677-09-21 to 2262-04-11"
