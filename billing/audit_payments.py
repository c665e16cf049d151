"""Checks of recharges: orders and providers' statements against the books. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from billing.audit import AuditCheck, AuditSource, BookedEntry
from billing.payments.model import RefundState, RowKind
from billing.payments.statements import PROVIDER_ZONE
from domain.books import EntryKind
from domain.faults import Fault
from domain.money import minor_to_micro

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Movement:
    entry: BookedEntry
    amount_micro: int


class PaymentCheck:
    """Every credited order stands in the books with its amount, once, and nothing else does; every
    row of a provider's statement is a recharge or a refund, and the other way round."""

    name = "payments"

    def __init__(self) -> None:
        self._recharges: dict[str, _Movement] = {}
        self._refunds: dict[str, _Movement] = {}

    def look(self, entry: BookedEntry) -> Iterable[Fault]:
        """Note recharges and refunds by what they rest on."""
        kinds = {EntryKind.RECHARGE: self._recharges, EntryKind.REFUND: self._refunds}
        if entry.kind in (EntryKind.RECHARGE, EntryKind.REFUND):
            _, _, name = entry.id.partition(":")
            kept = kinds[EntryKind(entry.kind)]
            kept[name] = _Movement(entry, sum(leg.amount for leg in entry.legs if leg.amount > 0))
        return ()

    def finish(self, source: AuditSource) -> Iterator[Fault]:
        """Compare orders, refunds and statements with what was noted."""
        paid: dict[str, Row] = {}
        known: set[str] = set()
        for order in source.rows("payment_order"):
            known.add(order["id"])
            if order["book"]:
                paid[order["id"]] = order
            yield from self._order(order)
        if known:
            yield from self._without_order(known)
        for refund in source.rows("payment_refund"):
            yield from self._refund(refund)
        yield from self._statements(source, paid)

    def _order(self, order: Row) -> Iterator[Fault]:
        where, found = f"payment_order {order['id']}", self._recharges.get(order["id"])
        owed = minor_to_micro(order["amount_minor"])
        if found is None:
            if order["book"]:
                message = f"is credited, but no recharge:{order['id']} is in the books"
                yield Fault(where, message, order["account"])
        elif not order["book"]:
            message = f"is {order['state']}, but {found.entry} credits it"
            yield Fault(where, message, order["account"])
        elif found.amount_micro != owed:
            message = f"is over {owed} micro, {found.entry} books {found.amount_micro}"
            yield Fault(where, message, order["account"])

    def _without_order(self, known: set[str]) -> Iterator[Fault]:
        for name, movement in self._recharges.items():
            # Tokens are sold and taken back without orders; their entries say so by their names.
            if name not in known and not name.startswith("token-"):
                message = f"recharges by an order {name} that is not there"
                yield Fault(str(movement.entry), message, movement.entry.id)

    def _refund(self, refund: Row) -> Iterator[Fault]:
        where, found = f"payment_refund {refund['id']}", self._refunds.get(refund["id"])
        owed = minor_to_micro(refund["amount_minor"])
        if found is None:
            if refund["state"] == RefundState.DONE.value:
                message = f"is done, but no refund:{refund['id']} is in the books"
                yield Fault(where, message, refund["account"])
        elif found.amount_micro != owed:
            message = f"is over {owed} micro, {found.entry} books {found.amount_micro}"
            yield Fault(where, message, refund["account"])

    def _statements(self, source: AuditSource, paid: Mapping[str, Row]) -> Iterator[Fault]:
        resolved = {
            (row["channel"], row["order"], row["provider_ref"])
            for row in source.rows("payment_review")
            if row["resolved_at"] is not None
        }
        seen: set[str] = set()
        for row in source.rows("provider_statement_row"):
            name = row["refund"] if row["kind"] == RowKind.REFUND.value else row["order"]
            if (row["channel"], row["order"], row["provider_ref"]) in resolved:
                seen.add(name)
                continue
            yield from self._statement_row(row, name, seen)
            seen.add(name)
        days = {(row["channel"], _day(row["day"])) for row in source.rows("provider_statement")}
        for order in paid.values():
            at = order["paid_at"]
            if at is None or order["id"] in seen:
                continue
            if (order["channel"], at.astimezone(PROVIDER_ZONE).date()) in days:
                message = "is credited, but the provider's statement of its day does not have it"
                yield Fault(f"payment_order {order['id']}", message, order["account"])

    def _statement_row(self, row: Row, name: str, seen: set[str]) -> Iterator[Fault]:
        where = f"statement {row['channel']} {_day(row['day'])} row {row['place']}"
        refunds = row["kind"] == RowKind.REFUND.value
        found = (self._refunds if refunds else self._recharges).get(name)
        moved = minor_to_micro(row["amount_minor"])
        told = f"{row['kind']} {row['provider_ref']} of {row['amount_minor']} fen"
        if name in seen:
            yield Fault(where, f"{told}: {name} stands in a statement before", name)
        elif found is None:
            yield Fault(where, f"{told}: nothing in the books for {name}", name)
        elif found.amount_micro != moved:
            message = f"{told}: {found.entry} books {found.amount_micro} micro, not {moved}"
            yield Fault(where, message, name)


def _day(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def payment_checks() -> list[AuditCheck]:
    """Return the checks of recharges; without orders and statements they find nothing."""
    return [PaymentCheck()]
