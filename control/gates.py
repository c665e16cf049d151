"""What may hold an action back: a silent meter, an unverified polarity, the trip limit."""

import math

from control.core import Core, new_id
from control.desired import PLANNED
from control.limits import SUPERVISOR, Approval
from control.standing import Goal, Standing
from domain.causes import CauseKind, TripCause
from domain.commands import Action, Command
from domain.events import EventKind, Severity

# Planned trips leave this share of the minute to loads that nobody foresaw.
KEPT_FREE = 0.25


class Gates:
    """Says whether an action has to wait, and sees to it that the meter is looked at again."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def stop(self, standing: Standing, goal: Goal) -> bool:
        """Say whether the goal has to wait. A person's fresh order passes all gates but none of
        the automatic ones; a cause by hand needs no polarity and no place in the minute."""
        if goal.ticket is not None:
            return False
        if not self.is_alive(standing):
            standing.wait = "meter"
            return True
        if goal.action is Action.TRIP and goal.cause is not None:
            if goal.cause.kind is CauseKind.MANUAL:
                return False
            return await self._stop_trip(standing, goal.cause)
        if goal.action is Action.CLOSE and not standing.opened_by_us:
            return await self._stop_close(standing)
        return False

    def admit(self, standing: Standing, command: Command) -> bool:
        """Count an automatic trip at the moment it is sent, and again when it has ended: what came
        before, writing to the ledger above all, may have taken its place in the minute."""
        effort = standing.effort
        if command.action is not Action.TRIP or command.requested_by != SUPERVISOR:
            return True
        now_s, most = self._core.clock.monotonic(), self._core.policy.control.trips_per_min
        if effort is None or not self._core.trips.has_room(effort.key, most, now_s):
            return False
        self._core.trips.take(effort.key, now_s)
        return True

    def is_alive(self, standing: Standing) -> bool:
        """Say whether the meter has answered lately: nothing is done on stale data."""
        if standing.alive_at is None:
            return False
        age_s = (self._core.clock.now() - standing.alive_at).total_seconds()
        return age_s <= self._core.policy.control.stale_after_s

    async def _stop_trip(self, standing: Standing, cause: TripCause) -> bool:
        fault = self._fault(standing)
        if fault:
            standing.wait = "configuration"
            await self._report(standing, cause.id, f"no automatic trip: {fault}")
            return True
        effort = standing.effort
        if effort is None or standing.name in self._core.approvals.allowed:
            return False
        if self._core.approvals.waits(standing.name):
            standing.wait = "approval"
            return True
        now_s = self._core.clock.monotonic()
        most = self._core.policy.control.trips_per_min
        limit = most
        if cause.kind in PLANNED:
            limit = max(most - math.ceil(most * KEPT_FREE), 1) if most > 1 else 1
        if self._core.trips.has_room(effort.key, limit, now_s):
            self._core.trips.take(effort.key, now_s)
            effort.admitted = True
            return False
        if cause.kind in PLANNED or effort.admitted:
            standing.wait = "turn"
            self._core.wake_at(standing, self._core.trips.next_room_s(limit, now_s))
            return True
        standing.wait = "approval"
        await self._ask(standing, most)
        return True

    def _fault(self, standing: Standing) -> str:
        profile = standing.meter.profile
        if not self._core.field.has_relay(standing.name):
            return f"model {profile} has no relay"
        if profile not in self._core.policy.control.polarity_verified:
            return f"the relay polarity of model {profile} has not been verified on a real meter"
        return ""

    async def _stop_close(self, standing: Standing) -> bool:
        """A relay that nobody here opened is closed again, more and more slowly if it goes on
        opening by itself, and never on a model whose polarity may be the other way round."""
        fault = self._fault(standing)
        if fault:
            standing.wait = "configuration"
            await self._report(standing, "close", f"no automatic close: {fault}")
            return True
        control = self._core.policy.control
        now_s = self._core.clock.monotonic()
        since_s = now_s - 4 * control.retry_after_most_s
        standing.alone_at_s = [at_s for at_s in standing.alone_at_s if at_s >= since_s]
        moves = len(standing.alone_at_s)
        if moves < 2:
            return False
        pause_s = min(control.retry_after_s * 2 ** min(moves, 20), control.retry_after_most_s)
        ready_s = standing.alone_at_s[-1] + pause_s
        if ready_s <= now_s:
            return False
        standing.wait = "back-off"
        self._core.wake_at(standing, ready_s)
        return True

    async def _report(self, standing: Standing, key: str, message: str) -> None:
        if key in standing.reported:
            return
        event = self._core.event(
            EventKind.CONFIGURATION_FAULT,
            standing.name,
            message,
            Severity.ALARM,
            group=f"profile:{standing.meter.profile}",
            details={"profile": standing.meter.profile},
        )
        await self._core.journal.write(event)
        standing.reported.add(key)

    async def _ask(self, standing: Standing, most: int) -> None:
        """Put the trip before a person: one question and one alarm for all that wait together."""
        approvals = self._core.approvals
        batch = approvals.join(standing.name)
        if batch is not None:
            details = {**batch.as_details("joined"), "meters": [standing.name]}
            message = f"waits for approval {batch.id}"
            await self._core.journal.write_or_owe(
                self._core.event(EventKind.APPROVAL, standing.name, message, details=details)
            )
            return
        control = self._core.policy.control
        asked = Approval(
            id=new_id(),
            action=Action.TRIP,
            meters=(standing.name,),
            asked_by=SUPERVISOR,
            reason=f"more than {most} automatic trips in a minute",
            asked_at=self._core.clock.now(),
            expires_at=self._core.later(control.approval_expires_s),
        )
        approvals.ask(asked)
        await self._core.journal.write_or_owe(
            self._core.event(
                EventKind.TRIPS_LIMITED,
                standing.name,
                f"{asked.reason}: further trips wait for approval {asked.id}",
                Severity.ALARM,
                group="trips-limited",
                details=asked.as_details("asked"),
            )
        )
