"""The port to a payment provider, and what goes over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from billing.payments.model import Order, Payment, Refund, StatementRow
from domain.errors import WattwardenError


class ChannelRefused(WattwardenError):
    """The provider understood and says no; asking the same again does not help."""


class NoticeRefused(WattwardenError):
    """A notice proves nothing: bad or missing signature, serial or time, or not readable.

    `status` is the HTTP answer (4xx). `order` is set where all but the time was good: the order
    is then asked about soon.
    """

    def __init__(self, reason: str, status: int = 401, order: str = "") -> None:
        self.reason, self.status, self.order = reason, status, order
        super().__init__(reason)


class Standing(StrEnum):
    """What a provider says about an order."""

    PAID = "paid"
    UNPAID = "unpaid"
    CLOSED = "closed"
    UNKNOWN_ORDER = "unknown-order"


@dataclass(frozen=True, slots=True)
class ProviderOrder:
    """An order as the provider sees it; `payment` is there when it was paid."""

    standing: Standing
    payment: Payment | None = None


class RefundStanding(StrEnum):
    """What a provider says about a refund."""

    DONE = "done"
    PENDING = "pending"
    REFUSED = "refused"
    UNKNOWN_REFUND = "unknown-refund"


@dataclass(frozen=True, slots=True)
class RefundReply:
    """A refund as the provider sees it."""

    standing: RefundStanding
    provider_ref: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice whose signature, serial and time were good.

    `payment` is set when it tells of a payment, `refund` and `refund_reply` when of a refund;
    neither: it tells of something that moves no money.
    """

    payment: Payment | None = None
    refund: str = ""
    refund_reply: RefundReply | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class NoticeAnswer:
    """What the provider gets back."""

    status: int
    body: bytes
    media_type: str = "application/json"


class PaymentChannel(Protocol):
    """One provider. Thread-safe; calls block, each for a limited time.

    `ways` are the ways to pay, the first is the usual one. Calls to the provider raise LinkDown
    (no or no believable answer: ask again) and ChannelRefused. `read_notice` raises NoticeRefused.
    `create` and `refund` may be repeated with the same order or refund.
    """

    name: str
    merchant: str
    app: str | None
    ways: tuple[str, ...]

    def faults(self, way: str, payer: Mapping[str, str]) -> Sequence[str]:
        """Say what is wrong with a payer's particulars for a way."""

    def create(self, order: Order) -> Mapping[str, str]:
        """Place the order; return what the payer's device needs."""

    def query(self, order: Order) -> ProviderOrder:
        """Ask what became of an order."""

    def close(self, order: Order) -> None:
        """Close an unpaid order, so that it can't be paid any more."""

    def refund(self, order: Order, refund: Refund) -> RefundReply:
        """Give money back to where it came from."""

    def query_refund(self, order: Order, refund: Refund) -> RefundReply:
        """Ask what became of a refund."""

    def statement(self, day: date) -> Sequence[StatementRow]:
        """Fetch the movements of a finished day at the site."""

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """Verify and read a notice; header names are in lower case."""

    def answer(self, taken: bool, reason: str, status: int) -> NoticeAnswer:
        """Say in the provider's words whether a notice was taken."""
