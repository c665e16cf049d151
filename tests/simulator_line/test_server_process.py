"""The simulator as a process: its ready line, its ends, and what it says to a bad configuration."""

import json
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyModbusTCP.client import ModbusClient

from domain.site import Bus, Meter, RoomKind, Site

Launch = Callable[[dict[str, Any]], "subprocess.Popen[str]"]


def config(**more: object) -> dict[str, Any]:
    meters = tuple(
        Meter(
            name=f"room-{unit}", bus="bus-1", unit_id=unit, profile="hiking-dds238",
            building="B1", room=str(unit), kind=RoomKind.DORM, rated_current_a=40,
        )
        for unit in (1, 2)
    )  # fmt: skip
    site = Site(
        name="test",
        time_zone="Asia/Shanghai",
        buses=(Bus(name="bus-1", link="tcp"), Bus(name="bus-2", link="serial")),
        meters=meters,
    )
    return {"site": site.model_dump(mode="json"), "seed": 5, "paced": False, **more}


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    started: list[subprocess.Popen[str]] = []

    def start(content: dict[str, Any]) -> "subprocess.Popen[str]":
        path = tmp_path / "campus.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", "--config", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ready(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 30)[0], "no ready line within 30 s"
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    told: dict[str, Any] = json.loads(line)
    return told


@pytest.mark.parametrize("scenario", ["campus", "constant"])
def test_a_campus_is_served_until_it_is_told_to_end(launch: Launch, scenario: str) -> None:
    process = launch(config(scenario=scenario))
    told = ready(process)
    assert told["pid"] == process.pid
    assert set(told["buses"]) == {"bus-1", "bus-2"}
    assert told["buses"]["bus-2"]["pty"].startswith("/dev/")
    bus = told["buses"]["bus-1"]
    client = ModbusClient(host=bus["host"], port=bus["port"], unit_id=2, timeout=5)
    registers = client.read_holding_registers(0x0C, 3)
    client.close()
    assert registers is not None
    assert 2000 < registers[0] < 2500
    counters = httpx.get(told["control"] + "/counters", timeout=5).json()
    assert counters["meters"]["room-2"]["requests"] == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_campus_ends_with_its_parents_pipe(launch: Launch) -> None:
    process = launch(config(scenario="constant", stop_with_parent=True))
    ready(process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdin = None


def test_a_bad_configuration_lists_every_fault(launch: Launch) -> None:
    content = config(seed="five", colour="red")
    content["site"]["meters"][0]["unit_id"] = 0
    process = launch(content)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert len(said.splitlines()) == 3
    for key in ("seed", "colour", "site.meters.0.unit_id"):
        assert key in said


def test_a_fault_of_the_configuration_about_nobody_is_refused(launch: Launch) -> None:
    process = launch(config(faults=[{"kind": "dead", "meter": "room-77"}]))
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "room-77" in said
