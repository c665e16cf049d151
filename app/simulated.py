"""Starts the virtual campus in a process of its own and talks to its control API."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from domain.errors import WattwardenError

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0


class SimulatedCampus:
    """A simulator process: its buses' addresses, its control API, and its end.

    Use as a context manager; raises WattwardenError when the process does not come up.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="wattwarden-campus-")
        path = Path(self._folder.name) / "campus.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        self._log = (Path(self._folder.name) / "campus.log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulator", "--config", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        ready = self._await_ready()
        self.buses: dict[str, dict[str, Any]] = ready["buses"]
        self.pid = self._process.pid
        self._http = httpx.Client(base_url=ready["control"], timeout=10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def get(self, path: str) -> Any:
        """Fetch JSON from the control API."""
        answer = self._http.get(path)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON to the control API."""
        answer = self._http.post(path, json=dict(body))
        answer.raise_for_status()
        return answer.json()

    def stop(self) -> None:
        """End the process and remove its folder."""
        self._http.close()
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream:
                stream.close()
        self._folder.cleanup()

    def _await_ready(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101  opened as a pipe above
        timer = threading.Timer(READY_WITHIN_S, self._process.kill)
        timer.start()
        line = stdout.readline()
        timer.cancel()
        try:
            ready: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError as error:
            self._process.kill()
            self._process.wait()
            self._log.seek(0)
            raise WattwardenError(
                f"the simulator did not start: {self._log.read()[-2000:]}"
            ) from error
        return ready
