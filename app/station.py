"""One running station: the stores, the field, the rules and the supervisor, wired together."""

import asyncio
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from app.field_thread import FieldThread
from app.latest import LatestTable
from app.settings import Settings
from app.stores import Stores, load_policy
from collector.counter import counter_sizes_wh
from collector.field import BusRunner, PollSettings
from collector.profile import Profile
from control.supervisor import Supervisor
from domain.causes import RuleMode, Verdict
from domain.clock import Clock
from domain.commands import Action, Command, Receipt
from domain.errors import StoreUnavailable, StreamFull, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.frame import Sweep, frame_to_bytes
from domain.policy import Policy
from domain.ports import RelayDriver, StreamRecord
from domain.site import Meter, Site
from rules.engine import RuleEngine
from rules.shed import shed_memory
from storage.recorder import Recorder, RecorderSettings
from storage.roller import RollSettings

VERDICT_QUEUE = 2_000
COMMAND_WITHIN_S = 30.0
LISTED_MOST = 100_000
CLOCK_LOOKED_AT_EVERY_S = 5.0
CLOCK_JUMP_S = 2.0
LATENCIES_KEPT = 2_000
SEAL_KEY_NAME = "command-seal"
_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ALARM: logging.ERROR,
}

log = structlog.get_logger("station")


@dataclass(slots=True)
class Counters:
    """What a station has done since its start."""

    sweeps: int = 0
    readings_acknowledged: int = 0
    readings_refused: int = 0
    verdicts: int = 0
    verdicts_dropped: int = 0
    rule_s: float = 0.0
    trips: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)


