"""Supply hours: day types, slots, and what happens when the clocks change."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from rows import SHANGHAI, said, state

from domain.causes import CauseKind, RuleMode
from domain.policy import GroupPolicy, Policy, SchedulePolicy, Slot, SlotState
from rules.durations import Memory
from rules.schedule import day_type, judge_schedule, slot_now

CLOSED, OPEN, NIGHT = SlotState.CLOSED, SlotState.OPEN, SlotState.NIGHT_LIMIT
LIGHTS_OFF = SchedulePolicy(
    mode=RuleMode.TRIP,
    workday=(
        Slot(at=time(0), state=OPEN),
        Slot(at=time(6), state=CLOSED),
        Slot(at=time(23), state=OPEN),
    ),
    weekend_day=(Slot(at=time(0), state=NIGHT), Slot(at=time(6), state=CLOSED)),
    holiday=(),
    holidays=(date(2026, 5, 1),),
    working_days=(date(2026, 5, 9),),
)
POLICY = Policy(version=3, groups={"dorm": GroupPolicy(schedule=LIGHTS_OFF)})


def local(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=SHANGHAI).astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 4, 29), "workday"),  # a Wednesday
        (date(2026, 5, 1), "holiday"),  # a Friday
        (date(2026, 5, 2), "weekend"),
        (date(2026, 5, 9), "workday"),  # a Saturday to make up for the holiday
    ],
)
def test_the_day_type(day: date, expected: str) -> None:
    assert day_type(LIGHTS_OFF, day) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (local(2026, 4, 29, 5, 59), OPEN),
        (local(2026, 4, 29, 6, 0), CLOSED),
        (local(2026, 4, 29, 22, 59), CLOSED),
        (local(2026, 4, 29, 23, 0), OPEN),
        (local(2026, 5, 1, 3, 0), CLOSED),  # a holiday without slots: power all day
        (local(2026, 5, 2, 3, 0), NIGHT),
        (local(2026, 5, 9, 3, 0), OPEN),
    ],
)
def test_the_slot_in_force(now: datetime, expected: SlotState) -> None:
    assert slot_now(LIGHTS_OFF, now, SHANGHAI).state is expected


def test_a_whole_group_opens_and_closes_with_one_verdict_each() -> None:
    memory, out = Memory(), []
    for now in (
        local(2026, 4, 29, 22, 59),
        local(2026, 4, 29, 23, 0),
        local(2026, 4, 29, 23, 1),
        local(2026, 4, 30, 6, 0),
    ):
        frame = state(now, r1={"age_s": 5000.0}, r2={"age_s": None})
        verdicts, memory = judge_schedule(frame, memory, POLICY, now, SHANGHAI)
        out.append(said(verdicts))
    assert out == [
        {"r1": False, "r2": False},
        {"r1": True, "r2": True},  # supply hours do not depend on readings
        {},
        {"r1": False, "r2": False},
    ]


def test_the_evidence_names_local_time_day_and_slot() -> None:
    now = local(2026, 4, 29, 23, 5)
    (verdict,), _ = judge_schedule(state(now, r1={}), Memory(), POLICY, now, SHANGHAI)
    assert (verdict.kind, verdict.mode) == (CauseKind.SCHEDULE, RuleMode.TRIP)
    assert verdict.evidence is not None
    assert verdict.evidence.as_dict() == {
        "rule": "schedule",
        "matched": {"local_time": "2026-04-29T23:05:00+08:00", "day": "workday", "slot": "open"},
        "limits": {"slot_from": "23:00"},
        "samples": [],
        "policy_version": 3,
    }


def test_a_schedule_that_is_off_opens_nothing() -> None:
    off = LIGHTS_OFF.model_copy(update={"mode": RuleMode.OFF})
    policy = Policy(groups={"dorm": GroupPolicy(schedule=off)})
    now = local(2026, 4, 29, 23, 0)
    verdicts, _ = judge_schedule(state(now, r1={}), Memory(), policy, now, SHANGHAI)
    assert said(verdicts) == {"r1": False}


def test_a_clock_that_was_lost_cannot_tell() -> None:
    now = datetime(1970, 1, 1, 17, 0, tzinfo=UTC)
    verdicts, _ = judge_schedule(state(now, r1={}), Memory(), POLICY, now, SHANGHAI)
    assert said(verdicts) == {"r1": None}


BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = SchedulePolicy(
    mode=RuleMode.TRIP,
    weekend_day=(Slot(at=time(2, 30), state=OPEN), Slot(at=time(3), state=CLOSED)),
)


@pytest.mark.parametrize(
    ("utc_hour", "utc_minute", "expected"),
    [
        (0, 29, CLOSED),  # 02:29, first pass
        (0, 30, OPEN),  # 02:30, first pass
        (1, 15, OPEN),  # 02:15 for the second time: what has begun stays
        (1, 45, OPEN),  # 02:45 for the second time
        (2, 0, CLOSED),  # 03:00
    ],
)
def test_a_slot_in_the_doubled_hour_begins_once(
    utc_hour: int, utc_minute: int, expected: SlotState
) -> None:
    now = datetime(2026, 10, 25, utc_hour, utc_minute, tzinfo=UTC)
    assert slot_now(NIGHTLY, now, BERLIN).state is expected


def test_a_slot_in_the_missing_hour_is_over_when_the_next_one_begins() -> None:
    before = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)  # 01:59
    after = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 03:00
    assert slot_now(NIGHTLY, before, BERLIN).state is CLOSED
    assert slot_now(NIGHTLY, after, BERLIN).state is CLOSED
