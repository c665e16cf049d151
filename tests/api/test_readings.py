"""Readings of a range: four shapes, null stays null, limits told before anything is sent."""

import io
import threading
import tracemalloc
from datetime import timedelta

import httpx
import polars as pl
import pyarrow.ipc
import pytest
from api_station import NOON, SeriesDouble, Station, at, faults, get

from api.app import create_app
from app.http_server import HttpServer
from domain.errors import StoreUnavailable
from domain.frame import SWEEP_SCHEMA, sweep_frame
from domain.ports import ROLLUP_SCHEMA, Resolution

PATH = "/meters/B1-0101/readings"
MINUTE = {"start": "2026-05-01T12:00:00Z", "end": "2026-05-01T12:01:00Z"}
FOUR_SECONDS = {"start": "2026-05-01T12:00:00Z", "end": "2026-05-01T12:00:04Z"}
ROWS = [
    {"time": at(0), "meter": "B1-0101", "power_w": 85.5, "energy_wh": 1200, "quality": "good"},
    {"time": at(1.4), "meter": "B1-0101", "quality": "timeout"},
    {"time": at(2.8), "meter": "B1-0101", "power_w": 0.0, "energy_wh": 1201, "quality": "good"},
    {"time": at(1), "meter": "B1-0201", "power_w": 999.0, "quality": "good"},
]


class Watched(SeriesDouble):
    """A store that notes the windows it is asked for, and may fail from one of them on."""

    def __init__(self, store, fail_from=None):
        self._store, self._fail_from = store, fail_from
        self.asked = []

    def window(self, start, end, meters, quantities, resolution):
        self.asked.append((start, end, tuple(quantities)))
        if self._fail_from is not None and len(self.asked) > self._fail_from:
            raise StoreUnavailable("the disk is gone")
        return self._store.window(start, end, meters, quantities, resolution)


class Made(SeriesDouble):
    """A store whose every second holds a row, made when asked for."""

    def __init__(self):
        self.most_rows = 0

    def window(self, start, end, meters, quantities, resolution):
        rows = int((end - start).total_seconds())
        self.most_rows = max(self.most_rows, rows)
        times = pl.datetime_range(start, end, "1s", closed="left", eager=True, time_unit="ms")
        columns = {"time": times, "meter": pl.repeat(meters[0], rows, eager=True)}
        for name in quantities:
            columns[name] = pl.repeat(None, rows, dtype=SWEEP_SCHEMA[name], eager=True)
        return pl.DataFrame(columns)


async def test_json_gives_the_asked_quantities_and_keeps_null(series):
    series.write(sweep_frame(ROWS))
    response = await get(Station(series))(
        PATH, params={**MINUTE, "quantities": "energy_wh,power_w"}
    )
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "meter": "B1-0101",
        "start": "2026-05-01T12:00:00Z",
        "end": "2026-05-01T12:01:00Z",
        "resolution": "raw",
        "quantities": ["power_w", "energy_wh"],
        "readings": [
            {"time": "2026-05-01T12:00:00.000Z", "power_w": 85.5, "energy_wh": 1200},
            {"time": "2026-05-01T12:00:01.400Z", "power_w": None, "energy_wh": None},
            {"time": "2026-05-01T12:00:02.800Z", "power_w": 0.0, "energy_wh": 1201},
        ],
        "count": 3,
    }


async def test_csv_leaves_the_field_of_a_null_empty(series):
    series.write(sweep_frame(ROWS))
    response = await get(Station(series))(
        PATH,
        params={**MINUTE, "quantities": "power_w,quality"},
        headers={"Accept": "text/csv"},
    )
    assert response.text.splitlines() == [
        "time,meter,power_w,quality",
        "2026-05-01T12:00:00.000Z,B1-0101,85.5,good",
        "2026-05-01T12:00:01.400Z,B1-0101,,timeout",
        "2026-05-01T12:00:02.800Z,B1-0101,0.0,good",
    ]
    name = 'filename="B1-0101_raw_20260501T120000Z-20260501T120100Z.csv"'
    assert name in response.headers["content-disposition"]


def read_arrow(content: bytes) -> pl.DataFrame:
    return pl.DataFrame(pyarrow.ipc.open_stream(content).read_all())


@pytest.mark.parametrize(
    ("media", "read"),
    [
        ("application/vnd.apache.parquet", lambda content: pl.read_parquet(io.BytesIO(content))),
        ("application/vnd.apache.arrow.stream", read_arrow),
    ],
)
@pytest.mark.parametrize("chunk_rows", [1, 20_000])
async def test_columns_come_back_with_their_types_whatever_the_pieces(
    series, media, read, chunk_rows
):
    series.write(sweep_frame(ROWS))
    station = Station(series)
    station.limits(chunk_rows=chunk_rows)
    response = await get(station)(PATH, params=FOUR_SECONDS, headers={"Accept": media})
    assert response.headers["content-type"] == media
    frame = read(response.content)
    assert frame.columns == list(SWEEP_SCHEMA)
    assert frame.schema["time"] == pl.Datetime("ms", "UTC")
    assert frame.schema["energy_wh"] == pl.Int64()
    assert frame["time"].to_list() == [at(0), at(1.4), at(2.8)]
    assert frame["power_w"].to_list() == [85.5, None, 0.0]
    assert frame["quality"].to_list() == ["good", "timeout", "good"]


