"""One room as it lives: what is switched on, what is due next, how its people take a cut.

Everything happens at its own planned moment, whenever the room is looked at, so the watts at a
time depend on the seed and on the relay, never on how often a meter is read.
"""

import heapq
import itertools
import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import IntEnum

from simulator.appliances import APPLIANCES, RECORDED_AS, Load
from simulator.rooms import Device, Room, device
from simulator.routine import ALWAYS_ON, Run, day_plan
from simulator.traces import RecordedLoad, RecordedUse
from simulator.uses import PlannedUse, Use, World

UNPLUG_S = (3.0, 20.0)  # somebody pulls the heater's plug after the lights went out
RESUME_S = (5.0, 40.0)  # what does not restart by itself is switched on again
RETRY_S = (45.0, 120.0)  # the incorrigible, once their computers run again
CALM_S = 180.0  # around a planned use a room starts nothing big of its own
GAP_S = 2 * 86_400.0  # a room not looked at for so long starts afresh
BASE_RECORDED = {"laptop": "PC-Laptop", "desktop": "PC-Desktop", "monitor": "Monitor-TFT",
                 "desk-lamp": "Lamp", "refrigerator": "Refrigerator"}  # fmt: skip
# Peak and reporting period of the recordings taken as base load: halogen floor lamps of 245 W
# stay out, and a refrigerator's inrush of one second must have been reported every second.
BASE_LIMITS = {"laptop": (150.0, 3.0), "desktop": (320.0, 3.0), "monitor": (60.0, 3.0),
               "desk-lamp": (50.0, 2.0), "refrigerator": (2000.0, 1.0)}  # fmt: skip


@dataclass(eq=False, slots=True)
class _Running:
    """A load that is on, what it was started from, and the use that it is listed as."""

    load: Load | RecordedLoad
    device: Device
    planned_off_s: float
    use: Use | None = None
    recorded: RecordedUse | None = None


class _Due(IntEnum):
    STOP = 0  # stops come before starts of the same moment
    START = 1
    PLAN = 2


@dataclass(frozen=True, slots=True)
class _Start:
    device: Device
    off_s: float
    recorded: RecordedUse | None = None
    natural: bool = False


@dataclass(slots=True)
class _Memory:
    """What the people of a room remember until the supply returns, and the retries of a day."""

    resume: list[_Start] = field(default_factory=list)
    retry: list[_Start] = field(default_factory=list)
    retried: dict[date, int] = field(default_factory=dict)


