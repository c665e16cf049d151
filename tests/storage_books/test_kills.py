"""A thousand writers killed in the middle of recharges; kills between a commit and its answer."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from entries import recharge
from kill_runner import AMOUNT
from verify import faults_of_books

from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

HERE = Path(__file__).parent
KILLS, RUNNERS = 1_000, 2


def start(file: Path, kills: int, seed: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, HERE / "kill_runner.py", file, str(kills), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent.parent}"},
    )


@pytest.mark.slow
def test_fault_25_a_thousand_kills_lose_nothing_acknowledged_and_double_nothing(tmp_path):
    files = [tmp_path / f"ledger{n}.db" for n in range(RUNNERS)]
    runners = [start(file, KILLS // RUNNERS, seed) for seed, file in enumerate(files)]
    lives = [json.loads(runner.communicate(timeout=300)[0]) for runner in runners]
    assert sum(map(len, lives)) == KILLS
    for file, lived in zip(files, lives, strict=True):
        acknowledged = {f"recharge:{order}" for life in lived for order in life}
        ledger = SqlLedger(f"sqlite:///{file}")
        books = SqlBooks(ledger)
        found = [posted.entry.id for posted in books.entries(limit=100_000)]
        balances = books.balances()
        faults = faults_of_books(books)
        ledger.close()
        assert len(acknowledged) > 100
        assert acknowledged <= set(found)
        assert max(Counter(found).values()) == 1
        assert balances["clearing:wechat"] == -AMOUNT * len(found)
        assert sum(balances.values()) == 0
        # Some kills fell between the commit and the answer, or the test would prove little.
        assert set(found) - acknowledged
        assert faults == []


CHILD = """
import os, signal, sys
from entries import recharge
from kill_runner import open_books
from domain.books import BookAccount
books = open_books(sys.argv[1])
books.open(BookAccount("room:a", floor=0), BookAccount("clearing:wechat")).result(30)
# Subscribers hear after the commit and before any caller is answered.
books.subscribe(lambda _: os.kill(os.getpid(), signal.SIGKILL))
future = books.post(recharge("order-1", 5_000))
future.add_done_callback(lambda _: print("answered", flush=True))
future.result(30)
"""


def test_fault_25_a_retry_after_a_kill_between_commit_and_answer_gives_one_credit(tmp_path):
    file = tmp_path / "ledger.db"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, file],
        env=os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent.parent}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (child.returncode, child.stdout) == (-signal.SIGKILL, "")
    ledger = SqlLedger(f"sqlite:///{file}")
    books = SqlBooks(ledger)
    retried = books.post(recharge("order-1", 5_000)).result(10)
    assert retried.repeated
    assert books.balance("room:a") == 5_000
    ledger.close()
