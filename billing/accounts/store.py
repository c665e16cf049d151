"""The port of the accounts: what one action sees and changes, all or nothing, and what it keeps."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from billing.model import Account, Occupancy, Person, RegisterSpan
from domain.books import BookAccount, Entry, Posted
from domain.events import Event

T = TypeVar("T")


class RequestKind(StrEnum):
    """What money somebody asks to move; a second person has to agree."""

    TRANSFER = "transfer"
    ADJUSTMENT = "adjustment"
    WRITE_OFF = "write-off"


class RequestState(StrEnum):
    """Where a request stands. What waits past its expiry counts as expired."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class MoneyRequest:
    """Somebody asks that money be moved by hand; a second person decides.

    `amount_micro` is what `account` gains (adjustment, write-off; may be negative for the first)
    or what moves from `account` to `to_account` (transfer). `recharge` is the entry of the
    recharge that went to the wrong room. `entry` is what was booked in the end.
    """

    id: str
    kind: RequestKind
    account: str
    amount_micro: int
    reason: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    to_account: str = ""
    recharge: str = ""
    state: RequestState = RequestState.WAITING
    decided_by: str = ""
    decided_at: datetime | None = None
    decision: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An action that was done: its caller's id, what exactly was asked (a digest), the outcome.

    `finished` is false while an action of several steps is on its way (a closing that has begun
    to refund); the same call takes it up again.
    """

    id: str
    kind: str
    subject: str
    digest: str
    actor: str
    done_at: datetime
    result: Mapping[str, Any] = field(default_factory=dict)
    finished: bool = True


@dataclass(frozen=True, slots=True)
class TariffSince:
    """Which tariff an account has from a moment on."""

    account: str
    since: datetime
    tariff: str


class AccountsTransaction(Protocol):
    """One action's view: everything read here is of this transaction, and held until its end.

    `room_places` tells of every account its building, room and whether it is open.
    `paid_left` is what of a recharge can still be moved from a room: its amount less what was
    refunded, reversed or transferred of it; None where there is no such recharge of that room.
    """

    def account(self, account_id: str) -> Account | None: ...

    def account_of_room(self, building: str, room: str) -> Account | None: ...

    def room_places(self) -> Mapping[str, tuple[str, str, bool]]: ...

    def save_accounts(self, *accounts: Account) -> None: ...

    def save_tariffs(self, *since: TariffSince) -> None: ...

    def person(self, person_id: str) -> Person | None: ...

    def people(self, ids: Sequence[str]) -> Mapping[str, Person]: ...

    def save_people(self, *people: Person) -> None: ...

    def drop_person(self, person_id: str) -> None: ...

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> Sequence[Occupancy]: ...

    def stays_of(self, people: Sequence[str]) -> Sequence[Occupancy]: ...

    def save_occupancies(self, *occupancies: Occupancy) -> None: ...

    def drop_occupancy(self, occupancy: Occupancy) -> None: ...

    def registers(
        self, *, account_id: str | None = None, meter: str | None = None
    ) -> Sequence[RegisterSpan]: ...

    def save_register(self, span: RegisterSpan) -> None: ...

    def request(self, request_id: str) -> MoneyRequest | None: ...

    def save_request(self, request: MoneyRequest) -> None: ...

    def action(self, action_id: str) -> ActionRecord | None: ...

    def save_action(self, action: ActionRecord) -> None: ...

    def balance(self, book: str) -> int | None: ...

    def entry(self, entry_id: str) -> Posted | None: ...

    def paid_left(self, recharge: str, book: str) -> int | None: ...

    def open_books(self, *accounts: BookAccount) -> None: ...

    def close_book(self, book: str) -> None: ...

    def post(
        self, entry: Entry, floors: Mapping[str, int] | None = None, enforce_floors: bool = True
    ) -> Posted: ...

    def tell(self, *events: Event) -> None: ...


class AccountsStore(Protocol):
    """Keeps accounts, people and requests in the database of the books. Thread-safe.

    `transact` runs work on the one writer; its future ends once all of it is durable and the
    directory shows it. The work may run twice and must change nothing but what it is given.
    Requests come newest first. Raises StoreUnavailable.
    """

    def transact(self, work: Callable[[AccountsTransaction], T]) -> "Future[T]": ...

    def request(self, request_id: str) -> MoneyRequest | None: ...

    def requests(
        self,
        *,
        state: RequestState | None = None,
        account_id: str | None = None,
        limit: int = 100,
    ) -> Sequence[MoneyRequest]: ...

    def action(self, action_id: str) -> ActionRecord | None: ...
