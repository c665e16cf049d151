"""`wattwarden report`, beside a station that has the ledger open."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_month import at, book_accounts, campus, entry
from typer.testing import CliRunner, Result

from app.cli import app
from domain.books import EntryKind
from domain.clock import LeapClock
from domain.errors import InvalidInput, StoreUnavailable, UnknownSubject
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

SITE = """
[site]
name = "example"
title = "示例大学"
time_zone = "Asia/Shanghai"
roster = "roster.csv"
[[bus]]
name = "b1"
link = "tcp"
host = "127.0.0.1"
"""
ROSTER = (
    "bus,unit_id,profile,building,floor,room,kind,phases,rated_current_a\n"
    "b1,1,acrel-ddsy1352,B1,1,101,dorm,1,60\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A site whose station runs: its ledger is open and locked, with a recharge of November."""
    (tmp_path / "site.toml").write_text(SITE)
    (tmp_path / "roster.csv").write_text(ROSTER)
    (tmp_path / "var").mkdir()
    monkeypatch.chdir(tmp_path)
    clock = LeapClock(at("11-05 10:00"))
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'var' / 'ledger.db'}", clock=clock)
    books = SqlBooks(ledger, clock=clock)
    books.open(*book_accounts(campus())).result(30)
    legs = {"room:b1-101": 50_000_000, "clearing:wechat": -50_000_000}
    books.post(entry("recharge:1", EntryKind.RECHARGE, clock.now(), legs)).result(30)
    yield tmp_path
    ledger.close()


def run(*words: str) -> Result:
    """Run the command; what it raises comes through."""
    return CliRunner().invoke(app, ["report", *words], catch_exceptions=False)


def test_a_table_is_printed(folder: Path) -> None:
    shown = run("recharges", "--month", "2026-11", "--lang", "en").output
    assert "Recharges by channel" in shown
    assert "50.00" in shown


@pytest.mark.parametrize(
    ("kind", "begins"), [("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK"), ("pdf", b"%PDF")]
)
def test_a_file_is_named_after_the_report_and_its_days(
    kind: str, begins: bytes, folder: Path
) -> None:
    shown = run("recharges", "--from", "2026-11-01", "--to", "2026-11-08", "--format", kind).output
    assert shown == f"recharges-2026-11-01-2026-11-07.{kind}\n"
    file = folder / shown.strip()
    assert file.read_bytes().startswith(begins)


def test_a_file_goes_where_it_is_told(folder: Path) -> None:
    run("shifts", "--day", "2026-11-05", "--format", "csv", "--out", "x.csv", "--lang", "en")
    assert (folder / "x.csv").read_text("utf-8-sig").startswith("Shift,Cashier,Opened,Closed")


def test_reviews_are_read_too(folder: Path) -> None:
    assert (
        "Energy held for review" in run("exceptions", "--month", "2026-11", "--lang", "en").output
    )


def test_the_list_names_every_report(folder: Path) -> None:
    shown = run("--lang", "en").output
    assert "trial-balance" in shown
    assert "Arrears" in shown


@pytest.mark.parametrize(
    ("words", "error", "fault"),
    [
        (("profit", "--month", "2026-11"), UnknownSubject, "no report 'profit'"),
        (("recharges",), InvalidInput, "name one of: a day, a month, or both from and to"),
        (("recharges", "--day", "yesterday"), InvalidInput, "--day: must be a day such as"),
        (
            ("recharges", "--day", "2026-11-05", "--ledger", "none.db"),
            StoreUnavailable,
            "no ledger",
        ),
    ],
)
def test_what_can_t_be_done_is_told(
    words: tuple[str, ...], error: type[Exception], fault: str, folder: Path
) -> None:
    with pytest.raises(error, match=fault):
        run(*words)
