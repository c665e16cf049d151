"""One owner per bus: a priority queue of requests, one transaction at a time, a link that is
brought back when it breaks."""

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from collector.frame_log import FrameLog
from collector.late import OwedReplies
from collector.link import LinkFactory, link_of
from collector.modbus import Codec, MbapCodec, RtuCodec, WireCounts
from collector.request import Outcome, Priority, Reply, Request
from collector.settings import PollSettings
from collector.transaction import Transactor
from collector.wire import WireTiming
from domain.clock import Clock
from domain.errors import LinkDown
from domain.events import Event, EventKind, Severity
from domain.site import Bus


@dataclass(order=True, slots=True)
class _Job:
    priority: Priority
    number: int
    request: Request = field(compare=False)
    done: "asyncio.Future[Reply]" = field(compare=False)


class BusOwner:
    """The only task that touches a bus's link.

    `run` goes on until cancelled; the transaction under way is always finished first. `ask` may
    be called from any task of the same loop.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        settings: PollSettings,
        on_event: Callable[[Event], None],
        link_factory: LinkFactory = link_of,
    ) -> None:
        self.bus, self.clock, self.settings = bus, clock, settings
        self.counts = WireCounts()
        self.log = FrameLog(settings.frame_log)
        self.timing = WireTiming.of(bus)
        self.owed = OwedReplies(settings.late_memory_s)
        self.connections = 0
        self.retries = 0
        self.transactions = 0
        self.wire_s = 0.0
        self._on_event = on_event
        self._link = link_factory(bus, settings.connect_timeout_s)
        self._codec: Codec = MbapCodec(self.counts) if bus.link == "tcp" else RtuCodec(self.counts)
        self._transactor = Transactor(
            self._link, self._codec, self.timing, clock, self.counts, self.log,
            bus.timeout_s, settings.late_window_s,
        )  # fmt: skip
        self._jobs: list[_Job] = []
        self._numbers = count()
        self._work = asyncio.Event()
        self._state_known = asyncio.Event()
        self._is_up = False
        self._stopping = False
        self._echo_told = False
        self._mute = 0
        self._retry_s = 0.0
        self._down_told = False

    @property
    def is_up(self) -> bool:
        """Say whether the link stood when last looked at."""
        return self._is_up

    @property
    def queue_depth(self) -> int:
        """Requests that wait for their turn."""
        return len(self._jobs)

    @property
    def echoing(self) -> bool | None:
        """Whether the adapter repeats what is sent; None until something was heard."""
        return self._codec.echoing

    async def ask(self, request: Request, priority: Priority) -> Reply:
        """Queue a request and wait for what it comes to. Cancelling the caller never cuts a
        transaction short."""
        if self._stopping or (self._state_known.is_set() and not self._is_up):
            return Reply(Outcome.NOT_SENT, note=f"bus {self.bus.name} is down")
        if len(self._jobs) >= self.settings.queue_most:
            return Reply(Outcome.NOT_SENT, note=f"queue of bus {self.bus.name} is full")
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._jobs, _Job(priority, next(self._numbers), request, done))
        self._work.set()
        return await done

    async def known(self) -> bool:
        """Wait until the link has been tried once; return whether it is up."""
        await self._state_known.wait()
        return self._is_up

    async def run(self) -> None:
        """Own the bus until cancelled."""
        self._stopping = False
        own = asyncio.create_task(self._own(), name=f"bus {self.bus.name}")
        try:
            await asyncio.shield(own)
        except asyncio.CancelledError:
            self._stopping = True
            self._work.set()
            if not self._is_up:
                own.cancel()  # waiting to connect again: nothing is under way on the wire
            await asyncio.gather(own, return_exceptions=True)
            raise

    async def _own(self) -> None:
        try:
            while not self._stopping:
                if not self._link.is_open:
                    await self._connect()
                if not self._jobs:
                    self._work.clear()
                    await self._work.wait()
                    continue
                if self._link.is_open:
                    await self._serve(heapq.heappop(self._jobs))
        finally:
            self._is_up = False
            self._link.close()
            self._refuse_all("the bus is being stopped")

    async def _serve(self, job: _Job) -> None:
        if job.done.done():
            return
        request = job.request
        reply = await self._transactor.run(request)
        self.transactions += 1
        self.wire_s += reply.wire_s
        self._keep_account(request, reply)
        if not job.done.done():
            job.done.set_result(reply)

    def _keep_account(self, request: Request, reply: Reply) -> None:
        """Note what replies are owed, whether the adapter echoes, whether the link is mute."""
        if reply.outcome is Outcome.TIMEOUT and not (reply.came or self._codec.is_stream):
            self.owed.missed(request, self.clock.monotonic())
        for unit, shape in self._codec.strays:
            self.counts.late += self.owed.seen(unit, shape)
        if self._codec.echoing and not self._echo_told:
            self._echo_told = True
            message = "the adapter repeats what is sent; its echoes are taken out"
            self._tell(EventKind.ECHO_FOUND, message, Severity.WARNING)
        if self._transactor.heard_bytes:
            self._heard()
            return
        self._mute += 1
        if self._mute >= self.settings.mute_link_timeouts:
            self._mute = 0
            self._link.close()  # a gateway that died without a word: try a new connection

    async def _connect(self) -> None:
        """Bring the link up, with jittered back-off for as long as it takes; a connection that
        ended before anything was heard on it counts as a failed try."""
        reason = "the connection ended before anything was heard"
        while not self._stopping:
            if self._retry_s:
                self._goes_down(reason)
                await self.clock.sleep(self._retry_s * random.uniform(0.5, 1.0))
            most_s = self.settings.reconnect_most_s
            self._retry_s = min(2 * self._retry_s or self.settings.reconnect_first_s, most_s)
            try:
                await self._link.open()
            except LinkDown as error:
                reason = str(error)
                continue
            self._transactor.reset()
            self.connections += 1
            self._is_up = True
            self._state_known.set()
            return

    def _goes_down(self, reason: str) -> None:
        self._is_up = False
        self._state_known.set()
        self._refuse_all(f"bus {self.bus.name} is down: {reason}")
        if not self._down_told:
            self._down_told = True
            self._tell(EventKind.BUS_DOWN, reason, Severity.ALARM)

    def _heard(self) -> None:
        """Something came in: the link works."""
        self._mute = 0
        self._retry_s = 0.0
        if self._down_told:
            self._down_told = False
            self._tell(EventKind.BUS_BACK, "the bus is heard again", Severity.INFO)

    def _refuse_all(self, reason: str) -> None:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            if not job.done.done():
                job.done.set_result(Reply(Outcome.NOT_SENT, note=reason))

    def _tell(self, kind: EventKind, message: str, severity: Severity) -> None:
        name = self.bus.name
        self._on_event(Event(self.clock.now(), kind, name, message, severity, group=name))
