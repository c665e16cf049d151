"""The book of causes: raised and ended by verdicts, people and time, each change durable first."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from control.core import Core, new_id
from control.desired import (
    OPERATOR_CLEARS,
    SAFETY,
    Change,
    change_by,
    is_stale,
    is_suspended,
)
from control.restores import day_start, plan_restore
from control.standing import Standing
from domain.causes import CauseKind, RuleMode, TripCause, Verdict
from domain.commands import Command, by_occupant
from domain.errors import StoreUnavailable
from domain.events import Event, EventKind, Severity
from domain.ports import KeepPower, Restore

# Verdicts that the ledger did not take, one a meter and rule: a bound by nature, named anyway.
WAITING_MOST = 100_000

log = structlog.get_logger("control")


class Book:
    """Changes the causes of meters; each meter's changes are done one after the other."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting: dict[tuple[str, str, bool], Verdict] = {}
        self._stale: set[tuple[str, str]] = set()
        self.stale_refused = 0

    @property
    def waiting(self) -> int:
        """Verdicts that wait for the ledger."""
        return len(self._waiting)

    async def take(self, verdicts: Sequence[Verdict]) -> None:
        """Let verdicts raise and clear causes; returns once that is durable.

        What the ledger does not take is tried again by `retry`.
        """
        by_meter: dict[str, list[Verdict]] = {}
        for verdict in verdicts:
            standing = self._core.standings.get(verdict.meter)
            if standing is not None and self._may_matter(standing, verdict):
                by_meter.setdefault(verdict.meter, []).append(verdict)
        jobs = [self._take(self._core.standings[meter], own) for meter, own in by_meter.items()]
        await asyncio.gather(*jobs)

    async def retry(self) -> None:
        """Try verdicts again that the ledger did not take."""
        again = list(self._waiting.values())
        self._waiting.clear()
        await self.take(again)

    def _may_matter(self, standing: Standing, verdict: Verdict) -> bool:
        return bool(standing.causes) or bool(verdict.violated)

    async def _take(self, standing: Standing, verdicts: Sequence[Verdict]) -> None:
        async with standing.change:
            for verdict in verdicts:
                if verdict.violated and verdict.mode is RuleMode.TRIP and self._refuse(verdict):
                    continue
                change = change_by(
                    verdict,
                    standing.causes.values(),
                    may_be_cut=self._may_be_cut(standing),
                    new_id=new_id,
                )
                try:
                    await self._apply(standing, change, f"rule {verdict.rule}")
                except StoreUnavailable:
                    if len(self._waiting) < WAITING_MOST:
                        key = (verdict.meter, verdict.rule, verdict.shadow)
                        self._waiting[key] = verdict

    def _refuse(self, verdict: Verdict) -> bool:
        """Nobody is cut on stale data; it is counted, and logged once until data are fresh."""
        key = (verdict.meter, verdict.rule)
        if not is_stale(verdict, self._core.clock.now(), self._core.policy.control):
            self._stale.discard(key)
            return False
        self.stale_refused += 1
        if key not in self._stale:
            self._stale.add(key)
            log.warning("no trip on stale data", meter=verdict.meter, rule=verdict.rule)
        return True

    @staticmethod
    def _may_be_cut(standing: Standing) -> bool:
        return standing.closed is False or standing.unproven or standing.executing

    async def _apply(self, standing: Standing, change: Change, actor: str) -> None:
        standing.denied |= {cause.id for cause in change.denied}
        standing.denied -= {cause.id for cause in change.affirmed}
        if not change.raised and not change.cleared:
            return
        await self.clear(standing, change.cleared, actor, "the rule no longer sees it")
        events = [event for cause in change.raised for event in self.raised_events(standing, cause)]
        await self._core.journal.write(*change.raised, *events)
        standing.put(change.raised)
        self._core.touch(standing)

    def raised_events(self, standing: Standing, cause: TripCause) -> list[Event]:
        """Return what is told about a new cause: itself, and at once a suspended safety cause."""
        acts = cause.mode is RuleMode.TRIP and not cause.shadow
        severity = Severity.WARNING if acts else Severity.ALARM
        if cause.shadow or cause.kind is CauseKind.MANUAL:
            severity = Severity.INFO
        kind = EventKind.CAUSE_RAISED
        if cause.kind is CauseKind.TAMPER and not cause.shadow:
            kind, severity = EventKind.TAMPER, Severity.ALARM
        meter = standing.meter
        events = [
            self._core.event(
                kind,
                meter.name,
                cause.reason,
                severity,
                actor=cause.raised_by,
                group=f"{cause.kind.value}:{meter.building}" if severity is Severity.ALARM else "",
                details={
                    "cause": cause.id,
                    "kind": cause.kind.value,
                    "mode": cause.mode.value,
                    "shadow": cause.shadow,
                },
            )
        ]
        if acts and is_suspended(cause, standing.keep, self._core.policy.control):
            events += self.suspension_alarm(standing, [cause])
        return events

    def suspension_alarm(self, standing: Standing, causes: Sequence[TripCause]) -> list[Event]:
        """Return one alarm for each safety cause that keep-power stops from opening the relay."""
        return [
            self._core.event(
                EventKind.KEEP_POWER,
                standing.name,
                f"keep-power holds the power on against {cause.kind.value}: {cause.reason}",
                Severity.ALARM,
                group=f"keep-power:{standing.meter.building}",
                details={"cause": cause.id, "kind": cause.kind.value, "suspended": True},
            )
            for cause in causes
            if cause.kind in SAFETY
        ]

    async def clear(
        self,
        standing: Standing,
        causes: Sequence[TripCause],
        actor: str,
        why: str,
        *more: Restore | Command | Event,
    ) -> None:
        """End causes, durably, together with further rows."""
        now = self._core.clock.now()
        ended = [replace(cause, cleared_at=now, cleared_by=actor) for cause in causes]
        events = [
            self._core.event(
                EventKind.CAUSE_CLEARED,
                standing.name,
                f"{cause.kind.value} ended: {why}",
                actor=actor,
                details={"cause": cause.id, "kind": cause.kind.value, "shadow": cause.shadow},
            )
            for cause in ended
        ]
        await self._core.journal.write(*ended, *events, *more)
        standing.put(ended)
        self._core.touch(standing)

    async def raise_manual(
        self, standing: Standing, command: Command, until: datetime | None, *more: Event
    ) -> TripCause:
        """Raise the manual cause of a person's trip, or give the one that holds its new end."""
        held = [c for c in standing.causes.values() if c.kind is CauseKind.MANUAL and not c.shadow]
        if held:
            # Whoever trips a meter that was tripped already takes it over: it is his to end.
            cause = replace(
                held[0], until=until, reason=command.reason, raised_by=command.requested_by
            )
        else:
            cause = TripCause(
                id=command.cause_id or new_id(),
                meter=standing.name,
                kind=CauseKind.MANUAL,
                since=self._core.clock.now(),
                raised_by=command.requested_by,
                reason=command.reason,
                until=until,
            )
        await self._core.journal.write(cause, command, *self.raised_events(standing, cause), *more)
        standing.put([cause])
        return cause

    async def keep(self, standing: Standing, lock: KeepPower, *more: Command | Event) -> None:
        """Put keep-power on a meter, or end it (`released_at`)."""
        await self._core.journal.write(lock, *more)
        standing.keep = None if lock.released_at else lock

    async def look_over(self, standing: Standing) -> None:
        """Clear what time has ended: manual causes at their `until`, load causes by restore, causes
        that their rule took back while it was not known whether the relay had opened."""
        async with standing.change:
            now = self._core.clock.now()
            causes = list(standing.causes.values())
            over = [c for c in causes if c.until is not None and c.until <= now]
            if over:
                await self.clear(standing, over, "supervisor", "its time is over")
            for cause in standing.causes.values():
                if cause.until is not None:
                    self._core.wake_on(standing, cause.until)
            await self._clear_denied(standing)
            await self._restore(standing, now)

    async def _clear_denied(self, standing: Standing) -> None:
        if standing.closed is False:
            standing.denied.clear()  # the relay did open for them: they end by restore
        if not standing.denied or standing.closed is None or self._may_be_cut(standing):
            return
        gone = [standing.causes[i] for i in standing.denied if i in standing.causes]
        standing.denied.clear()
        await self.clear(standing, gone, "supervisor", "the load is gone, the relay never opened")

    async def _restore(self, standing: Standing, now: datetime) -> None:
        today = day_start(now, self._core.zone)
        standing.restores = [time for time in standing.restores if time >= today]
        plan = plan_restore(
            list(standing.causes.values()),
            frozenset(standing.locked),
            standing.opened_at,
            len(standing.restores),
            self._core.rules(standing).restore,
            now,
        )
        if plan.lock:
            await self._lock(standing, plan.lock)
        elif plan.due is not None and now < plan.due:
            self._core.wake_on(standing, plan.due)
        elif plan.due is not None:
            restore = Restore(standing.name, now, plan.causes[0].id)
            count = len(standing.restores) + 1
            why = f"restored after the delay, the {count}. time today"
            await self.clear(standing, plan.causes, "supervisor", why, restore)
            standing.restores.append(now)

    async def _lock(self, standing: Standing, causes: Sequence[TripCause]) -> None:
        events = [
            self._core.event(
                EventKind.RESTORE_LOCKED,
                standing.name,
                f"{len(standing.restores)} restores today are all the policy gives: "
                f"open for {cause.kind.value} until an operator closes",
                Severity.ALARM,
                group=f"restore-locked:{standing.meter.building}",
                details={"cause": cause.id, "restores_today": len(standing.restores)},
            )
            for cause in causes
        ]
        await self._core.journal.write(*events)
        standing.locked |= {cause.id for cause in causes}

    async def clear_switched_off(self, standing: Standing) -> None:
        """End causes whose rule the policy no longer lets trip."""
        rules = self._core.rules(standing)
        modes = {
            CauseKind.MALIGNANT: rules.malignant.mode,
            CauseKind.OVERPOWER: rules.overpower.mode,
            CauseKind.TAMPER: rules.tamper.mode,
            CauseKind.SCHEDULE: rules.schedule.mode,
        }
        async with standing.change:
            gone = [
                cause
                for cause in standing.causes.values()
                if not cause.shadow and modes.get(cause.kind, cause.mode) is RuleMode.OFF
            ]
            demoted = [
                cause
                for cause in standing.causes.values()
                if cause not in gone
                and not cause.shadow
                and cause.mode is RuleMode.TRIP
                and modes.get(cause.kind, RuleMode.TRIP) is RuleMode.ALARM
            ]
            if gone or demoted:
                await self.clear(standing, gone + demoted, "policy", "the policy has changed")


def may_end(cause: TripCause, who: str) -> bool:
    """Say whether a person's close ends a cause; an occupant's only what occupants have opened."""
    if by_occupant(who):
        return cause.kind is CauseKind.MANUAL and not cause.shadow and by_occupant(cause.raised_by)
    return clears_by_operator(cause)


def clears_by_operator(cause: TripCause) -> bool:
    """Say whether an operator's close ends this cause."""
    return cause.kind in OPERATOR_CLEARS and not cause.shadow
