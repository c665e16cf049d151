"""The vocabulary of the money ledger: book accounts, entries, and the port that keeps them.

Signs: a positive amount is what the house owes to somebody or has earned (a room's balance,
revenue), a negative one is what the house has (cash, a provider's clearing account) or gave away.
So every entry's amounts sum to zero in each unit, and a room's balance is the sum of its amounts.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from domain.errors import WattwardenError


class Unit(StrEnum):
    """What an account counts: micro-units of the site's currency, or Wh of free energy."""

    MICRO = "micro"
    WH = "wh"


class EntryKind(StrEnum):
    """Why money or free energy moves; reports are built on this closed list."""

    RECHARGE = "recharge"
    CHARGE = "charge"
    FEE = "fee"
    FREE_GRANT = "free-grant"
    FREE_USE = "free-use"
    FREE_EXPIRY = "free-expiry"
    TRANSFER = "transfer"
    ROOM_MOVE = "room-move"
    REFUND = "refund"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"
    OPENING = "opening"
    # Money on its way into a prepaid meter: room -> transit -> meter, or back.
    METER_PURCHASE = "meter-purchase"
    # A recharge token sold over the counter: cash -> clearing:token; redeeming it is a recharge.
    TOKEN_SALE = "token-sale"  # noqa: S105


@dataclass(frozen=True, slots=True)
class BookAccount:
    """An account of the ledger. `floor` is the lowest balance an entry may leave, None is any.

    Ids: `room:<account>` (money of a room or shop), `free:<account>` (its free energy, Wh),
    `clearing:<channel>` (wechat, alipay, unionpay, campus-card, token), `cash:<cashier>`,
    `revenue:energy`, `revenue:fee`, `free:granted`, `free:used`, `free:expired`, `suspense`,
    `transit:<meter>` (being written to a prepaid meter), `meter:<meter>` (held in it).
    """

    id: str
    unit: Unit = Unit.MICRO
    floor: int | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Leg:
    """One line of an entry: an account and a signed whole amount in that account's unit."""

    account: str
    amount: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement, all or nothing. The caller makes `id`; sending it again changes nothing.

    `time` is when it happened, `reference` the id of what it rests on (an order, a reversed
    entry, a charging period such as 2026-11), `details` JSON-able particulars. Legs sum to zero
    in each unit; no amount is zero; no account stands twice.
    """

    id: str
    time: datetime
    kind: EntryKind
    legs: tuple[Leg, ...]
    actor: str
    description: str = ""
    reference: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Posted:
    """An entry in the books: its running number, when it was booked, the hash that chains it to
    the one before, and the balances it left (of its accounts)."""

    entry: Entry
    number: int
    booked_at: datetime
    hash: str
    balances: Mapping[str, int]
    repeated: bool = False


class EntryRefused(WattwardenError):
    """The books do not take an entry; nothing of it was booked."""


class KeyReused(EntryRefused):
    """The id was used before for an entry with other content."""


class BelowFloor(EntryRefused):
    """An account would fall below its floor."""

    def __init__(self, account: str, balance: int, floor: int) -> None:
        self.account, self.balance, self.floor = account, balance, floor
        super().__init__(f"{account} would fall to {balance}, below its floor of {floor}")


class AccountUnknown(EntryRefused):
    """A leg names an account that was not opened, or one that is closed."""


class Books(Protocol):
    """The money ledger. Thread-safe; `balance` and `balances` answer from memory.

    `post` returns a future that resolves once the entry is durable, with `repeated` set where the
    same entry was booked before. The future raises EntryRefused (BelowFloor, KeyReused,
    AccountUnknown) and StoreUnavailable; InvalidInput (unbalanced, zero legs) is raised at once.
    `floors` are extra lower bounds for this entry only, checked inside its transaction (an account
    whose own floor is None can so be kept from going below 0 by one entry).
    `enforce_floors=False` books a charge for energy already used, whatever the balance: a debt is
    a fact, not an offer. `open` opens accounts or changes their floor; it is idempotent.
    `subscribe` calls back on the writer's thread after each durable entry (not for repeated ones);
    the callback must be quick and must not wait for the books.
    """

    def open(self, *accounts: BookAccount) -> "Future[None]": ...

    def close_account(self, account: str) -> "Future[None]": ...

    def post(
        self,
        entry: Entry,
        *,
        floors: Mapping[str, int] | None = None,
        enforce_floors: bool = True,
    ) -> "Future[Posted]": ...

    def reverse(
        self, entry_id: str, reversal_id: str, actor: str, reason: str
    ) -> "Future[Posted]": ...

    def balance(self, account: str) -> int | None: ...

    def balances(self, prefix: str = "") -> Mapping[str, int]: ...

    def account(self, account: str) -> BookAccount | None: ...

    def entry(self, entry_id: str) -> Posted | None: ...

    def entries(
        self,
        *,
        account: str | None = None,
        kind: EntryKind | None = None,
        reference: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after_number: int = 0,
        limit: int = 1000,
    ) -> Sequence[Posted]: ...

    def subscribe(self, callback: Callable[[Posted], None]) -> None: ...


def room_book(account: str) -> str:
    """Return the book account of a room's or shop's money."""
    return f"room:{account}"


def free_book(account: str) -> str:
    """Return the book account of a room's free energy, Wh."""
    return f"free:{account}"


def clearing_book(channel: str) -> str:
    """Return the book account of what a payment channel owes the house."""
    return f"clearing:{channel}"


def cash_book(cashier: str) -> str:
    """Return the book account of a cashier's drawer."""
    return f"cash:{cashier}"


def transit_book(meter: str) -> str:
    """Return the book account of money that is being written to a prepaid meter."""
    return f"transit:{meter}"


def meter_book(meter: str) -> str:
    """Return the book account of the money that a prepaid meter holds."""
    return f"meter:{meter}"


REVENUE_ENERGY = "revenue:energy"
REVENUE_FEE = "revenue:fee"
FREE_GRANTED = "free:granted"
FREE_USED = "free:used"
FREE_EXPIRED = "free:expired"
SUSPENSE = "suspense"
