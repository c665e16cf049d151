"""Payments: the one object that the rest of the station talks to."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

from billing.model import Directory
from billing.payments.cashier import Cashier, CashRequest
from billing.payments.channel import NoticeAnswer, PaymentChannel
from billing.payments.chaser import Chaser, TickRun
from billing.payments.desk import Desk, wait_for
from billing.payments.model import (
    CASH,
    Order,
    OrderRequest,
    Receipt,
    Reconciliation,
    Refund,
    Review,
    StatementRow,
)
from billing.payments.notices import Notices
from billing.payments.orders import Orders, OrderView
from billing.payments.refunds import RefundRequest, Refunds
from billing.payments.reviews import resolve_review
from billing.payments.settings import PaymentSettings
from billing.payments.statements import Statements
from billing.payments.store import PaymentStore
from domain.books import SUSPENSE, BookAccount, Books, clearing_book
from domain.clock import Clock
from domain.events import Event


class Payments:
    """Orders, notices, refunds, the till and statements over one set of channels. Thread-safe.

    Opening it opens the clearing accounts. `power_state(account)` says in a word or two what the
    room's power waits for. Calls block: for the books, and those that ask a provider for it.
    `store` lists orders, refunds, notices, reviews, shifts and receipts.
    """

    def __init__(
        self,
        books: Books,
        directory: Directory,
        store: PaymentStore,
        channels: Mapping[str, PaymentChannel],
        clock: Clock,
        on_event: Callable[[Event], None],
        settings: PaymentSettings,
        *,
        power_state: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.settings, self.store = settings, store
        self._desk = Desk(
            books, directory, store, dict(channels), clock, on_event, settings, power_state
        )
        names = [BookAccount(clearing_book(name)) for name in channels]
        wait_for(books.open(BookAccount(SUSPENSE), *names))
        self.orders, self.refunds = Orders(self._desk), Refunds(self._desk)
        self.cashier, self.statements = Cashier(self._desk), Statements(self._desk)
        self._notices = Notices(self._desk)
        self._chaser = Chaser(self._desk, self.orders, self.refunds)

    def channels(self) -> Mapping[str, Sequence[str]]:
        """Return the channels a student may pay by, each with its ways."""
        return {name: one.ways for name, one in self._desk.channels.items() if name != CASH}

    def create_order(self, request: OrderRequest, actor: str, person: str | None = None) -> Order:
        """Make an order; see Orders.create."""
        return self.orders.create(request, actor, person)

    def order(self, order_id: str, account: str | None = None) -> OrderView:
        """Return an order. Raises UnknownSubject."""
        return self.orders.view(order_id, account)

    def notice(self, channel: str, headers: Mapping[str, str], body: bytes) -> NoticeAnswer:
        """Take a provider's notice; see Notices.take."""
        return self._notices.take(channel, headers, body)

    def tick(self) -> TickRun:
        """Do what is due: questions about orders, expiry, refunds, old notices. Every few s."""
        return self._chaser.tick()

    def refund(self, request: RefundRequest, actor: str, *, approved: bool = False) -> Refund:
        """Ask for a refund; see Refunds.request."""
        return self.refunds.request(request, actor, approved=approved)

    def refundable(self, account: str, limit: int = 100) -> Sequence[tuple[Order, int]]:
        """Return an account's paid orders, newest first, with what may still go back, fen."""
        return self.refunds.refundable(account, limit)

    def cash_recharge(self, request: CashRequest, cashier: str) -> Receipt:
        """Take cash for a room; see Cashier.recharge."""
        return self.cashier.recharge(request, cashier)

    def import_statement(
        self, channel: str, day: date, rows: Sequence[StatementRow], actor: str
    ) -> Reconciliation:
        """Keep a provider's day; see Statements.take."""
        return self.statements.take(channel, day, rows, actor)

    def reconcile(self, channel: str, day: date) -> Reconciliation:
        """Compare a day; see Statements.reconcile."""
        return self.statements.reconcile(channel, day)

    def resolve_review(self, review_id: str, actor: str, note: str) -> Review:
        """Say what was done about a held payment. Raises UnknownSubject, InvalidInput."""
        return resolve_review(self._desk, review_id, actor, note)

    def now(self) -> datetime:
        """Return the station's time."""
        return self._desk.clock.now()
