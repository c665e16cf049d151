"""Balances over HTTP a second: with who may ask checked, beside an endpoint that always says the
same and beside the usual one with a database session a request; one worker each, same machine."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from app.demo.summary import quantile
from bench.api_load import Load, drive, request_bytes
from bench.report import Line, Report

CONNECTIONS = 32
LEAST_RATIO = 0.8
WARM_UP_S = 1.0
POSTED_A_SECOND = 100
CONSTANT, USUAL = "an endpoint that always says the same", "a session and a row a request"
COOKIE, BEARER, STATION = (
    "balance, occupant's session cookie",
    "balance, occupant's access token",
    "balance, the station's token",
)
BUSY = f"balance, session cookie, while {POSTED_A_SECOND} entries/s are booked"


@dataclass(slots=True)
class Server:
    """A server in its own process: what it told when it was ready."""

    process: "subprocess.Popen[str]"
    told: dict[str, Any]

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.told["port"])

    def cpu_s(self) -> float:
        """Return the processor time it has used, seconds; 0 where that can't be told."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        if self.process.stdin is not None:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()


@dataclass(slots=True)
class Runs:
    """The rounds of one kind of question."""

    rates: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    answers: int = 0
    wrong: int = 0

    @property
    def cpu_us(self) -> float:
        """The server's processor time a request, microseconds."""
        return self.cpu_s / max(1, self.answers) * 1e6

    @property
    def rate(self) -> float:
        """The median of the rounds, requests a second."""
        return median(self.rates)


def run(*, data: Path | None = None, quick: bool = False) -> Report:
    """Ask each server in turn, several rounds, and compare the medians. `data` is not used."""
    del data
    rounds, seconds = (3, 1.5) if quick else (7, 4.0)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wattwarden-api-")))
        servers = {
            kind: stack.enter_context(running(kind, folder))
            for kind in ("constant", "usual", "ours")
        }
        return _report(measure(servers, rounds, seconds))


@contextmanager
def running(kind: str, folder: Path) -> Iterator[Server]:
    """Run one of the servers until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.api_servers", kind, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"the server {kind!r} did not start")
        yield Server(process, json.loads(line))
    finally:
        process.kill()
        process.wait()


def measure(servers: dict[str, Server], rounds: int, seconds: float) -> dict[str, Runs]:
    """Ask every server in every round, so that a slow minute of the machine slows them alike."""
    ours = servers["ours"]
    asks = ours.told["asks"]
    token = f"Bearer {ours.told['token']}"
    questions = {
        CONSTANT: (servers["constant"], [request_bytes("/balance")]),
        USUAL: (
            servers["usual"],
            [request_bytes(ask["path"].removeprefix("/api/v1")) for ask in asks],
        ),
        COOKIE: (ours, [request_bytes(a["path"], [("Cookie", a["cookie"])]) for a in asks]),
        BEARER: (ours, [request_bytes(a["path"], [("Authorization", a["bearer"])]) for a in asks]),
        STATION: (ours, [request_bytes(a["path"], [("Authorization", token)]) for a in asks]),
        BUSY: (ours, [request_bytes(a["path"], [("Cookie", a["cookie"])]) for a in asks]),
    }
    runs = {name: Runs() for name in questions}
    for server, requests in questions.values():
        asyncio.run(drive(server.port, requests, CONNECTIONS, WARM_UP_S))
    for _ in range(rounds):
        for name, (server, requests) in questions.items():
            if name == BUSY:
                server.say(str(POSTED_A_SECOND))
            before_s = server.cpu_s()
            load = asyncio.run(drive(server.port, requests, CONNECTIONS, seconds))
            runs[name].cpu_s += server.cpu_s() - before_s
            runs[name].answers += sum(load.statuses.values())
            if name == BUSY:
                server.say("0")
            runs[name].rates.append(load.requests_s)
            runs[name].latencies_s += load.latencies_s
            # What is booked meanwhile only ever adds.
            runs[name].wrong += _wrong(load, asks if server is ours else ())
    return runs


def _wrong(load: Load, asks: Sequence[dict[str, Any]]) -> int:
    """Count answers that are no answers, or not the balance of the room that was asked for."""
    wrong = sum(count for status, count in load.statuses.items() if status != 200)
    for number, body in load.bodies if asks else ():
        told, ask = json.loads(body), asks[number]
        is_right = told["account"] in ask["path"].split("/")
        grown_micro = told["balance_micro"] - ask["balance_micro"]
        wrong += not (is_right and 0 <= grown_micro < 1_000_000)
    return wrong


def _report(runs: dict[str, Runs]) -> Report:
    report = Report("api")
    base = runs[CONSTANT].rate
    for name, one in runs.items():
        p99_s = quantile(sorted(one.latencies_s), 0.99)
        shown = f"{one.cpu_us:.0f} µs of the server's processor"
        shown += "" if p99_s is None else f", p99 {p99_s * 1000:.1f} ms"
        report.lines.append(Line(name, f"{one.rate:,.0f}/s", shown, "", f"{one.rate / base:.2f}"))
    for name in (COOKIE, BEARER):
        report.bar(f"{name}, against the constant endpoint", runs[name].rate / base, LEAST_RATIO,
                   "x", at_most=False)  # fmt: skip
    wrong = sum(one.wrong for one in runs.values())
    report.bar("answers that were wrong", wrong, 0, "answers", at_most=True)
    report.figures = {
        name: {
            "requests_s": [round(rate, 1) for rate in one.rates],
            "median_requests_s": round(one.rate, 1),
            "server_cpu_us_a_request": round(one.cpu_us, 1),
            "ratio_to_constant": round(one.rate / base, 3),
            "wrong": one.wrong,
        }
        for name, one in runs.items()
    }
    return report
