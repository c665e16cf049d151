"""Alive, ready, and the metrics: what can't be told silences nothing else."""

import threading
from dataclasses import replace

import pytest
from api_station import NOTHING_YET, SeriesDouble, Station
from prometheus_client.parser import text_string_to_metric_families

from api.deps import BusStats, StationStats
from domain.errors import StoreUnavailable


async def ready(station):
    async with station.client() as client:
        response = await client.get("http://localhost/readyz")
    answer = response.json()
    assert (response.status_code == 200) == answer["ready"] == (not answer["reasons"])
    return answer["reasons"]


async def metrics(station):
    """Return the samples of a station by name and labels."""
    async with station.client() as client:
        response = await client.get("http://localhost/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_a_whole_station_is_ready():
    assert await ready(Station()) == []


def no_spool():
    raise StoreUnavailable("the spool's disk is gone")


class Down(SeriesDouble):
    def is_ready(self):
        return False


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"series": Down()}, "time series: the time-series store does not answer"),
        ({"field_alive": lambda: False}, "field: the field's event loop is stuck or stopped"),
        ({"stream_stats": no_spool}, "spool: the spool's disk is gone"),
        ({"readiness": lambda: ["bus b1 is down"]}, "station: bus b1 is down"),
    ],
)
async def test_what_is_broken_is_the_reason(broken, reason):
    station = Station()
    station.change(**broken)
    assert await ready(station) == [reason]


async def test_every_reason_is_told():
    station = Station(Down())
    station.ledger.down = True
    assert await ready(station) == [
        "time series: the time-series store does not answer",
        "ledger: the ledger database does not answer",
    ]


async def test_a_store_that_hangs_is_not_ready_and_is_asked_only_once():
    asked, go_on = [], threading.Event()

    class Hanging(SeriesDouble):
        def is_ready(self):
            asked.append(1)
            return go_on.wait(30)

    station = Station(Hanging())
    station.limits(probe_wait_s=0.05)
    try:
        async with station.client() as client:
            for _ in range(3):
                response = await client.get("http://localhost/readyz")
                assert response.status_code == 503
                assert "time series: no answer in 0.05 s" in response.json()["reasons"]
            assert asked == [1]
            go_on.set()
            while not (await client.get("http://localhost/readyz")).json()["ready"]:
                pass
    finally:
        go_on.set()


async def test_metrics_tell_what_the_station_counts():
    station = Station()
    bus = BusStats(
        "b1", meters=27, dead_meters=1, link_up=True, scans=10, scan_s=1.4, wire_s=1.35,
        wire_share=0.96, requests=270, retries=3, timeouts=4, bad_replies=2,
    )  # fmt: skip
    counted = StationStats(
        sweeps=120, readings_acknowledged=3240, readings_refused=27, readings_stored=3200,
        sweeps_judged=119, rule_seconds=0.24, rule_latency_p50_s=0.001, rule_latency_p99_s=0.009,
        trips={"malignant": 5}, commands={"confirmed": 5, "pending": 1},
    )  # fmt: skip
    station.change(bus_stats=lambda: [bus], station_stats=lambda: counted)
    told = await metrics(station)
    assert told["wattwarden_info", "1.2.3", "north-college"] == 1
    expected = {
        "scan_seconds": 1.4, "wire_seconds": 1.35, "wire_share_ratio": 0.96, "meters": 27,
        "dead_meters": 1, "link_up": 1, "scans_total": 10, "requests_total": 270,
        "retries_total": 3, "timeouts_total": 4, "bad_replies_total": 2,
    }  # fmt: skip
    for name, value in expected.items():
        assert told[f"wattwarden_bus_{name}", "b1"] == value
    assert told["wattwarden_sweeps_total",] == 120
    assert told["wattwarden_readings_total", "acknowledged"] == 3240
    assert told["wattwarden_readings_total", "stored"] == 3200
    assert told["wattwarden_readings_total", "refused"] == 27
    assert told["wattwarden_rule_latency_seconds", "0.5"] == 0.001
    assert told["wattwarden_rule_latency_seconds", "0.99"] == 0.009
    assert told["wattwarden_rule_latency_seconds_sum",] == 0.24
    assert told["wattwarden_rule_latency_seconds_count",] == 119
    assert told["wattwarden_trips_total", "malignant"] == 5
    assert told["wattwarden_trips_total", "tamper"] == 0
    assert told["wattwarden_commands", "confirmed"] == 5
    assert told["wattwarden_commands", "pending"] == 1
    assert told["wattwarden_commands", "unknown"] == 0
    assert told["wattwarden_field_alive",] == 1


async def test_metrics_tell_the_spool():
    spool = replace(
        NOTHING_YET, depth=7, depth_bytes=900, published=40, duplicates=2, accepted=30, rejected=1,
        damaged=3, refused_full=5,
    )  # fmt: skip
    station = Station()
    station.change(stream_stats=lambda: spool)
    told = await metrics(station)
    expected = {
        "depth_records": 7, "bytes": 900, "published_total": 40, "duplicates_total": 2,
        "accepted_total": 30, "rejected_total": 1, "damaged_total": 3, "refused_total": 5,
    }  # fmt: skip
    assert {name: told[f"wattwarden_spool_{name}",] for name in expected} == expected


async def test_what_is_not_known_has_no_sample():
    told = await metrics(Station())
    assert ("wattwarden_bus_scan_seconds", "b1") not in told
    assert ("wattwarden_bus_link_up", "b1") not in told
    assert ("wattwarden_rule_latency_seconds", "0.5") not in told
    assert told["wattwarden_bus_meters", "b1"] == 2


async def test_a_part_that_can_not_be_read_does_not_silence_the_others():
    station = Station()
    station.change(stream_stats=no_spool)
    told = await metrics(station)
    assert told["wattwarden_part_unreadable", "spool"] == 1
    assert told["wattwarden_part_unreadable", "buses"] == 0
    assert ("wattwarden_spool_depth_records",) not in told
    assert told["wattwarden_bus_meters", "b1"] == 2


async def test_openmetrics_is_given_to_those_who_ask_for_it():
    async with Station().client({"Accept": "application/openmetrics-text"}) as client:
        response = await client.get("http://localhost/metrics")
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


async def test_the_field_and_the_stores_are_never_asked_on_the_event_loop():
    threads = []

    def alive():
        threads.append(threading.current_thread())
        return True

    station = Station()
    station.change(field_alive=alive)
    await ready(station)
    await metrics(station)
    assert len(threads) == 2
    assert threading.current_thread() not in threads
