"""Booking entries inside a transaction: all decisions are made on what that transaction reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from domain.book_chain import (
    chain_hash,
    checked_content,
    content_bytes,
    details_text,
    moment_text,
    same_movement,
)
from domain.books import (
    AccountUnknown,
    BelowFloor,
    Entry,
    EntryRefused,
    KeyReused,
    Posted,
)
from storage.books.money_reader import entry_of_id
from storage.books.money_statements import fetch, send, statements

Outcome = Posted | Exception


@dataclass(slots=True)
class Request:
    """An entry to book, checked by itself, with its time and content as text."""

    entry: Entry
    time: str
    content: bytes
    details: str
    floors: Mapping[str, int] | None
    enforce_floors: bool

    @classmethod
    def of(cls, entry: Entry, floors: Mapping[str, int] | None, enforce_floors: bool) -> "Request":
        """Check an entry by itself. Raises InvalidInput."""
        content, details = checked_content(entry)
        return cls(entry, moment_text(entry.time), content, details, floors, enforce_floors)


@dataclass(slots=True)
class _Account:
    unit: str
    floor: int | None
    closed: bool
    balance: int
    last_number: int | None = None


@dataclass(slots=True)
class _Draft:
    """What a transaction is about to write."""

    number: int
    hash: str
    booked_at: datetime
    accounts: dict[str, _Account]
    there: dict[str, Posted]
    moment: Callable[[str], Any]
    booked_text: str = field(init=False)
    booked_value: Any = field(init=False)
    legs: list[tuple[Any, ...]] = field(default_factory=list)
    entries: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.booked_text = moment_text(self.booked_at)
        self.booked_value = self.moment(self.booked_text)

    def take(self, request: Request) -> Posted:
        """Add an entry to the draft. Raises EntryRefused, and then the draft is as before."""
        entry = request.entry
        found = self.there.get(entry.id)
        if found is not None:
            return _repeated(found, request)
        after = self._balances_after(request)
        number = self.number + 1
        digest = chain_hash(self.hash, number, self.booked_text, request.time, request.content)
        for place, leg in enumerate(entry.legs):
            account = self.accounts[leg.account]
            account.balance = after[leg.account]
            account.last_number = number
            self.legs.append(
                (number, place, leg.account, account.unit, leg.amount, account.balance)
            )
        self.entries.append(
            (
                number, entry.id, self.moment(request.time), self.booked_value,
                str(entry.kind), entry.actor, entry.description, entry.reference,
                request.details, digest,
            )
        )  # fmt: skip
        self.number, self.hash = number, digest
        posted = Posted(entry, number, self.booked_at, digest, after)
        self.there[entry.id] = posted
        return posted

    def _balances_after(self, request: Request) -> dict[str, int]:
        after: dict[str, int] = {}
        sums: dict[str, int] = {}
        for leg in request.entry.legs:
            account = self.accounts.get(leg.account)
            if account is None:
                raise AccountUnknown(f"the account {leg.account} was not opened")
            if account.closed:
                raise AccountUnknown(f"the account {leg.account} is closed")
            after[leg.account] = account.balance + leg.amount
            sums[account.unit] = sums.get(account.unit, 0) + leg.amount
        for unit, total in sums.items():
            if total:
                raise EntryRefused(f"the legs in {unit} sum to {total}, not to zero")
        self._check_floors(request, after)
        return after

    def _check_floors(self, request: Request, after: Mapping[str, int]) -> None:
        # What comes in never breaks a floor, even where the account stays below it.
        for leg in request.entry.legs if request.enforce_floors else ():
            floor = self.accounts[leg.account].floor
            if floor is not None and leg.amount < 0 and after[leg.account] < floor:
                raise BelowFloor(leg.account, after[leg.account], floor)
        for name, floor in (request.floors or {}).items():
            if name not in after:
                raise EntryRefused(f"a floor is asked of {name}, which the entry does not move")
            if after[name] < floor:
                raise BelowFloor(name, after[name], floor)


def book(connection: Connection, requests: Sequence[Request], booked_at: datetime) -> list[Outcome]:
    """Book entries in their order, in the caller's transaction; return what became of each.

    A refused entry is an EntryRefused in its place and does no harm to its neighbours.
    """
    draft = _begin(connection, requests, booked_at)
    outcomes: list[Outcome] = []
    for request in requests:
        try:
            outcomes.append(draft.take(request))
        except EntryRefused as refusal:
            outcomes.append(refusal)
    _write(connection, draft)
    return outcomes


def _begin(connection: Connection, requests: Sequence[Request], booked_at: datetime) -> _Draft:
    sent = statements(connection)
    # The head first: on PostgreSQL this is the lock that makes writers take turns.
    ((number, last_hash),) = fetch(connection, sent.head)
    names = {leg.account for request in requests for leg in request.entry.legs}
    accounts = {
        row[0]: _Account(row[1], row[2], bool(row[3]), row[4])
        for row in fetch(connection, sent.accounts, sent.names(names))
    }
    ids = sent.names({request.entry.id for request in requests})
    there: dict[str, Posted] = {}
    for (entry_id,) in fetch(connection, sent.known_ids, ids):
        found = entry_of_id(connection, entry_id)
        if found is not None:
            there[entry_id] = found
    return _Draft(number, last_hash, booked_at, accounts, there, sent.moment)


def _write(connection: Connection, draft: _Draft) -> None:
    if not draft.entries:
        return
    sent = statements(connection)
    # Legs before entries: the database checks an entry against the legs that are there.
    send(connection, sent.add_legs, draft.legs, sent.by_columns)
    send(connection, sent.add_entries, draft.entries, sent.by_columns)
    changed = [
        (account.balance, account.last_number, name)
        for name, account in draft.accounts.items()
        if account.last_number is not None
    ]
    send(connection, sent.set_balances, changed, sent.by_columns)
    send(connection, sent.set_head, [(draft.number, draft.hash)])


def _repeated(found: Posted, request: Request) -> Posted:
    stored = content_bytes(found.entry, details_text(found.entry.details))
    if stored != request.content and not same_movement(found.entry, request.entry):
        raise KeyReused(f"the id {request.entry.id} was used for an entry with other content")
    return Posted(
        found.entry, found.number, found.booked_at, found.hash, found.balances, repeated=True
    )
