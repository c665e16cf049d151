"""Payments by a channel on paper: nothing is signed, nothing is sent, nobody is asked."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from billing.payments.channel import NoticeAnswer, NoticeRefused
from billing.payments.model import Order, OrderState
from billing.payments.service import Payments
from billing.payments.settings import PaymentSettings
from domain.clock import Clock
from storage.books.payments import SqlPayments
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

SETTINGS = PaymentSettings.model_validate(
    {"cash": {}, "waiting_orders_most": 100, "orders_an_hour_most": 1_000}
)


class Paper:
    """A channel whose orders are always there and never paid."""

    name = "paper"
    merchant = "paper"
    app: str | None = None
    ways: tuple[str, ...] = ("slip",)

    def faults(self, way: str, payer: Mapping[str, str]) -> list[str]:
        return []

    def create(self, order: Order) -> Mapping[str, str]:
        return {"qr": order.id}

    def close(self, order: Order) -> None:
        """Do nothing: nobody keeps it."""

    def statement(self, day: Any) -> list[Any]:
        return []

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: Any) -> Any:
        raise NoticeRefused("paper is not signed")

    def answer(self, taken: bool, reason: str, status: int) -> NoticeAnswer:
        return NoticeAnswer(status, b"{}")


def paper_payments(ledger: SqlLedger, books: SqlBooks, directory: Any, clock: Clock) -> Payments:
    """Return payments by paper and cash."""
    return Payments(
        books, directory, SqlPayments(ledger, books), {"paper": Paper()}, clock,  # type: ignore[dict-item]
        lambda _: None, SETTINGS,
    )  # fmt: skip


def waiting_orders(payments: Payments, rooms: Mapping[str, str]) -> None:
    """Put two waiting orders into each room, named after whose it is to the student."""
    now = payments.now()

    def order(name: str, account: str) -> Order:
        return Order(
            id=name, key=name, requested_by="office", digest="", account=account, channel="paper",
            way="slip", amount_minor=100, state=OrderState.PENDING, created_at=now,
            expires_at=now + timedelta(hours=1), pay={"qr": name},
        )  # fmt: skip

    orders = [
        order(f"{prefix}{whose}", account)
        for whose, account in rooms.items()
        for prefix in ("WAIT", "SHUT")
    ]
    payments.store.transact(lambda tx: [tx.put_order(one) for one in orders]).result(10)
