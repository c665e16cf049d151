"""What the till answers and takes: cash, receipts, shifts."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.params import Limit, Moment, Words
from api.payment_answers import AmountMinor, Answer, Strict
from billing.payments.model import Receipt, ReceiptKind, Shift


class CashBody(Strict):
    """Cash laid on the counter."""

    account: Annotated[str, Field(max_length=64)]
    amount_minor: AmountMinor
    person: Annotated[Words, Field(max_length=64)] | None = None
    note: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class ReceiptAnswer(Answer):
    """A receipt; an amount below 0 was given back."""

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
    person: str | None
    refund: str | None
    voids: int | None
    note: str
    printed: Annotated[str, Field(description="the receipt as plain text")]

    @classmethod
    def of(cls, receipt: Receipt, printed: str) -> "ReceiptAnswer":
        """Tell a receipt."""
        names = set(cls.model_fields) - {"printed"}
        return cls(**{name: getattr(receipt, name) for name in names}, printed=printed)


class ReceiptList(Answer):
    """Receipts, newest first."""

    count: int
    receipts: list[ReceiptAnswer]


class ReceiptsQuery(Strict):
    """Which receipts."""

    shift: Annotated[str | None, Field(max_length=64)] = None
    account: Annotated[str | None, Field(max_length=64)] = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = 100


class ShiftOpenBody(Strict):
    """The float as counted."""

    opening_minor: AmountMinor


class ShiftCloseBody(Strict):
    """The drawer as counted."""

    counted_minor: AmountMinor
    note: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class ShiftAnswer(Answer):
    """A cashier's shift; `difference_minor` is counted less expected."""

    id: str
    cashier: str
    opened_at: datetime
    opening_minor: int
    closed_at: datetime | None
    counted_minor: int | None
    expected_minor: int | None
    difference_minor: int | None
    note: str

    @classmethod
    def of(cls, shift: Shift) -> "ShiftAnswer":
        """Tell a shift."""
        return cls(**{name: getattr(shift, name) for name in cls.model_fields})


class ShiftList(Answer):
    """Shifts, newest first."""

    count: int
    shifts: list[ShiftAnswer]


class ShiftsQuery(Strict):
    """Which shifts."""

    cashier: Annotated[str | None, Field(max_length=64)] = None
    open: bool = Field(False, description="only those that are open")
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = 100
