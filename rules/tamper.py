"""Signs of tampering: each is a rule of its own with its own delay and its own evidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from domain.causes import CauseKind, Evidence, RuleMode, Verdict
from domain.policy import GroupPolicy, Policy
from rules.durations import Memory, by_group, fresh, hold, known_if, samples

OPEN_RELAY = "tamper-open-relay"
REVERSE_POWER = "tamper-reverse-power"
SILENT = "tamper-silent"
HEAD = "tamper-head"
RULES = (OPEN_RELAY, REVERSE_POWER, SILENT, HEAD)
# A relay state read longer than this before the current does not say what the relay is now.
SAME_READING_MS = 500


@dataclass(frozen=True, slots=True)
class _Sign:
    """One sign: which frame it looks at, and the columns its evidence is made of."""

    rule: str
    frame: pl.DataFrame
    matched: tuple[str, ...]
    limits: tuple[str, ...]
    quantity: str = "power_w"
    alarm_only: bool = False


def judge_tamper(
    state: pl.DataFrame, memory: Memory, policy: Policy, now: datetime, zone: ZoneInfo
) -> tuple[list[Verdict], Memory]:
    """Judge the meters of one bus for current through an open relay, reverse power, silence on a
    living bus, and a head meter above the sum of its rooms.

    Null when the readings that a sign needs are stale or missing. Silence and a head total never
    trip, whatever the mode: the one has no data, the other would cut a whole bus.
    """
    del zone  # every rule has the same shape; tampering does not look at local time
    frame = by_group(state, policy, _limits)
    signs = (
        _open_relay(frame, policy),
        _reverse_power(frame, policy),
        _silent(frame, policy, now),
        _head(frame, policy),
    )
    verdicts: list[Verdict] = []
    for sign in signs:
        gap_s = policy.control.stale_after_s
        judged = hold(_unless_off(sign.frame), memory.of(sign.rule), now, gap_s)
        memory = memory.having(sign.rule, judged)
        verdicts += [
            _verdict(sign, row, now, policy.version)
            for row in judged.filter("emit").iter_rows(named=True)
        ]
    return verdicts, memory


def _limits(group: GroupPolicy) -> Mapping[str, Any]:
    rule = group.tamper
    return {
        "mode": rule.mode.value,
        "delay_s": rule.delay_s,
        "open_relay_current_a": rule.open_relay_current_a,
        "reverse_power_w": rule.reverse_power_w,
        "silent_after_s": rule.silent_after_s,
        "head_tolerance": rule.head_tolerance,
        "head_loss_w": rule.head_loss_w,
    }


def _unless_off(frame: pl.DataFrame) -> pl.DataFrame:
    off = pl.col("mode") == RuleMode.OFF.value
    return frame.with_columns(
        condition=pl.when(off).then(pl.lit(value=False)).otherwise(pl.col("condition"))
    )


def _open_relay(frame: pl.DataFrame, policy: Policy) -> _Sign:
    """Current where the relay reads open, both from the same reading where that is told."""
    together: pl.Expr = pl.lit(value=True)
    if "relay_time" in frame.columns:
        apart = (pl.col("time") - pl.col("relay_time")).dt.total_milliseconds().abs()
        together = apart <= SAME_READING_MS
    flows = ~pl.col("relay_closed") & (pl.col("current_a") > pl.col("open_relay_current_a"))
    return _Sign(
        OPEN_RELAY,
        frame.with_columns(
            condition=known_if(fresh(policy.control.stale_after_s) & together, flows),
            value=pl.col("current_a"),
        ),
        matched=("current_a", "power_w", "relay_closed"),
        limits=("open_relay_current_a", "delay_s"),
        quantity="current_a",
    )


def _reverse_power(frame: pl.DataFrame, policy: Policy) -> _Sign:
    back = pl.col("power_w") < -pl.col("reverse_power_w")
    return _Sign(
        REVERSE_POWER,
        frame.with_columns(
            condition=known_if(fresh(policy.control.stale_after_s), back), value=pl.col("power_w")
        ),
        matched=("power_w",),
        limits=("reverse_power_w", "delay_s"),
    )


def _silent(frame: pl.DataFrame, policy: Policy, now: datetime) -> _Sign:
    """Silence counts only while another meter of the bus answers; a meter that has never answered
    is silent from its first judgement on."""
    living = pl.col("age_s") <= policy.control.stale_after_s
    others = living.fill_null(value=False).sum().over("bus") - living.fill_null(value=False)
    unheard = pl.col("age_s").is_null()
    heard = (pl.col("age_s") <= pl.col("silent_after_s")).fill_null(value=False)
    return _Sign(
        SILENT,
        frame.with_columns(
            condition=pl.when(heard)
            .then(pl.lit(value=False))
            .otherwise(known_if(others > 0, ~heard)),
            value=pl.col("age_s"),
            # The age is the wait, except for a meter never heard: it is given the same time.
            delay_s=pl.when(unheard).then(pl.col("silent_after_s")).otherwise(0.0),
            time=pl.lit(now).cast(pl.Datetime("ms", "UTC")),
        ),
        matched=("age_s",),
        limits=("silent_after_s",),
        quantity="age_s",
        alarm_only=True,
    )


def _head(frame: pl.DataFrame, policy: Policy) -> _Sign:
    """The head meter against the sum of its rooms; a room that can't be told spoils the sum."""
    living = fresh(policy.control.stale_after_s) & pl.col("power_w").is_not_null()
    rooms = (
        frame.filter(~pl.col("head"))
        .group_by("bus")
        .agg(
            rooms_w=pl.when(living.all()).then(pl.col("power_w").sum()),
            rooms=pl.len(),
        )
    )
    heads = frame.filter("head").join(rooms, on="bus", how="left", maintain_order="left")
    most = pl.col("rooms_w") * (1 + pl.col("head_tolerance")) + pl.col("head_loss_w")
    return _Sign(
        HEAD,
        heads.with_columns(
            excess_w=pl.col("power_w") - pl.col("rooms_w"),
            condition=known_if(living, pl.col("power_w") > most),
            value=pl.col("power_w"),
        ),
        matched=("power_w", "rooms_w", "excess_w", "rooms"),
        limits=("head_tolerance", "head_loss_w", "delay_s"),
        alarm_only=True,
    )


def _verdict(sign: _Sign, row: Mapping[str, Any], now: datetime, version: int) -> Verdict:
    mode = RuleMode(row["mode"])
    if sign.alarm_only and mode is RuleMode.TRIP:
        mode = RuleMode.ALARM
    evidence = Evidence(
        rule=sign.rule,
        matched={name: row[name] for name in (*sign.matched, "held_s")},
        limits={name: row[name] for name in sign.limits},
        samples=samples(row, sign.quantity),
        policy_version=version,
    )
    return Verdict(
        meter=row["meter"],
        kind=CauseKind.TAMPER,
        rule=sign.rule,
        mode=mode,
        violated=row["verdict"],
        time=row["time"] or now,
        evidence=evidence,
    )
