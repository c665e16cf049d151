"""What reports read: the books by number, and what the services keep beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from domain.books import EntryKind, Unit


class Move(NamedTuple):
    """A leg of an entry, with the balance it left."""

    account: str
    amount: int
    balance: int


class Booked(NamedTuple):
    """An entry as it stands in the books: domain.books.Posted, flat, since a month has hundreds of
    thousands of them."""

    number: int
    id: str
    time: datetime
    booked_at: datetime
    kind: EntryKind
    actor: str
    description: str
    reference: str
    details: Mapping[str, Any]
    legs: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class BookBalance:
    """What an account of the books held at some number, and its unit."""

    unit: Unit
    balance: int


class EntrySource(Protocol):
    """The books, read in the order they were written. Thread-safe; calls block.

    `cut` returns the number of the first entry that was booked at or after a moment; where there
    is none yet, the number that comes next. As entries are only ever added, a cut that lies behind
    the newest entry never moves: that is why a report of a past period stays the same for ever.
    `page` returns entries with first <= number < end in the order of their numbers, at most
    `limit`. `balances_before` returns what every account held just before the entry of that
    number. `below_zero_since` returns when an account that is below zero before `number` last
    fell there. Raises StoreUnavailable.
    """

    def cut(self, moment: datetime) -> int: ...

    def page(self, first: int, end: int, limit: int) -> Sequence[Booked]: ...

    def balances_before(self, number: int) -> Mapping[str, BookBalance]: ...

    def below_zero_since(self, account: str, number: int) -> datetime | None: ...

    def entry(self, entry_id: str) -> Booked | None: ...
