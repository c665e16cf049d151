"""Stores for the tests: a DuckDB file, and a real influxd on free loopback ports."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import httpx
import polars as pl
import pytest

from domain.frame import sweep_frame
from domain.ports import TimeSeries
from domain.site import Meter, RoomKind
from storage.duckdb_series import DuckDbSeries
from storage.influx_series import InfluxSeries
from storage.influx_settings import InfluxSettings

T0 = datetime(2026, 3, 2, 8, 0, 0, tzinfo=UTC)

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
  {more}
[monitor]
  store-enabled = false
"""


def at(seconds: float) -> datetime:
    """Return a moment that many seconds after 2026-03-02 08:00 UTC."""
    return T0 + timedelta(seconds=seconds)


def a_meter(name: str, building: str = "North 1", room: str = "101") -> Meter:
    return Meter(
        name=name, bus="bus-1", unit_id=1, profile="acrel-ddsy1352", building=building,
        room=room, kind=RoomKind.DORM, rated_current_a=20,
    )  # fmt: skip


def samples(*rows: tuple[float, str, float | None]) -> pl.DataFrame:
    """Build good samples from (seconds, meter, power_w)."""
    return sweep_frame(
        [{"time": at(s), "meter": m, "power_w": p, "quality": "good"} for s, m, p in rows]
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Influxd:
    """A running influxd; `stop` and `start` keep its data and its address."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, more: str = "") -> None:
        """Start it; `more` is added to the [http] section."""
        config = self.folder / "influxdb.conf"
        config.write_text(
            _CONFIG.format(folder=self.folder, http=self.port, rpc=free_port(), more=more)
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["influxd", "-config", config], stdout=log, stderr=log)
        deadline = monotonic() + 20
        while monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/ping", trust_env=False).status_code in (204, 401):
                    return
            except httpx.TransportError:
                sleep(0.05)
        self.stop()
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def start_influxd(folder: Path) -> Influxd:
    """Start influxd, or skip the test where it is missing (in CI: fail)."""
    if shutil.which("influxd") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("influxd is missing; CI must install it (Debian's influxdb)")
        pytest.skip("influxd is not installed (Debian's influxdb)")
    server = Influxd(folder, free_port())
    server.start()
    return server


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    server = start_influxd(tmp_path_factory.mktemp("influxd"))
    yield server
    server.stop()


@pytest.fixture
def duckdb_series(tmp_path: Path) -> Iterator[DuckDbSeries]:
    store = DuckDbSeries(tmp_path / "series.duckdb")
    yield store
    store.close()


_databases = count(1)


@pytest.fixture
def influx_settings(influxd: Influxd) -> InfluxSettings:
    return InfluxSettings(url=influxd.url, database=f"test {next(_databases)}", site="campus")


@pytest.fixture
def influx_series(influx_settings: InfluxSettings) -> Iterator[InfluxSeries]:
    store = InfluxSeries(influx_settings)
    yield store
    store.close()


@pytest.fixture(params=["duckdb", pytest.param("influx", marks=pytest.mark.external)])
def series(request: pytest.FixtureRequest) -> TimeSeries:
    """Each adapter of the TimeSeries port in turn, empty."""
    store: TimeSeries = request.getfixturevalue(f"{request.param}_series")
    return store
