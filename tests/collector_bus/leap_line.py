"""A simulated bus on a clock that leaps: the paced exchange without sockets or waiting."""

import asyncio
import heapq
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from collector.field import BusRunner, PollSettings
from collector.profile import Profile
from collector.wire import WireTiming
from domain.clock import LeapClock
from domain.commands import Action, Command
from domain.errors import LinkDown
from domain.events import Event, EventKind
from domain.frame import Sweep
from domain.site import Bus, Meter, Parity, RoomKind
from simulator.exchange import Exchange
from simulator.faults import FaultBook, FaultKind, FaultSpec
from simulator.meter import VirtualMeter
from simulator.modbus import CODECS
from simulator.model import Demand, LoadUse
from simulator.pacing import LinePacer

KEY = b"a key for tests"
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
TURNS_MOST = 20_000
MBAP_TO_UNIT = 6


class Rooms:
    """Every room draws `watts(seconds since START)`; voltage and reactive power stand still."""

    def __init__(self, watts: Callable[[float], float] = lambda _: 500.0) -> None:
        self.watts = watts

    def demand(self, meter: str, at_s: float) -> Demand:
        return Demand(230.0, self.watts(at_s - START.timestamp()), 0.0)

    def relay_moved(self, meter: str, closed: bool, at_s: float) -> None:
        pass

    def switch_on(self, meter: str, appliance: str, at_s: float, for_s: float) -> LoadUse:
        raise NotImplementedError("the rooms of these tests own no appliances")

    def uses(self, since_s: float = 0.0) -> list[LoadUse]:
        return []


class LeapLink:
    """A link whose other end is a paced simulated line; waiting leaps the clock.

    `sent` keeps each request and when it went out, from its unit on. `piece` cuts what comes in
    into pieces of that many bytes, as a serial driver may.
    """

    def __init__(self, exchange: Exchange, bus: Bus, clock: LeapClock, keeps_silence: bool) -> None:
        self.keeps_silence = keeps_silence
        self.is_open = False
        self.opened = 0
        self.refusing = False
        self.piece: int | None = None
        self.sent: list[tuple[float, bytes]] = []
        self._exchange, self._clock = exchange, clock
        self._codec = CODECS[bus.link]()
        self._is_mbap = bus.link == "tcp"
        self._coming: list[tuple[float, int, bytes]] = []
        self._order = count()

    async def open(self) -> None:
        await asyncio.sleep(0)
        if self.refusing:
            raise LinkDown("refused for the test")
        self.is_open = True
        self.opened += 1

    def send(self, frame: bytes) -> None:
        if not self.is_open:
            raise LinkDown("not open")
        now_s = self._clock.monotonic()
        self.sent.append((now_s, frame[MBAP_TO_UNIT:] if self._is_mbap else frame))
        for request, raw in self._codec.take(bytearray(frame)):
            campus_s = START.timestamp() + now_s  # the campus knows nothing of our clock's jumps
            self._exchange.carry(request, raw, self._codec, now_s, campus_s, self._emit)

    def _emit(self, when_s: float, data: bytes) -> None:
        size = self.piece or max(len(data), 1)
        for at in range(0, len(data), size):
            heapq.heappush(self._coming, (when_s, next(self._order), data[at : at + size]))

    async def receive(self, timeout_s: float) -> bytes:
        end_s = self._clock.monotonic() + max(timeout_s, 0.0)
        await asyncio.sleep(0)
        if not self.is_open:
            raise LinkDown("closed for the test")
        next_s = self._coming[0][0] if self._coming else float("inf")
        # Another task may have leapt on meanwhile.
        self._leap_to(min(next_s, end_s))
        return heapq.heappop(self._coming)[2] if next_s <= end_s else b""

    def discard(self) -> int:
        size = 0
        while self._coming and self._coming[0][0] <= self._clock.monotonic():
            size += len(heapq.heappop(self._coming)[2])
        return size

    def close(self) -> None:
        self.is_open = False

    def _leap_to(self, when_s: float) -> None:
        ahead_s = when_s - self._clock.monotonic()
        if ahead_s > 0:
            self._clock.leap(ahead_s)


