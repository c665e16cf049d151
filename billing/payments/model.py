"""Orders, refunds, notices, shifts and receipts: what the parts of payments speak about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

CASH = "cash"
CURRENCY = "CNY"
SUSPENDED_REASON = "the account was closed when the money came"


class OrderState(StrEnum):
    """Where an order stands.

    `paid` is money that lies in suspense, not on the room's account; `voided` is a cash recharge
    taken back by a reversal.
    """

    CREATED = "created"
    PENDING = "pending"
    PAID = "paid"
    CREDITED = "credited"
    EXPIRED = "expired"
    CLOSED = "closed"
    REFUNDING = "refunding"
    PARTLY_REFUNDED = "partly-refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"


# Nothing was paid for these as far as is known; a payment that turns up is still credited.
UNPAID = frozenset({OrderState.CREATED, OrderState.PENDING, OrderState.EXPIRED, OrderState.CLOSED})
WAITING = frozenset({OrderState.CREATED, OrderState.PENDING})


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a caller asks for. `key` is his own and makes a repeated request harmless.

    `way` is how the channel is paid (native, jsapi, h5, page, ...); `payer` holds what that way
    needs: `openid`, `client_ip`, `card`.
    """

    key: str
    account: str
    channel: str
    amount_minor: int
    way: str = ""
    payer: Mapping[str, str] = field(default_factory=dict)
    language: str = "zh-CN"


@dataclass(frozen=True, slots=True)
class Order:
    """A recharge from the wish to the credit. The id is ours; providers know it by that.

    `book` is the book account that got the money (the room's, or suspense), "" before. `pay` is
    what the payer's device needs. `digest` seals the body that came with the caller's key.
    """

    id: str
    key: str
    requested_by: str
    digest: str
    account: str
    channel: str
    way: str
    amount_minor: int
    state: OrderState
    created_at: datetime
    expires_at: datetime
    person: str | None = None
    building: str = ""
    kind: str = ""
    language: str = "zh-CN"
    payer: Mapping[str, str] = field(default_factory=dict)
    pay: Mapping[str, str] = field(default_factory=dict)
    provider_ref: str = ""
    paid_at: datetime | None = None
    credited_at: datetime | None = None
    book: str = ""
    refunded_minor: int = 0
    queries: int = 0
    next_query_at: datetime | None = None
    shift: str | None = None
    note: str = ""

    @property
    def entry_id(self) -> str:
        """Return the id of the entry that credits it, whoever finds out first that it is paid."""
        return f"recharge:{self.id}"


class RefundState(StrEnum):
    """Where a refund stands; from `held` on the money has left the room's account.

    `approved` is cash that waits to be given out at the till.
    """

    REQUESTED = "requested"
    APPROVED = "approved"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"


REFUND_OPEN = frozenset({RefundState.REQUESTED, RefundState.APPROVED, RefundState.HELD})


@dataclass(frozen=True, slots=True)
class Refund:
    """Money of one order on its way back to where it came from.

    A `held` one is booked already: the entry is the hold, undone by a reversal where the provider
    refuses. `paid_by` is the cashier who gave it out, in his `shift`.
    """

    id: str
    key: str
    digest: str
    order: str
    account: str
    channel: str
    amount_minor: int
    state: RefundState
    reason: str
    requested_by: str
    requested_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
    provider_ref: str = ""
    finished_at: datetime | None = None
    tries: int = 0
    next_try_at: datetime | None = None
    shift: str | None = None
    paid_by: str | None = None
    note: str = ""

    @property
    def entry_id(self) -> str:
        """Return the id of the entry that holds, and then is, the refund."""
        return f"refund:{self.id}"


@dataclass(frozen=True, slots=True)
class Payment:
    """What a provider says was paid. None is what it does not tell."""

    order: str
    provider_ref: str
    amount_minor: int
    currency: str
    merchant: str | None
    app: str | None
    paid_at: datetime | None


class NoticeOutcome(StrEnum):
    """What became of a notice."""

    CREDITED = "credited"
    SUSPENDED = "suspended"
    DUPLICATE = "duplicate"
    REFUND = "refund"
    IGNORED = "ignored"
    HELD = "held"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """A notice as it came in: its headers, the digest and size of its body, what became of it."""

    received_at: datetime
    channel: str
    order: str
    headers: Mapping[str, str]
    body_digest: str
    body_bytes: int
    outcome: NoticeOutcome
    reason: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Review:
    """A payment that the provider vouches for but that does not fit: a person has to look."""

    id: str
    time: datetime
    channel: str
    order: str
    provider_ref: str
    amount_minor: int
    reason: str
    facts: Mapping[str, str]
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shift:
    """A cashier's turn at the till, with the cash counted at both ends.

    `expected_minor` is what should lie there at the end, `difference_minor` counted less expected.
    """

    id: str
    cashier: str
    opened_at: datetime
    opening_minor: int
    closed_at: datetime | None = None
    counted_minor: int | None = None
    expected_minor: int | None = None
    difference_minor: int | None = None
    note: str = ""


class ReceiptKind(StrEnum):
    """What a receipt is for."""

    RECHARGE = "recharge"
    REFUND = "refund"
    VOID = "void"
    TOKEN_SALE = "token-sale"  # noqa: S105 - the name of a kind


@dataclass(frozen=True, slots=True)
class Receipt:
    """A printed proof of cash. `number` runs without gaps over the whole site.

    `amount_minor` is positive for cash taken and negative for cash given back; `voids` is the
    number of the receipt that this one takes back.
    """

    number: int
    kind: ReceiptKind
    order: str
    account: str
    building: str
    room: str
    amount_minor: int
    cashier: str
    shift: str
    time: datetime
    person: str | None = None
    refund: str | None = None
    voids: int | None = None
    note: str = ""


class RowKind(StrEnum):
    """What a row of a provider's statement is about."""

    PAYMENT = "payment"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One movement as the provider's statement of a day has it; amounts are positive."""

    kind: RowKind
    provider_ref: str
    order: str
    amount_minor: int
    time: datetime | None = None
    refund: str = ""


class MatchKind(StrEnum):
    """How a movement stands between the provider and us."""

    MATCHED = "matched"
    MISSING_HERE = "missing-here"
    MISSING_THERE = "missing-there"
    AMOUNT_DIFFERS = "amount-differs"


@dataclass(frozen=True, slots=True)
class Match:
    """One movement, theirs and ours side by side; what a side does not have is None."""

    result: MatchKind
    kind: RowKind
    order: str
    refund: str
    provider_ref: str
    theirs_minor: int | None
    ours_minor: int | None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A channel's day: every movement compared, and the sums of both sides.

    `imported` says whether a statement of that day is there at all.
    """

    channel: str
    day: date
    imported: bool
    matches: tuple[Match, ...]

    @property
    def clean(self) -> bool:
        """Say whether a statement is there and nothing differs."""
        return self.imported and all(m.result is MatchKind.MATCHED for m in self.matches)

    def count(self, result: MatchKind) -> int:
        """Return how many movements stand that way."""
        return sum(match.result is result for match in self.matches)
