"""The whole chain on a small simulated site: read, stored, judged, cut, proven, remembered."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from app.api_deps import api_deps
from app.http_server import HttpServer
from app.replaying import replay_history
from app.settings import Settings
from app.simulated import SimulatedCampus
from app.station import Station
from app.stores import Stores, open_stores
from bench.influxd import running_influxd
from collector.catalogue import load_profiles
from domain.causes import CauseKind
from domain.clock import SystemClock
from domain.commands import Action, ReceiptStatus
from domain.policy import ControlPolicy, GroupPolicy, Policy, RestorePolicy
from domain.site import Bus, Meter, RoomKind, Site
from simulator.demo_site import with_ports

PATIENCE_S = 30.0
PROFILES = ("acrel-ddsy1352", "acrel-ddsy1352", "hiking-dds238", "eastron-sdm120")


def small_site() -> tuple[Site, Policy]:
    meters = tuple(
        Meter(
            name=f"A-{number}", bus="b1", unit_id=number, profile=profile, building="A",
            room=str(number), kind=RoomKind.DORM, rated_current_a=60,
        )
        for number, profile in enumerate(PROFILES, start=1)
    )  # fmt: skip
    bus = Bus(name="b1", link="rtu-over-tcp", host="127.0.0.1", tcp_port=502)
    policy = Policy(
        groups={"dorm": GroupPolicy(restore=RestorePolicy(delay_s=3600))},
        control=ControlPolicy(polarity_verified=("acrel-ddsy1352", "hiking-dds238")),
    )
    return Site(name="small", time_zone="Asia/Shanghai", buses=(bus,), meters=meters), policy


@pytest.fixture(scope="module")
def campus() -> Iterator[SimulatedCampus]:
    site, _ = small_site()
    config = {
        "site": site.model_dump(mode="json"), "scenario": "constant", "stop_with_parent": True,
    }  # fmt: skip
    with SimulatedCampus(config) as running:
        yield running


@contextmanager
def station_on(
    campus: SimulatedCampus, folder: Path, **more: object
) -> Iterator[tuple[Station, Stores]]:
    site, policy = small_site()
    site = with_ports(site, {name: int(bus["port"]) for name, bus in campus.buses.items()})
    settings = Settings.model_validate({"data_dir": folder, "slow_every_s": 1, **more})
    stores = open_stores(settings)
    try:
        stores.ledger.save_site(site, policy, "test")
        stores.series.describe(site.meters)
        station = Station(site, policy, settings, load_profiles(), stores, SystemClock())
        station.start()
        try:
            yield station, stores
        finally:
            station.stop()
    finally:
        stores.close()


def eventually(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.05)


def test_a_heater_is_seen_cut_proven_stored_and_remembered(
    campus: SimulatedCampus, tmp_path: Path
) -> None:
    begun = datetime.now(UTC)
    with station_on(campus, tmp_path) as (station, stores):
        seen = station.latest
        eventually(lambda: seen.value("A-1", "relay_closed") is not None, "a first full reading")
        eventually(lambda: station.counters.sweeps >= 8, "a few sweeps before the step")
        campus.post("/loads", {"meter": "A-1", "appliance": "heater", "for_s": 600})
        eventually(lambda: stores.ledger.causes(open_only=True, meter="A-1"), "a cause")
        eventually(
            lambda: any(receipt for _, receipt in stores.ledger.commands(meter="A-1")), "a receipt"
        )
        ((command, receipt),) = stores.ledger.commands(meter="A-1")
        (cause,) = stores.ledger.causes(meter="A-1")
        assert receipt is not None
        assert (receipt.status, receipt.relay_closed) == (ReceiptStatus.CONFIRMED, False)
        assert command.cause_id == cause.id
        assert cause.evidence is not None
        assert cause.evidence.samples
        assert cause.evidence.matched["step_w"] == pytest.approx(1500, rel=0.15)
        assert campus.get("/state/A-1")["relay_closed"] is False
        assert not stores.ledger.causes(meter="A-2")
    with station_on(campus, tmp_path) as (station, stores):
        acknowledged = stores.series.window(begun, datetime.now(UTC) + timedelta(seconds=1)).height
        assert acknowledged > 0
        assert stores.stream.stats().depth <= len(station.runners) * 4
        (still,) = stores.ledger.causes(open_only=True, meter="A-1")
        assert still.id == cause.id
        # Neither the restart nor a paid debt closes a safety trip; a person does.
        eventually(lambda: station.counters.sweeps >= 3, "sweeps after the restart")
        assert campus.get("/state/A-1")["relay_closed"] is False
        found = replay_history(
            stores.series, station.site, station.policy, begun, datetime.now(UTC), lambda _: None
        )
        assert [v.meter for v in found.verdicts if v.kind is CauseKind.MALIGNANT] == ["A-1"]


def test_what_is_acknowledged_is_stored_once(campus: SimulatedCampus, tmp_path: Path) -> None:
    begun = datetime.now(UTC)
    with station_on(campus, tmp_path) as (station, stores):
        eventually(lambda: station.counters.sweeps >= 10, "ten sweeps")
        station.stop()
        frame = stores.series.window(begun, datetime.now(UTC) + timedelta(seconds=1))
        assert stores.stream.stats().depth == 0
        assert frame.height == station.counters.readings_acknowledged
        assert frame.unique(["meter", "time"]).height == frame.height


@pytest.mark.external
def test_the_same_chain_stores_into_influxdb(campus: SimulatedCampus, tmp_path: Path) -> None:
    begun = datetime.now(UTC)
    with running_influxd(tmp_path / "influx") as url:
        if url is None:
            if os.environ.get("CI") == "true":
                pytest.fail("influxd is missing: apt-get install influxdb")
            pytest.skip("influxd is not installed (Debian: influxdb)")
        httpx.post(f"{url}/query", params={"q": "CREATE DATABASE campus"}).raise_for_status()
        influx = {"series": "influx", "influx_url": url, "influx_database": "campus"}
        with station_on(campus, tmp_path / "var", **influx) as (station, stores):
            eventually(lambda: station.counters.sweeps >= 10, "ten sweeps")
            station.stop()
            frame = stores.series.window(begun, datetime.now(UTC) + timedelta(seconds=1))
            assert frame.height == station.counters.readings_acknowledged > 0
            assert set(frame["meter"]) == {"A-1", "A-2", "A-3", "A-4"}
            assert stores.stream.stats().depth == 0


def test_an_operator_trips_and_closes_through_the_api(
    campus: SimulatedCampus, tmp_path: Path
) -> None:
    with station_on(campus, tmp_path) as (station, _):
        server = HttpServer("127.0.0.1", 0)
        server.start(create_app(api_deps(station, demo=True)))
        try:
            eventually(lambda: station.latest.value("A-3", "relay_closed"), "the relay of A-3")
            for action, closed in ((Action.TRIP, False), (Action.CLOSE, True)):
                answer = httpx.post(
                    f"{server.url}/api/v1/commands",
                    json={
                        "meter": "A-3",
                        "action": action.value,
                        "reason": "test",
                        "requested_by": "op",
                    },
                    headers={"Idempotency-Key": f"order-{action.value}"},
                    timeout=PATIENCE_S,
                )
                assert answer.status_code in (200, 201)
                assert answer.json()["receipt"]["status"] == "confirmed"
                assert campus.get("/state/A-3")["relay_closed"] is closed
            assert httpx.get(f"{server.url}/readyz").status_code == 200
            assert "wattwarden" in httpx.get(f"{server.url}/metrics").text
        finally:
            server.stop()