@pytest.mark.parametrize("kind", ["json", "csv", "parquet", "arrow"])
async def test_an_empty_range_is_a_whole_answer_without_rows(series, kind):
    response = await get(Station(series))(PATH, params={**MINUTE, "format": kind})
    assert response.status_code == 200
    if kind == "json":
        assert (response.json()["readings"], response.json()["count"]) == ([], 0)
    elif kind == "csv":
        assert response.text == ",".join(SWEEP_SCHEMA) + "\n"
    elif kind == "parquet":
        assert pl.read_parquet(io.BytesIO(response.content)).shape == (0, len(SWEEP_SCHEMA))
    else:
        assert read_arrow(response.content).shape == (0, len(SWEEP_SCHEMA))


@pytest.mark.parametrize("chunk_rows", [1, 2, 20_000])
async def test_pieces_join_without_a_seam(series, chunk_rows):
    series.write(sweep_frame(ROWS))
    station = Station(series)
    station.limits(chunk_rows=chunk_rows)
    answer = (await get(station)(PATH, params=FOUR_SECONDS)).json()
    assert [row["power_w"] for row in answer["readings"]] == [85.5, None, 0.0]


async def test_the_start_is_in_and_the_end_is_out(series):
    series.write(sweep_frame(ROWS))
    range_ = {"start": "2026-05-01T12:00:00", "end": "2026-05-01T12:00:02.8"}
    answer = (await get(Station(series))(PATH, params=range_)).json()
    assert [row["time"][17:] for row in answer["readings"]] == ["00.000Z", "01.400Z"]


async def test_an_offset_is_heeded_and_a_time_without_one_is_utc(series):
    series.write(sweep_frame(ROWS))
    range_ = {"start": "2026-05-01T20:00:00+08:00", "end": "2026-05-01T12:00:01"}
    answer = (await get(Station(series))(PATH, params=range_)).json()
    assert (answer["start"], answer["end"]) == ("2026-05-01T12:00:00Z", "2026-05-01T12:00:01Z")
    assert answer["count"] == 1


async def test_without_times_the_last_hour_is_given(series):
    station = Station(series)
    answer = (await get(station)(PATH)).json()
    assert (answer["start"], answer["end"]) == ("2026-05-01T11:00:00Z", "2026-05-01T12:00:00Z")


async def test_rollups_have_their_own_columns(series):
    row = dict.fromkeys(ROLLUP_SCHEMA) | {
        "time": NOON, "meter": "B1-0101", "power_mean_w": 50.0, "samples": 43, "good_samples": 42,
    }  # fmt: skip
    series.write(pl.DataFrame([row], schema=ROLLUP_SCHEMA), Resolution.MINUTE)
    answer = (await get(Station(series))(PATH, params={**MINUTE, "resolution": "1m"})).json()
    reading = answer["readings"][0]
    assert (reading["power_mean_w"], reading["samples"]) == (50.0, 43)
    assert reading["power_max_w"] is None


async def test_what_is_not_a_number_is_null():
    class Odd(SeriesDouble):
        def window(self, start, end, meters, quantities, resolution):
            return pl.DataFrame(
                {
                    "time": [NOON],
                    "meter": meters,
                    "power_w": [float("nan")],
                    "current_a": [float("inf")],
                },
                schema_overrides={"time": pl.Datetime("ms", "UTC")},
            ).select("time", "meter", *(set(quantities) & {"power_w", "current_a"}))

    response = await get(Station(Odd()))(PATH, params={**MINUTE, "quantities": "power_w,current_a"})
    reading = response.json()["readings"][0]
    assert (reading["power_w"], reading["current_a"]) == (None, None)
    asked = {**MINUTE, "quantities": "power_w,current_a", "format": "csv"}
    table = (await get(Station(Odd()))(PATH, params=asked)).text
    assert table.splitlines()[1] == "2026-05-01T12:00:00.000Z,B1-0101,,"


