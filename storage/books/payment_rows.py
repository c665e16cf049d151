"""Between the values of payments and rows of their tables."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, Generic, TypeVar

from billing.payments.model import (
    NoticeOutcome,
    NoticeRecord,
    Order,
    OrderState,
    Receipt,
    ReceiptKind,
    Refund,
    RefundState,
    Review,
    RowKind,
    Shift,
    StatementRow,
)

Row = dict[str, Any]
T = TypeVar("T")


class RowsOf(Generic[T]):
    """Turns values of a type into rows and back; its columns are the type's fields.

    `closed` are the fields that hold a word of a closed list.
    """

    def __init__(self, of: Callable[..., T], **closed: type[Enum]) -> None:
        self._of, self._closed = of, closed
        self._names = [field.name for field in fields(of)]  # type: ignore[arg-type]

    def row(self, value: T) -> Row:
        """Return a value as a row."""
        row = {name: getattr(value, name) for name in self._names}
        for name in self._closed:
            row[name] = row[name].value
        return row

    def value(self, row: Mapping[str, Any]) -> T:
        """Read a value back."""
        found = {name: row[name] for name in self._names}
        for name, words in self._closed.items():
            found[name] = words(found[name])
        return self._of(**found)


ORDER = RowsOf(Order, state=OrderState)
REFUND = RowsOf(Refund, state=RefundState)
NOTICE = RowsOf(NoticeRecord, outcome=NoticeOutcome)
REVIEW = RowsOf(Review)
SHIFT = RowsOf(Shift)
RECEIPT = RowsOf(Receipt, kind=ReceiptKind)
STATEMENT_ROW = RowsOf(StatementRow, kind=RowKind)
