"""Line protocol: what lines look like, and that a real InfluxDB reads back what was meant."""

import math
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.ports import Rejected
from storage.line_protocol import SeriesKeys, encode, name_fault, series_key, tag_fault
from tests.storage_series.conftest import T0, Influxd

T0_MS = int(T0.timestamp() * 1000)
KEYS = SeriesKeys("meter", {"A1": {"site": "campus", "meter": "A1"}})


def frame(**columns: object) -> pl.DataFrame:
    """Build rows of meter A1, a millisecond apart, from values or lists of values."""
    lists = {
        name: values if isinstance(values, (list, pl.Series)) else [values]
        for name, values in columns.items()
    }
    height = len(next(iter(lists.values())))
    times = [T0 + timedelta(milliseconds=row) for row in range(height)]
    return pl.DataFrame(
        {"time": pl.Series(times, dtype=pl.Datetime("ms", "UTC")), "meter": ["A1"] * height} | lists
    )


def lines(rows: pl.DataFrame, keys: SeriesKeys = KEYS) -> list[str]:
    fields = [name for name in rows.columns if name not in ("time", "meter")]
    written = encode(rows, keys, fields).lines.to_list()
    assert all(line.endswith("\n") for line in written)
    return [line.removesuffix("\n") for line in written]


def test_a_line_is_the_series_key_the_fields_and_the_time_in_milliseconds() -> None:
    rows = frame(power_w=12.5, energy_wh=7, relay_closed=True, quality="good")

    assert lines(rows) == [
        "meter,meter=A1,site=campus "
        f'power_w=12.5,energy_wh=7i,relay_closed=true,quality="good" {T0_MS}'
    ]


def test_nulls_are_left_out_wherever_they_stand() -> None:
    rows = frame(a=[None, 1.0, 2.0, None], b=[1, None, 3, 4], c=[None, None, True, None])

    assert [line.split(" ")[1] for line in lines(rows)] == [
        "b=1i",
        "a=1.0",
        "a=2.0,b=3i,c=true",
        "b=4i",
    ]


def test_nan_and_infinity_are_left_out() -> None:
    rows = frame(a=[math.nan, math.inf, -math.inf, 1.0], b=[1, 2, 3, 4])

    assert [line.split(" ")[1] for line in lines(rows)] == ["b=1i", "b=2i", "b=3i", "b=4i,a=1.0"]


def test_a_row_without_any_field_is_left_out_and_reported() -> None:
    rows = frame(a=[1.0, None, math.nan], b=pl.Series([None, None, None], dtype=pl.Int64()))

    encoded = encode(rows, KEYS, ["a", "b"])

    assert encoded.lines.to_list() == [f"meter,meter=A1,site=campus a=1.0 {T0_MS}\n"]
    assert encoded.rows.to_list() == [0]
    assert encoded.left_out == (
        Rejected(1, "no field has a value"),
        Rejected(2, "no field has a value"),
    )


def test_a_meter_without_a_key_and_a_row_without_time_are_reported() -> None:
    rows = frame(a=[1.0, 2.0, 3.0]).with_columns(
        meter=pl.Series(["A1", "stranger", "A1"]),
        time=pl.Series([T0, T0, None], dtype=pl.Datetime("ms", "UTC")),
    )

    encoded = encode(rows, KEYS, ["a"])

    assert len(encoded.lines) == 1
    assert encoded.left_out == (Rejected(1, "a meter without a series key"), Rejected(2, "no time"))


def test_nothing_in_gives_nothing_out() -> None:
    assert encode(frame(a=pl.Series([], dtype=pl.Float64())), KEYS, ["a"]).payload() == b""


def test_tags_are_sorted_escaped_and_left_out_when_empty() -> None:
    key = series_key("my meter,1", {"site": "a,b", "room": "", "building": "c=d e", "ta g": "\\x"})

    assert key == r"my\ meter\,1,building=c\=d\ e,site=a\,b,ta\ g=\x"


@pytest.mark.parametrize("text", ["line\nbreak", "tab\t", "ends\\", "\x7f"])
def test_what_line_protocol_cannot_hold_is_refused_with_the_reason(text: str) -> None:
    assert tag_fault(text) is not None
    with pytest.raises(InvalidInput) as caught:
        series_key("meter", {"room": text, "building": text})
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize("name", ["", "time", 'say\\"', "ends\\", "line\nbreak"])
def test_a_field_name_that_would_not_come_back_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        encode(frame(**{"power_w": 1.0}), KEYS, ["power_w", name])


