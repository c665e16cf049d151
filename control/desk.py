"""The desk: orders by people. Each is durable before it is carried out, and waits for its proof."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from control.book import Book, clears_by_operator, may_end
from control.carrier import Carrier
from control.core import Core, new_id
from control.desired import holding, suspended
from control.goals import names
from control.limits import Approval
from control.proofs import done_event, receipt_of, sent_event
from control.standing import Standing, Ticket
from domain.causes import CauseKind, TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus, by_occupant
from domain.errors import CommandRefused, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.ports import KeepPower

Outcome = tuple[Command, Receipt]
# Orders whose ids are remembered, so that asking again gives the same answer.
RECENT_KEPT = 10_000

log = structlog.get_logger("control")


@dataclass(frozen=True, slots=True)
class Mass:
    """What became of an order to many meters: an outcome each, or the approval it waits for."""

    outcomes: tuple[Outcome, ...] = ()
    approval: Approval | None = None


class Desk:
    """Takes orders of people, checks them against locks and limits, and hands them on."""

    def __init__(self, core: Core, book: Book, carrier: Carrier, seal_key: bytes) -> None:
        self._core, self._book, self._carrier = core, book, carrier
        self._seal_key = seal_key
        self._recent: OrderedDict[str, tuple[Command, asyncio.Task[Outcome]]] = OrderedDict()
        self._approving = asyncio.Lock()
        self._jobs: set[asyncio.Task[Outcome]] = set()

    async def request(
        self,
        action: Action,
        meter: str,
        who: str,
        reason: str,
        until: datetime | None = None,
        command_id: str | None = None,
    ) -> Outcome:
        """Carry out one order; returns once it is proven, refused or given up.

        The same `command_id` again gives the same answer. Raises UnknownSubject, CommandRefused
        (no name or reason, an id that was used for another order), StoreUnavailable.
        """
        standing = self._core.standing(meter)
        self._check(action, who, reason, until)
        command = self._command(action, meter, who, reason, command_id)
        recent = self._recent.get(command.id)
        if recent is not None:
            self._same_order(recent[0], command)
            return await asyncio.shield(recent[1])
        task = asyncio.ensure_future(
            self._single(standing, command, until, is_own_id=command_id is not None)
        )
        self._remember(command, task)
        return await asyncio.shield(task)

    async def request_many(
        self,
        action: Action,
        meters: Sequence[str],
        who: str,
        reason: str,
        until: datetime | None = None,
    ) -> Mass:
        """Carry out one order on many meters; above the limit a second person has to approve."""
        self._check(action, who, reason, until)
        names_once = tuple(dict.fromkeys(meters))
        standings = [self._core.standing(meter) for meter in names_once]
        limit, now_s = self._core.policy.control.trips_per_min, self._core.clock.monotonic()
        if self._core.by_hand.count(now_s) + len(standings) > limit:
            return Mass(approval=await self._ask(action, names_once, who, reason, until))
        jobs = [self.request(action, meter, who, reason, until) for meter in names_once]
        return Mass(tuple(await asyncio.gather(*jobs)))

    async def approve(self, approval_id: str, who: str) -> Approval:
        """Let a second person approve what is above the limit; it is carried out at once.

        Approving again changes nothing. Raises UnknownSubject, CommandRefused.
        """
        async with self._approving:
            approvals = self._core.approvals
            granted = approvals.check(approval_id, who, self._core.clock.now())
            if approval_id in approvals.done:
                return granted
            message = f"{granted.action.value} of {len(granted.meters)} meters approved"
            await self._core.journal.write(
                self._core.event(
                    EventKind.APPROVAL,
                    approval_id,
                    message,
                    actor=who,
                    details=granted.as_details("granted"),
                )
            )
            # Meters may have joined or left while the ledger wrote: the newest list counts.
            latest = approvals.pending.get(approval_id, granted)
            granted = replace(latest, granted_by=who, granted_at=granted.granted_at)
            approvals.grant(granted)
        if granted.is_automatic:
            for meter in granted.meters:
                self._core.touch(self._core.standings[meter])
        else:
            self._carry_out(granted)
        return granted

    async def clear_cause(self, meter: str, cause_id: str, who: str, reason: str) -> TripCause:
        """End one cause by hand. Raises UnknownSubject, CommandRefused where it ends by itself."""
        self._check(Action.CLOSE, who, reason, None)
        standing = self._core.standing(meter)
        async with standing.change:
            cause = standing.causes.get(cause_id)
            if cause is None:
                raise UnknownSubject(f"meter {meter} has no open cause {cause_id!r}")
            if not clears_by_operator(cause):
                raise CommandRefused(f"a {cause.kind.value} cause ends by itself, not by hand")
            await self._book.clear(standing, [cause], who, reason)
        return cause

    def stop(self) -> None:
        """Let nobody wait any longer; what was ordered stands in the ledger."""
        for task in [*self._jobs, *(task for _, task in self._recent.values())]:
            task.cancel()

    def _carry_out(self, approval: Approval) -> None:
        reason = f"{approval.reason} (approved by {approval.granted_by})"
        for meter in approval.meters:
            standing = self._core.standings[meter]
            command = self._command(approval.action, meter, approval.asked_by, reason, None)
            job = asyncio.ensure_future(self._carry(standing, command, approval.until))
            self._jobs.add(job)
            job.add_done_callback(self._job_done)

    def _job_done(self, job: "asyncio.Task[Outcome]") -> None:
        self._jobs.discard(job)
        if not job.cancelled() and job.exception() is not None:
            log.error("an approved order was not carried out", reason=repr(job.exception()))

    def _check(self, action: Action, who: str, reason: str, until: datetime | None) -> None:
        if not who.strip() or not reason.strip():
            raise CommandRefused("an order needs the name of a person and a reason")
        if until is not None and action is not Action.TRIP:
            raise CommandRefused(f"only a trip can have an end, not {action.value}")
        if until is not None and until <= self._core.clock.now():
            raise CommandRefused("the end of the trip has passed already")

    def _command(
        self, action: Action, meter: str, who: str, reason: str, command_id: str | None
    ) -> Command:
        return Command(
            id=command_id or new_id(),
            meter=meter,
            action=action,
            reason=reason,
            requested_by=who,
            issued_at=self._core.clock.now(),
            expires_at=self._core.later(self._core.policy.control.command_expires_s),
            cause_id=new_id() if action is Action.TRIP else None,
        )

    def _remember(self, command: Command, task: "asyncio.Task[Outcome]") -> None:
        self._recent[command.id] = (command, task)
        while len(self._recent) > RECENT_KEPT:
            self._recent.popitem(last=False)
        task.add_done_callback(lambda done: self._forget_failed(command.id, done))

    def _forget_failed(self, command_id: str, task: "asyncio.Task[Outcome]") -> None:
        """An order that could not be taken may be given again under its id."""
        if task.cancelled() or task.exception() is not None:
            self._recent.pop(command_id, None)

    async def _known(self, standing: Standing, command: Command) -> Outcome | None:
        """Return the answer that was given to this id before a restart, None where it is new."""
        found = await asyncio.to_thread(self._core.journal.ledger.command, command.id)
        if found is None:
            return None
        old, receipt = found
        self._same_order(old, command)
        lost = "its receipt was lost"
        unknown = receipt_of(self._core, standing, old, ReceiptStatus.UNKNOWN, lost)
        return old, receipt or unknown

    @staticmethod
    def _same_order(old: Command, new: Command) -> None:
        def body(command: Command) -> tuple[str, ...]:
            return command.meter, command.action.value, command.requested_by, command.reason

        if body(old) != body(new):
            raise CommandRefused(f"command id {new.id!r} was used for another order")

    async def _single(
        self, standing: Standing, command: Command, until: datetime | None, *, is_own_id: bool
    ) -> Outcome:
        known = await self._known(standing, command) if is_own_id else None
        if known is not None:
            return known
        if by_occupant(command.requested_by):
            # Of his own room alone, and counted where he asks: the office's orders come first.
            return await self._carry(standing, command, until)
        limit, now_s = self._core.policy.control.trips_per_min, self._core.clock.monotonic()
        if self._core.by_hand.has_room(command.id, limit, now_s):
            self._core.by_hand.take(command.id, now_s)
            return await self._carry(standing, command, until)
        asked = await self._ask(
            command.action, (standing.name,), command.requested_by, command.reason, until
        )
        reason = f"more than {limit} orders in a minute: waits for approval {asked.id}"
        return await self._refuse(standing, command.sealed(self._seal_key), reason)

    async def _carry(self, standing: Standing, command: Command, until: datetime | None) -> Outcome:
        """Make an order durable and wait for its proof."""
        async with standing.change:
            had_lock = standing.keep is not None
            if command.action is Action.TRIP:
                command, refusal = await self._trip(standing, command, until)
            else:
                command = command.sealed(self._seal_key)
                prepare = {
                    Action.CLOSE: self._close,
                    Action.KEEP_POWER: self._keep_power,
                    Action.RELEASE: self._release,
                }[command.action]
                refusal = await prepare(standing, command)
            if refusal and command.action is Action.RELEASE and had_lock:
                reason = f"the lock has ended; the relay stays open: {refusal}"
                return await self._end(standing, command, ReceiptStatus.CONFIRMED, reason)
            if refusal:
                return await self._refuse(standing, command, refusal)
            ticket = self._ticket(standing, command)
        await self._replace_ticket(standing, ticket)
        return await asyncio.shield(ticket.future)

    def _ticket(self, standing: Standing, command: Command) -> Ticket:
        loop = asyncio.get_running_loop()
        deadline_s = self._carrier.deadline_s()
        self._core.wake_at(standing, deadline_s)
        return Ticket(command, loop.create_future(), deadline_s, command.cause_id)

    async def _replace_ticket(self, standing: Standing, ticket: Ticket) -> None:
        old, order = standing.ticket, standing.order
        standing.ticket = ticket
        self._core.waited_for[standing.name] = standing
        self._core.touch(standing)
        if old is not None and (order is None or order.ticket is not old):
            reason = f"overtaken by the {ticket.command.action.value} of a later order"
            await self._carrier.refuse(standing, old, ReceiptStatus.REFUSED, reason)

    async def _trip(
        self, standing: Standing, command: Command, until: datetime | None
    ) -> tuple[Command, str]:
        lock = standing.keep
        if lock is not None:
            refusal = f"keep-power holds (by {lock.requested_by}: {lock.reason}); release it first"
            return command.sealed(self._seal_key), refusal
        if not self._core.field.has_relay(standing.name):
            return command.sealed(self._seal_key), f"model {standing.meter.profile} has no relay"
        manual = [
            c for c in standing.causes.values() if c.kind is CauseKind.MANUAL and not c.shadow
        ]
        others = [c for c in manual if not by_occupant(c.raised_by)]
        if others and by_occupant(command.requested_by):
            refusal = f"opened by hand already, by {others[0].raised_by}: {others[0].reason}"
            return command.sealed(self._seal_key), refusal
        cause_id = manual[0].id if manual else command.cause_id
        command = replace(command, cause_id=cause_id).sealed(self._seal_key)
        await self._book.raise_manual(standing, command, until, sent_event(self._core, command))
        return command, ""

    async def _close(self, standing: Standing, command: Command) -> str:
        causes = list(standing.causes.values())
        ended = [cause for cause in causes if may_end(cause, command.requested_by)]
        left = self._held_without(standing, ended)
        rows = [command] if left else [command, sent_event(self._core, command)]
        await self._book.clear(standing, ended, command.requested_by, command.reason, *rows)
        if not left:
            return ""
        said = f"; ended: {names(ended)}" if ended else ""
        return f"{names(left)} still holds the relay open{said}"

    def _held_without(self, standing: Standing, ended: Sequence[TripCause]) -> list[TripCause]:
        return [cause for cause in self._core.held(standing) if cause not in ended]

    async def _keep_power(self, standing: Standing, command: Command) -> str:
        now, control = self._core.clock.now(), self._core.policy.control
        lock = standing.keep or KeepPower(standing.name, now, command.requested_by, command.reason)
        causes = list(standing.causes.values())
        left = holding(causes, lock, control, now)
        if left:
            return f"{names(left)} holds the relay open and keep-power does not suspend it"
        events: list[Event] = [sent_event(self._core, command)]
        if standing.keep is None:
            events.append(self._lock_event(command, f"keep-power: {command.reason}"))
            shut_out = suspended(causes, lock, control, now)
            events += self._book.suspension_alarm(standing, shut_out)
        await self._book.keep(standing, lock, command, *events)
        standing.own_lock = Action.KEEP_POWER
        return ""

    async def _release(self, standing: Standing, command: Command) -> str:
        lock, held = standing.keep, self._core.held(standing)
        if held:
            # The forced trip is what holds this relay open: releasing the meter would close it.
            if lock is not None:
                ended = replace(lock, released_at=self._core.clock.now())
                event = self._lock_event(command, f"keep-power ended: {command.reason}")
                await self._book.keep(standing, ended, command, event)
                standing.own_lock = None
            return f"{names(held)} holds the relay open"
        rows: list[Command | Event] = [command, sent_event(self._core, command)]
        if lock is None:
            await self._core.journal.write(*rows)
        else:
            ended = replace(lock, released_at=self._core.clock.now())
            rows.append(self._lock_event(command, f"keep-power ended: {command.reason}"))
            await self._book.keep(standing, ended, *rows)
        standing.own_lock = Action.RELEASE
        return ""

    def _lock_event(self, command: Command, message: str) -> Event:
        return self._core.event(
            EventKind.KEEP_POWER,
            command.meter,
            message,
            actor=command.requested_by,
            details={"command": command.id, "action": command.action.value},
        )

    async def _refuse(self, standing: Standing, command: Command, reason: str) -> Outcome:
        return await self._end(standing, command, ReceiptStatus.REFUSED, reason)

    async def _end(
        self, standing: Standing, command: Command, status: ReceiptStatus, reason: str
    ) -> Outcome:
        receipt = receipt_of(self._core, standing, command, status, reason)
        event = done_event(self._core, receipt, command.requested_by)
        await self._core.journal.write_or_owe(command, receipt, event)
        return command, receipt

    async def _ask(
        self,
        action: Action,
        meters: tuple[str, ...],
        who: str,
        reason: str,
        until: datetime | None,
    ) -> Approval:
        control = self._core.policy.control
        asked = Approval(
            id=new_id(),
            action=action,
            meters=meters,
            asked_by=who,
            reason=reason,
            asked_at=self._core.clock.now(),
            expires_at=self._core.later(control.approval_expires_s),
            until=until,
        )
        await self._core.journal.write(
            self._core.event(
                EventKind.APPROVAL,
                asked.id,
                f"{who} asks to {action.value} {len(meters)} meters: more than "
                f"{control.trips_per_min} a minute need a second person",
                Severity.WARNING,
                actor=who,
                details=asked.as_details("asked"),
            )
        )
        self._core.approvals.ask(asked)
        return asked
