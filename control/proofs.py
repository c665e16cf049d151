"""Receipts and the events around a command, and how long to wait between tries."""

from control.core import Core
from control.limits import SUPERVISOR
from control.standing import Standing
from domain.commands import Command, Receipt, ReceiptStatus
from domain.events import Event, EventKind, Severity
from domain.policy import ControlPolicy


def back_off_s(policy: ControlPolicy, failures: int) -> float:
    """Return the pause after so many failures, s: doubling up to the policy's most."""
    doubled: float = policy.retry_after_s * 2.0 ** min(max(failures - 1, 0), 20)
    return min(doubled, policy.retry_after_most_s)


def receipt_of(
    core: Core,
    standing: Standing,
    command: Command,
    status: ReceiptStatus,
    reason: str,
    writes: int = 0,
) -> Receipt:
    """Return a receipt given by the supervisor itself, with the relay as last read."""
    return Receipt(
        command_id=command.id,
        meter=command.meter,
        action=command.action,
        status=status,
        reason=reason,
        relay_closed=None if standing.unproven else standing.closed,
        finished_at=core.clock.now(),
        writes=writes,
        proof={"seen_at": standing.seen_at.isoformat() if standing.seen_at else None},
    )


def sent_event(core: Core, command: Command) -> Event:
    """Return the event of a command that is about to be sent."""
    return core.event(
        EventKind.COMMAND_SENT,
        command.meter,
        f"{command.action.value}: {command.reason}",
        actor=command.requested_by,
        details={"command": command.id, "cause": command.cause_id},
    )


def done_event(core: Core, receipt: Receipt, actor: str = SUPERVISOR) -> Event:
    """Return the event of a command that has ended, one way or another."""
    proven = receipt.status is ReceiptStatus.CONFIRMED
    return core.event(
        EventKind.COMMAND_DONE,
        receipt.meter,
        f"{receipt.action.value} {receipt.status.value}: {receipt.reason}",
        Severity.INFO if proven else Severity.WARNING,
        actor=actor,
        details={
            "command": receipt.command_id,
            "action": receipt.action.value,
            "status": receipt.status.value,
            "relay_closed": receipt.relay_closed,
            "writes": receipt.writes,
        },
    )


def unproven_event(core: Core, standing: Standing, receipt: Receipt) -> Event:
    """Return the alarm that a relay does not do what it shall; grouped by bus."""
    return core.event(
        EventKind.COMMAND_UNPROVEN,
        standing.name,
        f"{receipt.action.value} is not proven: {receipt.reason}; it is tried on slowly",
        Severity.ALARM,
        group=standing.meter.bus,
        details={"command": receipt.command_id, "action": receipt.action.value},
    )
