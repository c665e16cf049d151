"""Rows of charging's tables as billing's values, and back."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from billing.chain import Decision, Reading, Ruling
from billing.charging_store import (
    DayRow,
    MonthRow,
    RegisterKey,
    RegisterRow,
    Review,
    ReviewState,
    SavedVersion,
)
from billing.rating import Carry, Line, LineKey, Lot
from billing.tariff import Band, TariffVersion

Row = dict[str, Any]


def version_row(saved: SavedVersion) -> Row:
    """Return a tariff version as a row."""
    return {
        "tariff": saved.tariff,
        "number": saved.version.number,
        "title": saved.title,
        "kind": saved.kind,
        "valid_from": saved.version.valid_from,
        "body": saved.version.model_dump(mode="json"),
        "saved_at": saved.saved_at,
        "actor": saved.actor,
        "reason": saved.reason,
        "withdrawn_at": saved.withdrawn_at,
    }


def version_of(row: Row) -> SavedVersion:
    """Return a row as a tariff version."""
    return SavedVersion(
        tariff=row["tariff"],
        title=row["title"],
        kind=row["kind"],
        version=TariffVersion.model_validate(row["body"]),
        saved_at=row["saved_at"],
        actor=row["actor"],
        reason=row["reason"],
        withdrawn_at=row["withdrawn_at"],
    )


def register_row(register: RegisterRow) -> Row:
    """Return how far a register is settled as a row."""
    return {
        "meter": register.key.meter,
        "since": register.key.since,
        "account": register.account,
        "last_ms": register.last.ms,
        "last_wh": register.last.energy_wh,
        "counted_wh": register.counted_wh,
    }


def register_of(row: Row) -> RegisterRow:
    """Return a row as how far a register is settled."""
    return RegisterRow(
        RegisterKey(row["meter"], row["since"]),
        row["account"],
        Reading(row["last_ms"], row["last_wh"]),
        row["counted_wh"],
    )


def day_row(day: DayRow) -> Row:
    """Return a day's readings as a row."""
    return {
        "meter": day.key.meter,
        "since": day.key.since,
        "day": day.day,
        "readings": [list(reading) for reading in day.readings],
    }


def day_of(row: Row) -> DayRow:
    """Return a row as a day's readings."""
    readings = tuple(Reading(ms, energy_wh) for ms, energy_wh in row["readings"])
    return DayRow(RegisterKey(row["meter"], row["since"]), row["day"], readings)


def month_row(month: MonthRow) -> Row:
    """Return a month as a row."""
    return {
        "account": month.account,
        "month": month.month,
        "number": month.number,
        "amount_micro": month.amount_micro,
        "energy_wh": month.energy_wh,
        "granted_wh": month.granted_wh,
        "used_wh": month.used_wh,
        "expired_wh": month.expired_wh,
        "until_ms": month.until_ms,
        "final": month.final,
        "lines": [_line_row(line) for line in month.lines],
        "fees_micro": dict(month.fees_micro),
        "carry": {"year_wh": month.carry.year_wh, "lots": [list(lot) for lot in month.carry.lots]},
    }


def month_of(row: Row) -> MonthRow:
    """Return a row as a month."""
    carry = row["carry"]
    lots = tuple(Lot(gone_in, energy_wh) for gone_in, energy_wh in carry["lots"])
    plain = {
        name: row[name]
        for name in (
            "account", "month", "number", "amount_micro", "energy_wh", "granted_wh", "used_wh",
            "expired_wh", "until_ms", "final",
        )
    }  # fmt: skip
    return MonthRow(
        **plain,
        lines=tuple(_line_of(line) for line in row["lines"]),
        fees_micro=row["fees_micro"],
        carry=Carry(carry["year_wh"], lots),
    )


def review_row(review: Review) -> Row:
    """Return a review as a row."""
    return {
        "id": review.id,
        "meter": review.key.meter,
        "since": review.key.since,
        "account": review.account,
        "found_at": review.found_at,
        "before_ms": review.before.ms,
        "before_wh": review.before.energy_wh,
        "after_ms": review.after.ms,
        "after_wh": review.after.energy_wh,
        "possible_wh": review.possible_wh,
        "suggestion": _decision_row(review.suggestion),
        "state": review.state.value,
        "decision": _decision_row(review.decision),
        "decided_by": review.decided_by,
        "decided_at": review.decided_at,
        "reason": review.reason,
    }


def review_of(row: Row) -> Review:
    """Return a row as a review."""
    return Review(
        id=row["id"],
        key=RegisterKey(row["meter"], row["since"]),
        account=row["account"],
        found_at=row["found_at"],
        before=Reading(row["before_ms"], row["before_wh"]),
        after=Reading(row["after_ms"], row["after_wh"]),
        possible_wh=row["possible_wh"],
        suggestion=_decision_of(row["suggestion"]),
        state=ReviewState(row["state"]),
        decision=_decision_of(row["decision"]),
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        reason=row["reason"],
    )


def _line_row(line: Line) -> Row:
    return {
        "tariff": line.key.tariff,
        "version": line.key.version,
        "band": line.key.band.value,
        "tier": line.key.tier,
        "energy_wh": line.energy_wh,
        "free_wh": line.free_wh,
        "rate": str(line.rate),
        "amount_micro": line.amount_micro,
    }


def _line_of(row: Row) -> Line:
    key = LineKey(row["tariff"], row["version"], Band(row["band"]), row["tier"])
    return Line(key, row["energy_wh"], row["free_wh"], Decimal(row["rate"]), row["amount_micro"])


def _decision_row(decision: Decision | None) -> Row:
    # An empty object is no decision: JSON's null and SQL's would be two kinds of nothing.
    return {} if decision is None else asdict(decision)


def _decision_of(row: Row) -> Decision | None:
    return None if not row else Decision(**{**row, "ruling": Ruling(row["ruling"])})
