"""An office for the tests: real books and tables, short ways to pay, open and look."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from billing.accounts.closing import SourceRefund
from billing.accounts.desk import Reading
from billing.accounts.opening import NewAccount
from billing.accounts.service import Accounts
from billing.model import Account, Person
from domain.books import (
    BookAccount,
    Entry,
    EntryKind,
    Leg,
    clearing_book,
    room_book,
)
from domain.clock import LeapClock
from domain.money import minor_to_micro
from domain.site import RoomKind
from storage.books.account_store import SqlAccountStore
from storage.books.directory import SqlDirectory
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)  # noon in Shanghai
TODAY = date(2026, 11, 22)
ZONE = ZoneInfo("Asia/Shanghai")


class Office:
    """One station's accounts; `owed` is energy that settling books, micro-units an account."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = LeapClock(NOON)
        self.owed: dict[str, int] = {}
        self.settled: list[str] = []
        self.held: dict[str, list[str]] = {}
        self.readings: dict[str, Reading] = {}
        self.source_limit_minor: int | None = None
        self.sent: dict[str, int] = {}
        self._charges = 0
        self._open()

    def _open(self) -> None:
        self.ledger = SqlLedger(self.url, clock=self.clock)
        self.books = SqlBooks(self.ledger, clock=self.clock)
        self.books.open(
            BookAccount("revenue:energy"), BookAccount("clearing:wechat"), BookAccount("suspense")
        ).result(10)
        self.directory = SqlDirectory(self.ledger)
        self.store = SqlAccountStore(self.ledger, self.books, self.directory)
        self.accounts = Accounts(
            self.books,
            self.store,
            self.directory,
            self.clock,
            zone=ZONE,
            settle=self._settle,
            refund_to_source=self._send_back,
            unsettled=lambda account: self.held.get(account, []),
            reading_of=self.readings.get,
        )

    def reopen(self) -> None:
        """Stop and start again on the same file."""
        self.ledger.close()
        self._open()

    def close(self) -> None:
        self.ledger.close()

    def room(self, room: str, **more: Any) -> Account:
        """Open an account of building B1."""
        new = NewAccount("B1", room, RoomKind.DORM, "dorm", **more)
        done = self.accounts.open_account(f"open-{room}", new, "li")
        account = self.directory.account(str(done.result["account"]))
        assert account is not None
        return account

    def people(self, account: str, *ids: str, since: date = date(2026, 9, 1)) -> None:
        """Add people and have them live in a room."""
        for person in ids:
            if self.directory.person(person) is None:
                self.accounts.add_person(f"add-{person}", Person(person, f"Name {person}"), "li")
            self.accounts.move_in(f"in-{person}-{account}", person, account, since, "li")

    def recharge(self, account: str, amount_minor: int, order: str) -> str:
        """Book a recharge as the payments do; return its entry."""
        amount = minor_to_micro(amount_minor)
        legs = (Leg(room_book(account), amount), Leg(clearing_book("wechat"), -amount))
        details = {"channel": "wechat", "order": order, "amount_minor": amount_minor}
        entry = Entry(
            f"recharge:{order}", self.clock.now(), EntryKind.RECHARGE, legs, "pay", "", order,
            details,
        )  # fmt: skip
        self.books.post(entry).result(10)
        return entry.id

    def balance(self, account: str) -> int | None:
        return self.books.balance(room_book(account))

    def events(self, kind: Any, subject: str | None = None) -> list[Any]:
        return self.ledger.events(kind=kind, subject=subject)

    def _settle(self, account: str) -> None:
        self.settled.append(account)
        used = self.owed.pop(account, 0)
        if used:
            self._charges += 1
            legs = (Leg(room_book(account), -used), Leg("revenue:energy", used))
            name = f"charge:{account}:{len(self.settled)}:{self._charges}"
            entry = Entry(name, self.clock.now(), EntryKind.CHARGE, legs, "charger")
            self.books.post(entry, enforce_floors=False).result(10)

    def _send_back(self, order: SourceRefund) -> int:
        """Refund as the payments do: once an id, up to what the provider takes."""
        if order.id not in self.sent:
            limit = self.source_limit_minor
            minor = order.amount_minor if limit is None else min(limit, order.amount_minor)
            if minor:
                amount = minor_to_micro(minor)
                legs = (
                    Leg(room_book(order.account), -amount),
                    Leg(clearing_book("wechat"), amount),
                )
                entry = Entry(
                    f"refund:{order.id}", self.clock.now(), EntryKind.REFUND, legs, order.actor
                )
                self.books.post(entry, floors={room_book(order.account): 0}).result(10)
            self.sent[order.id] = minor
        return self.sent[order.id]
