"""Overpower as timelines: a limit, a delay, a night limit, and readings that cannot tell."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from rows import NOON, SHANGHAI, at, said, state

from domain.causes import CauseKind, RuleMode, Verdict
from domain.policy import (
    GroupPolicy,
    OverpowerPolicy,
    Policy,
    SchedulePolicy,
    Slot,
    SlotState,
)
from rules.durations import Memory
from rules.overpower import judge_overpower, limit_now

POLICY = Policy(version=7, groups={"dorm": GroupPolicy(overpower=OverpowerPolicy(limit_w=1100))})


def timeline(policy: Policy, *readings: tuple[float, float | None]) -> list[dict[str, bool | None]]:
    """What is said about meter r1 at each (seconds, power in W)."""
    memory, out = Memory(), []
    for seconds, power_w in readings:
        frame = state(at(seconds), r1={"power_w": power_w})
        verdicts, memory = judge_overpower(frame, memory, policy, at(seconds), SHANGHAI)
        out.append(said(verdicts))
    return out


def test_a_room_over_its_limit_is_violated_after_the_delay_and_not_before() -> None:
    assert timeline(POLICY, (0, 500), (2, 1500), (4, 1500), (6, 1500), (8, 1500)) == [
        {"r1": False},  # judged for the first time
        {},
        {},
        {},  # at 6 s it has been over for 4 s
        {"r1": True},
    ]


def test_a_short_peak_says_nothing() -> None:
    assert timeline(POLICY, (0, 500), (2, 1500), (4, 500), (6, 1500), (8, 1500))[1:] == [
        {},
        {},
        {},
        {},
    ]


def test_a_violation_is_repeated_until_it_ends_and_then_taken_back_once() -> None:
    said_so = timeline(POLICY, (0, 1500), (5, 1500), (7, 1500), (9, 900), (11, 900))
    assert said_so == [{"r1": False}, {"r1": True}, {"r1": True}, {"r1": False}, {}]


def test_exactly_the_limit_is_allowed() -> None:
    assert timeline(POLICY, (0, 1100), (60, 1100)) == [{"r1": False}, {}]


def test_a_missing_reading_cannot_tell_and_a_short_gap_keeps_the_stretch() -> None:
    assert timeline(POLICY, (0, 1500), (2, None), (4, None), (6, 1500)) == [
        {"r1": False},
        {"r1": None},
        {},
        {"r1": True},
    ]


def test_a_gap_longer_than_stale_starts_the_stretch_anew() -> None:
    # 30 s is the policy's stale_after_s: nobody knows what the room drew meanwhile.
    assert timeline(POLICY, (0, 1500), (31, 1500), (36, 1500)) == [
        {"r1": False},
        {},
        {"r1": True},
    ]


def test_a_stale_reading_never_violates() -> None:
    memory = Memory()
    for seconds in (0, 10, 60):
        frame = state(at(seconds), r1={"power_w": 9000.0, "age_s": 31.0})
        verdicts, memory = judge_overpower(frame, memory, POLICY, at(seconds), SHANGHAI)
        assert True not in said(verdicts).values()


def test_the_evidence_names_the_power_the_limit_and_the_policy() -> None:
    memory = Memory()
    verdicts: list[Verdict] = []
    for seconds in (0, 5):
        frame = state(at(seconds), r1={"power_w": 1500.0 + seconds, "voltage_v": 221.0})
        verdicts, memory = judge_overpower(frame, memory, POLICY, at(seconds), SHANGHAI)
    (verdict,) = verdicts
    assert (verdict.kind, verdict.mode, verdict.time) == (
        CauseKind.OVERPOWER,
        RuleMode.TRIP,
        at(5),
    )
    assert verdict.evidence is not None
    assert verdict.evidence.as_dict() == {
        "rule": "overpower",
        "matched": {"power_w": 1505.0, "held_s": 5.0, "age_s": 0.0},
        "limits": {"limit_w": 1100.0, "limit": "day", "delay_s": 5.0},
        "samples": [
            {"time": "2026-03-04T04:00:00+00:00", "power_w": 1500.0},
            {
                "time": "2026-03-04T04:00:05+00:00",
                "power_w": 1505.0,
                "power_factor": None,
                "voltage_v": 221.0,
                "current_a": None,
            },
        ],
        "policy_version": 7,
    }


def test_each_group_has_its_own_limit_and_an_unnamed_group_only_alarms() -> None:
    policy = Policy(
        groups={
            "dorm": GroupPolicy(overpower=OverpowerPolicy(limit_w=1000, delay_s=0)),
            "shop": GroupPolicy(overpower=OverpowerPolicy(limit_w=5000, delay_s=0)),
        }
    )
    frame = state(
        NOON,
        r1={"power_w": 2000.0},
        s1={"power_w": 2000.0, "group": "shop"},
        x1={"power_w": 2000.0, "group": "gym"},
    )
    verdicts, memory = judge_overpower(frame, Memory(), policy, NOON, SHANGHAI)
    assert said(verdicts) == {"r1": True, "s1": False, "x1": False}
    later = frame.with_columns(time=at(5))
    verdicts, _ = judge_overpower(later, memory, policy, at(5), SHANGHAI)
    assert {v.meter: v.mode for v in verdicts if v.violated} == {
        "r1": RuleMode.TRIP,
        "x1": RuleMode.ALARM,
    }


def test_switching_the_rule_off_takes_its_verdict_back() -> None:
    off = Policy(groups={"dorm": GroupPolicy(overpower=OverpowerPolicy(mode=RuleMode.OFF))})
    memory = Memory()
    for seconds in (0, 5):
        frame = state(at(seconds), r1={"power_w": 1500.0})
        _, memory = judge_overpower(frame, memory, POLICY, at(seconds), SHANGHAI)
    frame = state(at(7), r1={"power_w": 1500.0})
    verdicts, memory = judge_overpower(frame, memory, off, at(7), SHANGHAI)
    assert said(verdicts) == {"r1": False}
    verdicts, _ = judge_overpower(frame, memory, off, at(9), SHANGHAI)
    assert verdicts == []


def test_one_memory_serves_several_buses() -> None:
    memory = Memory()
    first = state(at(0), r1={"power_w": 1500.0})
    second = state(at(1), r2={"power_w": 100.0, "bus": "bus2"})
    _, memory = judge_overpower(first, memory, POLICY, at(0), SHANGHAI)
    _, memory = judge_overpower(second, memory, POLICY, at(1), SHANGHAI)
    verdicts, memory = judge_overpower(
        state(at(5), r1={"power_w": 1500.0}), memory, POLICY, at(5), SHANGHAI
    )
    assert said(verdicts) == {"r1": True}
    assert sorted(memory.of("overpower").meters) == ["r1", "r2"]


NIGHT = GroupPolicy(
    overpower=OverpowerPolicy(
        limit_w=1100, night_limit_w=300, night_from=time(23), night_to=time(6)
    ),
    schedule=SchedulePolicy(
        mode=RuleMode.TRIP, workday=(Slot(at=time(14), state=SlotState.NIGHT_LIMIT),)
    ),
)


@pytest.mark.parametrize(
    ("local_hour", "expected"),
    [
        (12, (1100, "day")),
        (14, (300, "schedule")),
        (22, (300, "schedule")),
        (23, (300, "night")),
        (5, (300, "night")),
        (6, (1100, "day")),
    ],
)
def test_the_night_limit_holds_at_night_and_in_night_limit_slots(
    local_hour: int, expected: tuple[float, str]
) -> None:
    now = datetime(2026, 3, 4, local_hour, tzinfo=SHANGHAI).astimezone(UTC)
    assert limit_now(NIGHT, now, SHANGHAI) == expected


def test_without_a_night_limit_the_day_limit_holds_all_night() -> None:
    group = GroupPolicy(overpower=OverpowerPolicy(limit_w=1100))
    midnight = datetime(2026, 3, 4, 0, 30, tzinfo=SHANGHAI)
    assert limit_now(group, midnight, SHANGHAI) == (1100, "day")


def test_the_night_limit_follows_local_time_through_a_change_of_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # 29 March 2026: 02:00 becomes 03:00, so 06:00 local is 04:00 UTC (05:00 UTC the day before).
    assert limit_now(NIGHT, datetime(2026, 3, 28, 4, 59, tzinfo=UTC), berlin)[1] == "night"
    assert limit_now(NIGHT, datetime(2026, 3, 29, 3, 59, tzinfo=UTC), berlin)[1] == "night"
    assert limit_now(NIGHT, datetime(2026, 3, 29, 4, 0, tzinfo=UTC), berlin)[1] == "day"
