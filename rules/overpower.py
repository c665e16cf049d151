"""Overpower: a room above its limit for longer than its delay; a lower limit at night."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from domain.causes import CauseKind, Evidence, RuleMode, Verdict
from domain.policy import GroupPolicy, Policy, SlotState
from rules.durations import Memory, by_group, fresh, hold, known_if, samples
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
        return {
            "mode": rule.mode.value,
            "limit_w": limit_w,
            "limit_name": name,
            "delay_s": rule.delay_s,
        }

    stale_after_s = policy.control.stale_after_s
    off = pl.col("mode") == RuleMode.OFF.value
    over = known_if(fresh(stale_after_s), pl.col("power_w") > pl.col("limit_w"))
    frame = by_group(state, policy, limits).with_columns(
        condition=pl.when(off).then(pl.lit(value=False)).otherwise(over), value=pl.col("power_w")
    )
    judged = hold(frame, memory.of(RULE), now, stale_after_s)
    verdicts = [
        _verdict(row, now, policy.version) for row in judged.filter("emit").iter_rows(named=True)
    ]
    return verdicts, memory.having(RULE, judged)


def _verdict(row: Mapping[str, Any], now: datetime, version: int) -> Verdict:
    evidence = Evidence(
        rule=RULE,
        matched={"power_w": row["power_w"], "held_s": row["held_s"], "age_s": row["age_s"]},
        limits={
            "limit_w": row["limit_w"],
            "limit": row["limit_name"],
            "delay_s": row["delay_s"],
        },
        samples=samples(row),
        policy_version=version,
    )
    return Verdict(
        meter=row["meter"],
        kind=CauseKind.OVERPOWER,
        rule=RULE,
        mode=RuleMode(row["mode"]),
        violated=row["verdict"],
        time=row["time"] or now,
        evidence=evidence,
    )
