"""What the parts of the supervisor share: standings, policy, clock, timers, limits, the journal."""

import heapq
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from control.desired import holding
from control.journal import Journal
from control.limits import Approvals, Window
from control.standing import Standing
from domain.causes import TripCause
from domain.clock import Clock
from domain.errors import UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.policy import GroupPolicy, Policy
from domain.ports import RelayDriver
from domain.site import Meter

# How long after its expiry an order may still be waited for: a driver finishes what it began.
GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Field:
    """How relays are reached: who carries a command to a meter, who reads its relay back (None =
    wait for the next sweep that tells), which meters have one, commands at once a bus."""

    driver_for: Callable[[str], RelayDriver]
    read_relay: Callable[[str], Awaitable[bool | None]] | None = None
    has_relay: Callable[[str], bool] = lambda _meter: True
    in_flight_a_bus: int = 2


def new_id() -> str:
    """Return an id that is unique for ever."""
    return uuid.uuid4().hex


class Core:
    """Shared state; every method runs on the field's event loop."""

    def __init__(
        self,
        meters: Iterable[Meter],
        policy: Policy,
        clock: Clock,
        zone: ZoneInfo,
        field: Field,
        journal: Journal,
        kick: Callable[[], None],
    ) -> None:
        self.standings = {meter.name: Standing(meter) for meter in meters}
        self.policy, self.clock, self.zone = policy, clock, zone
        self.field, self.journal = field, journal
        self.approvals = Approvals()
        self.trips = Window()
        self.by_hand = Window()
        self.dirty: dict[str, Standing] = {}
        self.waited_for: dict[str, Standing] = {}
        self._timers: list[tuple[float, str]] = []
        self._kick = kick

    def standing(self, meter: str) -> Standing:
        """Return a meter's standing. Raises UnknownSubject."""
        found = self.standings.get(meter)
        if found is None:
            raise UnknownSubject(f"no meter {meter!r} in the roster")
        return found

    def rules(self, standing: Standing) -> GroupPolicy:
        """Return the rules of a meter's group."""
        return self.policy.group(standing.meter.policy_group)

    def held(self, standing: Standing) -> list[TripCause]:
        """Return the causes that hold a meter's relay open now."""
        return holding(
            standing.causes.values(), standing.keep, self.policy.control, self.clock.now()
        )

    def touch(self, standing: Standing) -> None:
        """Have a meter looked at."""
        self.dirty[standing.name] = standing
        self._kick()

    def wake_in(self, standing: Standing, seconds: float) -> None:
        """Have a meter looked at after so many seconds."""
        self.wake_at(standing, self.clock.monotonic() + max(seconds, 0.0))

    def wake_at(self, standing: Standing, at_s: float) -> None:
        """Have a meter looked at at a monotonic time; the earliest such time counts."""
        if standing.wake_at_s is not None and standing.wake_at_s <= at_s:
            return
        standing.wake_at_s = at_s
        heapq.heappush(self._timers, (at_s, standing.name))
        self._kick()

    def wake_on(self, standing: Standing, moment: datetime) -> None:
        """Have a meter looked at at a time of day; it is checked again when that has come."""
        self.wake_in(standing, (moment - self.clock.now()).total_seconds())

    def due(self) -> list[Standing]:
        """Take the meters that are to be looked at now."""
        now_s = self.clock.monotonic()
        while self._timers and self._timers[0][0] <= now_s:
            at_s, name = heapq.heappop(self._timers)
            standing = self.standings[name]
            if standing.wake_at_s == at_s:
                standing.wake_at_s = None
                self.dirty[name] = standing
        found = list(self.dirty.values())
        self.dirty.clear()
        return found

    def next_due_s(self) -> float | None:
        """Return the seconds until the next timer, None without one."""
        if not self._timers:
            return None
        return max(self._timers[0][0] - self.clock.monotonic(), 0.0)

    def later(self, seconds: float) -> datetime:
        """Return the time so many seconds from now."""
        return self.clock.now() + timedelta(seconds=seconds)

    def event(
        self,
        kind: EventKind,
        subject: str,
        message: str,
        severity: Severity = Severity.INFO,
        *,
        actor: str = "supervisor",
        group: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> Event:
        """Return an event of now."""
        now = self.clock.now()
        return Event(now, kind, subject, message, severity, actor, group, details or {})
