"""A throw-away influxd on free loopback ports, for figures side by side with InfluxDB."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

START_WITHIN_S = 20.0
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
[monitor]
  store-enabled = false
"""


@contextmanager
def running_influxd(folder: Path) -> Iterator[str | None]:
    """Start influxd with its data in `folder` and give its address; None where it is missing.

    Raises RuntimeError with the end of its log when it does not answer in time.
    """
    program = shutil.which("influxd")
    if program is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    config = folder / "influxdb.conf"
    config.write_text(_CONFIG.format(folder=folder, http=port, rpc=_free_port()))
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-config", config], stdout=log, stderr=log)
    try:
        _wait(url, folder / "log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/ping", trust_env=False).status_code == 204:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError(f"influxd does not answer: {log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
