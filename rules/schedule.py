"""Supply hours: which slot of the day a circuit is in, by day type and local time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from domain.causes import CauseKind, Evidence, RuleMode, Verdict
from domain.policy import GroupPolicy, Policy, SchedulePolicy, Slot, SlotState
from rules.durations import CANNOT_TELL, Memory, Rows, hold, to_ms, truth

RULE = "schedule"
# A machine whose clock was lost starts in 1970 or at its build date: no schedule is right then.
EARLIEST_YEAR = 2020


@dataclass(frozen=True, slots=True)
class SlotNow:
    """The slot in force: its state, the day type, and since which local time (None = midnight)."""

    state: SlotState
    day: str
    since: time | None


def day_type(schedule: SchedulePolicy, day: date) -> str:
    """Return workday, weekend or holiday; make-up working days and holidays come first."""
    if day in schedule.working_days:
        return "workday"
    if day in schedule.holidays:
        return "holiday"
    return "weekend" if day.isoweekday() in schedule.weekend else "workday"


def slot_now(schedule: SchedulePolicy, now: datetime, zone: ZoneInfo) -> SlotNow:
    """Return the slot in force at a time (UTC) by the site's local time.

    When clocks go back, a slot that has begun in the first pass of the doubled hour stays in
    force during the second; when they go forward, slots inside the missing hour begin after it.
    """
    local = now.astimezone(zone)
    day = day_type(schedule, local.date())
    slots: dict[str, tuple[Slot, ...]] = {
        "workday": schedule.workday,
        "weekend": schedule.weekend_day,
        "holiday": schedule.holiday,
    }
    begun = [slot for slot in slots[day] if _has_begun(slot.at, local, zone)]
    if not begun:
        return SlotNow(SlotState.CLOSED, day, None)
    return SlotNow(begun[-1].state, day, begun[-1].at)


def _has_begun(at: time, local: datetime, zone: ZoneInfo) -> bool:
    if at <= local.time():
        return True
    return bool(local.fold) and _is_doubled(datetime.combine(local.date(), at, zone))


def _is_doubled(moment: datetime) -> bool:
    first, second = moment.replace(fold=0).utcoffset(), moment.replace(fold=1).utcoffset()
    return first is not None and second is not None and first > second


def judge_schedule(
    state: pl.DataFrame, memory: Memory, policy: Policy, now: datetime, zone: ZoneInfo
) -> tuple[list[Verdict], Memory]:
    """Say which meters' circuits shall be open now. Looks at the clock only, not at readings.

    True while the slot is open, False otherwise, null when the clock is plainly wrong. Verdicts
    are given only when they change or for the first time: whole groups change at once.
    """

    def limits(group: GroupPolicy) -> Mapping[str, Any]:
        slot = slot_now(group.schedule, now, zone)
        is_on = group.schedule.mode is not RuleMode.OFF
        condition = int(is_on and slot.state is SlotState.OPEN)
        if is_on and now.year < EARLIEST_YEAR:
            condition = CANNOT_TELL
        return {"mode": group.schedule.mode, "condition": condition, "slot": slot}

    rows = Rows(state)
    which, groups = rows.by_group(policy, limits)
    nothing = np.zeros(len(rows))
    judged = hold(
        memory.of(RULE).at(rows.meters),
        np.array([group["condition"] for group in groups], np.int8)[which],
        nothing,
        np.full(len(rows), to_ms(now)),
        nothing,
        policy.control.stale_after_s,
    )
    local_time = now.astimezone(zone).isoformat("T", "seconds")
    evidences = [_evidence(group["slot"], local_time, policy.version) for group in groups]
    verdicts = [
        Verdict(
            meter=rows.meters[place],
            kind=CauseKind.SCHEDULE,
            rule=RULE,
            mode=groups[which[place]]["mode"],
            violated=truth(judged.verdict[place]),
            time=now,
            evidence=evidences[which[place]],
        )
        for place in np.flatnonzero(judged.changed)
    ]
    return verdicts, memory.having(RULE, judged.trace)


def _evidence(slot: SlotNow, local_time: str, version: int) -> Evidence:
    return Evidence(
        rule=RULE,
        matched={"local_time": local_time, "day": slot.day, "slot": slot.state.value},
        limits={"slot_from": (slot.since or time(0)).isoformat("minutes")},
        policy_version=version,
    )
