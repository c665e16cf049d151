"""What every part of payments works with."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from billing.model import Account, Directory
from billing.payments.channel import PaymentChannel
from billing.payments.settings import PaymentSettings
from billing.payments.store import PaymentStore
from domain.books import Books
from domain.clock import Clock
from domain.errors import InvalidInput, StoreUnavailable, UnknownSubject
from domain.events import Event
from domain.faults import Fault

WRITE_WITHIN_S = 30.0
# Letters and digits that nobody confuses when an order is read out over the telephone.
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """The books, the directory, the store and the channels, with clock, settings and listeners."""

    books: Books
    directory: Directory
    store: PaymentStore
    channels: Mapping[str, PaymentChannel]
    clock: Clock
    on_event: Callable[[Event], None]
    settings: PaymentSettings
    power_state: Callable[[str], str]

    def channel(self, name: str) -> PaymentChannel:
        """Return a provider that is on. Raises UnknownSubject."""
        found = self.channels.get(name)
        if found is None:
            raise UnknownSubject(f"this station takes no payments by {name!r}")
        return found

    def open_account(self, account_id: str) -> Account:
        """Return an account that may be paid into. Raises UnknownSubject, InvalidInput."""
        account = self.directory.account(account_id)
        if account is None:
            raise UnknownSubject(f"no account {account_id!r}")
        if account.closed_at is not None:
            raise InvalidInput([Fault("account", "is closed", account_id)])
        return account

    def tell(self, events: Sequence[Event]) -> None:
        """Pass events on, in their order."""
        for event in events:
            self.on_event(event)


def wait_for(future: "Future[T]") -> T:
    """Return what was written once it is durable. Raises StoreUnavailable after a while."""
    try:
        return future.result(WRITE_WITHIN_S)
    except TimeoutError as error:
        message = f"the books did not take it within {WRITE_WITHIN_S:g} s; ask again"
        raise StoreUnavailable(message) from error


def new_id(prefix: str, now: datetime) -> str:
    """Return an id that every provider takes: letters and digits, sorted by time, 24 of them."""
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(11))
    return f"{prefix}{now:%y%m%d%H%M%S}{tail}"
