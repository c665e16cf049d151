"""Energy that is held for review and not billed: whose, when, how much, why, and what became."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from billing.reports.model import Cell, Table, energy, moment, name, text
from billing.reports.period import Period
from domain.errors import InvalidInput
from domain.faults import Fault


@dataclass(frozen=True, slots=True)
class HeldEnergy:
    """Energy held for review, Wh (None where it can't be told). `decision` is "" while open."""

    id: str
    raised_at: datetime
    account: str
    meter: str
    reason: str
    energy_wh: int | None
    decision: str = ""
    decided_at: datetime | None = None
    decided_by: str = ""


class HeldSource(Protocol):
    """Where reviews are kept: those raised in a time, and older ones still open at its end."""

    def held(self, start: datetime, end: datetime, limit: int) -> Sequence[HeldEnergy]: ...


def exceptions(source: HeldSource, period: Period, most: int) -> Table:
    """List what was held in the period, and what was held before it and was still open."""
    columns = (
        text("review"),
        moment("raised_at"),
        text("account"),
        text("meter"),
        name("why"),
        energy("energy"),
        name("decision"),
        moment("decided_at"),
        text("decided_by"),
    )
    found = source.held(period.start_at, period.end_at, most + 1)
    if len(found) > most:
        raise InvalidInput([Fault("period", f"more than {most} rows; ask for fewer days")])
    ordered = sorted(found, key=lambda held: (held.raised_at, held.id))
    return Table(columns, [_row(held, period.end_at) for held in ordered])


def _row(held: HeldEnergy, end: datetime) -> tuple[Cell, ...]:
    # What was decided after the period was open at its end: so the report tells it.
    decided = held.decided_at is not None and held.decided_at < end
    return (
        held.id,
        held.raised_at,
        held.account,
        held.meter,
        held.reason,
        held.energy_wh,
        held.decision if decided else "open",
        held.decided_at if decided else None,
        held.decided_by if decided else "",
    )
