"""Energy held for review and not billed: whose, when, how much, what may be, what was decided."""

from collections.abc import Sequence
from typing import Protocol

from billing.calendar import to_time
from billing.charging_store import Review, ReviewState
from billing.reports.model import Cell, Table, energy, moment, name, text
from billing.reports.period import Period
from domain.errors import InvalidInput
from domain.faults import Fault


class HeldSource(Protocol):
    """Where held jumps of counters are kept; lists come newest first."""

    def reviews(self, *, open_only: bool = False, limit: int = 10_000) -> Sequence[Review]: ...


def exceptions(source: HeldSource, period: Period, most: int) -> Table:
    """List what was held in the period, and what was held before it and decided only later.

    What was decided after the period was open at its end, and so it is told.
    """
    columns = (
        text("review"),
        moment("raised_at"),
        text("account"),
        text("meter"),
        moment("from_reading"),
        moment("to_reading"),
        energy("energy"),
        energy("possible"),
        name("state"),
        name("decision"),
        energy("billed"),
        text("decided_by"),
        text("reason"),
    )
    found = source.reviews(open_only=False, limit=most + 1)
    if len(found) > most and found[-1].found_at >= period.start_at:
        raise InvalidInput([Fault("period", f"more than {most} rows; ask for fewer days")])
    # What is still open may be older than all that fits in the list.
    known = {one.id: one for one in (*found, *source.reviews(open_only=True, limit=most))}
    rows = [_row(one, period) for one in known.values() if _belongs(one, period)]
    return Table(columns, sorted(rows, key=lambda row: (str(row[1]), str(row[0]))))


def _belongs(review: Review, period: Period) -> bool:
    if review.found_at >= period.end_at:
        return False
    if review.found_at >= period.start_at or review.state is ReviewState.OPEN:
        return True
    return review.decided_at is not None and review.decided_at >= period.start_at


def _row(review: Review, period: Period) -> tuple[Cell, ...]:
    later = review.decided_at is not None and review.decided_at >= period.end_at
    is_open = later or review.state is ReviewState.OPEN
    decision = None if is_open else review.decision
    return (
        review.id,
        review.found_at,
        review.account,
        review.key.meter,
        to_time(review.before.ms),
        to_time(review.after.ms),
        review.difference_wh,
        review.possible_wh,
        ReviewState.OPEN.value if is_open else review.state.value,
        decision.ruling.value if decision else "",
        0 if is_open else review.counted_wh,
        "" if is_open else review.decided_by,
        "" if is_open else review.reason,
    )
