"""What payments answer and take: orders, refunds, notices, statements."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.params import Limit, Moment, Words
from billing.payments.model import (
    Match,
    MatchKind,
    NoticeOutcome,
    NoticeRecord,
    Order,
    OrderState,
    Reconciliation,
    Refund,
    RefundState,
    Review,
    RowKind,
    StatementRow,
)
from billing.payments.orders import OrderView
from domain.catalogue.language import Language
from domain.texts import TEXTS, text

# What can be wrong with an amount is said by the service, in one place.
AmountMinor = Annotated[int, Field(strict=True, description="fen")]
ChannelName = Annotated[str, Field(max_length=32, pattern=r"^[a-z-]+$")]
ROWS_SHOWN = 1_000
IMPORT_ROWS_MOST = 20_000


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True)


class Strict(BaseModel):
    """What staff send; unknown fields are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class _Lenient(BaseModel):
    # What a student's program sends beyond these fields is not looked at.
    model_config = ConfigDict(frozen=True, extra="ignore")


class PayerBody(_Lenient):
    """What a way to pay needs to know of the payer."""

    openid: Annotated[str, Field(max_length=128)] | None = None
    client_ip: Annotated[str, Field(max_length=64)] | None = None
    card: Annotated[str, Field(max_length=64)] | None = None


class OrderBody(_Lenient):
    """A recharge that is wished for."""

    channel: ChannelName
    amount_minor: AmountMinor
    way: Annotated[str, Field(max_length=32, description="default: the channel's usual one")] = ""
    payer: PayerBody = PayerBody()


class OrderAnswer(Answer):
    """An order; `pay` is what the payer's device needs while it waits to be paid."""

    id: str
    account: str
    channel: str
    way: str
    amount_minor: int
    state: OrderState
    state_in_words: str
    created_at: datetime
    expires_at: datetime
    pay: dict[str, str]
    provider_ref: str
    paid_at: datetime | None
    credited_at: datetime | None
    refunded_minor: int
    requested_by: str
    power: Annotated[
        str | None, Field(description="what the room's power waits for, once the money is there")
    ]

    @classmethod
    def of(cls, order: Order, language: Language, power: str | None = None) -> "OrderAnswer":
        """Tell an order."""
        waits = order.state in (OrderState.CREATED, OrderState.PENDING)
        return cls(
            id=order.id,
            account=order.account,
            channel=order.channel,
            way=order.way,
            amount_minor=order.amount_minor,
            state=order.state,
            state_in_words=text(f"payments.state.{order.state.value}", language),
            created_at=order.created_at,
            expires_at=order.expires_at,
            pay=dict(order.pay) if waits else {},
            provider_ref=order.provider_ref,
            paid_at=order.paid_at,
            credited_at=order.credited_at,
            refunded_minor=order.refunded_minor,
            requested_by=order.requested_by,
            power=power or None,
        )

    @classmethod
    def seen(cls, view: OrderView, language: Language) -> "OrderAnswer":
        """Tell an order with what the room's power waits for."""
        return cls.of(view.order, language, view.power)


class OrderList(Answer):
    """Orders, newest first."""

    count: int
    orders: list[OrderAnswer]

    @classmethod
    def of(cls, orders: Sequence[Order], language: Language) -> "OrderList":
        """Tell orders."""
        return cls(count=len(orders), orders=[OrderAnswer.of(one, language) for one in orders])


class OrdersQuery(Strict):
    """Which orders."""

    account: Annotated[str | None, Field(max_length=64)] = None
    state: OrderState | None = None
    channel: ChannelName | None = None
    since: Moment | None = Field(None, description="only orders made from then on")
    until: Moment | None = Field(None, description="only orders made before")
    limit: Limit = 100


class ChannelAnswer(Answer):
    """A channel that is on, with its ways, the usual one first."""

    name: str
    in_words: str
    ways: list[str]


class ChannelList(Answer):
    """How one may pay here, and the limits."""

    channels: list[ChannelAnswer]
    cash: bool
    amount_least_minor: int
    amount_most_minor: int
    order_expires_s: int


class RefundBody(Strict):
    """Money of an order that is to go back."""

    order: Annotated[str, Field(max_length=64)]
    amount_minor: AmountMinor
    reason: Annotated[Words, Field(max_length=200)]


class ReasonBody(Strict):
    """Why."""

    reason: Annotated[Words, Field(max_length=200)]


