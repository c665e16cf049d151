"""The port to where orders and all that belongs to them are kept."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from datetime import date, datetime
from typing import Protocol, TypeVar

from billing.payments.model import (
    NoticeOutcome,
    NoticeRecord,
    Order,
    OrderState,
    Receipt,
    Refund,
    Review,
    Shift,
    StatementRow,
)
from domain.books import BookAccount, Entry, Posted

T = TypeVar("T")


class PaymentsTx(Protocol):
    """One transaction over orders and books together; it may run twice, so it only writes here."""

    def prefetch(self, order_ids: Collection[str]) -> None:
        """Read many orders at once; asking for them one by one is then quick."""

    def order(self, order_id: str) -> Order | None: ...

    def order_of_key(self, requested_by: str, key: str) -> Order | None: ...

    def waiting_orders(self, account: str, now: datetime) -> int: ...

    def orders_since(self, account: str, since: datetime) -> int: ...

    def put_order(self, order: Order) -> None: ...

    def add_notices(self, notices: Sequence[NoticeRecord]) -> None: ...

    def review(self, review_id: str) -> Review | None: ...

    def put_review(self, review: Review) -> None: ...

    def refund(self, refund_id: str) -> Refund | None: ...

    def refund_of_key(self, requested_by: str, key: str) -> Refund | None: ...

    def refunds_of(self, order_id: str) -> Sequence[Refund]: ...

    def put_refund(self, refund: Refund) -> None: ...

    def shift(self, shift_id: str) -> Shift | None: ...

    def open_shift(self, cashier: str) -> Shift | None: ...

    def put_shift(self, shift: Shift) -> None: ...

    def shift_total_minor(self, shift_id: str) -> int: ...

    def add_receipt(self, receipt: Receipt) -> Receipt:
        """Keep a receipt under the next running number; the one it came with does not count."""

    def receipts_of(self, order_id: str) -> Sequence[Receipt]: ...

    def replace_statement(
        self,
        channel: str,
        day: date,
        statement: Sequence[StatementRow],
        actor: str,
        at: datetime,
    ) -> None: ...

    def post(self, entry: Entry, floors: Mapping[str, int] | None = None) -> Posted: ...

    def open_book(self, *accounts: BookAccount) -> None: ...

    def entry(self, entry_id: str) -> Posted | None: ...

    def paid_left(self, recharge: str, book: str) -> int | None:
        """Return what of a recharge can still leave a book account, micro-units, or None."""
        ...

    def is_open(self, book: str) -> bool:
        """Say whether a book account takes entries."""
        ...


class PaymentStore(Protocol):
    """Keeps orders, refunds, notices, reviews, shifts, receipts, statements. Thread-safe.

    `transact` runs work in the books' own transaction; the future resolves once it is durable and
    carries what the work raised. Lists come newest first. Raises StoreUnavailable.
    """

    def transact(self, work: Callable[[PaymentsTx], T]) -> "Future[T]": ...

    def order(self, order_id: str) -> Order | None: ...

    def orders(
        self,
        *,
        account: str | None = None,
        state: OrderState | None = None,
        channel: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> Sequence[Order]: ...

    def due_orders(self, now: datetime, limit: int) -> Sequence[Order]:
        """Return orders to be asked about or ended by now, oldest due first."""

    def paid_orders(
        self, channel: str, since: datetime, until: datetime, limit: int
    ) -> Sequence[Order]:
        """Return a channel's orders paid in a time, oldest first."""

    def refund(self, refund_id: str) -> Refund | None: ...

    def refunds(
        self,
        *,
        order: str | None = None,
        account: str | None = None,
        open_only: bool = False,
        limit: int = 1000,
    ) -> Sequence[Refund]: ...

    def due_refunds(self, now: datetime, limit: int) -> Sequence[Refund]:
        """Return refunds to be tried or asked about by now, oldest due first."""

    def finished_refunds(
        self, channel: str, since: datetime, until: datetime, limit: int
    ) -> Sequence[Refund]:
        """Return a channel's refunds done in a time, oldest first."""

    def notices(
        self,
        *,
        channel: str | None = None,
        order: str | None = None,
        outcome: NoticeOutcome | None = None,
        limit: int = 1000,
    ) -> Sequence[NoticeRecord]: ...

    def prune_notices(self, before: datetime, limit: int) -> "Future[int]":
        """Delete notices older than a time, at most so many; return how many."""

    def reviews(self, *, open_only: bool = True, limit: int = 1000) -> Sequence[Review]: ...

    def shift(self, shift_id: str) -> Shift | None: ...

    def shifts(
        self,
        *,
        cashier: str | None = None,
        open_only: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> Sequence[Shift]: ...

    def receipt(self, number: int) -> Receipt | None: ...

    def receipts(
        self,
        *,
        shift: str | None = None,
        account: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> Sequence[Receipt]: ...

    def statement(self, channel: str, day: date) -> Sequence[StatementRow] | None:
        """Return the imported rows of a day, None where no statement was imported."""
