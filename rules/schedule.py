"""Supply hours: which slot of the day a circuit is in, by day type and local time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from domain.causes import CauseKind, Evidence, RuleMode, Verdict
from domain.policy import GroupPolicy, Policy, SchedulePolicy, Slot, SlotState
from rules.durations import Memory, by_group, hold

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
    sane = now.year >= EARLIEST_YEAR

    def limits(group: GroupPolicy) -> Mapping[str, Any]:
        slot = slot_now(group.schedule, now, zone)
        mode = group.schedule.mode
        is_open = slot.state is SlotState.OPEN and mode is not RuleMode.OFF
        return {
            "mode": mode.value,
            "condition": is_open if sane or mode is RuleMode.OFF else None,
            "slot": slot.state.value,
            "day": slot.day,
            "slot_from": slot.since.isoformat("minutes") if slot.since else "00:00",
        }

    frame = by_group(state, policy, limits).with_columns(
        condition=pl.col("condition").cast(pl.Boolean),
        value=pl.lit(None, dtype=pl.Float64),
        delay_s=pl.lit(0.0),
        time=pl.lit(now).cast(pl.Datetime("ms", "UTC")),
    )
    judged = hold(frame, memory.of(RULE), now, policy.control.stale_after_s)
    changed = judged.filter(
        pl.col("verdict").ne_missing(pl.col("before")) | pl.col("known").is_null()
    )
    local_time = now.astimezone(zone).isoformat("T", "seconds")
    verdicts = [
        Verdict(
            meter=row["meter"],
            kind=CauseKind.SCHEDULE,
            rule=RULE,
            mode=RuleMode(row["mode"]),
            violated=row["verdict"],
            time=now,
            evidence=_evidence(row, local_time, policy.version),
        )
        for row in changed.iter_rows(named=True)
    ]
    return verdicts, memory.having(RULE, judged)


def _evidence(row: Mapping[str, Any], local_time: str, version: int) -> Evidence:
    return Evidence(
        rule=RULE,
        matched={"local_time": local_time, "day": row["day"], "slot": row["slot"]},
        limits={"slot_from": row["slot_from"]},
        policy_version=version,
    )
