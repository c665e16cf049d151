"""What sweeps tell the supervisor: which meters live, and which relays stand how."""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from control.core import Core
from control.goals import names
from control.standing import Standing
from domain.events import Event, EventKind, Severity
from domain.frame import Quality, Sweep

Row = tuple[str, datetime, bool | None]
# Moves by itself that are remembered a meter; more only make the pause longer.
ALONE_KEPT = 16


def told_rows(sweep: Sweep) -> Iterator[Row]:
    """Yield (meter, time, relay state or None) of every meter that answered in a sweep."""
    answered = sweep.frame.filter(
        pl.col("quality").is_in([Quality.GOOD.value, Quality.HELD.value]),
        pl.col("time").is_not_null(),
    )
    yield from answered.select("meter", "time", "relay_closed").iter_rows()


class Watch:
    """Takes sweeps; a relay that moved without a command is told and then put right."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def observe(self, sweep: Sweep) -> None:
        """Take the read-back states of a sweep; older ones than what is known change nothing."""
        events: list[Event] = []
        for meter, time, closed in told_rows(sweep):
            standing = self._core.standings.get(meter)
            if standing is not None:
                self._hear(standing, time)
                if closed is not None:
                    events += self._see(standing, closed, time)
        await self._core.journal.write_or_owe(*events)

    def _hear(self, standing: Standing, time: datetime) -> None:
        if standing.alive_at is None or time > standing.alive_at:
            standing.alive_at = time
        if standing.wait in ("meter", "read-back"):
            self._core.touch(standing)

    def _see(self, standing: Standing, closed: bool, time: datetime) -> list[Event]:
        if standing.executing or (standing.seen_at is not None and time <= standing.seen_at):
            return []
        before, was_unproven = standing.closed, standing.unproven
        opened_by_us = standing.opened_by_us
        standing.see(closed, time)
        if was_unproven or before is None or before is not closed:
            self._core.touch(standing)
        if was_unproven or standing.order is not None or before is closed:
            return []
        held = self._core.held(standing)
        if before is None and (closed or held or opened_by_us):
            return []  # first seen, and nothing to wonder at
        return [self._moved_alone(standing, closed, first=before is None, held=names(held))]

    def _moved_alone(self, standing: Standing, closed: bool, *, first: bool, held: str) -> Event:
        core = self._core
        standing.alone_at_s = [*standing.alone_at_s[-ALONE_KEPT:], core.clock.monotonic()]
        bypassed = closed and bool(held)
        verb = "found" if first else "moved without a command:"
        message = f"relay {verb} {'closed' if closed else 'open'}"
        return core.event(
            EventKind.RELAY_MOVED_ALONE,
            standing.name,
            message + (f" while {held} holds it open" if bypassed else ""),
            Severity.ALARM if bypassed else Severity.WARNING,
            group=f"relay-moved-alone:{standing.meter.building}" if bypassed else "",
            details={"relay_closed": closed, "first_seen": first, "held_by": held},
        )
