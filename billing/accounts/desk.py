"""What every action on accounts shares: once by its id, in one transaction, with a trail."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from billing.accounts.store import AccountsStore, AccountsTransaction, ActionRecord
from billing.model import Account, Directory
from domain.books import Books, EntryRefused, KeyReused, meter_book, transit_book
from domain.clock import Clock
from domain.errors import InvalidInput, StoreUnavailable, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.money import decimal_of

T = TypeVar("T")
ID_MOST = 100
WORDS_MOST = 500


class AccountRefused(EntryRefused):
    """An action on an account is not taken; nothing of it was done."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A meter's counter as it was last read and taken into the account.

    `most_w` is the most the circuit can carry, None where it is not known.
    """

    time: datetime
    energy_wh: int
    most_w: float | None = None


@dataclass(frozen=True, slots=True)
class AccountRules:
    """Limits of the actions.

    `request_days`: how long a request for money waits for the second person. `most_credit_micro`
    bounds a credit limit. `backdate_days`: how far back a move or a change may be dated.
    `wait_s` bounds the wait for the disk. `tariffs` names the tariffs that there are; None: any.
    """

    request_days: float = 7.0
    most_credit_micro: int = 1_000_000_000
    backdate_days: int = 400
    wait_s: float = 30.0
    tariffs: Callable[[], Collection[str]] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an action: its id, whom it was about, the particulars (JSON-able).

    `repeated`: the same was done before under this id, and nothing was done now.
    """

    id: str
    kind: str
    subject: str
    result: Mapping[str, Any] = field(default_factory=dict)
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """An action as it was asked for: the caller's id, kind, subject, who, and all particulars."""

    id: str
    kind: str
    subject: str
    actor: str
    particulars: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Say exactly what was asked, so that an id can't be used for something else."""
        content = [self.kind, self.subject, dict(self.particulars)]
        return hashlib.sha256(canonical(content).encode()).hexdigest()


@dataclass(slots=True)
class Desk:
    """The parts that actions work with.

    `settle` books what an account has used up to now, and raises where it can't. `unsettled` says
    in words what of its energy is not billed (held readings, a meter without a reading).
    `reading_of` gives a meter's last counter, as far as it was taken into the account.
    """

    books: Books
    store: AccountsStore
    directory: Directory
    clock: Clock
    zone: ZoneInfo
    settle: Callable[[str], None]
    unsettled: Callable[[str], Sequence[str]]
    reading_of: Callable[[str], Reading | None]
    rules: AccountRules

    def now(self) -> datetime:
        """Return the time in UTC."""
        return self.clock.now()

    def today(self) -> date:
        """Return the day at the site."""
        return self.now().astimezone(self.zone).date()

    def once(self, asked: Asked, work: Callable[[AccountsTransaction], Mapping[str, Any]]) -> Done:
        """Do an action in one transaction, or tell what it came to when it was done before.

        Raises KeyReused where the id was used for something else, and what the work raises.
        """
        now = self.now()

        def job(tx: AccountsTransaction) -> Done:
            known = tx.action(asked.id)
            if known is not None and same_action(known, asked).finished:
                return _told(known)
            result = work(tx)
            tx.save_action(record_of(asked, now, result))
            return Done(asked.id, asked.kind, asked.subject, result)

        return self.wait(self.store.transact(job))

    def done_before(self, asked: Asked) -> Done | None:
        """Return the outcome of an action that was finished before, or None.

        Saves the settling of an account for a call that only repeats. Raises KeyReused.
        """
        known = self.store.action(asked.id)
        if known is None or not same_action(known, asked).finished:
            return None
        return _told(known)

    def wait(self, future: "Future[T]") -> T:
        """Wait for the disk. Raises StoreUnavailable when it takes too long: ask again, with the
        same id."""
        try:
            return future.result(self.rules.wait_s)
        except FutureTimeout as error:
            message = f"the disk did not take it within {self.rules.wait_s:g} s; ask again"
            raise StoreUnavailable(message) from error

    def known_account(self, account_id: str) -> Account:
        """Return an account. Raises UnknownSubject."""
        account = self.directory.account(account_id)
        if account is None:
            raise UnknownSubject(f"no account {account_id!r}")
        return account

    def held_in_meter(self, meter: str) -> str:
        """Say what money is in a prepaid meter, or on its way there; empty when none is."""
        names = (meter_book(meter), transit_book(meter))
        held = sum(self.books.balance(name) or 0 for name in names)
        return f"the prepaid meter {meter} holds {money(held)}" if held else ""

    def check_asked(self, asked: Asked, reason: str | None = None) -> None:
        """Check what every action needs: an id, who asks, and why. Raises InvalidInput."""
        faults = [
            *_word_faults("id", asked.id, ID_MOST),
            *_word_faults("actor", asked.actor, ID_MOST),
            *(_word_faults("reason", reason, WORDS_MOST) if reason is not None else ()),
        ]
        if faults:
            raise InvalidInput(faults)

    def check_day(self, day: date, source: str) -> None:
        """Refuse a day to come, or one too long ago. Raises InvalidInput."""
        late = (self.today() - day).days
        if late < 0:
            raise InvalidInput([Fault(source, f"{day} is still to come")])
        if late > self.rules.backdate_days:
            most = self.rules.backdate_days
            raise InvalidInput([Fault(source, f"{day} is more than {most} days ago")])


def open_account_in(tx: AccountsTransaction, account_id: str) -> Account:
    """Return an account that is open, as the transaction sees it.

    Raises UnknownSubject, AccountRefused.
    """
    account = tx.account(account_id)
    if account is None:
        raise UnknownSubject(f"no account {account_id!r}")
    if account.closed_at is not None:
        raise AccountRefused(f"the account {account_id} was closed on {account.closed_at:%Y-%m-%d}")
    return account


def record_of(
    asked: Asked, now: datetime, result: Mapping[str, Any], finished: bool = True
) -> ActionRecord:
    """Return the record of an action."""
    return ActionRecord(
        asked.id, asked.kind, asked.subject, asked.digest, asked.actor, now, result, finished
    )


def same_action(known: ActionRecord, asked: Asked) -> ActionRecord:
    """Return the record where it is of the same request. Raises KeyReused."""
    if known.digest != asked.digest:
        raise KeyReused(
            f"the id {asked.id} was used before for another action ({known.kind} {known.subject})"
        )
    return known


def event_of(
    now: datetime, kind: EventKind, subject: str, message: str, actor: str, **details: Any
) -> Event:
    """Return an entry of the audit trail."""
    return Event(now, kind, subject, message, Severity.INFO, actor, details=details)


def canonical(value: object) -> str:
    """Return JSON text that is the same for the same content."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def money(amount_micro: int) -> str:
    """Return an amount in words for messages, in currency units."""
    return f"{decimal_of(amount_micro).normalize():f}"


def _told(known: ActionRecord) -> Done:
    return Done(known.id, known.kind, known.subject, known.result, repeated=True)


def _word_faults(source: str, text: str, most: int) -> list[Fault]:
    if not text.strip():
        return [Fault(source, "is needed")]
    if len(text) > most or any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        return [Fault(source, f"must be at most {most} characters without control characters")]
    return []


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} can't stand in an action: {value!r}")
