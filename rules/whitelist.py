"""White lists: loads that are defined, and therefore allowed, in certain rooms at certain hours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from domain.policy import WhiteListEntry


@dataclass(frozen=True, slots=True)
class Step:
    """A step as white lists see it: power at nominal voltage, W, and the bounds of its |dQ|/dP
    (None where it can't be told)."""

    power_w: float
    ratio_least: float | None = None
    ratio_most: float | None = None

    def factor_bounds(self) -> tuple[float, float] | None:
        """Return the lowest and highest power factor the step can have."""
        if self.ratio_least is None or self.ratio_most is None:
            return None
        return 1 / math.hypot(1, self.ratio_most), 1 / math.hypot(1, self.ratio_least)


def is_allowed_at(entry: WhiteListEntry, local: time) -> bool:
    """Say whether the entry holds at a local time; its hours may run over midnight."""
    start, end = entry.from_time, entry.to_time
    if start is None and end is None:
        return True
    start, end = start or time.min, end or time.max
    if start <= end:
        return start <= local < end or (end == time.max and local >= start)
    return local >= start or local < end


def fits(entry: WhiteListEntry, meter: str, step: Step) -> bool:
    """Say whether a step is the load that the entry defines.

    Its power must lie within the tolerance, and its power factor too where both are known.
    """
    if entry.meters and meter not in entry.meters:
        return False
    if abs(step.power_w - entry.power_w) > entry.tolerance * entry.power_w:
        return False
    bounds = step.factor_bounds()
    if entry.power_factor is None or bounds is None:
        return True
    low, high = bounds
    spare = entry.power_factor_tolerance
    return low - spare <= entry.power_factor <= high + spare


def permitted_as(
    entries: Sequence[WhiteListEntry], meter: str, step: Step, at: datetime, zone: ZoneInfo
) -> WhiteListEntry | None:
    """Return the first entry that permits this step at this time (UTC), or None."""
    local = at.astimezone(zone).time()
    for entry in entries:
        if fits(entry, meter, step) and is_allowed_at(entry, local):
            return entry
    return None


def has_run_out(
    entry: WhiteListEntry, since: datetime, now: datetime, zone: ZoneInfo
) -> str | None:
    """Return why a permitted run is over although the load is still on, or None."""
    if entry.longest_run_s is not None and (now - since).total_seconds() > entry.longest_run_s:
        return "longest run"
    if not is_allowed_at(entry, now.astimezone(zone).time()):
        return "hours"
    return None
