"""Durable postings a second and their latency: many callers behind one writer, beside the naive
way and beside a PostgreSQL server with sixteen clients on the same machine."""

import asyncio
import os
import random
import re
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np

from bench.postgres import PostgresServer, running_postgres
from bench.report import Line, Report
from domain.books import BookAccount, Entry, EntryKind, Leg, clearing_book, room_book
from domain.clock import SystemClock
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

CALLERS = (64, 256)
ROOMS = 1_000
CLIENTS = 16
LEAST_RATIO = 2.5
P99_MOST_MS = 25.0
WARM_UP_S = 0.5
CLOCK = SystemClock()
CHANNEL = clearing_book("wechat")

# What a usual service does for one movement: an entry, two legs, two balances, one commit. The
# two accounts are drawn at random, so that no lock is shared: the server's best case.
_TABLES = """
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE entry (number bigserial PRIMARY KEY, time timestamptz NOT NULL, kind text NOT NULL,
  actor text NOT NULL, details json NOT NULL);
CREATE TABLE leg (number bigint NOT NULL REFERENCES entry, account int NOT NULL REFERENCES account,
  amount bigint NOT NULL, PRIMARY KEY (number, account));
INSERT INTO account SELECT n, 0 FROM generate_series(1, 1000) n;
VACUUM ANALYZE;
"""
_MOVEMENT = """
\\set room random(1, 500)
\\set other random(501, 1000)
\\set amount random(1, 10000)
\\set less -:amount
BEGIN;
INSERT INTO entry (time, kind, actor, details) VALUES (now(), 'recharge', 'bench',
  '{"channel":"wechat"}') RETURNING number \\gset
INSERT INTO leg VALUES (:number, :room, :amount), (:number, :other, :less);
UPDATE account SET balance = balance + :amount WHERE id = :room;
UPDATE account SET balance = balance + :less WHERE id = :other;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Entries a second, and how long a caller waited for its own."""

    rate: float
    p50_ms: float
    p99_ms: float


def run(*, data: Path | None = None, quick: bool = False) -> Report:
    """Measure durable entries/s in turns with the peers, so that noise hits all alike."""
    del data  # what the rooms draw makes no difference here
    report = Report("ledger")
    seconds, turns = (2.0, 2) if quick else (5.0, 3)
    with (
        tempfile.TemporaryDirectory(prefix="wattwarden-bench-") as name,
        running_postgres() as server,
    ):
        folder = Path(name)
        if server:
            _prepare(server, folder)
        ours: dict[int, list[Figures]] = {callers: [] for callers in CALLERS}
        peers, naive = [], []
        syncs = _syncs_a_second(folder)
        for turn in range(turns):
            naive.append(_closed_loop(f"sqlite:///{folder}/naive{turn}.db", 1, seconds))
            for callers in CALLERS:
                url = f"sqlite:///{folder}/ledger{turn}-{callers}.db"
                ours[callers].append(_closed_loop(url, callers, seconds))
            if server:
                peers.append(_pgbench(server, folder, seconds))
        over = (
            _closed_loop(server.create_database("books"), CALLERS[-1], seconds) if server else None
        )
    _tell(report, ours, peers, naive, over, syncs)
    return report


def _tell(
    report: Report,
    ours: dict[int, list[Figures]],
    peers: list[Figures],
    naive: list[Figures],
    over: Figures | None,
    syncs: float,
) -> None:
    alone, peer = _middle(naive), _middle(peers) if peers else None
    for callers, found in ours.items():
        mine = _middle(found)
        ratio = mine.rate / peer.rate if peer else None
        report.lines.append(
            Line(
                f"durable entries/s, {callers} callers",
                f"{mine.rate:.0f} (p50 {mine.p50_ms:.1f} ms, p99 {mine.p99_ms:.1f} ms)",
                f"pgbench {CLIENTS} clients {peer.rate:.0f} (p99 {peer.p99_ms:.1f} ms)"
                if peer
                else "no PostgreSQL here",
                f"{syncs:.0f} syncs/s: {mine.rate / syncs:.1f} entries a sync",
                f"{ratio:.2f}x" if ratio else "not measured",
            )
        )
        if ratio:
            name = f"entries/s over pgbench {CLIENTS} clients, {callers} callers"
            report.bar(name, ratio, LEAST_RATIO, "x", at_most=False)
        report.bar(f"p99, {callers} callers", mine.p99_ms, P99_MOST_MS, "ms", at_most=True)
        report.figures[f"callers_{callers}"] = _as_dict(mine) | {"ratio": ratio}
    report.lines.append(
        Line(
            "one transaction each, one caller",
            f"{alone.rate:.0f} (p99 {alone.p99_ms:.1f} ms)",
            "",
            f"{syncs:.0f} syncs/s",
            f"{alone.rate / syncs:.2f} of the limit",
        )
    )
    report.figures |= {"naive": _as_dict(alone), "syncs_s": syncs}
    if peer:
        report.figures["pgbench"] = _as_dict(peer)
    if over:
        text = f"{over.rate:.0f} (p50 {over.p50_ms:.1f} ms, p99 {over.p99_ms:.1f} ms)"
        report.lines.append(Line(f"the same on PostgreSQL, {CALLERS[-1]} callers", text))
        report.figures["on_postgresql"] = _as_dict(over)


