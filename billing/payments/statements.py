"""Providers' statements, fetched or imported by day, compared with what was booked here."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from billing.payments.desk import Desk, wait_for
from billing.payments.model import (
    UNPAID,
    Match,
    MatchKind,
    Order,
    Reconciliation,
    Refund,
    RefundState,
    RowKind,
    StatementRow,
)
from domain.errors import InvalidInput
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.money import AMOUNT_MOST_MINOR

FAULTS_SHOWN = 100
# All of these providers cut their days in Beijing, wherever the site lies.
PROVIDER_ZONE = ZoneInfo("Asia/Shanghai")


class Statements:
    """Keeps statements and reconciles them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def fetch(self, channel_name: str, day: date, actor: str) -> Reconciliation:
        """Fetch a finished day's statement from the provider, keep it and reconcile.

        Raises UnknownSubject, InvalidInput, LinkDown, ChannelRefused.
        """
        channel = self._desk.channel(channel_name)
        self._finished(day)
        return self.take(channel_name, day, channel.statement(day), actor)

    def take(
        self, channel_name: str, day: date, rows: Sequence[StatementRow], actor: str
    ) -> Reconciliation:
        """Keep the rows of a day in place of those kept before, and reconcile.

        A day that does not agree is told as an event. Raises UnknownSubject, InvalidInput.
        """
        self._desk.channel(channel_name)
        self._check(rows)
        now = self._desk.clock.now()
        wait_for(
            self._desk.store.transact(
                lambda tx: tx.replace_statement(channel_name, day, rows, actor, now)
            )
        )
        result = self.reconcile(channel_name, day)
        wrong = len(result.matches) - result.count(MatchKind.MATCHED)
        if wrong:
            self._desk.on_event(
                Event(
                    now,
                    EventKind.STATEMENT_DIFFERS,
                    channel_name,
                    f"{wrong} movements of {day} differ from the statement of {channel_name}",
                    Severity.ALARM,
                    actor=actor,
                    group=f"payments:{channel_name}",
                    details={kind.value: result.count(kind) for kind in MatchKind},
                )
            )
        return result

    def reconcile(self, channel_name: str, day: date) -> Reconciliation:
        """Compare a day's kept statement with the payments and refunds booked here.

        Raises UnknownSubject for a channel that is off.
        """
        self._desk.channel(channel_name)
        store, most = self._desk.store, self._desk.settings.statement_rows_most
        since, until = day_bounds(day)
        rows = store.statement(channel_name, day)
        orders = store.paid_orders(channel_name, since, until, most)
        refunds = store.finished_refunds(channel_name, since, until, most)
        matches: list[Match] = []
        seen: set[str] = set()
        for row in rows or ():
            match = self._match(channel_name, row, seen)
            seen.add(row.refund if row.kind is RowKind.REFUND else row.order)
            matches.append(match)
        matches += [_only_here(order) for order in orders if order.id not in seen]
        matches += [_only_here(refund) for refund in refunds if refund.id not in seen]
        return Reconciliation(channel_name, day, rows is not None, tuple(matches))

    def _match(self, channel: str, row: StatementRow, seen: set[str]) -> Match:
        """Find our side of a row, whatever day it is booked on here."""
        ours = (
            self._refund(channel, row) if row.kind is RowKind.REFUND else self._order(channel, row)
        )
        name = row.refund if row.kind is RowKind.REFUND else row.order
        if ours is None or name in seen:
            result = MatchKind.MISSING_HERE
        elif ours != row.amount_minor:
            result = MatchKind.AMOUNT_DIFFERS
        else:
            result = MatchKind.MATCHED
        return Match(
            result, row.kind, row.order, row.refund, row.provider_ref, row.amount_minor, ours
        )

    def _order(self, channel: str, row: StatementRow) -> int | None:
        order = self._desk.store.order(row.order)
        if order is None or order.channel != channel or order.state in UNPAID:
            return None
        return order.amount_minor if order.provider_ref == row.provider_ref else None

    def _refund(self, channel: str, row: StatementRow) -> int | None:
        refund = self._desk.store.refund(row.refund)
        if refund is None or refund.channel != channel or refund.state is not RefundState.DONE:
            return None
        return refund.amount_minor

    def _check(self, rows: Sequence[StatementRow]) -> None:
        most = self._desk.settings.statement_rows_most
        if len(rows) > most:
            raise InvalidInput([Fault("rows", f"may be {most} at most (given: {len(rows)})")])
        faults = [
            Fault(f"rows[{place}].amount_minor", f"must be from 1 to {AMOUNT_MOST_MINOR} fen")
            for place, row in enumerate(rows)
            if not 0 < row.amount_minor <= AMOUNT_MOST_MINOR
        ]
        faults += [
            Fault(f"rows[{place}]", "a payment must name its order, a refund its refund")
            for place, row in enumerate(rows)
            if not (row.refund if row.kind is RowKind.REFUND else row.order)
        ]
        if faults:
            raise InvalidInput(faults[:FAULTS_SHOWN])

    def _finished(self, day: date) -> None:
        today = self._desk.clock.now().astimezone(PROVIDER_ZONE).date()
        if day >= today:
            raise InvalidInput([Fault("day", f"must be before today, {today} (given: {day})")])


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return when a provider's day begins and ends."""
    since = datetime.combine(day, time(), PROVIDER_ZONE)
    until = datetime.combine(day + timedelta(days=1), time(), PROVIDER_ZONE)
    return since.astimezone(UTC), until.astimezone(UTC)


def _only_here(ours: Order | Refund) -> Match:
    if isinstance(ours, Order):
        kind, order, refund = RowKind.PAYMENT, ours.id, ""
    else:
        kind, order, refund = RowKind.REFUND, ours.order, ours.id
    return Match(
        MatchKind.MISSING_THERE, kind, order, refund, ours.provider_ref, None, ours.amount_minor
    )