@pytest.mark.parametrize(
    ("asked", "where", "words"),
    [
        ({"start": "2026-05-01T13:00:00Z"}, "query.start", "must be before end"),
        (
            {"start": "2026-05-01T12:00:00Z", "end": "2026-05-01T12:00:00Z"},
            "query.start",
            "must be",
        ),
        ({"start": "2026-03-01"}, "query.start", "at most 31 days of resolution raw"),
        ({"start": "1999-01-01", "resolution": "1d"}, "query.start", "at most 3700 days"),
        ({"start": "1969-12-31"}, "query.start", "not between 1970 and 2200"),
        ({"end": "9999-12-31T23:59:59-12:00"}, "query.end", "ISO 8601"),
        ({"start": "yesterday"}, "query.start", "not an ISO 8601 time"),
        ({"start": "1777636800"}, "query.start", "not an ISO 8601 time"),
        ({"start": "2026-05-01T12:00:00 08:00"}, "query.start", "write + as %2B"),
        ({"resolution": "5m"}, "query.resolution", "'raw', '1m', '1h' or '1d'"),
        ({"quantities": "power_w,watts"}, "query.quantities", "not known at resolution raw"),
        ({"quantities": "power_w", "resolution": "1h"}, "query.quantities", "power_mean_w"),
        ({"quantities": " , "}, "query.quantities", "names none"),
        ({"format": "xls"}, "query.format", "'json', 'csv', 'parquet' or 'arrow'"),
        ({"from": "2026-05-01"}, "query.from", "is not known here"),
    ],
)
async def test_an_absurd_request_is_422_with_what_is_allowed(asked, where, words):
    response = await get(Station())(PATH, params=asked)
    assert response.status_code == 422
    assert words in faults(response)[where]


async def test_all_faults_are_told_at_once():
    asked = {"start": "2026-05-01T13:00:00Z", "quantities": "watts"}
    assert set(faults(await get(Station())(PATH, params=asked))) == {
        "query.start",
        "query.quantities",
    }


async def test_a_format_that_nobody_has_is_406_with_the_ones_there_are():
    response = await get(Station())(PATH, headers={"Accept": "text/html"})
    assert response.status_code == 406
    assert "text/csv" in response.json()["detail"]


async def test_the_named_format_wins_over_the_header(series):
    asked = get(Station(series))(PATH, params={"format": "csv"}, headers={"Accept": "text/html"})
    assert (await asked).headers["content-type"].startswith("text/csv")


async def test_too_many_rows_are_422_and_nothing_of_them_is_sent():
    station = Station(Made())
    station.limits(json_rows_most=50, rows_most=100, chunk_rows=20)
    ask = get(station)

    async def status(kind: str, seconds: int) -> int:
        end = (NOON + timedelta(seconds=seconds)).isoformat()
        params = {"start": NOON.isoformat(), "end": end, "format": kind}
        return (await ask(PATH, params=params)).status_code

    assert [await status("json", n) for n in (50, 51)] == [200, 422]
    assert [await status("csv", n) for n in (100, 101)] == [200, 422]
    response = await ask(PATH, params={**MINUTE})
    assert "more than 50 rows as json" in faults(response)["query.start"]


async def test_a_long_range_is_read_in_short_windows(series):
    watched = Watched(series)
    station = Station(watched)
    station.limits(chunk_rows=600)
    await get(station)(PATH, params={"start": "2026-05-01T11:00:00Z", "format": "csv"})
    assert len(watched.asked) == 12  # six to count the rows, six to read them
    assert max(end - start for start, end, _ in watched.asked) == timedelta(minutes=10)
    counted, read = watched.asked[:6], watched.asked[6:]
    assert {columns for _, _, columns in counted} == {("quality",)}
    assert [window[0] for window in read[1:]] == [window[1] for window in read[:-1]]
    assert (read[0][0], read[-1][1]) == (at(-3600), NOON)


def test_memory_stays_bounded_whatever_the_length_of_the_answer():
    # 300,000 rows are about 14 MB of CSV.
    made = Made()
    station = Station(made)
    station.limits(chunk_rows=5_000)
    server = HttpServer("127.0.0.1", 0)
    server.start(create_app(station.deps))
    tracemalloc.start()
    try:
        params = {"start": at(-300_000).isoformat(), "format": "csv"}
        lines = 0
        with httpx.stream("GET", f"{server.url}/api/v1{PATH}", params=params) as response:
            for part in response.iter_bytes():
                lines += part.count(b"\n")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        server.stop()
    assert lines == 300_001
    assert made.most_rows == 5_000
    assert peak < 8_000_000


async def test_a_store_that_is_down_is_503_and_says_when_to_ask_again(series):
    response = await get(Station(Watched(series, fail_from=0)))(PATH, params=MINUTE)
    assert response.status_code == 503
    assert response.json()["detail"] == "the disk is gone"
    assert int(response.headers["retry-after"]) > 0


async def test_a_rollup_from_a_store_that_is_down_is_503_too(series):
    response = await get(Station(Watched(series, fail_from=0)))(PATH, params={"resolution": "1h"})
    assert response.status_code == 503


def test_a_store_that_fails_half_way_cuts_the_connection(series):
    station = Station(Watched(series, fail_from=5))
    station.limits(chunk_rows=900)  # four windows to count, four to read: the sixth fails
    server = HttpServer("127.0.0.1", 0)
    server.start(create_app(station.deps))
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{server.url}/api/v1{PATH}", params={"format": "csv"})
    finally:
        server.stop()


async def test_the_store_is_never_asked_on_the_event_loop(series):
    threads = set()

    class Noting(Watched):
        def window(self, *args):
            threads.add(threading.current_thread())
            return super().window(*args)

    await get(Station(Noting(series)))(PATH)
    assert threads
    assert threading.current_thread() not in threads
