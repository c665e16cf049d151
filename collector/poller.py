"""The round: every meter's fast quantities each sweep, the slow ones in turn, silent meters by
probes that grow rarer."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from itertools import count

from collector.bus import BusOwner
from collector.delivery import Delivery
from collector.health import SweepTimes
from collector.meter_port import Readout
from collector.request import Priority
from collector.row import MeterRows, Row
from domain.frame import Quality, Sweep, sweep_frame

# Slow quantities that did not come are tried again after this part of their period.
SLOW_RETRY_PART = 3


class SweepMaker:
    """Gives sweeps their ids, unique for ever: bus, start of the service, number."""

    def __init__(self, bus: str) -> None:
        self._bus = bus
        self._start = secrets.token_hex(6)
        self._numbers = count(1)

    def sweep(
        self,
        started_at: datetime,
        ended_at: datetime,
        rows: Sequence[Row],
        wire_s: float,
        *,
        confirming: bool = False,
    ) -> Sweep:
        """Return a sweep of these rows."""
        return Sweep(
            id=f"{self._bus}-{self._start}-{next(self._numbers)}",
            bus=self._bus,
            started_at=started_at,
            ended_at=ended_at,
            frame=sweep_frame(rows),
            confirming=confirming,
            wire_time_s=wire_s,
        )


class Poller:
    """Sweeps one bus for ever. Commands, confirming reads and others go in between."""

    def __init__(
        self, owner: BusOwner, meters: Sequence[MeterRows], maker: SweepMaker, delivery: Delivery
    ) -> None:
        self._owner, self._meters = owner, meters
        self._maker, self._delivery = maker, delivery
        self._slow_due: dict[str, float] = {}
        self._place = {meter.port.meter.name: place for place, meter in enumerate(meters)}
        self._power_w: dict[str, float] = {}
        self.times = SweepTimes()

    async def run(self) -> None:
        """Sweep until cancelled: back to back, or on a plan that does not drift."""
        clock, settings = self._owner.clock, self._owner.settings
        planned_s = clock.monotonic()
        while True:
            if not await self._owner.known():
                await self._report_down()
                continue
            started_s = clock.monotonic()
            sweep = await self.sweep()
            await self._delivery.hand_on(sweep)
            if settings.sweep_every_s is not None:
                late_s = max(0.0, clock.monotonic() - planned_s)
                # A round that took too long skips the ticks it missed; they never pile up.
                planned_s += settings.sweep_every_s * (1 + late_s // settings.sweep_every_s)
                await clock.sleep(max(0.0, planned_s - clock.monotonic()))
            elif not sweep.wire_time_s:  # nothing could be asked: do not spin
                rest_s = settings.idle_sweep_s - (clock.monotonic() - started_s)
                await clock.sleep(max(0.0, rest_s))

    async def sweep(self) -> Sweep:
        """Make one pass over the bus; rows with a step up go ahead of it, each by itself."""
        clock = self._owner.clock
        started_at, started_s = clock.now(), clock.monotonic()
        rows: list[Row | None] = []
        busy: list[tuple[int, MeterRows, tuple[str, ...]]] = []
        wire_s, probe_failed = 0.0, False
        for index, meter in enumerate(self._meters):
            silent = meter.port.liveness.is_silent
            if not self._is_due(meter, probe_failed):
                rows.append(meter.skipped())
                continue
            wanted = self._wanted(meter)
            readout = await meter.port.read(wanted, Priority.POLL)
            wire_s += readout.wire_s
            probe_failed = probe_failed or (silent and readout.quality is Quality.TIMEOUT)
            if readout.busy:
                busy.append((index, meter, wanted))
                rows.append(None)
                continue
            row = self._row(meter, readout, wanted)
            if self._has_risen(row):
                await self._hand_ahead(row, readout)
                continue
            rows.append(row)
        for index, meter, wanted in busy:
            readout = await meter.port.read_patiently(wanted, Priority.POLL)
            wire_s += readout.wire_s
            rows[index] = self._row(meter, readout, wanted)
        sweep = self._maker.sweep(
            started_at, clock.now(), [row for row in rows if row is not None], wire_s
        )
        self.times.add(clock.monotonic() - started_s, wire_s)
        return sweep

    def _has_risen(self, row: Row) -> bool:
        """Say whether a meter's power rose by so much that its row must not wait for the round."""
        name, power_w = str(row["meter"]), row.get("power_w")
        if not isinstance(power_w, float):
            return False
        before_w = self._power_w.get(name)
        self._power_w[name] = power_w
        return before_w is not None and power_w - before_w >= self._owner.settings.ahead_step_w

    async def _hand_ahead(self, row: Row, readout: Readout) -> None:
        """Hand on one row of the round at once, as a sweep of its own; the round leaves it out."""
        sweep = self._maker.sweep(
            readout.time, self._owner.clock.now(), [row], readout.wire_s, confirming=True
        )
        await self._delivery.hand_on(sweep)

    def hurry(self, meter: str) -> None:
        """Read this meter's slow quantities in the next sweep."""
        if meter in self._slow_due:
            self._slow_due[meter] = float("-inf")

    def _is_due(self, meter: MeterRows, probe_failed: bool) -> bool:
        """Say whether to ask: a silent meter only at its probe, and one failed probe a sweep."""
        liveness = meter.port.liveness
        if not self._owner.is_up:
            return False
        if liveness.is_silent and probe_failed:
            return False
        return liveness.is_due(self._owner.clock.monotonic())

    def _wanted(self, meter: MeterRows) -> tuple[str, ...]:
        """Return what to read now; a silent meter is probed for its fast quantities only."""
        due_s = self._slow_due.get(meter.port.meter.name, float("-inf"))
        is_slow_due = due_s <= self._owner.clock.monotonic() and not meter.port.liveness.is_silent
        return meter.fast + meter.slow if is_slow_due or not meter.fast else meter.fast

    def _row(self, meter: MeterRows, readout: Readout, wanted: Sequence[str]) -> Row:
        if set(meter.slow).intersection(wanted):
            self._plan_slow(meter, came=not readout.unread.intersection(meter.slow))
        return meter.row(readout)

    def _plan_slow(self, meter: MeterRows, *, came: bool) -> None:
        """Plan a meter's next slow reading: each meter has its own slot of the period, so that
        every sweep carries about as many."""
        name, now_s = meter.port.meter.name, self._owner.clock.monotonic()
        period_s = self._owner.settings.slow_every_s
        if not came:
            self._slow_due[name] = now_s + period_s / SLOW_RETRY_PART
            return
        slot_s = period_s * self._place[name] / len(self._meters)
        self._slow_due[name] = now_s + period_s - (now_s - slot_s) % period_s

    async def _report_down(self) -> None:
        """While the bus is down nothing is asked; say so in rows, at a slow beat."""
        clock = self._owner.clock
        started_at = clock.now()
        await clock.sleep(self._owner.settings.idle_sweep_s)
        rows = [meter.skipped() for meter in self._meters]
        await self._delivery.hand_on(self._maker.sweep(started_at, clock.now(), rows, 0.0))
