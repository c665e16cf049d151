"""When a room that was cut for its load gets power again: a delay, a daily count, then a lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from control.desired import LOAD, is_in_force
from domain.causes import TripCause
from domain.policy import RestorePolicy


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What to do with a meter's load causes: restore them at `due`, or lock them, or nothing."""

    causes: tuple[TripCause, ...] = ()
    due: datetime | None = None
    lock: tuple[TripCause, ...] = ()


def day_start(now: datetime, zone: ZoneInfo) -> datetime:
    """Return when the site's local day began, in UTC."""
    day = now.astimezone(zone).date()
    return datetime.combine(day, time(), zone).astimezone(UTC)


def plan_restore(
    causes: Sequence[TripCause],
    locked: frozenset[str],
    opened_at: datetime | None,
    restores_today: int,
    rules: RestorePolicy,
    now: datetime,
) -> RestorePlan:
    """Plan the end of the load causes of one meter.

    Nothing is planned before the relay is proven open (`opened_at`). A cause in `locked` stays
    until an operator closes. All load causes end together and count as one restore.
    """
    load = tuple(c for c in causes if c.kind in LOAD and is_in_force(c, now))
    free = tuple(cause for cause in load if cause.id not in locked)
    if not free or opened_at is None:
        return RestorePlan()
    if restores_today >= rules.times_a_day or len(free) < len(load):
        return RestorePlan(lock=free)
    begun = max(opened_at, *(cause.since for cause in free))
    return RestorePlan(free, due=begun + timedelta(seconds=rules.delay_s))
