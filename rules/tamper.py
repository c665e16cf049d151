"""Signs of tampering: each is a rule of its own with its own delay and its own evidence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from domain.causes import CauseKind, Evidence, RuleMode, Verdict
from domain.policy import GroupPolicy, Policy
from rules.durations import (
    CANNOT_TELL,
    Flags,
    Floats,
    Judged,
    Memory,
    Rows,
    Times,
    Truths,
    hold,
    plain,
    to_ms,
    truth,
)

OPEN_RELAY = "tamper-open-relay"
REVERSE_POWER = "tamper-reverse-power"
SILENT = "tamper-silent"
HEAD = "tamper-head"
RULES = (OPEN_RELAY, REVERSE_POWER, SILENT, HEAD)
# Silence has no data to trip on, and a head total would cut a whole bus: they only raise alarms.
ALARM_ONLY = frozenset({SILENT, HEAD})
# A relay state read longer than this before the current does not say what the relay is now.
SAME_READING_MS = 500
# Relay states are read less often than currents: two of them may lie this many times
# `stale_after_s` apart, as long as the current has not stopped in between.
SELDOM_READ = 10


class _Bus:
    """The meters in question with the limits of each one's group."""

    def __init__(self, rows: Rows, policy: Policy, now: datetime) -> None:
        self.rows = rows
        self.stale_after_s = policy.control.stale_after_s
        self.now_ms = to_ms(now)
        self.which, self.groups = rows.by_group(policy, _limits)
        self.at = rows.times("time", self.now_ms)
        age_s = rows.number("age_s")
        self.age_s = np.where(np.isfinite(age_s), age_s, np.nan)  # nan: never heard
        self.power_w = rows.number("power_w")
        self.is_fresh: Flags = self.age_s <= self.stale_after_s

    def limit(self, name: str) -> Floats:
        """Return one limit of each meter's group."""
        return np.array([group[name] for group in self.groups], np.float64)[self.which]


@dataclass(frozen=True, slots=True)
class _Sign:
    """One sign as arrays with a place a meter, and what its evidence is made of."""

    rule: str
    condition: Truths
    value: Floats
    at: Times
    delay_s: Floats
    matched: Mapping[str, Floats]
    limits: tuple[str, ...]
    quantity: str = "power_w"
    gap_s: float | None = None
    only: Flags | None = field(default=None)


def judge_tamper(
    state: pl.DataFrame, memory: Memory, policy: Policy, now: datetime, zone: ZoneInfo
) -> tuple[list[Verdict], Memory]:
    """Judge the meters of one bus for current through an open relay, reverse power, silence on a
    living bus, and a head meter above the sum of its rooms.

    Null when the readings that a sign needs are stale or missing. Silence and a head total never
    trip, whatever the mode.
    """
    del zone  # every rule has the same shape; tampering does not look at local time
    rows = Rows(state)
    bus = _Bus(rows, policy, now)
    active = np.array([group["mode"] is not RuleMode.OFF for group in bus.groups], np.bool_)
    verdicts: list[Verdict] = []
    for look in _LOOKS:
        sign = look(bus)
        condition = np.where(active[bus.which], sign.condition, 0).astype(np.int8)
        before = memory.of(sign.rule).at(rows.meters)
        gap_s = bus.stale_after_s if sign.gap_s is None else sign.gap_s
        judged = hold(before, condition, sign.value, sign.at, sign.delay_s, gap_s)
        memory = memory.having(sign.rule, judged.trace)
        verdicts += [
            _verdict(bus, sign, judged, place, now, policy.version)
            for place in judged.worth_saying()
            if sign.only is None or sign.only[place]
        ]
    return verdicts, memory


def _limits(group: GroupPolicy) -> Mapping[str, Any]:
    rule = group.tamper
    return {
        "mode": rule.mode,
        "delay_s": rule.delay_s,
        "open_relay_current_a": rule.open_relay_current_a,
        "reverse_power_w": rule.reverse_power_w,
        "silent_after_s": rule.silent_after_s,
        "head_tolerance": rule.head_tolerance,
        "head_loss_w": rule.head_loss_w,
    }


def _where(told: Flags, condition: Flags) -> Truths:
    return np.where(told, condition, CANNOT_TELL).astype(np.int8)


