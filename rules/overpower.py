"""Overpower: a room above its limit for longer than its delay; a lower limit at night."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from domain.causes import CauseKind, Evidence, RuleMode, Verdict
from domain.policy import GroupPolicy, Policy, SlotState
from rules.durations import CANNOT_TELL, Judged, Memory, Rows, hold, plain, to_ms, truth
from rules.schedule import slot_now

RULE = "overpower"


def is_between(local: time, start: time, end: time) -> bool:
    """Say whether a local time lies in [start, end), which may run over midnight."""
    if start <= end:
        return start <= local < end
    return local >= start or local < end


def limit_now(group: GroupPolicy, now: datetime, zone: ZoneInfo) -> tuple[float, str]:
    """Return the power limit now in force, W, and its name: day, night or schedule.

    A night-limit slot of the schedule brings the night limit into force at any hour.
    """
    rule = group.overpower
    if rule.night_limit_w is None:
        return rule.limit_w, "day"
    if is_between(now.astimezone(zone).time(), rule.night_from, rule.night_to):
        return rule.night_limit_w, "night"
    slot = slot_now(group.schedule, now, zone)
    if group.schedule.mode is not RuleMode.OFF and slot.state is SlotState.NIGHT_LIMIT:
        return rule.night_limit_w, "schedule"
    return rule.limit_w, "day"


def judge_overpower(
    state: pl.DataFrame, memory: Memory, policy: Policy, now: datetime, zone: ZoneInfo
) -> tuple[list[Verdict], Memory]:
    """Judge every meter of `state` against its power limit, W.

    True after the limit was exceeded for the delay, null when the reading is stale or missing.
    Verdicts are given for meters that are violated, changed, or judged for the first time.
    """

    def limits(group: GroupPolicy) -> Mapping[str, Any]:
        limit_w, name = limit_now(group, now, zone)
        rule = group.overpower
        return {"mode": rule.mode, "limit_w": limit_w, "limit": name, "delay_s": rule.delay_s}

    rows = Rows(state)
    which, groups = rows.by_group(policy, limits)
    power_w = rows.number("power_w")
    limit_w = np.array([group["limit_w"] for group in groups])[which]
    delay_s = np.array([group["delay_s"] for group in groups])[which]
    active = np.array([group["mode"] is not RuleMode.OFF for group in groups], np.bool_)[which]
    told = rows.fresh(policy.control.stale_after_s) & ~np.isnan(power_w)
    condition = np.where(told, power_w > limit_w, CANNOT_TELL)
    judged = hold(
        memory.of(RULE).at(rows.meters),
        np.where(active, condition, 0).astype(np.int8),
        power_w,
        rows.times("time", to_ms(now)),
        delay_s,
        policy.control.stale_after_s,
    )
    verdicts = [
        _verdict(rows, judged, place, groups[which[place]], now, policy.version)
        for place in judged.worth_saying()
    ]
    return verdicts, memory.having(RULE, judged.trace)


def _verdict(
    rows: Rows, judged: Judged, place: int, group: Mapping[str, Any], now: datetime, version: int
) -> Verdict:
    row = rows.state.row(place, named=True)
    trace = judged.trace
    evidence = Evidence(
        rule=RULE,
        matched={
            "power_w": row["power_w"],
            "held_s": plain(judged.held_s[place]),
            "age_s": None if row["age_s"] is None else plain(row["age_s"]),
        },
        limits={name: group[name] for name in ("limit_w", "limit", "delay_s")},
        samples=rows.evidence(place, int(trace.since[place]), trace.first[place], "power_w"),
        policy_version=version,
    )
    return Verdict(
        meter=rows.meters[place],
        kind=CauseKind.OVERPOWER,
        rule=RULE,
        mode=group["mode"],
        violated=truth(judged.verdict[place]),
        time=row["time"] or now,
        evidence=evidence,
    )
