"""What a real InfluxDB 1.6 does with lines it does not like, with logins, and when it goes away."""

from pathlib import Path

import httpx
import polars as pl
import pytest
from pydantic import SecretStr

from domain.errors import InvalidInput, StoreUnavailable
from domain.frame import sweep_frame
from storage.influx_http import InfluxHttp, Refusal
from storage.influx_series import InfluxSeries
from storage.influx_settings import InfluxSettings
from storage.influx_split import store_lines
from storage.line_protocol import Encoded
from tests.storage_series.conftest import T0, Influxd, a_meter, at, samples, start_influxd

pytestmark = pytest.mark.external


def ask(server: Influxd, database: str, statement: str) -> list[dict[str, object]]:
    """Return the series of an InfluxQL statement, bypassing the adapter."""
    reply = httpx.get(
        f"{server.url}/query",
        params={"db": database, "epoch": "ms", "q": statement},
        trust_env=False,
    )
    series: list[dict[str, object]] = reply.json()["results"][0].get("series", [])
    return series


def test_points_have_the_documented_measurement_tags_and_field_types(
    influxd: Influxd, influx_settings: InfluxSettings, influx_series: InfluxSeries
) -> None:
    influx_series.describe([a_meter("A1", "North 1", "101")])
    row = {
        "time": T0, "meter": "A1", "power_w": 5, "energy_wh": 7, "relay_closed": True,
        "balance_minor": -3, "quality": "good",
    }  # fmt: skip
    influx_series.write(sweep_frame([row]))

    database = influx_settings.database
    (tags,) = ask(influxd, database, "SHOW SERIES")
    (fields,) = ask(influxd, database, "SHOW FIELD KEYS")
    assert tags["values"] == [["meter,building=North\\ 1,meter=A1,room=101,site=campus"]]
    assert fields["values"] == [
        ["balance_minor", "integer"], ["energy_wh", "integer"], ["power_w", "float"],
        ["quality", "string"], ["relay_closed", "boolean"],
    ]  # fmt: skip


def test_lines_that_conflict_with_a_stored_type_are_refused_alone(
    influxd: Influxd, influx_settings: InfluxSettings, influx_series: InfluxSeries
) -> None:
    influx_series.write(samples((0, "A1", 1)))
    reply = httpx.post(
        f"{influxd.url}/write",
        params={"db": influx_settings.database, "precision": "ms"},
        content=b'meter,meter=old balance_minor=1.5,quality="good" 1772438400000',
        trust_env=False,
    )
    assert reply.status_code == 204
    rows = [
        {"time": at(s), "meter": "A1", "power_w": float(s), "quality": "good"} for s in range(100)
    ]
    rows[40]["balance_minor"] = 5

    outcome = influx_series.write(sweep_frame(rows))

    assert outcome.accepted == 99
    assert [item.row for item in outcome.rejected] == [40]
    assert "balance_minor" in outcome.rejected[0].reason
    assert influx_series.window(T0, at(100), meters=["A1"]).height == 99


def test_when_every_line_conflicts_one_request_tells(
    influxd: Influxd, influx_settings: InfluxSettings, influx_series: InfluxSeries
) -> None:
    influx_series.is_ready()
    httpx.post(
        f"{influxd.url}/write",
        params={"db": influx_settings.database, "precision": "ms"},
        content=b"meter power_w=1i 1772438400000",  # a type holds for a shard, here a week
        trust_env=False,
    )
    outcome = influx_series.write(samples(*[(s, "A1", s) for s in range(5000)]))

    assert outcome.accepted == 0
    assert len(outcome.rejected) == 5000
    assert "field type conflict" in outcome.rejected[4999].reason


def test_unreadable_lines_are_found_though_the_server_says_it_dropped_none(
    influx_settings: InfluxSettings, influx_series: InfluxSeries
) -> None:
    influx_series.is_ready()
    http = InfluxHttp(influx_settings)
    lines = [f'meter,meter=A1 power_w={n},quality="good" {n}' for n in range(50)]
    lines[7] = "meter,meter=A1 power_w= 7"
    lines[31] = "not a line"
    replies: list[Refusal | None] = []

    def send(payload: bytes) -> Refusal | None:
        replies.append(http.write(payload))
        return replies[-1]

    encoded = Encoded(pl.Series(lines) + "\n", pl.Series(range(50)), ())
    refused, kept = store_lines(send, encoded, 1000, 200)
    http.close()

    assert [line for line, _ in refused] == [7, 31]
    assert all("unable to parse" in reason for _, reason in refused)
    assert kept == 0
    assert replies[0] is not None
    assert replies[0].dropped == 0
    found = influx_series.window(at(-3e9), T0, quantities=["power_w"])
    assert found["power_w"].to_list() == [float(n) for n in range(50) if n not in (7, 31)]


def test_long_results_come_back_whole_in_chunks(influxd: Influxd) -> None:
    store = InfluxSeries(InfluxSettings(url=influxd.url, database="chunks", chunk_rows=7))
    store.write(samples(*[(s, f"M{m}", s) for s in range(40) for m in range(3)]))

    assert store.window(T0, at(40)).height == 120
    store.close()


def test_a_roster_that_tags_cannot_hold_is_refused_whole(influx_series: InfluxSeries) -> None:
    roster = [a_meter("A1", "North\\", "101"), a_meter("A2", "North", "1\n2"), a_meter("A3")]

    with pytest.raises(InvalidInput) as caught:
        influx_series.describe(roster)
    assert [(fault.source, fault.subject) for fault in caught.value.faults] == [
        ("building of the roster", "A1"),
        ("room of the roster", "A2"),
    ]


def test_a_database_that_is_gone_is_an_error_and_not_an_empty_window(
    influxd: Influxd, influx_settings: InfluxSettings, influx_series: InfluxSeries
) -> None:
    influx_series.write(samples((0, "A1", 1)))
    name = influx_settings.database
    httpx.post(f"{influxd.url}/query", data={"q": f'DROP DATABASE "{name}"'}, trust_env=False)

    with pytest.raises(StoreUnavailable, match="database not found"):
        influx_series.window(T0, at(1))
    with pytest.raises(StoreUnavailable, match="404"):
        influx_series.write(samples((0, "A1", 1)))


def test_user_and_password_are_used(tmp_path: Path) -> None:
    server = start_influxd(tmp_path)
    try:
        q = "CREATE USER admin WITH PASSWORD 'pa55' WITH ALL PRIVILEGES"
        httpx.post(f"{server.url}/query", data={"q": q}, trust_env=False)
        server.stop()
        server.start(more="auth-enabled = true")

        def login(password: str) -> InfluxSettings:
            return InfluxSettings(url=server.url, user="admin", password=SecretStr(password))

        right = InfluxSeries(login("pa55"))
        wrong = InfluxSeries(login("guess"))

        assert right.write(samples((0, "A1", 1))).accepted == 1
        with pytest.raises(StoreUnavailable, match="401"):
            wrong.write(samples((0, "A1", 1)))
        right.close()
        wrong.close()
    finally:
        server.stop()


def test_a_server_that_goes_away_and_comes_back_is_used_again(tmp_path: Path) -> None:
    server = start_influxd(tmp_path)
    store = InfluxSeries(InfluxSettings(url=server.url))
    try:
        store.write(samples((0, "A1", 1)))
        server.stop()
        with pytest.raises(StoreUnavailable):
            store.write(samples((1, "A1", 2)))
        assert not store.is_ready()
        server.start()

        store.write(samples((1, "A1", 2)))
        assert store.window(T0, at(60))["power_w"].to_list() == [1, 2]
    finally:
        store.close()
        server.stop()