class Station:
    """Owns the field's thread and everything that runs on it.

    `start` opens nothing that is not there yet: the stores come in open and are closed by whoever
    opened them. All callbacks from the field run on the field's loop.
    """

    def __init__(
        self,
        site: Site,
        policy: Policy,
        settings: Settings,
        profiles: Mapping[str, Profile],
        stores: Stores,
        clock: Clock,
    ) -> None:
        self.site, self.settings, self.stores, self.clock = site, settings, stores, clock
        self.field = FieldThread()
        self.latest = LatestTable([meter.name for meter in site.meters])
        self.counters = Counters()
        self.rule_latency_s: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self.watchers: list[Callable[[Sweep], None]] = []
        self._lock = threading.Lock()
        self._work: asyncio.Queue[tuple[Sweep, list[Verdict]]] = asyncio.Queue(VERDICT_QUEUE)
        self._refusing = self._stopped = False
        self._policy = policy
        self.started_at = clock.now()
        self._bus_of = {meter.name: meter.bus for meter in site.meters}
        self._profiles = profiles
        self._switched = {m.name for m in site.meters if profiles[m.profile].relay is not None}
        zone = ZoneInfo(site.time_zone)
        seal_key = stores.ledger.secret(SEAL_KEY_NAME)
        self.engine = RuleEngine(site.meters, policy, zone)
        open_causes = stores.ledger.causes(open_only=True, limit=LISTED_MOST)
        self.engine.restore_shedding(shed_memory(open_causes))
        self.shadow = self._shadow_engine(settings, zone)
        self.recorder = Recorder(
            stores.stream,
            stores.series,
            clock,
            self.on_event,
            RecorderSettings(rollups=RollSettings(time_zone=site.time_zone)),
        )
        self.supervisor = Supervisor(
            ledger=stores.ledger,
            driver_for=self.driver_for,
            meters=site.meters,
            policy=policy,
            clock=clock,
            seal_key=seal_key,
            on_event=self._announce,
            time_zone=zone,
            read_relay=self._read_relay,
            has_relay=self._switched.__contains__,
        )
        self.runners = self._build_runners(profiles, seal_key)

    def start(self) -> None:
        """Start recording, the field's thread, every bus and the supervisor."""
        self.recorder.start()
        self.field.start()
        self.field.keep_running("supervisor", self.supervisor.run)
        self.field.keep_running("verdicts", self._act)
        self.field.keep_running("clock", self._watch_clock)
        for name, runner in self.runners.items():
            self.field.keep_running(f"bus {name}", runner.run)
        self.on_event(self._event(EventKind.SERVICE_STARTED, f"buses: {len(self.runners)}"))

    def stop(self) -> None:
        """Stop the field, write down what is still in the spool, and say so; once only."""
        if self._stopped:
            return
        self._stopped = True
        self.field.stop()
        self.recorder.stop()
        self.on_event(self._event(EventKind.SERVICE_STOPPED, "stopped by request"))

    @property
    def policy(self) -> Policy:
        """The policy now in force."""
        return self._policy

    def set_policy(self, policy: Policy, actor: str, reason: str) -> int:
        """Put a policy into the ledger and in force everywhere; return its version."""
        version = self.stores.ledger.save_policy(policy, actor, reason)
        self._policy = policy.model_copy(update={"version": version})
        self.field.submit(self._take_policy(self._policy)).result(COMMAND_WITHIN_S)
        return version

    def order(
        self, action: Action, meter: str, who: str, reason: str, command_id: str | None = None
    ) -> "Future[tuple[Command, Receipt]]":
        """Hand an order to the supervisor; the future ends with its command and receipt."""
        return self.field.submit(
            self.supervisor.request(action, meter, who, reason, command_id=command_id)
        )

    def hear(self, verdicts: Sequence[Verdict]) -> "Future[None]":
        """Hand the supervisor verdicts that come from elsewhere than the rules: arrears."""
        return self.field.submit(self.supervisor.on_verdicts(list(verdicts)))

    def age_s(self, meter: str) -> float | None:
        """Return how old a meter's last good reading is, or None when there was none yet."""
        value = self.latest.value(meter, "power_w")
        if value is None:
            return None
        return (self.clock.now() - value[1]).total_seconds()

    def counter_sizes_wh(self, meter: Meter) -> tuple[int, ...]:
        """Return the counts at which a meter's energy counter may begin again, Wh."""
        row = self._profiles[meter.profile].row("energy_wh")
        return () if row is None else tuple(sorted(counter_sizes_wh(row)))

    def driver_for(self, meter: str) -> RelayDriver:
        """Return the bus that carries commands to a meter. Raises UnknownSubject."""
        bus = self._bus_of.get(meter)
        if bus is None or bus not in self.runners:
            raise UnknownSubject(f"no meter {meter!r} in the roster")
        return self.runners[bus]

    def on_sweep(self, sweep: Sweep) -> None:
        """Take a sweep from the field: spool it, judge it, hand on what the rules said."""
        self._spool(sweep)
        self.latest.observe(sweep.frame)
        for watch in self.watchers:
            watch(sweep)
        begun = self.clock.monotonic()
        verdicts = self.engine.judge(sweep)
        if self.shadow:
            verdicts += self.shadow.judge(sweep)
        taken_s = self.clock.monotonic() - begun
        self.rule_latency_s.append(taken_s)
        self.counters.rule_s += taken_s
        self.counters.sweeps += 1
        self.counters.verdicts += len(verdicts)
        for verdict in verdicts:
            if verdict.suspect and self.settings.confirm_reads:
                self.runners[sweep.bus].confirm(verdict.meter, self.settings.confirm_reads)
        try:
            self._work.put_nowait((sweep, verdicts))
        except asyncio.QueueFull:
            self.counters.verdicts_dropped += 1

    def on_event(self, event: Event) -> None:
        """Write an event to the audit trail; if the ledger can't, it is logged at least."""
        announce(event)
        try:
            self.stores.ledger.record(event).add_done_callback(_log_failure)
        except StoreUnavailable as error:
            log.exception("event not recorded", reason=str(error), kind=event.kind.value)

    def not_ready(self) -> list[str]:
        """Say why the station does not do all of its work; nothing means that it does."""
        reasons = [f"{name} has failed too often and was given up" for name in self.field.given_up]
        if not self.stores.stream.is_ready():
            reasons.append("the spool takes no readings: it is full or its disk refuses")
        if self.recorder.stats.failure:
            reasons.append(f"the recorder has stopped: {self.recorder.stats.failure}")
        elif self.recorder.stats.store_is_down:
            reasons.append("the time-series store is down; readings wait in the spool")
        return reasons

    async def _watch_clock(self) -> None:
        """Tell of a wall clock that jumps: readings keep the time they were given."""
        ahead_s = self.clock.now().timestamp() - self.clock.monotonic()
        while True:
            await self.clock.sleep(CLOCK_LOOKED_AT_EVERY_S)
            now_ahead_s = self.clock.now().timestamp() - self.clock.monotonic()
            jump_s, ahead_s = now_ahead_s - ahead_s, now_ahead_s
            if abs(jump_s) > CLOCK_JUMP_S:
                message = f"the clock of this machine jumped by {jump_s:+.1f} s"
                self.on_event(self._event(EventKind.CLOCK_JUMP, message, Severity.WARNING))

    async def approvals(self) -> list[dict[str, Any]]:
        """Return the mass actions that wait for a second person; on the field's loop."""
        pending = self.supervisor.status().approvals
        return [approval.as_details("asked") for approval in pending]

    async def approve(self, approval_id: str, who: str, reason: str) -> dict[str, Any]:
        """Give a second person's yes; on the field's loop. Raises as the supervisor does."""
        granted = await self.supervisor.approve(approval_id, who)
        return {**granted.as_details("granted"), "approval_reason": reason}

    def _announce(self, event: Event) -> None:
        """Count and log what the supervisor has written down itself."""
        details = event.details
        acts = details.get("mode") == RuleMode.TRIP.value and not details.get("shadow")
        if event.kind is EventKind.CAUSE_RAISED and acts:
            self.counters.trips[str(details.get("kind"))] += 1
        if event.kind is EventKind.COMMAND_DONE:
            self.counters.commands[str(details.get("status"))] += 1
        announce(event)

    def _known_energy(self) -> dict[str, tuple[int, float]]:
        """Return each meter's last stored energy counter, Wh, and the most it can be old, s.

        The store knows when a meter was last read, its energy may be one slow round older.
        """
        now, slow_s = self.clock.now(), self.settings.slow_every_s
        return {
            row["meter"]: (row["energy_wh"], (now - row["time"]).total_seconds() + slow_s)
            for row in self.stores.series.latest().iter_rows(named=True)
            if row["energy_wh"] is not None and row["time"] is not None
        }

    def commands_under_way(self) -> int:
        """Count the meters whose relay is not yet what it shall be though nothing holds it back."""
        status = self.supervisor.status()
        return sum(
            1
            for meter in status.meters.values()
            if meter.meter in self._switched
            and meter.relay_closed is not None
            and meter.relay_closed != meter.shall_be_closed
            and not meter.wait
        )

    async def _read_relay(self, meter: str) -> bool | None:
        runner = self.runners[self._bus_of[meter]]
        readout = await runner.read_once(meter, ["relay_closed"])
        value = readout.values.get("relay_closed")
        return None if value is None else bool(value)

    def _build_runners(
        self, profiles: Mapping[str, Profile], seal_key: bytes
    ) -> dict[str, BusRunner]:
        poll = PollSettings(
            sweep_every_s=self.settings.sweep_every_s or None,
            slow_every_s=self.settings.slow_every_s,
            probe_most_s=self.settings.probe_most_s,
        )
        known_energy = self._known_energy()
        return {
            bus.name: BusRunner(
                bus=bus,
                meters=self.site.meters_on(bus.name),
                profiles=profiles,
                clock=self.clock,
                on_sweep=self.on_sweep,
                on_event=self.on_event,
                settings=poll,
                seal_key=seal_key,
                known_energy=known_energy,
            )
            for bus in self.site.buses
            if self.site.meters_on(bus.name)
        }

    async def _take_policy(self, policy: Policy) -> None:
        self.engine.set_policy(policy)
        await self.supervisor.set_policy(policy)

    async def _act(self) -> None:
        while True:
            sweep, verdicts = await self._work.get()
            await self.supervisor.observe(sweep)
            if verdicts:
                await self.supervisor.on_verdicts(verdicts)

    def _spool(self, sweep: Sweep) -> None:
        rows = sweep.frame.height
        record = StreamRecord(sweep.id, "sweep", frame_to_bytes(sweep.frame))
        try:
            future = self.stores.stream.publish(record)
        except (StreamFull, StoreUnavailable) as error:
            self._refused(rows, str(error))
            return
        future.add_done_callback(lambda done: self._acknowledged(done, rows))

    def _acknowledged(self, done: "Future[None]", rows: int) -> None:
        error = done.exception()
        if error is not None:
            self._refused(rows, str(error))
            return
        with self._lock:
            self.counters.readings_acknowledged += rows
            self._refusing = False

    def _refused(self, rows: int, reason: str) -> None:
        with self._lock:
            self.counters.readings_refused += rows
            first, self._refusing = not self._refusing, True
        if first:
            message = f"readings can't be kept: {reason}"
            self.on_event(self._event(EventKind.SPOOL_FULL, message, Severity.ALARM))

    def _event(self, kind: EventKind, message: str, severity: Severity = Severity.INFO) -> Event:
        return Event(self.clock.now(), kind, self.site.name, message, severity)

    def _shadow_engine(self, settings: Settings, zone: ZoneInfo) -> RuleEngine | None:
        if not settings.shadow_rules:
            return None
        policy = load_policy(Path(settings.shadow_rules))
        return RuleEngine(self.site.meters, policy, zone, shadow=True)


def announce(event: Event) -> None:
    """Log an event that is, or will be, written elsewhere."""
    log.log(_LEVELS[event.severity], event.message, kind=event.kind.value, about=event.subject)


def _log_failure(done: "Future[None]") -> None:
    error = done.exception()
    if error is not None:
        log.error("event not recorded", reason=str(error))
