"""A small world to run the supervisor in: meters that move, a ledger in memory, a clock that leaps.

`World` plays the whole station: it sweeps its buses, lets the supervisor settle, and can crash.
"""

import asyncio
import uuid
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from control.supervisor import Supervisor
from domain.causes import CauseKind, Evidence, RuleMode, TripCause, Verdict
from domain.clock import LeapClock
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.errors import StoreUnavailable
from domain.events import Event, EventKind, Severity
from domain.frame import Sweep, sweep_frame
from domain.policy import ControlPolicy, GroupPolicy, Policy, RestorePolicy
from domain.ports import JournalRow, KeepPower, Restore
from domain.site import Meter, RoomKind

NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)  # 12:00 in Shanghai
SHANGHAI = ZoneInfo("Asia/Shanghai")
KEY = b"a key for sealing"
PROFILE = "acrel-ddsy1352"


class MemoryLedger:
    """The journal half of the Ledger port in memory; `down` refuses every write."""

    def __init__(self) -> None:
        self.rows: list[JournalRow] = []
        self.down = False
        self._causes: dict[str, TripCause] = {}
        self._keeps: dict[tuple[str, datetime], KeepPower] = {}
        self._commands: dict[str, Command] = {}
        self._receipts: dict[str, Receipt] = {}

    def record(self, *rows: JournalRow) -> "Future[None]":
        future: Future[None] = Future()
        if self.down:
            future.set_exception(StoreUnavailable("disk full"))
            return future
        self.rows += rows
        for row in rows:
            if isinstance(row, TripCause):
                self._causes[row.id] = row
            elif isinstance(row, KeepPower):
                self._keeps[row.meter, row.since] = row
            elif isinstance(row, Command):
                self._commands.setdefault(row.id, row)
            elif isinstance(row, Receipt):
                self._receipts.setdefault(row.command_id, row)
        future.set_result(None)
        return future

    def causes(
        self,
        *,
        open_only: bool = False,
        meter: str | None = None,
        since: datetime | None = None,
        shadow: bool | None = None,
        limit: int = 1000,
    ) -> list[TripCause]:
        found = [
            cause
            for cause in self._causes.values()
            if (not open_only or cause.cleared_at is None)
            and meter in (None, cause.meter)
            and (since is None or cause.since >= since)
            and shadow in (None, cause.shadow)
        ]
        return found[::-1][:limit]

    def command(self, command_id: str) -> tuple[Command, Receipt | None] | None:
        found = self._commands.get(command_id)
        return None if found is None else (found, self._receipts.get(command_id))

    def commands(
        self, *, meter: str | None = None, since: datetime | None = None, limit: int = 1000
    ) -> list[tuple[Command, Receipt | None]]:
        found = [
            (command, self._receipts.get(command.id))
            for command in self._commands.values()
            if meter in (None, command.meter) and (since is None or command.issued_at >= since)
        ]
        return found[::-1][:limit]

    def events(
        self,
        *,
        subject: str | None = None,
        kind: EventKind | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        found = [
            row
            for row in self.rows
            if isinstance(row, Event)
            and subject in (None, row.subject)
            and kind in (None, row.kind)
            and (since is None or row.time >= since)
        ]
        return found[::-1][:limit]

    def keep_power(self) -> list[KeepPower]:
        return list(self._keeps.values())

    def restores_since(self, since: datetime) -> list[Restore]:
        return [row for row in self.rows if isinstance(row, Restore) and row.time >= since]


@dataclass
class FakeMeter:
    """A meter on a wire. `lose_writes` / `lose_replies`: so many of the next ones are lost.

    `forced` says that the meter ignores its own protection: a close whose answer is lost may have
    stopped half-way, before the release.
    """

    closed: bool = True
    online: bool = True
    forced: bool = False
    stuck: bool = False
    lose_writes: int = 0
    lose_replies: int = 0
    moves: list[tuple[datetime, bool]] = field(default_factory=list)
    seen: list[Command] = field(default_factory=list)


class FakeField:
    """Carries commands as the real bus does: refuses what is altered or expired, writes, reads
    back, and says unknown where it could not read."""

    def __init__(self, clock: LeapClock, meters: Iterable[Meter]) -> None:
        self.clock = clock
        self.meters = {meter.name: FakeMeter() for meter in meters}
        self.before_write = lambda _command: None
        self.reads: list[str] = []
        self.automatic_trips: list[float] = []

    async def execute(self, command: Command) -> Receipt:
        meter = self.meters[command.meter]
        if not command.is_intact(KEY):
            return self._receipt(command, ReceiptStatus.REFUSED, "altered", None, 0)
        if self.clock.now() >= command.expires_at:
            return self._receipt(command, ReceiptStatus.EXPIRED, "expired", None, 0)
        self.before_write(command)
        await asyncio.sleep(0)
        meter.seen.append(command)
        if not meter.online:
            return self._receipt(command, ReceiptStatus.UNKNOWN, "no answer", None, 1)
        if meter.lose_writes:
            meter.lose_writes -= 1
            return self._receipt(command, ReceiptStatus.UNKNOWN, "no answer", None, 1)
        wanted = {Action.TRIP: False, Action.CLOSE: True, Action.KEEP_POWER: True}
        to = wanted.get(command.action, meter.closed)
        if to is not meter.closed and not meter.stuck:
            meter.closed = to
            meter.moves.append((self.clock.now(), to))
            if to is False and command.requested_by == "supervisor":
                self.automatic_trips.append(self.clock.monotonic())
        await asyncio.sleep(0)
        half_way = command.action is Action.CLOSE and meter.lose_replies > 0
        meter.forced = command.action is Action.KEEP_POWER or half_way
        if meter.lose_replies:
            meter.lose_replies -= 1
            return self._receipt(command, ReceiptStatus.UNKNOWN, "no answer", None, 1)
        status = ReceiptStatus.CONFIRMED if meter.closed is to else ReceiptStatus.REFUSED
        return self._receipt(command, status, "read back", meter.closed, 1)

    async def read_relay(self, meter: str) -> bool | None:
        self.reads.append(meter)
        fake = self.meters[meter]
        return fake.closed if fake.online else None

    def _receipt(
        self, command: Command, status: ReceiptStatus, reason: str, closed: bool | None, writes: int
    ) -> Receipt:
        return Receipt(
            command.id, command.meter, command.action, status, reason, closed,
            self.clock.now(), writes,
        )  # fmt: skip


def policy(**control: object) -> Policy:
    """A policy for tests: 60 s restore delay, 3 restores a day, polarity verified."""
    given = {"polarity_verified": (PROFILE,), **control}
    return Policy(
        version=1,
        groups={"dorm": GroupPolicy(restore=RestorePolicy(delay_s=60, times_a_day=3))},
        control=ControlPolicy.model_validate(given),
    )


def roster(count: int, buses: int = 1) -> list[Meter]:
    return [
        Meter(
            name=f"m{n}", bus=f"bus{n % buses}", unit_id=n // buses + 1, profile=PROFILE,
            building="B1", room=f"10{n}", kind=RoomKind.DORM, rated_current_a=20,
        )
        for n in range(count)
    ]  # fmt: skip


class World:
    """The station around one supervisor."""

    def __init__(
        self,
        meters: int = 1,
        rules: Policy | None = None,
        *,
        buses: int = 1,
        ledger: object | None = None,
        reads: bool = True,
    ) -> None:
        self.clock = LeapClock(NOON)
        self.roster = roster(meters, buses)
        self.policy = rules or policy()
        self.ledger = ledger if ledger is not None else MemoryLedger()
        self.field = FakeField(self.clock, self.roster)
        self.events: list[Event] = []
        self.reads = reads
        self.supervisor = self._supervisor()

    def _supervisor(self) -> Supervisor:
        return Supervisor(
            self.ledger,  # type: ignore[arg-type]
            lambda _meter: self.field,
            self.roster,
            self.policy,
            self.clock,
            KEY,
            self.events.append,
            time_zone=SHANGHAI,
            read_relay=self.field.read_relay if self.reads else None,
        )

    def restart(self) -> None:
        """Kill the supervisor and start another on the same ledger."""
        self.supervisor = self._supervisor()

    async def crash(self) -> None:
        """Kill the supervisor in the middle of whatever it does, and start another."""
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.restart()

    async def sweep(self, *, relays: bool = True) -> None:
        """One sweep of all meters; those offline do not answer."""
        now = self.clock.now()
        rows = [
            {
                "time": now,
                "meter": name,
                "power_w": 100.0,
                "relay_closed": meter.closed if relays else None,
                "quality": "good",
            }
            for name, meter in self.field.meters.items()
            if meter.online
        ]
        await self.supervisor.observe(Sweep(uuid.uuid4().hex, "bus0", now, now, sweep_frame(rows)))

    async def at(self, seconds: float, *, relays: bool = True) -> None:
        """Leap to so many seconds after noon, sweep, and let everything settle."""
        self.clock.leap(seconds - (self.clock.now() - NOON).total_seconds())
        await self.sweep(relays=relays)
        await self.supervisor.settle()

    async def say(self, *verdicts: Verdict) -> None:
        """Let the rules say something, and let everything settle."""
        await self.supervisor.on_verdicts(verdicts)
        await self.supervisor.settle()

    async def ask(
        self,
        action: Action,
        meter: str = "m0",
        who: str = "Ms Li",
        reason: str = "asked for",
        **more: Any,
    ) -> Receipt:
        """Give an order and run the station until it is answered."""
        order = asyncio.ensure_future(self.supervisor.request(action, meter, who, reason, **more))
        for _ in range(1000):
            await asyncio.sleep(0)
            await self.supervisor.settle()
            if order.done():
                break
            await asyncio.sleep(0.001)  # a look into the ledger runs on another thread
        return (await asyncio.wait_for(order, 5))[1]

    def verdict(
        self,
        kind: CauseKind,
        violated: bool | None = True,
        meter: str = "m0",
        *,
        mode: RuleMode = RuleMode.TRIP,
        age_s: float = 0.0,
        shadow: bool = False,
    ) -> Verdict:
        """A rule's word of now."""
        evidence = Evidence(kind.value, matched={"power_w": 1500.0}, limits={"limit_w": 1100.0})
        time = self.clock.now() - timedelta(seconds=age_s)
        return Verdict(meter, kind, kind.value, mode, violated, time, evidence, shadow=shadow)

    def closed(self, meter: str = "m0") -> bool:
        return self.field.meters[meter].closed

    def commands(self, meter: str = "m0") -> list[str]:
        """The actions that reached a meter, in order."""
        return [command.action.value for command in self.field.meters[meter].seen]

    def told(self, *kinds: EventKind) -> list[str]:
        """Messages of announced events of some kinds, oldest first."""
        return [event.message for event in self.events if event.kind in kinds]

    def alarms(self) -> list[EventKind]:
        return [event.kind for event in self.events if event.severity is Severity.ALARM]

    def receipts(self) -> list[Receipt]:
        """Receipts in the ledger, oldest first."""
        return [receipt for _, receipt in self.ledger.commands()[::-1] if receipt]  # type: ignore[attr-defined]


def altered(command: Command) -> Command:
    """The command as somebody would like it to be."""
    return replace(command, meter="m1")