class RefundAnswer(Answer):
    """A refund and where it stands."""

    id: str
    order: str
    account: str
    channel: str
    amount_minor: int
    state: RefundState
    reason: str
    requested_by: str
    requested_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    paid_by: str | None
    finished_at: datetime | None
    tries: int
    note: str

    @classmethod
    def of(cls, refund: Refund) -> "RefundAnswer":
        """Tell a refund."""
        return cls(**{name: getattr(refund, name) for name in cls.model_fields})


class RefundList(Answer):
    """Refunds, newest first."""

    count: int
    refunds: list[RefundAnswer]


class RefundsQuery(Strict):
    """Which refunds."""

    order: Annotated[str | None, Field(max_length=64)] = None
    account: Annotated[str | None, Field(max_length=64)] = None
    open: bool = Field(False, description="only those that are not finished")
    limit: Limit = 100


class NoticeRow(Answer):
    """A notice as it came in."""

    number: int
    received_at: datetime
    channel: str
    order: str
    headers: dict[str, str]
    body_digest: str
    body_bytes: int
    outcome: NoticeOutcome
    reason: str

    @classmethod
    def of(cls, notice: NoticeRecord) -> "NoticeRow":
        """Tell a notice."""
        return cls(**{name: getattr(notice, name) for name in cls.model_fields})


class NoticeList(Answer):
    """Notices, newest first."""

    count: int
    notices: list[NoticeRow]


class NoticesQuery(Strict):
    """Which notices."""

    channel: ChannelName | None = None
    order: Annotated[str | None, Field(max_length=64)] = None
    outcome: NoticeOutcome | None = None
    limit: Limit = 100


class ReviewAnswer(Answer):
    """A payment that a provider vouches for and that does not fit."""

    id: str
    time: datetime
    channel: str
    order: str
    provider_ref: str
    amount_minor: int
    reason: str
    facts: dict[str, str]
    resolved_at: datetime | None
    resolved_by: str | None
    note: str

    @classmethod
    def of(cls, review: Review) -> "ReviewAnswer":
        """Tell a held payment."""
        return cls(**{name: getattr(review, name) for name in cls.model_fields})


class ReviewList(Answer):
    """Held payments, newest first."""

    count: int
    reviews: list[ReviewAnswer]


class NoteBody(Strict):
    """What was done."""

    note: Annotated[Words, Field(max_length=200)]


class StatementRowBody(Strict):
    """One movement of a provider's statement; amounts are positive, a refund names its refund."""

    kind: RowKind
    provider_ref: Annotated[str, Field(max_length=128)] = ""
    order: Annotated[str, Field(max_length=64)] = ""
    refund: Annotated[str, Field(max_length=64)] = ""
    amount_minor: AmountMinor
    time: Moment | None = None

    def row(self) -> StatementRow:
        """Return it as the service takes it."""
        return StatementRow(
            self.kind, self.provider_ref, self.order, self.amount_minor, self.time, self.refund
        )


class StatementBody(Strict):
    """A provider's day: all rows of it, those imported before are replaced."""

    channel: ChannelName
    day: date
    rows: Annotated[list[StatementRowBody], Field(max_length=IMPORT_ROWS_MOST)]


class MatchAnswer(Answer):
    """One movement, theirs and ours."""

    result: MatchKind
    kind: RowKind
    order: str
    refund: str
    provider_ref: str
    theirs_minor: int | None
    ours_minor: int | None

    @classmethod
    def of(cls, match: Match) -> "MatchAnswer":
        """Tell a movement."""
        return cls(**{name: getattr(match, name) for name in cls.model_fields})


class ReconciliationAnswer(Answer):
    """A channel's day compared; `differences` has what does not match, at most a thousand."""

    channel: str
    day: date
    imported: bool
    clean: bool
    counts: dict[Literal["matched", "missing-here", "missing-there", "amount-differs"], int]
    differences: list[MatchAnswer]

    @classmethod
    def of(cls, found: Reconciliation) -> "ReconciliationAnswer":
        """Tell a reconciled day."""
        wrong = [match for match in found.matches if match.result is not MatchKind.MATCHED]
        return cls(
            channel=found.channel,
            day=found.day,
            imported=found.imported,
            clean=found.clean,
            counts={kind.value: found.count(kind) for kind in MatchKind},
            differences=[MatchAnswer.of(match) for match in wrong[:ROWS_SHOWN]],
        )


def channel_in_words(name: str, language: Language) -> str:
    """Return what people call a channel."""
    key = f"payments.channel.{name}"
    return text(key, language) if key in TEXTS else name