@dataclass
class Rig:
    """A bus under test: its simulated meters, its runner, and all that came out of it."""

    bus: Bus
    roster: list[Meter]
    clock: LeapClock
    faults: FaultBook
    meters: dict[str, VirtualMeter]
    link: LeapLink
    runner: BusRunner
    sweeps: list[Sweep] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def add(self, kind: FaultKind, **particulars: object) -> int:
        """Put a fault in force."""
        return self.faults.add(FaultSpec.model_validate({"kind": kind, **particulars}))

    @property
    def rounds(self) -> list[Sweep]:
        """The sweeps that are not confirming reads."""
        return [sweep for sweep in self.sweeps if not sweep.confirming]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let the bus run until something is so; fails if it never is."""
        for _ in range(TURNS_MOST):
            if is_so():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came to that")

    async def more_rounds(self, number: int) -> list[Sweep]:
        """Wait for so many more whole rounds, after the one under way, and return them."""
        have = len(self.rounds) + 1
        await self.until(lambda: len(self.rounds) >= have + number)
        return self.rounds[have : have + number]

    async def pass_s(self, seconds: float) -> None:
        """Let the bus run for that long on its own clock."""
        end_s = self.clock.monotonic() + seconds
        await self.until(lambda: self.clock.monotonic() >= end_s)

    def kinds(self, subject: str | None = None) -> list[EventKind]:
        """The kinds of events so far."""
        return [e.kind for e in self.events if subject is None or e.subject == subject]

    def requests_to(self, unit: int) -> list[tuple[float, bytes]]:
        """The frames sent to one unit and when."""
        return [(at_s, frame) for at_s, frame in self.link.sent if frame[0] == unit]

    def command(self, meter: str, action: Action, expires_in_s: float = 30.0) -> Command:
        """A sealed command."""
        now = self.clock.now()
        expires_at = now + timedelta(seconds=expires_in_s)
        command = Command("c1", meter, action, "test", "tester", now, expires_at)
        return command.sealed(KEY)


def values(sweep: Sweep, meter: str) -> dict[str, object]:
    """One meter's row of a sweep."""
    rows = sweep.frame.filter(sweep.frame["meter"] == meter).to_dicts()
    assert len(rows) == 1
    return rows[0]


def rig_of(
    profiles: dict[str, Profile],
    models: Sequence[str],
    *,
    link: str = "rtu-over-tcp",
    settings: PollSettings | None = None,
    watts: Callable[[float], float] = lambda _: 500.0,
    energy_wh: float = 50_000.0,
    known_energy: dict[str, tuple[int, float]] | None = None,
    **bus_settings: object,
) -> Rig:
    """A bus with one meter of each model, named m1, m2 ..., units 1, 2 ..."""
    random.seed(7)  # the jitter of reconnecting
    bus = Bus.model_validate(
        {"name": "bus1", "link": link, "parity": Parity.EVEN, "timeout_s": 0.3, **bus_settings}
    )
    roster = [
        Meter(
            name=f"m{unit}", bus="bus1", unit_id=unit, profile=model, building="A",
            room=str(unit), kind=RoomKind.DORM, rated_current_a=20,
            phases=profiles[model].phases,
        )
        for unit, model in enumerate(models, 1)
    ]  # fmt: skip
    clock, faults, rooms = LeapClock(START), FaultBook(seed=1), Rooms(watts)
    meters = {
        meter.name: VirtualMeter(meter, profiles[meter.profile], rooms, energy_wh=energy_wh)
        for meter in roster
    }
    for meter in meters.values():
        meter.attach(faults)
    by_unit = {meter.unit_id: meter for meter in meters.values()}
    pacer = LinePacer(WireTiming.of(bus))
    exchange = Exchange(bus.name, by_unit, faults, pacer, bus.reply_delay_s)
    leap_link = LeapLink(exchange, bus, clock, keeps_silence=link != "serial")
    sweeps: list[Sweep] = []
    events: list[Event] = []
    runner = BusRunner(
        bus, roster, profiles, clock, sweeps.append, events.append,
        settings or PollSettings(), KEY,
        link_factory=lambda _bus, _timeout_s: leap_link, known_energy=known_energy,
    )  # fmt: skip
    return Rig(bus, roster, clock, faults, meters, leap_link, runner, sweeps, events)


@asynccontextmanager
async def running(rig: Rig, *, poll: bool = True) -> AsyncIterator[Rig]:
    """Run the bus while the test looks at it."""
    task = asyncio.create_task(rig.runner.run(poll=poll))
    try:
        yield rig
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