def _closed_loop(url: str, callers: int, seconds: float) -> Figures:
    """So many callers, each of which posts its next entry once the last one is durable."""
    ledger = SqlLedger(url)
    books = SqlBooks(ledger)
    rooms = [room_book(f"b1-{number}") for number in range(ROOMS)]
    books.open(BookAccount(CHANNEL), *(BookAccount(room, floor=0) for room in rooms)).result(60)
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            return runner.run(_callers(books, rooms, callers, seconds))
    finally:
        ledger.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    """The loop the station's own server runs on."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _callers(books: SqlBooks, rooms: list[str], callers: int, seconds: float) -> Figures:
    waited_s: list[float] = []
    begun = time.perf_counter() + WARM_UP_S
    end = begun + seconds

    async def caller(number: int) -> None:
        chance, turn = random.Random(number), 0
        while (at := time.perf_counter()) < end:
            turn += 1
            entry = _recharge(f"recharge:{number}-{turn}", CLOCK.now(), chance, rooms)
            await books.posted(entry)
            if at >= begun:
                waited_s.append(time.perf_counter() - at)

    await asyncio.gather(*(caller(number) for number in range(callers)))
    return _figures(waited_s, time.perf_counter() - begun)


def _recharge(name: str, at: datetime, chance: random.Random, rooms: list[str]) -> Entry:
    amount = chance.randrange(1, 10_000) * 10_000
    legs = (Leg(chance.choice(rooms), amount), Leg(CHANNEL, -amount))
    details = {"channel": "wechat", "order": name, "amount_minor": amount // 10_000}
    return Entry(name, at, EntryKind.RECHARGE, legs, "bench", reference=name, details=details)


def _prepare(server: PostgresServer, folder: Path) -> None:
    for statement in _TABLES.split(";"):
        if statement.strip():
            server.sql(statement)
    (folder / "movement.sql").write_text(_MOVEMENT)


def _pgbench(server: PostgresServer, folder: Path, seconds: float) -> Figures:
    """The movement by PostgreSQL's own load generator: prepared statements, sixteen clients."""
    logs = folder / "pgbench"
    logs.mkdir(exist_ok=True)
    for old in logs.iterdir():
        old.unlink()
    printed = server.client(
        "pgbench", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", str(os.cpu_count() or 1),
        "-T", f"{seconds:.0f}", "-l", "--log-prefix", str(logs / "log"),
        "-f", str(folder / "movement.sql"),
    )  # fmt: skip
    found = re.search(r"tps = ([0-9.]+)", printed)
    if found is None:
        raise RuntimeError(f"pgbench said: {printed}")
    waited = [
        float(line.split()[2]) / 1e6
        for log in logs.iterdir()
        for line in log.read_text().splitlines()
    ]
    return _figures(waited, len(waited) / float(found[1]))


def _syncs_a_second(folder: Path) -> float:
    """The limit of one transaction each: how often this disk syncs a page of a file, a second."""
    with (folder / "syncs").open("wb", buffering=0) as file:
        page = bytes(4096)
        taken = []
        for _ in range(300):
            begun = time.perf_counter()
            file.write(page)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return 1 / median(taken)


def _figures(waited_s: list[float], seconds: float) -> Figures:
    p50, p99 = np.percentile(np.array(waited_s) * 1000, [50, 99])
    return Figures(len(waited_s) / seconds, float(p50), float(p99))


def _middle(found: list[Figures]) -> Figures:
    return sorted(found, key=lambda one: one.rate)[len(found) // 2]


def _as_dict(figures: Figures) -> dict[str, float]:
    return {"entries_s": figures.rate, "p50_ms": figures.p50_ms, "p99_ms": figures.p99_ms}
