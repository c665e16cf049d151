"""Carrying out: from what a relay shall be to commands, sent, proven, tried again, given up."""

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from control.book import Book
from control.core import GRACE_S, Core, new_id
from control.desired import target
from control.gates import Gates
from control.goals import next_goal, overtaken
from control.limits import SUPERVISOR
from control.proofs import back_off_s, done_event, receipt_of, sent_event, unproven_event
from control.standing import Effort, Goal, Order, Standing, Ticket
from domain.causes import CauseKind, TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.errors import StoreUnavailable, WattwardenError
from domain.events import Event

# Steps that one look at a meter may take before it yields to the others.
STEPS_MOST: Final = 20

log = structlog.get_logger("control")


class Carrier:
    """Pursues the goal of one meter at a time, serially for each meter.

    Nothing here sleeps: what has to wait sets a timer and is looked at again.
    """

    def __init__(self, core: Core, book: Book, seal_key: bytes) -> None:
        self._core, self._book, self._seal_key = core, book, seal_key
        self._gates = Gates(core)
        buses = {standing.meter.bus for standing in core.standings.values()}
        self._slots = {bus: asyncio.Semaphore(core.field.in_flight_a_bus) for bus in buses}

    async def work(self, standing: Standing) -> None:
        """Do all that can be done for a meter now."""
        try:
            for _ in range(STEPS_MOST):
                standing.dirty = False
                if not await self._step(standing) and not standing.dirty:
                    return
            self._core.touch(standing)
        except StoreUnavailable as error:
            log.warning("a relay waits for the ledger", meter=standing.name, reason=str(error))
            standing.wait = "ledger"
            self._core.wake_in(standing, self._core.policy.control.retry_after_s)

    def deadline_s(self) -> float:
        """Return the monotonic time until which a person waits for an order given now."""
        return self._core.clock.monotonic() + self._core.policy.control.command_expires_s + GRACE_S

    async def give_up_waiting(self, standing: Standing) -> None:
        """Answer a person whose order has not ended in its time; what is under way goes on."""
        ticket, order = standing.ticket, standing.order
        if ticket is None or self._core.clock.monotonic() < ticket.deadline_s:
            return
        if order is not None and order.ticket is ticket:
            if standing.executing:
                order.ticket = None
                reason = "still under way: the bus has not answered in time"
                self.answer(standing, ticket, self._receipt(standing, order, "unknown", reason))
                return
            status = "unknown" if standing.unproven else "expired"
            reason = f"not proven in time; it waits for: {standing.wait or 'the bus'}"
            await self._finish(standing, order, self._receipt(standing, order, status, reason))
            return
        reason = f"not sent in time; it waits for: {standing.wait or 'the bus'}"
        await self.refuse(standing, ticket, ReceiptStatus.EXPIRED, reason)

    async def refuse(
        self, standing: Standing, ticket: Ticket, status: ReceiptStatus, reason: str
    ) -> None:
        """End a person's order that was never sent."""
        receipt = receipt_of(self._core, standing, ticket.command, status, reason)
        event = done_event(self._core, receipt, ticket.command.requested_by)
        await self._core.journal.write_or_owe(receipt, event)
        self.answer(standing, ticket, receipt)

    def answer(self, standing: Standing, ticket: Ticket, receipt: Receipt) -> None:
        """Hand a person the receipt of the order."""
        if standing.ticket is ticket:
            standing.ticket = None
        if not ticket.future.done():
            ticket.future.set_result((ticket.command, receipt))
        self._core.touch(standing)

    async def _step(self, standing: Standing) -> bool:
        """Take one step; True asks for another."""
        await self._book.look_over(standing)
        await self._refuse_overtaken(standing)
        goal = next_goal(standing, self._core.held(standing))
        if standing.order is not None and await self._is_settled(standing, standing.order, goal):
            return True
        if standing.unproven:
            return await self._read_back(standing)
        if goal is None:
            self._core.approvals.leave(standing.name)
            standing.effort, standing.wait, standing.alarmed = None, "", False
            return False
        if standing.effort is None or standing.effort.action is not goal.action:
            standing.effort = Effort(goal.action, new_id())
        if self._is_too_early(standing, goal) or await self._gates.stop(standing, goal):
            return False
        async with self._slots[standing.meter.bus]:
            # Waiting for a place on the bus takes time: everything is looked at again.
            again = next_goal(standing, self._core.held(standing))
            if again != goal or await self._gates.stop(standing, goal):
                return True
            await self._attempt(standing, standing.order or await self._issue(standing, goal))
        return True

    async def _refuse_overtaken(self, standing: Standing) -> None:
        """Answer a person whose order no longer fits what the relay shall be."""
        ticket, order = standing.ticket, standing.order
        reason = overtaken(standing, self._core.held(standing))
        if ticket is None or not reason:
            return
        if order is not None and order.ticket is ticket:
            await self._withdraw(standing, order, reason)
        else:
            await self.refuse(standing, ticket, ReceiptStatus.REFUSED, reason)

    async def _is_settled(self, standing: Standing, order: Order, goal: Goal | None) -> bool:
        """End an order that a later reading proves, or whose goal is no more."""
        command = order.command
        if order.tries and command.action is Action.TRIP and standing.closed is False:
            standing.opened_by_us = True
            reason = "proven by a later reading"
            await self._finish(standing, order, self._receipt(standing, order, "confirmed", reason))
            return True
        held = {cause.id for cause in self._core.held(standing)}
        bound = command.cause_id is None or command.cause_id in held
        fits = goal is not None and goal.action is command.action and goal.ticket is order.ticket
        if fits and bound:
            return False
        await self._withdraw(standing, order, "withdrawn: what it was for is no more")
        return True

    async def _withdraw(self, standing: Standing, order: Order, reason: str) -> None:
        status = "unknown" if standing.unproven else "refused"
        receipt = self._receipt(standing, order, status, reason)
        standing.order = None
        await self._core.journal.write_or_owe(receipt, self._done_event(receipt, order))
        if order.ticket is not None:
            self.answer(standing, order.ticket, receipt)

    def _is_too_early(self, standing: Standing, goal: Goal) -> bool:
        """Say whether it is too early to try again; a person's new order is tried at once."""
        order, effort = standing.order, standing.effort
        until_s = order.next_at_s if order is not None else 0.0
        if effort is not None and goal.ticket is None:
            until_s = max(until_s, effort.not_before_s)
        if until_s <= self._core.clock.monotonic():
            return False
        standing.wait = "back-off"
        self._core.wake_at(standing, until_s)
        return True

    async def _issue(self, standing: Standing, goal: Goal) -> Order:
        """Make the command of a goal durable before anything moves."""
        if goal.action is Action.KEEP_POWER:
            standing.own_lock = Action.KEEP_POWER  # until it is proven
        if goal.ticket is not None:
            standing.order = Order(goal.ticket.command, goal.ticket)  # durable since it was given
            return standing.order
        cause = goal.cause
        command = Command(
            id=new_id(),
            meter=standing.name,
            action=goal.action,
            reason=cause.reason if cause else "no cause holds the relay open",
            requested_by=self._by(standing, cause),
            issued_at=self._core.clock.now(),
            expires_at=self._core.later(self._core.policy.control.command_expires_s),
            cause_id=cause.id if cause else None,
        ).sealed(self._seal_key)
        await self._core.journal.write(command, sent_event(self._core, command))
        standing.order = Order(command)
        return standing.order

    def _by(self, standing: Standing, cause: TripCause | None) -> str:
        """Name who is behind a command that nobody waits for; only the bare supervisor counts
        towards the limit of automatic trips."""
        if cause is not None and cause.kind is CauseKind.MANUAL:
            return f"{SUPERVISOR}, for {cause.raised_by}"
        allowed_by = self._core.approvals.allowed.get(standing.name)
        return f"{SUPERVISOR}, approved by {allowed_by}" if allowed_by else SUPERVISOR

    async def _attempt(self, standing: Standing, order: Order) -> None:
        standing.wait = ""
        if self._core.clock.now() >= order.command.expires_at:
            reason = "expired before it could be sent"
            await self._finish(standing, order, self._receipt(standing, order, "expired", reason))
            return
        if not self._gates.admit(standing, order.command):
            return
        standing.executing = True
        try:
            receipt = await self._execute(order.command)
        finally:
            standing.executing = False
            self._gates.admit(standing, order.command)
        order.tries += 1
        order.writes += receipt.writes
        await self._weigh(standing, order, replace(receipt, writes=order.writes))

    async def _execute(self, command: Command) -> Receipt:
        try:
            driver = self._core.field.driver_for(command.meter)
            return await driver.execute(command)
        except (WattwardenError, OSError, TimeoutError) as error:
            log.exception("a driver failed", meter=command.meter, command=command.id)
            return Receipt(
                command.id, command.meter, command.action, ReceiptStatus.UNKNOWN,
                f"the driver failed: {error!r}", None, self._core.clock.now(),
            )  # fmt: skip

    async def _weigh(self, standing: Standing, order: Order, receipt: Receipt) -> None:
        """Take the outcome of one try: proven, to be tried again, or given up."""
        wanted = target(order.command.action)
        proven = receipt.status is ReceiptStatus.CONFIRMED
        if proven and wanted is not None and receipt.relay_closed not in (wanted, None):
            proven = False  # a proof that shows the opposite is none
            receipt = replace(receipt, status=ReceiptStatus.UNKNOWN)
        seen = wanted if proven and receipt.relay_closed is None else receipt.relay_closed
        if seen is not None:
            standing.see(seen, receipt.finished_at)
            standing.opened_by_us = standing.opened_by_us or (proven and wanted is False)
        elif receipt.status is ReceiptStatus.UNKNOWN and wanted is not None:
            standing.doubt(receipt.finished_at)
        policy = self._core.policy.control
        pause_s = back_off_s(policy, order.tries)
        hopeless = receipt.status is ReceiptStatus.REFUSED and receipt.writes == 0
        too_late = self._core.later(pause_s) >= order.command.expires_at
        if proven or hopeless or too_late or order.tries >= policy.attempts:
            await self._finish(standing, order, receipt)
            return
        order.next_at_s = self._core.clock.monotonic() + pause_s
        self._core.wake_at(standing, order.next_at_s)

    async def _finish(self, standing: Standing, order: Order, receipt: Receipt) -> None:
        """End an order: receipt and events after the fact, and the alarm where it failed."""
        standing.order = None
        action, policy = order.command.action, self._core.policy.control
        rows = [self._done_event(receipt, order)]
        if receipt.status is ReceiptStatus.CONFIRMED:
            standing.effort, standing.alarmed = None, False
            self._core.approvals.leave(standing.name)
            self._settle_own_lock(standing, action)
        else:
            effort = standing.effort or Effort(action, new_id())
            effort.failures += 1
            pause_s = back_off_s(policy, policy.attempts + effort.failures)
            effort.not_before_s = self._core.clock.monotonic() + pause_s
            standing.effort = effort
            if action is Action.CLOSE and receipt.writes:
                # The relay may be closed by force: the meter is owed its release to automatic.
                standing.own_lock = Action.KEEP_POWER if standing.keep else Action.RELEASE
            if not standing.alarmed:
                standing.alarmed = True
                rows.append(unproven_event(self._core, standing, receipt))
        await self._core.journal.write_or_owe(receipt, *rows)
        if order.ticket is not None:
            self.answer(standing, order.ticket, receipt)
        self._core.touch(standing)

    @staticmethod
    def _settle_own_lock(standing: Standing, action: Action) -> None:
        if action in (Action.KEEP_POWER, Action.RELEASE):
            standing.own_lock = None
        elif action is Action.TRIP and standing.own_lock is Action.RELEASE:
            standing.own_lock = None  # a later close leaves the meter in charge of itself
        elif action is Action.CLOSE and standing.keep is not None:
            standing.own_lock = Action.KEEP_POWER

    async def _read_back(self, standing: Standing) -> bool:
        """Find out what an unproven write has done before anything else is written.

        Without a way to read, or while the meter is silent, the next sweep that tells goes on.
        """
        standing.wait = "read-back"
        core, order = self._core, standing.order
        if order is not None and core.clock.now() >= order.command.expires_at:
            reason = "the relay can't be read back"
            await self._finish(standing, order, self._receipt(standing, order, "unknown", reason))
            return True
        if order is not None:
            core.wake_on(standing, order.command.expires_at)
        may_answer = standing.ticket is not None or self._gates.is_alive(standing)
        if core.field.read_relay is None or not may_answer:
            return False
        if core.clock.monotonic() < standing.read_at_s:
            core.wake_at(standing, standing.read_at_s)
            return False
        closed = await self._read(standing)
        if closed is not None:
            standing.see(closed, core.clock.now())
            return True
        standing.read_misses += 1
        pause_s = back_off_s(core.policy.control, standing.read_misses)
        standing.read_at_s = core.clock.monotonic() + pause_s
        core.wake_at(standing, standing.read_at_s)
        return False

    async def _read(self, standing: Standing) -> bool | None:
        read = self._core.field.read_relay
        async with self._slots[standing.meter.bus]:
            standing.executing = True
            try:
                return await read(standing.name) if read is not None else None
            except (WattwardenError, OSError, TimeoutError) as error:
                log.warning("a relay can't be read", meter=standing.name, reason=str(error))
                return None
            finally:
                standing.executing = False

    def _receipt(self, standing: Standing, order: Order, status: str, reason: str) -> Receipt:
        ending = ReceiptStatus(status)
        return receipt_of(self._core, standing, order.command, ending, reason, order.writes)

    def _done_event(self, receipt: Receipt, order: Order) -> Event:
        actor = order.ticket.command.requested_by if order.ticket else SUPERVISOR
        return done_event(self._core, receipt, actor)
