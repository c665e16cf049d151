"""The requests that InfluxDB 2.x and 3.x get, held against their documented API."""

import json
from collections.abc import Callable

import pytest
from pydantic import SecretStr, ValidationError

from domain.errors import StoreUnavailable
from domain.ports import Rejected, Resolution
from storage.influx_series import InfluxSeries
from storage.influx_settings import InfluxSettings
from tests.storage_series.conftest import T0, a_meter, at, free_port, samples
from tests.storage_series.listener import Listener, Reply, Request, listening

T0_MS = int(T0.timestamp() * 1000)
LINE = f'meter,building=North\\ 1,meter=A1,room=101,site=campus power_w=5.0,quality="good" {T0_MS}'


def server(version: str, write: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    """Answer /ping as that version does, writes as told, and queries with one row of power."""

    def answer(request: Request) -> Reply:
        if request.path == "/ping":
            return Reply(headers={"X-Influxdb-Version": version})
        if request.path == "/query" and "count(" in request.params.get("q", ""):
            return Reply(200, result({"columns": ["time", "count"], "values": [[0, 7]]}))
        if request.path == "/query":
            columns, row = ["time", "power_w", "quality"], [T0_MS, 5, "good"]
            series = {"tags": {"meter": "A1"}, "columns": columns, "values": [row]}
            return Reply(200, result(series))
        return write(request)

    return answer


def result(series: dict[str, object]) -> bytes:
    """Return a query's reply with one series of the measurement meter."""
    return json.dumps(
        {"results": [{"statement_id": 0, "series": [{"name": "meter"} | series]}]}
    ).encode()


def settings(listener: Listener, **more: str) -> InfluxSettings:
    return InfluxSettings(
        url=listener.url,
        database="watt",
        org="campus-org",
        token=SecretStr("s3cret"),
        site="campus",
        **more,
    )


def test_version_2_is_written_through_its_own_api() -> None:
    with listening(server("v2.7.10", lambda _: Reply(204))) as listener:
        store = InfluxSeries(settings(listener))
        store.describe([a_meter("A1")])
        outcome = store.write(samples((0, "A1", 5)))
        store.close()

    (write,) = listener.sent_to("/api/v2/write")
    assert (outcome.accepted, outcome.rejected) == (1, ())
    assert (write.method, write.body.decode()) == ("POST", f"{LINE}\n")
    assert write.params == {"bucket": "watt", "org": "campus-org", "precision": "ms"}
    assert write.headers["authorization"] == "Token s3cret"
    assert listener.sent_to("/write") == []


def test_version_2_is_read_by_influxql() -> None:
    with listening(server("v2.7.10", lambda _: Reply(204))) as listener:
        store = InfluxSeries(settings(listener))
        found = store.window(T0, at(60), meters=["A1"], quantities=["power_w"])
        store.close()

    (query,) = listener.sent_to("/query")
    assert found.rows() == [(T0, "A1", 5.0)]
    assert query.method == "GET"
    assert query.params["db"] == "watt"
    assert query.params["epoch"] == "ms"
    assert query.params["q"].split(" WHERE ") == [
        'SELECT "power_w", "quality" FROM "meter"',
        f'time >= {T0_MS}ms AND time < {T0_MS + 60_000}ms AND ("meter" = \'A1\') GROUP BY "meter"',
    ]
    assert query.headers["authorization"] == "Token s3cret"


def test_version_2_is_pruned_through_its_delete_api() -> None:
    with listening(server("v2.7.10", lambda _: Reply(204))) as listener:
        store = InfluxSeries(settings(listener))
        assert store.prune(Resolution.MINUTE, at(0)) == 7
        store.close()

    (delete,) = listener.sent_to("/api/v2/delete")
    content = json.loads(delete.body)
    assert content["predicate"] == '_measurement="meter_1m"'
    assert content["stop"].startswith("2026-03-02T08:00:00")
    assert delete.params == {"bucket": "watt", "org": "campus-org"}


def test_version_2_refuses_bad_lines_with_its_reason_and_keeps_the_good_ones() -> None:
    def write(request: Request) -> Reply:
        if b"meter=BAD" in request.body:
            body = {"code": "unprocessable entity", "message": "field type conflict"}
            return Reply(422, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return Reply(204)

    with listening(server("v2.7.10", write)) as listener:
        store = InfluxSeries(settings(listener))
        frame = samples((0, "A1", 1), (0, "A2", 2), (0, "BAD", 3), (0, "A4", 4))
        outcome = store.write(frame)
        store.close()

    assert outcome.accepted == 3
    assert outcome.rejected == (Rejected(2, "field type conflict"),)
    sent = b"\n".join(r.body for r in listener.sent_to("/api/v2/write") if b"BAD" not in r.body)
    assert all(name in sent for name in (b"meter=A1", b"meter=A2", b"meter=A4"))


def test_version_3_is_written_by_line_protocol_and_read_by_influxql() -> None:
    with listening(server("3.2.1", lambda _: Reply(204))) as listener:
        store = InfluxSeries(settings(listener))
        store.describe([a_meter("A1")])
        outcome = store.write(samples((0, "A1", 5)))
        found = store.window(T0, at(60), quantities=["power_w"])
        store.close()

    (write,) = listener.sent_to("/write")
    assert outcome.accepted == 1
    assert write.params == {"db": "watt", "precision": "ms"}
    assert write.body.decode() == f"{LINE}\n"
    assert write.headers["authorization"] == "Token s3cret"
    assert found.rows() == [(T0, "A1", 5.0)]
    assert all(request.method == "GET" for request in listener.sent_to("/query"))


def test_version_3_partial_writes_are_told_apart_line_by_line() -> None:
    def write(request: Request) -> Reply:
        bad = [n for n, line in enumerate(request.body.split(b"\n"), 1) if b"meter=BAD" in line]
        if not bad:
            return Reply(204)
        details = [{"error_message": "invalid column type", "line_number": n} for n in bad]
        body = {"error": "partial write of line protocol occurred", "data": details}
        return Reply(400, json.dumps(body).encode())

    with listening(server("3.2.1", write)) as listener:
        store = InfluxSeries(settings(listener))
        outcome = store.write(samples(*[(s, "BAD" if s == 37 else "A1", s) for s in range(100)]))
        store.close()

    assert outcome.accepted == 99
    assert [item.row for item in outcome.rejected] == [37]
    assert "invalid column type" in outcome.rejected[0].reason


def test_version_3_has_no_deletes_so_pruning_is_left_to_the_server() -> None:
    with listening(server("3.2.1", lambda _: Reply(204))) as listener:
        store = InfluxSeries(settings(listener))
        assert store.prune(Resolution.RAW, at(0)) == 0
        store.close()

    assert {request.path for request in listener.requests} == {"/ping"}


def test_a_version_in_the_settings_is_not_asked_for() -> None:
    with listening(server("nonsense", lambda _: Reply(204))) as listener:
        store = InfluxSeries(settings(listener, version="3"))
        store.write(samples((0, "A1", 5)))
        store.close()

    assert listener.sent_to("/ping") == []


def test_a_server_that_does_not_say_its_version_is_named_in_the_error() -> None:
    with listening(lambda _: Reply(200, b"hello")) as listener:
        store = InfluxSeries(settings(listener))
        with pytest.raises(StoreUnavailable, match="set the version in the settings"):
            store.write(samples((0, "A1", 5)))
        assert not store.is_ready()
        store.close()


def test_a_version_that_is_told_in_the_body_alone_is_found() -> None:
    def answer(request: Request) -> Reply:
        if request.path == "/ping":
            return Reply(200, b'{"version": "3.1.0", "revision": "x"}')
        return Reply(204)

    with listening(answer) as listener:
        store = InfluxSeries(settings(listener))
        assert store.write(samples((0, "A1", 5))).accepted == 1
        store.close()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("version", ["v2.7.10", "3.2.1"])
def test_statuses_that_say_nothing_about_the_lines_mean_the_store_is_down(
    version: str, status: int
) -> None:
    def write(_: Request) -> Reply:
        return Reply(status, b'{"message": "not now"}')

    with listening(server(version, write)) as listener:
        store = InfluxSeries(settings(listener))
        with pytest.raises(StoreUnavailable, match=f"{status}.*not now"):
            store.write(samples((0, "A1", 5)))
        store.close()


@pytest.mark.parametrize("version", ["v2.7.10", "3.2.1"])
def test_a_request_too_large_for_the_server_is_sent_in_halves(version: str) -> None:
    def write(request: Request) -> Reply:
        return Reply(413 if request.body.count(b"\n") > 3 else 204)

    with listening(server(version, write)) as listener:
        store = InfluxSeries(settings(listener))
        assert store.write(samples(*[(s, "A1", s) for s in range(10)])).accepted == 10
        store.close()


def test_requests_that_tell_lines_apart_are_bounded_and_the_rest_is_kept() -> None:
    def write(_: Request) -> Reply:
        return Reply(400, b'{"error": "no"}')

    with listening(server("3.2.1", write)) as listener:
        store = InfluxSeries(
            InfluxSettings(url=listener.url, database="watt", batch_lines=8, most_requests=9)
        )
        outcome = store.write(samples(*[(s, "A1", s) for s in range(32)]))
        store.close()

    assert len(listener.sent_to("/write")) == 9
    assert outcome.kept > 0
    assert outcome.accepted + len(outcome.rejected) + outcome.kept == 32
    assert outcome.accepted == 0


def test_a_reply_that_breaks_off_is_an_error_and_not_a_shorter_window() -> None:
    def answer(request: Request) -> Reply:
        whole = server("3.2.1", lambda _: Reply(204))(request)
        return Reply(200, whole.body[:-9]) if request.path == "/query" else whole

    with listening(answer) as listener:
        store = InfluxSeries(settings(listener))
        with pytest.raises(StoreUnavailable, match="broke off"):
            store.window(T0, at(60))
        store.close()


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_nobody_listening_means_the_store_is_down(version: str) -> None:
    store = InfluxSeries(
        InfluxSettings(
            url=f"http://127.0.0.1:{free_port()}", version=version, token=SecretStr("t"), org="o"
        )
    )
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
        store.write(samples((0, "A1", 5)))
    assert not store.is_ready()
    store.close()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"url": "localhost:8086"}, "http://host:port"),
        ({"url": "ftp://x"}, "http://host:port"),
        ({"url": "http://x", "user": "u", "token": "t"}, "give one of them"),
        ({"url": "http://x", "version": "2"}, "needs a token"),
        ({"url": "http://x", "database": ""}, "database"),
        ({"url": "http://x", "bucket": "b"}, "bucket"),
    ],
)
def test_settings_are_refused_with_what_is_allowed(content: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        InfluxSettings.model_validate(content)


def test_secrets_do_not_show_in_the_settings() -> None:
    shown = str(InfluxSettings(url="http://x", user="u", password=SecretStr("pa55")))

    assert "pa55" not in shown
