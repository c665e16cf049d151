"""Cash at the office: shifts with what was counted, and the receipts that were printed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from billing.payments.model import Receipt, Shift
from billing.reports.model import Cell, Column, Kind, Table, moment, money, name, text
from billing.reports.period import Period
from domain.errors import InvalidInput
from domain.faults import Fault
from domain.money import minor_to_micro


class CashierSource(Protocol):
    """Where shifts (by when they were opened) and receipts (by their time) are kept."""

    def shifts(
        self, *, since: datetime | None, until: datetime | None, limit: int
    ) -> Sequence[Shift]: ...

    def receipts(
        self, *, since: datetime | None, until: datetime | None, limit: int
    ) -> Sequence[Receipt]: ...


def shifts(source: CashierSource, period: Period, most: int) -> Table:
    """List the shifts opened in the period: what lay in the drawer, what was counted."""
    columns = (
        text("shift"),
        text("cashier"),
        moment("opened_at"),
        moment("closed_at"),
        money("opening_cash"),
        money("expected"),
        money("counted"),
        money("difference"),
        text("reason"),
    )
    found = source.shifts(since=period.start_at, until=period.end_at, limit=most + 1)
    _bounded(len(found), most)
    return Table(columns, [_shift(shift) for shift in sorted(found, key=_opened)])


def receipts(source: CashierSource, period: Period, most: int) -> Table:
    """List the receipts of the period by their running number; cash given back is negative."""
    columns = (
        Column("receipt", Kind.TEXT),
        moment("time"),
        name("entry_kind"),
        text("account"),
        text("order"),
        text("person"),
        text("cashier"),
        text("shift"),
        text("voids"),
        money("amount"),
    )
    found = source.receipts(since=period.start_at, until=period.end_at, limit=most + 1)
    _bounded(len(found), most)
    return Table(columns, [_receipt(one) for one in sorted(found, key=lambda one: one.number)])


def _shift(shift: Shift) -> tuple[Cell, ...]:
    return (
        shift.id,
        shift.cashier,
        shift.opened_at,
        shift.closed_at,
        minor_to_micro(shift.opening_minor),
        _micro(shift.expected_minor),
        _micro(shift.counted_minor),
        _micro(shift.difference_minor),
        shift.note,
    )


def _receipt(receipt: Receipt) -> tuple[Cell, ...]:
    return (
        str(receipt.number),
        receipt.time,
        receipt.kind.value,
        receipt.account,
        receipt.order,
        receipt.person or "",
        receipt.cashier,
        receipt.shift,
        "" if receipt.voids is None else str(receipt.voids),
        minor_to_micro(receipt.amount_minor),
    )


def _opened(shift: Shift) -> tuple[datetime, str]:
    return shift.opened_at, shift.id


def _micro(amount_minor: int | None) -> int | None:
    return None if amount_minor is None else minor_to_micro(amount_minor)


def _bounded(found: int, most: int) -> None:
    if found > most:
        message = f"more than {most} rows; ask for fewer days"
        raise InvalidInput([Fault("period", message)])
