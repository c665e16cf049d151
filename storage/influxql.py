"""InfluxQL: the texts of our few statements, and frames from what they bring back."""

# Names are quoted by `_name`, texts by `_text`, times are integers:
# ruff: noqa: S608

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from domain.frame import SWEEP_SCHEMA
from domain.ports import Resolution
from storage.influx_http import Series
from storage.series_schema import schema_of, values_of

MEASUREMENTS = {
    Resolution.RAW: "meter",
    Resolution.MINUTE: "meter_1m",
    Resolution.HOUR: "meter_1h",
    Resolution.DAY: "meter_1d",
}
# A field that every row has: asking for it too brings back rows whose other values are all null.
_ALWAYS = dict.fromkeys(Resolution, "samples") | {Resolution.RAW: "quality"}
_FILTER_CHARACTERS = 4_000  # keeps a GET request's address well below what servers take


def window_statements(
    values: Sequence[str],
    resolution: Resolution,
    start_ms: int,
    end_ms: int,
    meters: Sequence[str] | None,
) -> list[str]:
    """Return statements for rows with start <= time < end, one for each bundle of meters."""
    columns = ", ".join(_name(value) for value in dict.fromkeys((*values, _ALWAYS[resolution])))
    select = f"SELECT {columns} FROM {_name(MEASUREMENTS[resolution])}"
    span = f"time >= {start_ms}ms AND time < {end_ms}ms"
    return [
        f'{select} WHERE {span}{f" AND {condition}" if condition else ""} GROUP BY "meter"'
        for condition in _conditions(meters)
    ]


def latest_statements(meters: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return pairs of statements: the last value of each quantity, and the time of the last row.

    Only a single selector tells the time of what it selected, hence two.
    """
    lasts = ", ".join(f"last({_name(v)}) AS {_name(v)}" for v in values_of(Resolution.RAW))
    tails = [
        f'FROM "meter"{f" WHERE {condition}" if condition else ""} GROUP BY "meter"'
        for condition in _conditions(meters)
    ]
    return [(f"SELECT {lasts} {tail}", f'SELECT last("quality") {tail}') for tail in tails]


def count_statement(resolution: Resolution, before_ms: int) -> str:
    """Return the statement that counts rows with time < before."""
    always, measurement = _name(_ALWAYS[resolution]), _name(MEASUREMENTS[resolution])
    return f"SELECT count({always}) FROM {measurement} WHERE time < {before_ms}ms"


def delete_statement(resolution: Resolution, before_ms: int) -> str:
    """Return the statement that deletes rows with time < before (1.x)."""
    return f"DELETE FROM {_name(MEASUREMENTS[resolution])} WHERE time < {before_ms}ms"


def create_statement(database: str) -> str:
    """Return the statement that creates a database, harmless when it exists (1.x)."""
    return f"CREATE DATABASE {_name(database)}"


def window_frame(series: Series, values: Sequence[str], resolution: Resolution) -> pl.DataFrame:
    """Return one series as rows of time, meter and values."""
    schema = schema_of(resolution)
    columns = dict(zip(series.columns, zip(*series.rows, strict=True), strict=True))
    times = pl.Series(columns["time"], dtype=pl.Int64()).cast(schema["time"])
    meter = pl.Series([series.tags.get("meter", "")], dtype=pl.String())
    return pl.DataFrame(
        {"time": times, "meter": meter.new_from_index(0, len(times))}
        | {name: pl.Series(columns[name], dtype=schema[name], strict=False) for name in values}
    )


def latest_frame(lasts: Sequence[Series], times: Sequence[Series]) -> pl.DataFrame:
    """Return SWEEP_SCHEMA rows by meter from what a pair of `latest_statements` brought."""
    time_ms = {series.tags["meter"]: series.rows[0][0] for series in times}
    rows: Mapping[str, Mapping[str, object]] = {
        series.tags["meter"]: dict(zip(series.columns, series.rows[0], strict=True))
        for series in lasts
    }
    meters = sorted(time_ms)
    columns = {
        "time": pl.Series([time_ms[meter] for meter in meters], dtype=pl.Int64()).cast(
            SWEEP_SCHEMA["time"]
        ),
        "meter": pl.Series(meters, dtype=pl.String()),
    }
    for name in values_of(Resolution.RAW):
        found = [rows[meter][name] for meter in meters]
        columns[name] = pl.Series(found, dtype=SWEEP_SCHEMA[name], strict=False)
    return pl.DataFrame(columns)


def _conditions(meters: Sequence[str] | None) -> Iterator[str]:
    """Yield conditions on the meter tag, each short enough for one request; empty for no limit."""
    if meters is None:
        yield ""
        return
    terms: list[str] = []
    for meter in dict.fromkeys(meters):
        terms.append(f'"meter" = {_text(meter)}')
        if sum(map(len, terms)) > _FILTER_CHARACTERS:
            yield f"({' OR '.join(terms)})"
            terms = []
    if terms:
        yield f"({' OR '.join(terms)})"


def _name(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
