"""Between values of the domain and rows of the tables; `tests` hold every type to a round trip."""

from collections.abc import Iterable, Mapping
from typing import Any

from domain.causes import CauseKind, Evidence, RuleMode, TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.events import Event, EventKind, Severity
from domain.policy import Policy
from domain.ports import KeepPower, Restore
from domain.site import Bus, Meter, Site

Row = dict[str, Any]
Stored = Mapping[str, Any]


def cause_row(cause: TripCause) -> Row:
    """Return a trip cause as a row."""
    return {
        "id": cause.id,
        "meter": cause.meter,
        "kind": cause.kind.value,
        "since": cause.since,
        "raised_by": cause.raised_by,
        "reason": cause.reason,
        "evidence": cause.evidence.as_dict() if cause.evidence else None,
        "until": cause.until,
        "cleared_at": cause.cleared_at,
        "cleared_by": cause.cleared_by,
        "mode": cause.mode.value,
        "shadow": cause.shadow,
    }


def cause_of(row: Stored) -> TripCause:
    """Read a trip cause back."""
    evidence = row["evidence"]
    return TripCause(
        **{
            **row,
            "kind": CauseKind(row["kind"]),
            "mode": RuleMode(row["mode"]),
            "evidence": Evidence.from_dict(evidence) if evidence else None,
        }
    )


def command_row(command: Command) -> Row:
    """Return a command as a row."""
    return {
        "id": command.id,
        "meter": command.meter,
        "action": command.action.value,
        "reason": command.reason,
        "requested_by": command.requested_by,
        "issued_at": command.issued_at,
        "expires_at": command.expires_at,
        "cause_id": command.cause_id,
        "seal": command.seal,
    }


def command_of(row: Stored) -> Command:
    """Read a command back."""
    return Command(**{**row, "action": Action(row["action"])})


def receipt_row(receipt: Receipt) -> Row:
    """Return a receipt as a row."""
    return {
        "command_id": receipt.command_id,
        "meter": receipt.meter,
        "action": receipt.action.value,
        "status": receipt.status.value,
        "reason": receipt.reason,
        "relay_closed": receipt.relay_closed,
        "finished_at": receipt.finished_at,
        "writes": receipt.writes,
        "proof": dict(receipt.proof),
    }


def receipt_of(row: Stored) -> Receipt:
    """Read a receipt back."""
    return Receipt(
        **{**row, "action": Action(row["action"]), "status": ReceiptStatus(row["status"])}
    )


def event_row(event: Event) -> Row:
    """Return an event as a row; its number is given by the database."""
    return {
        "time": event.time,
        "kind": event.kind.value,
        "subject": event.subject,
        "message": event.message,
        "severity": event.severity.value,
        "actor": event.actor,
        "group": event.group,
        "details": dict(event.details),
    }


def event_of(row: Stored) -> Event:
    """Read an event back."""
    content = {name: value for name, value in row.items() if name != "number"}
    return Event(
        **{**content, "kind": EventKind(row["kind"]), "severity": Severity(row["severity"])}
    )


def keep_power_row(lock: KeepPower) -> Row:
    """Return a keep-power lock as a row."""
    return {
        "meter": lock.meter,
        "since": lock.since,
        "requested_by": lock.requested_by,
        "reason": lock.reason,
        "released_at": lock.released_at,
    }


def restore_row(restore: Restore) -> Row:
    """Return a restore as a row."""
    return {"meter": restore.meter, "time": restore.time, "cause_id": restore.cause_id}


def site_row(site: Site) -> Row:
    """Return the site without its buses and meters as the only row of its table."""
    return {
        "only": 1,
        "name": site.name,
        "title": site.title,
        "time_zone": site.time_zone,
        "currency": site.currency,
    }


def bus_rows(buses: Iterable[Bus]) -> list[Row]:
    """Return the buses as rows that remember their order."""
    return [{**bus.model_dump(mode="json"), "place": place} for place, bus in enumerate(buses)]


def meter_rows(meters: Iterable[Meter]) -> list[Row]:
    """Return the roster as rows that remember their order."""
    return [{**meter.model_dump(mode="json"), "place": place} for place, meter in enumerate(meters)]


def site_of(site: Stored, buses: Iterable[Stored], meters: Iterable[Stored]) -> Site:
    """Read the site back, checked as if it came from a file."""
    return Site.model_validate(
        {
            **{name: value for name, value in site.items() if name != "only"},
            "buses": [_without_place(row) for row in buses],
            "meters": [_without_place(row) for row in meters],
        }
    )


def policy_body(policy: Policy) -> Row:
    """Return a policy as JSON; its version is the row's."""
    return policy.model_dump(mode="json", exclude={"version"})


def policy_of(row: Stored) -> Policy:
    """Read a policy back, with its version."""
    return Policy.model_validate({**row["body"], "version": row["version"]})


def _without_place(row: Stored) -> Row:
    return {name: value for name, value in row.items() if name != "place"}