class Household:
    """One room's state. Times are campus seconds and never fall: a late caller gets the present."""

    def __init__(
        self, room: Room, world: World, start_s: float, planned: tuple[PlannedUse, ...] = ()
    ) -> None:
        self.room = room
        self.closed = True
        self.now_s = start_s
        self._world = world
        self._planned = planned
        self._dice = random.Random(f"{world.seed}:{room.meter}:people")
        self._order = itertools.count()
        self._queue: list[tuple[float, int, int, _Running | _Start | date]] = []
        self._running: list[_Running] = []
        self._memory = _Memory()
        self._until_s = start_s
        self._resistive = (0.0, 0.0)
        self._constant = (0.0, 0.0)
        self._begin(start_s)
        for use in planned:
            self._push(use.on_s, _Due.START, self._planned_start(use))

    def draw(self, at_s: float) -> tuple[float, float, float, float]:
        """Return resistive W and var at 220 V, and W and var that do not follow the supply."""
        if at_s > self.now_s:
            self.advance(at_s)
        if self.now_s >= self._until_s:
            self._settle()
        return (*self._resistive, *self._constant)

    def loads(self) -> list[tuple[str, float, float, bool]]:
        """Return what is on now: (appliance, W, var, whether these are at 220 V and scale)."""
        return [
            (item.device.appliance, item.load.power_w, item.load.reactive_var, item.load.resistive)
            for item in self._running
        ]

    def advance(self, at_s: float) -> None:
        """Live on until that time."""
        if at_s - self.now_s > GAP_S:
            self._begin(at_s)
        while self._queue and self._queue[0][0] <= at_s:
            due_s, kind, _, item = heapq.heappop(self._queue)
            self.now_s = max(self.now_s, due_s)
            if isinstance(item, _Running):
                self._stop(item, self.now_s)
            elif isinstance(item, _Start):
                self._start(item, due_s)
            elif kind == _Due.PLAN:
                self._plan(item, self.now_s)
        self.now_s = max(self.now_s, at_s)

    def relay_moved(self, closed: bool, at_s: float) -> None:
        """Let the room's people notice that the supply went or came."""
        self.advance(at_s)
        if closed == self.closed:
            return
        self.closed = closed
        if closed:
            self._supply_came(self.now_s)
        else:
            self._supply_went(self.now_s)
        self._until_s = self.now_s

    def switch_on(self, appliance: str, at_s: float, for_s: float) -> Use:
        """Switch a device of the table on, or a recording of that class; returns the use."""
        self.advance(at_s)
        start = self._planned_start(self._pick(appliance, self.now_s, for_s))
        use = self._start(start, self.now_s, always_tracked=True)
        assert use is not None  # noqa: S101 - always_tracked makes one
        return use

    # --- planning -------------------------------------------------------------------------

    def _begin(self, at_s: float) -> None:
        """Start (afresh) at a time: the day before is planned too, for what runs past midnight."""
        self._end_all(at_s)
        self._queue = [due for due in self._queue if due[0] >= at_s and _is_wanted(due[3])]
        heapq.heapify(self._queue)
        self.now_s = at_s
        for item in self.room.devices:
            if item.appliance in ALWAYS_ON:
                on_off = item.row.duty or (1.0, 0.0)
                phase_s = item.salt / 4096 * sum(on_off)
                self._run(_Start(item, float("inf")), at_s - phase_s, at_s)
        today = datetime.fromtimestamp(at_s + self._world.day_shift_s, self._world.zone).date()
        self._plan(today - timedelta(days=1), at_s, follow=False)
        self._plan(today, at_s)
        self._until_s = at_s

    def _plan(self, day: date, at_s: float, *, follow: bool = True) -> None:
        world = self._world
        midnight = datetime.combine(day, time(), world.zone)
        midnight_s = midnight.timestamp() - world.day_shift_s
        dice = random.Random(f"{world.seed}:{self.room.meter}:{day.isoformat()}")
        for run in day_plan(self.room, day, dice=dice):
            self._push_run(run, midnight_s, at_s)
        if follow:
            tomorrow = day + timedelta(days=1)
            due = datetime.combine(tomorrow, time(), world.zone).timestamp() - world.day_shift_s
            self._push(due, _Due.PLAN, tomorrow)

    def _push_run(self, run: Run, midnight_s: float, at_s: float) -> None:
        on_s, off_s = midnight_s + run.from_h * 3600, midnight_s + run.to_h * 3600
        if off_s <= at_s:
            return
        tracked = run.device.row.tracked
        if tracked and any(abs(use.on_s - on_s) < CALM_S for use in self._planned):
            return
        start = _Start(run.device, off_s, natural=True)
        if on_s >= at_s:
            self._push(on_s, _Due.START, start)
        elif not tracked or self.room.rule_class(run.device.appliance) == "benign":
            # found half-way through its run; a forbidden use is never found, only begun
            running = self._run(start, on_s, at_s)
            if tracked:
                running.use = self._listed(start, on_s)
                running.use.seen_s = on_s

    def _push(self, at_s: float, kind: _Due, item: _Running | _Start | date) -> None:
        heapq.heappush(self._queue, (at_s, int(kind), next(self._order), item))

    def _planned_start(self, use: PlannedUse) -> _Start:
        name = use.recorded.appliance if use.recorded else use.appliance
        kind = RECORDED_AS.get(name, name)
        owned = next((i for i in self.room.of(kind) if i.number == use.number), None)
        dice = random.Random(f"{self._world.seed}:{self.room.meter}:{kind}:{use.number}")
        return _Start(
            owned or device(dice, kind, use.number), use.on_s + use.for_s, recorded=use.recorded
        )

    def _pick(self, appliance: str, at_s: float, for_s: float) -> PlannedUse:
        recorded = None
        if appliance not in APPLIANCES and self._world.library is not None:
            known = self._world.library.uses(
                APPLIANCES[RECORDED_AS[appliance]].rule_class, lasting_s=min(20.0, for_s)
            )
            choices = [use for use in known if use.appliance == appliance]
            recorded = self._dice.choice(choices) if choices else None
        return PlannedUse(self.room.meter, RECORDED_AS.get(appliance, appliance), at_s, for_s,
                          recorded)  # fmt: skip

    # --- switching ------------------------------------------------------------------------

    def _start(self, start: _Start, at_s: float, *, always_tracked: bool = False) -> Use | None:
        if start.natural and any(item.device == start.device for item in self._running):
            return None  # the one kettle of the room is already on
        tracked = start.device.row.tracked or always_tracked
        if not self.closed and not always_tracked and not tracked:
            # nobody switches a lamp on in a dark room; they do it when the light is back
            self._remember(start, at_s)
            return None
        use = None
        if tracked:
            use = self._listed(start, at_s)
            if not self.closed:
                use.off_s = at_s  # the switch did nothing, so it was put back
                return use
            use.seen_s = at_s
        running = self._run(start, at_s, at_s)
        running.use = use
        return use

    def _listed(self, start: _Start, at_s: float) -> Use:
        recorded = start.recorded
        use = Use(
            meter=self.room.meter,
            appliance=recorded.appliance if recorded else start.device.appliance,
            rule_class=self.room.rule_class(start.device.appliance),
            on_s=at_s,
            power_w=recorded.power_w if recorded else start.device.rated_w,
        )
        self._world.log.append(use)
        return use

    def _run(self, start: _Start, on_s: float, at_s: float) -> _Running:
        load = self._load(start, on_s)
        running = _Running(load, start.device, start.off_s, recorded=start.recorded)
        self._running.append(running)
        if start.off_s != float("inf"):
            self._push(max(start.off_s, at_s), _Due.STOP, running)
        self._until_s = at_s
        return running

    def _load(self, start: _Start, on_s: float) -> Load | RecordedLoad:
        library, item = self._world.library, start.device
        if library is not None and start.recorded is not None:
            return RecordedLoad(library.use(start.recorded), on_s)
        if library is not None and item.appliance in BASE_RECORDED:
            dice = random.Random(f"{self._world.seed}:{self.room.meter}:{item.salt}:recording")
            highest_w, period_s = BASE_LIMITS[item.appliance]
            if dice.random() < self._world.recorded_share:
                stretches = library.base(
                    BASE_RECORDED[item.appliance], highest_w=highest_w, period_s=period_s
                )
                if stretches:
                    chosen = dice.choice(stretches)
                    return RecordedLoad(
                        chosen, on_s, loops=True, offset_s=dice.random() * chosen.lasting_s
                    )
        return Load(item.row, item.rated_w, on_s, item.salt)

    def _stop(self, running: _Running, at_s: float) -> None:
        if running not in self._running:
            return
        self._running.remove(running)
        if running.use is not None and running.use.off_s is None:
            running.use.off_s = at_s
        self._until_s = at_s

    def _end_all(self, at_s: float) -> None:
        for running in list(self._running):
            self._stop(running, at_s)

    def _settle(self) -> None:
        at_s, until_s = self.now_s, float("inf")
        resistive_w = resistive_var = constant_w = constant_var = 0.0
        for item in self._running:
            load = item.load
            if at_s >= load.until_s:
                load.settle(at_s)
            if load.resistive:
                resistive_w += load.power_w
                resistive_var += load.reactive_var
            else:
                constant_w += load.power_w
                constant_var += load.reactive_var
            until_s = min(until_s, load.until_s)
        self._until_s = until_s
        self._resistive = (resistive_w, resistive_var)
        self._constant = (constant_w, constant_var)

    # --- cuts -----------------------------------------------------------------------------

    def _supply_went(self, at_s: float) -> None:
        for item in list(self._running):
            start = _Start(item.device, item.planned_off_s, item.recorded)
            if item.use is not None:
                item.use.cut_s = at_s
                if item.use.rule_class != "benign":
                    # the plug is pulled in a moment; whether to try again is decided then
                    self._push(at_s + self._dice.uniform(*UNPLUG_S), _Due.STOP, item)
                    self._maybe_retry(start, at_s)
                    continue
            if not item.device.row.restarts:
                self._stop(item, at_s)
                self._remember(start, at_s)

    def _remember(self, start: _Start, at_s: float) -> None:
        still = [item for item in self._memory.resume if item.off_s > at_s]
        self._memory.resume = [*still, start]

    def _maybe_retry(self, start: _Start, at_s: float) -> None:
        world, memory = self._world, self._memory
        today = datetime.fromtimestamp(at_s + world.day_shift_s, world.zone).date()
        if self._dice.random() >= world.retry_share:
            return
        if memory.retried.get(today, 0) < world.retries_a_day:
            memory.retried = {today: memory.retried.get(today, 0) + 1}
            memory.retry.append(start)

    def _supply_came(self, at_s: float) -> None:
        resume, retry = self._memory.resume, self._memory.retry
        self._memory.resume, self._memory.retry = [], []
        for start in resume:
            again_s = at_s + self._dice.uniform(*RESUME_S)
            if again_s < start.off_s:
                self._push(again_s, _Due.START, start)
        for start in retry:
            again_s = at_s + self._dice.uniform(*RETRY_S)
            for_s = start.recorded.lasting_s if start.recorded else 120.0
            again = _Start(start.device, again_s + for_s, start.recorded)
            self._push(again_s, _Due.START, again)
        for item in self._running:
            duty = item.device.row.duty
            if isinstance(item.load, Load) and duty and item.device.appliance in ALWAYS_ON:
                # a compressor waits a while before it starts against pressure
                item.load.on_s = at_s + self._dice.uniform(5.0, 180.0) - sum(duty)
                item.load.until_s = at_s


def _is_wanted(item: _Running | _Start | date) -> bool:
    """Say whether a due thing outlives a fresh start: only what a scenario asked for does."""
    return isinstance(item, _Start) and not item.natural
