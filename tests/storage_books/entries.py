"""Short ways to write entries, and to break the tables as an outsider would."""

import sqlite3
from datetime import UTC, datetime

import psycopg

from domain.books import Entry, EntryKind, Leg, Posted
from storage.ledger.sql_ledger import SqlLedger

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def entry(name: str, *legs: tuple[str, int], kind: EntryKind = EntryKind.RECHARGE, **more) -> Entry:
    fields = {"time": NOON, "actor": "wechat", **more}
    return Entry(id=name, kind=kind, legs=tuple(Leg(*leg) for leg in legs), **fields)


def recharge(name: str, amount: int = 100, room: str = "room:a", **more) -> Entry:
    return entry(name, (room, amount), ("clearing:wechat", -amount), **more)


def charge(name: str, amount: int, room: str = "room:a") -> Entry:
    return entry(name, (room, -amount), ("revenue:energy", amount), kind=EntryKind.CHARGE)


def numbers(found: list[Posted]) -> list[int]:
    return [posted.number for posted in found]


class Outsider:
    """Somebody with the database's own client and all rights."""

    def __init__(self, ledger: SqlLedger) -> None:
        url = ledger.database.writing.url
        if ledger.database.writing.dialect.name == "sqlite":
            self.connection = sqlite3.connect(ledger.database.file, isolation_level=None)
            self.connection.execute("PRAGMA foreign_keys = ON")
            self.errors = sqlite3.Error
        else:
            text = url.render_as_string(hide_password=False).replace("+psycopg", "")
            self.connection = psycopg.connect(text, autocommit=True)
            self.errors = psycopg.Error

    def run(self, *statements: str) -> list[tuple]:
        """Run statements in one transaction; undone as a whole when one is refused."""
        rows: list[tuple] = []
        self.connection.execute("BEGIN")
        try:
            for statement in statements:
                cursor = self.connection.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
            self.connection.execute("COMMIT")
        except BaseException:
            self.connection.rollback()
            raise
        return rows

    def close(self) -> None:
        self.connection.close()