def _open_relay(bus: _Bus) -> _Sign:
    """Current where the relay reads open, both from the same reading where that is told."""
    current_a, closed = bus.rows.number("current_a"), bus.rows.truths("relay_closed")
    told = closed != CANNOT_TELL
    if "relay_time" in bus.rows.state.columns:
        told &= np.abs(bus.at - bus.rows.times("relay_time", 0)) <= SAME_READING_MS
    current = current_a > bus.limit("open_relay_current_a")
    flows = (closed == 0) & current
    # Without current there is no bypass, however long ago the relay was read.
    told = bus.is_fresh & ~np.isnan(current_a) & (told | ~current)
    return _Sign(
        OPEN_RELAY,
        _where(told, flows),
        current_a,
        bus.at,
        bus.limit("delay_s"),
        {"current_a": current_a, "power_w": bus.power_w},
        ("open_relay_current_a", "delay_s"),
        quantity="current_a",
        gap_s=SELDOM_READ * bus.stale_after_s,
    )


def _reverse_power(bus: _Bus) -> _Sign:
    told = bus.is_fresh & ~np.isnan(bus.power_w)
    return _Sign(
        REVERSE_POWER,
        _where(told, bus.power_w < -bus.limit("reverse_power_w")),
        bus.power_w,
        bus.at,
        bus.limit("delay_s"),
        {"power_w": bus.power_w},
        ("reverse_power_w", "delay_s"),
    )


def _silent(bus: _Bus) -> _Sign:
    """Silence counts only while another meter of the bus answers.

    The age is the wait; a meter never heard has none and waits from its first judgement on.
    """
    unheard = np.isnan(bus.age_s)
    heard = ~unheard & (bus.age_s <= bus.limit("silent_after_s"))
    living = bus.is_fresh
    names = bus.rows.state["bus"]
    others = np.zeros(len(bus.rows), np.int64)
    for name in names.unique().to_list():
        here = (names == name).to_numpy()
        others[here] = np.count_nonzero(living[here])
    others -= living
    return _Sign(
        SILENT,
        _where(heard | (others > 0), ~heard),
        bus.age_s,
        np.full(len(bus.rows), bus.now_ms),
        np.where(unheard, bus.limit("silent_after_s"), 0.0),
        {"age_s": bus.age_s},
        ("silent_after_s",),
        quantity="age_s",
    )


def _head(bus: _Bus) -> _Sign:
    """The head meter against the sum of its rooms; a room that can't be told spoils the sum."""
    head = bus.rows.truths("head") == 1
    rooms_w = np.full(len(bus.rows), np.nan)
    rooms = np.zeros(len(bus.rows))
    if head.any():
        told = bus.is_fresh & ~np.isnan(bus.power_w)
        names = bus.rows.state["bus"]
        for name in names.unique().to_list():
            here = (names == name).to_numpy()
            below = here & ~head
            rooms[here] = np.count_nonzero(below)
            if below.any() and told[below].all():
                rooms_w[here] = bus.power_w[below].sum()
    most = rooms_w * (1 + bus.limit("head_tolerance")) + bus.limit("head_loss_w")
    told_head = head & bus.is_fresh & ~np.isnan(bus.power_w) & ~np.isnan(rooms_w)
    return _Sign(
        HEAD,
        _where(told_head, bus.power_w > most),
        bus.power_w,
        bus.at,
        bus.limit("delay_s"),
        {
            "power_w": bus.power_w,
            "rooms_w": rooms_w,
            "excess_w": bus.power_w - rooms_w,
            "rooms": rooms,
        },
        ("head_tolerance", "head_loss_w", "delay_s"),
        only=head,
    )


_LOOKS: tuple[Callable[[_Bus], _Sign], ...] = (_open_relay, _reverse_power, _silent, _head)


def _verdict(
    bus: _Bus, sign: _Sign, judged: Judged, place: int, now: datetime, version: int
) -> Verdict:
    group, trace = bus.groups[bus.which[place]], judged.trace
    mode: RuleMode = group["mode"]
    if sign.rule in ALARM_ONLY and mode is RuleMode.TRIP:
        mode = RuleMode.ALARM
    matched = {name: plain(values[place]) for name, values in sign.matched.items()}
    since, first = int(trace.since[place]), float(trace.first[place])
    evidence = Evidence(
        rule=sign.rule,
        matched={**matched, "held_s": plain(judged.held_s[place])},
        limits={name: group[name] for name in sign.limits},
        samples=bus.rows.evidence(place, since, first, sign.quantity),
        policy_version=version,
    )
    return Verdict(
        meter=bus.rows.meters[place],
        kind=CauseKind.TAMPER,
        rule=sign.rule,
        mode=mode,
        violated=truth(judged.verdict[place]),
        # Silence is told by what has not come, so its time is now.
        time=now if sign.rule == SILENT else bus.rows.state["time"][place] or now,
        evidence=evidence,
    )
