"""Killed again and again while it sends: no message is lost, and few arrive twice."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from message_sender import Hook
from message_servers import HttpServer
from message_station import Station

from alerts.settings import MessageSettings

HERE = Path(__file__).parent
KILLS = 4
BEFORE_KILL = 12


def run_and_kill(folder: Path, host: str, name: str) -> list[str]:
    """Run the sender until it has told of some topics, kill it, return those it told of."""
    command = [
        sys.executable,
        str(HERE / "message_sender.py"),
        str(folder / "ledger.db"),
        host,
        name,
    ]
    where = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=where) as child:
        assert child.stdout is not None
        told = [child.stdout.readline().strip() for _ in range(BEFORE_KILL)]
        child.send_signal(signal.SIGKILL)
        told += [line.strip() for line in child.stdout if line.endswith("\n")]
    return told


def test_no_message_is_lost_by_a_kill_and_only_those_in_flight_come_twice(tmp_path: Path) -> None:
    with HttpServer(lambda _: (200, {})) as web:
        told = [topic for n in range(KILLS) for topic in run_and_kill(tmp_path, web.host, f"r{n}")]
        station = Station(
            tmp_path, Hook(web.host), per_minute=100_000, per_person_a_day=1000,
            quiet={"start": "00:00", "end": "00:00"},
        )  # fmt: skip
        # The sender lived by the machine's clock; what it left is due by then.
        station.clock.jump(station.outbox.messages(limit=1)[0].created_at)
        while any(station.send()):
            pass
        station.stop()
    arrived = Counter(request.path.strip("/") for request in web.got)
    keys = {(request.path, request.headers["idempotency-key"]) for request in web.got}
    assert set(told) <= set(arrived)
    assert len(keys) == len(arrived)  # the second time it comes under the same key
    twice = sum(count - 1 for count in arrived.values())
    assert twice <= KILLS * MessageSettings().at_once  # those on their way at a kill
