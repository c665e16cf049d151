"""After a restart: what the ledger remembers becomes what the supervisor knows, and no more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control.core import Core
from control.limits import SUPERVISOR, WINDOW_S, Approval
from control.proofs import done_event
from control.restores import day_start
from domain.causes import TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.events import Event, EventKind
from domain.ports import KeepPower, Ledger, Restore

# How far back commands are read, and how many rows of each kind at most.
LOOK_BACK = timedelta(days=1)
ROWS_MOST = 200_000

Sent = tuple[Command, Receipt | None]


@dataclass(frozen=True, slots=True)
class Memory:
    """What the ledger tells a supervisor that starts."""

    causes: Sequence[TripCause]
    locks: Sequence[KeepPower]
    restores: Sequence[Restore]
    commands: Sequence[Sent]
    locked: Sequence[Event]
    approvals: Sequence[Event]


def remember(ledger: Ledger, now: datetime, today: datetime, approvals_s: float) -> Memory:
    """Read everything that is needed. Blocks; raises StoreUnavailable."""
    causes = ledger.causes(open_only=True, limit=ROWS_MOST)
    oldest = min((cause.since for cause in causes), default=now)
    asked_since = now - timedelta(seconds=approvals_s)
    kinds = (EventKind.TRIPS_LIMITED, EventKind.APPROVAL)
    return Memory(
        causes=causes,
        locks=[lock for lock in ledger.keep_power() if lock.released_at is None],
        restores=ledger.restores_since(today),
        commands=ledger.commands(since=now - LOOK_BACK, limit=ROWS_MOST),
        locked=ledger.events(kind=EventKind.RESTORE_LOCKED, since=oldest, limit=ROWS_MOST),
        approvals=[
            event
            for kind in kinds
            for event in ledger.events(kind=kind, since=asked_since, limit=ROWS_MOST)
        ],
    )


def recall(core: Core, memory: Memory) -> list[Receipt | Event]:
    """Put what is remembered into the standings; return the rows that the restart itself makes.

    A command without a receipt is unknown. Its relay, and every relay with an open cause, is read
    before anything is written.
    """
    for cause in memory.causes:
        standing = core.standings.get(cause.meter)
        if standing is not None and cause.cleared_at is None:
            standing.causes[cause.id] = cause
    for lock in memory.locks:
        if lock.meter in core.standings:
            core.standings[lock.meter].keep = lock
    for restore in sorted(memory.restores, key=lambda row: row.time):
        if restore.meter in core.standings:
            core.standings[restore.meter].restores.append(restore.time)
    for event in memory.locked:
        cause_id = str(event.details.get("cause", ""))
        standing = core.standings.get(event.subject)
        if standing is not None and cause_id in standing.causes:
            standing.locked.add(cause_id)
    rows = _recall_commands(core, memory.commands)
    for standing in core.standings.values():
        if standing.causes:
            standing.doubt(core.clock.now())  # how it stands now is read before it is moved
    _recall_approvals(core, memory.approvals)
    _recall_own_locks(core, memory.commands)
    return rows


def _recall_commands(core: Core, commands: Sequence[Sent]) -> list[Receipt | Event]:
    now = core.clock.now()
    _recall_minute(core, commands, now)
    rows: list[Receipt | Event] = []
    for command, receipt in sorted(commands, key=lambda sent: sent[0].issued_at):
        standing = core.standings.get(command.meter)
        if standing is None:
            continue
        if receipt is None:
            standing.doubt(command.issued_at)
            lost = _lost(command, now)
            rows += [lost, done_event(core, lost)]
            continue
        standing.unproven = standing.unproven and receipt.relay_closed is None
        if receipt.relay_closed is False:
            # When the relay was proven open: the delay of a restore goes on from there.
            standing.opened_at = standing.opened_at or receipt.finished_at
            standing.opened_by_us = receipt.status is ReceiptStatus.CONFIRMED
        elif receipt.relay_closed is True:
            standing.opened_at, standing.opened_by_us = None, False
    return rows


def _recall_minute(core: Core, commands: Sequence[Sent], now: datetime) -> None:
    """A command counts from the last moment at which it may have moved a relay."""
    last = {
        command.id: receipt.finished_at if receipt else min(now, command.expires_at)
        for command, receipt in commands
    }
    for command, _ in sorted(commands, key=lambda sent: last[sent[0].id]):
        age_s = max((now - last[command.id]).total_seconds(), 0.0)
        if age_s < WINDOW_S:
            _count(core, command, core.clock.monotonic() - age_s)


def _count(core: Core, command: Command, at_s: float) -> None:
    if command.requested_by == SUPERVISOR:
        if command.action is Action.TRIP:
            core.trips.take(command.id, at_s)
    elif not command.requested_by.startswith(SUPERVISOR):
        core.by_hand.take(command.id, at_s)


def _lost(command: Command, now: datetime) -> Receipt:
    return Receipt(
        command_id=command.id,
        meter=command.meter,
        action=command.action,
        status=ReceiptStatus.UNKNOWN,
        reason="the service stopped before it was proven; the relay is read back first",
        relay_closed=None,
        finished_at=now,
    )


def _recall_approvals(core: Core, events: Iterable[Event]) -> None:
    """Open questions stay open: asked or joined, neither granted nor expired."""
    order = ("asked", "joined", "granted", "expired")  # what happens in this order at one time
    asked = [event for event in events if event.details.get("state") in order]
    asked.sort(key=lambda event: (event.time, order.index(event.details["state"])))
    for event in asked:
        state, approval_id = event.details["state"], str(event.details["approval"])
        if state == "asked":
            core.approvals.ask(Approval.from_details(event.details))
        elif state == "joined" and approval_id in core.approvals.pending:
            for meter in event.details["meters"]:
                core.approvals.join(meter)
        elif state == "granted" and approval_id in core.approvals.pending:
            _recall_grant(core, event)
        elif state == "expired" and approval_id in core.approvals.pending:
            core.approvals.expire(core.approvals.pending[approval_id])


def _recall_grant(core: Core, event: Event) -> None:
    granted = Approval.from_details(event.details)
    core.approvals.grant(granted)
    if granted.is_automatic:
        still = [m for m in granted.meters if m in core.standings and core.standings[m].causes]
        core.approvals.allowed |= dict.fromkeys(still, event.actor)


def _recall_own_locks(core: Core, commands: Sequence[Sent]) -> None:
    """What the meters themselves are still owed: forced control for a lock, or its release."""
    proven: dict[str, Action] = {}
    owed: dict[str, bool] = {}
    for command, receipt in sorted(commands, key=lambda sent: sent[0].issued_at):
        if receipt is not None and receipt.status is ReceiptStatus.CONFIRMED:
            proven[command.meter] = command.action
            owed[command.meter] = False
        elif command.action in (Action.CLOSE, Action.RELEASE):
            owed[command.meter] = owed.get(command.meter, False) or _may_be_forced(receipt)
    for name, standing in core.standings.items():
        # Asserting either again moves nothing, so it is done whenever its proof is not at hand.
        if standing.keep is not None:
            lacking = proven.get(name) is not Action.KEEP_POWER
            standing.own_lock = Action.KEEP_POWER if lacking else None
        elif owed.get(name, False):
            standing.own_lock = Action.RELEASE


def _may_be_forced(receipt: Receipt | None) -> bool:
    """Say whether a close or release may have left a meter under forced control."""
    if receipt is None or receipt.writes:
        return True
    return receipt.action is Action.RELEASE and receipt.status is not ReceiptStatus.REFUSED


def today_of(core: Core) -> datetime:
    """Return when the site's local day began."""
    return day_start(core.clock.now(), core.zone)