def test_text_fields_escape_quotes_and_backslashes() -> None:
    assert r'q="say \"hi\""' in lines(frame(q='say "hi"'))[0]
    assert r'q="back\\slash"' in lines(frame(q="back\\slash"))[0]


def test_many_rows_and_few_make_the_same_payload() -> None:
    rows = frame(a=[float(n) for n in range(100)])
    encoded = encode(rows, KEYS, ["a"])

    assert encoded.payload() == "".join(encoded.lines.to_list()).encode()
    assert encoded.payload(3, 5) == "".join(encoded.lines.to_list()[3:5]).encode()
    assert encoded.payload(3, 3) == b""


PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
TAG = PRINTABLE.filter(lambda text: not text.endswith("\\"))
NAME = TAG.filter(lambda text: name_fault(text) is None and text != "meter")
WHOLE = st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(allow_nan=True, allow_infinity=True)
ROW = st.tuples(
    st.none() | REAL, st.none() | WHOLE, st.none() | st.booleans(), st.none() | PRINTABLE
)


numbers = count(1)


@pytest.mark.external
@settings(
    max_examples=40,
    deadline=None,
    phases=(
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ),  # shrinking against a server takes minutes
)
@given(
    measurement=NAME, meter=TAG, room=TAG, tag=NAME,
    fields=st.lists(NAME, min_size=4, max_size=4, unique=True),
    rows=st.lists(ROW, min_size=1, max_size=5),
)  # fmt: skip
def test_influxdb_reads_back_what_was_encoded(
    influxd: Influxd,
    measurement: str,
    meter: str,
    room: str,
    tag: str,
    fields: list[str],
    rows: list[tuple[float | None, int | None, bool | None, str | None]],
) -> None:
    name = f"{next(numbers)}{measurement}"
    real, whole, yes_no, text = [f"{field}_" if field == tag else field for field in fields]
    columns = {
        real: pl.Series([row[0] for row in rows], dtype=pl.Float64()),
        whole: pl.Series([row[1] for row in rows], dtype=pl.Int64()),
        yes_no: pl.Series([row[2] for row in rows], dtype=pl.Boolean()),
        text: pl.Series([row[3] for row in rows], dtype=pl.String()),
    }
    keys = SeriesKeys(name, {meter: {tag: room, "meter": meter}})
    encoded = encode(frame(**columns).with_columns(meter=pl.lit(meter)), keys, list(columns))

    found = echo(influxd, name, encoded.payload())

    meant = {
        T0_MS + at: {field: value for field, value in zip(columns, row, strict=True) if kept(value)}
        for at, row in enumerate(rows)
    }
    left_out = [at for at in range(len(rows)) if not meant[T0_MS + at]]
    assert [item.row for item in encoded.left_out] == left_out
    if len(left_out) == len(rows):
        assert found == []
        return
    assert [(series["name"], series["tags"]) for series in found] == [
        (name, {tag: room, "meter": meter})
    ]
    # JSON writes a whole real number without its point.
    casts = {real: float, whole: int, yes_no: bool, text: str, "time": int}
    labels = found[0]["columns"]
    read = [
        {
            label: casts[label](cell)
            for label, cell in zip(labels, row, strict=True)
            if cell is not None
        }
        for row in found[0]["values"]
    ]
    assert read == [{"time": time, **values} for time, values in meant.items() if values]


def echo(server: Influxd, measurement: str, payload: bytes) -> list[dict[str, Any]]:
    """Write a payload and return the series that the server then has of that measurement."""
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        client.post("/query", data={"q": "CREATE DATABASE echo"})
        if payload:
            reply = client.post("/write?db=echo&precision=ms", content=payload)
            assert reply.status_code == 204, reply.text
        name = measurement.replace("\\", "\\\\").replace('"', '\\"')
        statement = f'SELECT * FROM "{name}" GROUP BY *'  # noqa: S608
        question = {"db": "echo", "epoch": "ms", "q": statement}
        result = client.get("/query", params=question).json()["results"][0]
        found: list[dict[str, Any]] = result.get("series", [])
        return found


def kept(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))
