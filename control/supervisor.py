"""The relay supervisor: causes -> what each relay shall be -> commands -> proof, for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from control.book import Book
from control.carrier import Carrier
from control.core import GRACE_S, Core, Field
from control.desk import Desk, Mass
from control.journal import Journal
from control.limits import Approval
from control.recovery import recall, remember, today_of
from control.standing import Standing
from control.status import MeterStatus, Status, meter_status, status_of
from control.watch import Watch
from domain.causes import TripCause, Verdict
from domain.clock import Clock
from domain.commands import Action, Command, Receipt
from domain.events import Event, EventKind, Severity
from domain.frame import Sweep
from domain.policy import Policy
from domain.ports import Ledger, RelayDriver
from domain.site import Meter

# The loop looks around at least this often: approvals expire, a ledger comes back.
LOOK_EVERY_S = 1.0
# Rounds of `settle`; more would mean that the parts set each other off without end.
ROUNDS_MOST = 1_000

log = structlog.get_logger("control")


class Supervisor:
    """Compares what each relay shall be with what it is, and closes the difference by commands.

    All coroutines run on one event loop (the field's). Events are written to the ledger here, in
    the same transaction as what they tell of; `on_event` only announces them (log, live view) and
    must not record them again. `read_relay` reads one meter's relay now (None = no answer);
    `has_relay` says which meters can be switched at all.
    """

    def __init__(
        self,
        ledger: Ledger,
        driver_for: Callable[[str], RelayDriver],
        meters: Iterable[Meter],
        policy: Policy,
        clock: Clock,
        seal_key: bytes,
        on_event: Callable[[Event], None],
        *,
        time_zone: ZoneInfo,
        read_relay: Callable[[str], Awaitable[bool | None]] | None = None,
        has_relay: Callable[[str], bool] = lambda _meter: True,
        in_flight_a_bus: int = 2,
    ) -> None:
        self._wake = asyncio.Event()
        field = Field(driver_for, read_relay, has_relay, in_flight_a_bus)
        self._journal = Journal(ledger, on_event)
        self._core = Core(meters, policy, clock, time_zone, field, self._journal, self._wake.set)
        self._book = Book(self._core)
        self._carrier = Carrier(self._core, self._book, seal_key)
        self._desk = Desk(self._core, self._book, self._carrier, seal_key)
        self._watch = Watch(self._core)
        self._starting = asyncio.Lock()
        self._started = False
        self._chores: asyncio.Task[None] | None = None
        self._chores_at_s = 0.0

    async def run(self) -> None:
        """Run until cancelled; a command on the wire is not cut off half-way."""
        await self.start()
        try:
            while True:
                self.tick()
                await self._pause()
        finally:
            await self._stop()

    async def start(self) -> None:
        """Read what the ledger remembers; done once, and before anything else is taken.

        Raises StoreUnavailable.
        """
        async with self._starting:
            if self._started:
                return
            core = self._core
            memory = await asyncio.to_thread(
                remember,
                self._journal.ledger,
                core.clock.now(),
                today_of(core),
                core.policy.control.approval_expires_s,
            )
            await self._journal.write_or_owe(*recall(core, memory))
            for standing in core.standings.values():
                if standing.causes or standing.keep or standing.own_lock or standing.unproven:
                    core.touch(standing)
            self._started = True

    async def on_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Take the rules' word; returns once the causes it raises and clears are durable."""
        await self.start()
        await self._book.take(verdicts)

    async def observe(self, sweep: Sweep) -> None:
        """Take a sweep: who answers, and how the relays read."""
        await self.start()
        await self._watch.observe(sweep)

    async def request(
        self,
        action: Action,
        meter: str,
        who: str,
        reason: str,
        until: datetime | None = None,
        command_id: str | None = None,
    ) -> tuple[Command, Receipt]:
        """Carry out a person's order on one meter and wait for its proof.

        `until` ends a trip by itself. The same `command_id` again gives the same answer. A trip
        against keep-power, and a close that a cause forbids, end in a receipt `refused` that says
        why. Raises UnknownSubject, CommandRefused, StoreUnavailable.
        """
        await self.start()
        return await self._desk.request(action, meter, who, reason, until, command_id)

    async def request_many(
        self,
        action: Action,
        meters: Sequence[str],
        who: str,
        reason: str,
        until: datetime | None = None,
    ) -> Mass:
        """Carry out an order on many meters, or ask for a second person above the limit."""
        await self.start()
        return await self._desk.request_many(action, meters, who, reason, until)

    async def approve(self, approval_id: str, who: str) -> Approval:
        """Approve what waits for a second person. Raises UnknownSubject, CommandRefused."""
        await self.start()
        return await self._desk.approve(approval_id, who)

    async def clear_cause(self, meter: str, cause_id: str, who: str, reason: str) -> TripCause:
        """End one cause by hand. Raises UnknownSubject, CommandRefused, StoreUnavailable."""
        await self.start()
        return await self._desk.clear_cause(meter, cause_id, who, reason)

    async def set_policy(self, policy: Policy) -> None:
        """Put a policy in force; causes of rules that are now off, or only alarm, end.

        Raises StoreUnavailable where that can't be written; the policy is in force all the same.
        """
        await self.start()
        self._core.policy = policy
        for standing in self._core.standings.values():
            if standing.causes:
                await self._book.clear_switched_off(standing)
            if standing.causes or standing.wait:
                self._core.touch(standing)

    def status(self) -> Status:
        """Return the state of every meter, the open approvals and the counters."""
        return status_of(self._core, self._book)

    def meter(self, name: str) -> MeterStatus:
        """Return the state of one meter. Raises UnknownSubject."""
        return meter_status(self._core, self._core.standing(name))

    def tick(self) -> None:
        """Set to work on all that is due now; does not wait for it."""
        for standing in self._core.due():
            if standing.task is not None and not standing.task.done():
                standing.dirty = True
                continue
            standing.task = asyncio.ensure_future(self._work(standing))
        if self._chores is None or self._chores.done():
            self._chores = asyncio.ensure_future(self._do_chores())

    async def settle(self) -> None:
        """Carry out all that is due now and wait for it; for tests and for a clean stop."""
        await self.start()
        for _ in range(ROUNDS_MOST):
            self.tick()
            await asyncio.wait(self._tasks())
            if not self._core.dirty and not self._busy() and self._core.next_due_s() != 0.0:
                return
        log.error("the supervisor does not settle", dirty=list(self._core.dirty))

    def _tasks(self) -> list["asyncio.Task[None]"]:
        tasks = [one.task for one in self._core.standings.values() if one.task is not None]
        return [*tasks, self._chores] if self._chores is not None else tasks

    def _busy(self) -> bool:
        return any(not task.done() for task in self._tasks())

    async def _work(self, standing: Standing) -> None:
        try:
            await self._carrier.work(standing)
        except Exception:
            # A bug about one meter must not leave the others without a supervisor.
            log.exception("the supervisor failed on a meter", meter=standing.name)
            self._core.wake_in(standing, self._core.policy.control.retry_after_most_s)

    async def _do_chores(self) -> None:
        """Answer those who have waited too long, end old questions, pay the ledger its rows."""
        core = self._core
        now_s = core.clock.monotonic()
        for standing in list(core.waited_for.values()):
            await self._carrier.give_up_waiting(standing)
            if standing.ticket is None:
                core.waited_for.pop(standing.name, None)
        for approval in core.approvals.expired(core.clock.now()):
            core.approvals.expire(approval)
            await self._journal.write_or_owe(
                core.event(
                    EventKind.APPROVAL,
                    approval.id,
                    f"nobody approved: {approval.reason}",
                    Severity.WARNING,
                    details=approval.as_details("expired"),
                )
            )
            for meter in approval.meters if approval.is_automatic else ():
                core.touch(core.standings[meter])
        if now_s >= self._chores_at_s and (self._journal.owed or self._book.waiting):
            self._chores_at_s = now_s + core.policy.control.retry_after_s
            if await self._journal.pay():
                await self._book.retry()

    async def _pause(self) -> None:
        """Wait for something to do, at most LOOK_EVERY_S."""
        if self._core.dirty:
            await asyncio.sleep(0)
            return
        due_s = self._core.next_due_s()
        pause_s = LOOK_EVERY_S if due_s is None else min(due_s, LOOK_EVERY_S)
        waits = [
            asyncio.ensure_future(self._wake.wait()),
            asyncio.ensure_future(self._core.clock.sleep(pause_s)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._wake.clear()

    async def _stop(self) -> None:
        """Let what is on the wire end, within bounds; the rest is unknown and read back at the
        next start."""
        running = [task for task in self._tasks() if not task.done()]
        if running:
            _, left = await asyncio.wait(running, timeout=GRACE_S)
            for task in left:
                task.cancel()
        self._desk.stop()
        if not await self._journal.pay():
            log.warning("rows are left unwritten", rows=self._journal.owed)
