"""The no-cut calendar, moment by moment, and policies that are refused."""

from typing import Any

import pytest
from arrears_campus import SHANGHAI, local
from pydantic import ValidationError

from billing.levels import LevelPolicy
from billing.nocut import NoCutCalendar

AUTUMN = {
    "holidays": ["2026-10-01..2026-10-07"],
    "working_days": ["2026-10-10"],  # a Saturday that is worked
    "exam_days": ["2026-10-12..2026-10-13", "2026-10-15"],
}


def calendar(**more: Any) -> NoCutCalendar:
    return NoCutCalendar.model_validate(AUTUMN | more)


@pytest.mark.parametrize(
    ("moment", "allowed"),
    [
        ("2026-09-30 07:59", False),  # before the hour of cutting
        ("2026-09-30 08:00", True),
        ("2026-09-30 22:59", True),
        ("2026-09-30 23:00", False),  # night
        ("2026-10-01 12:00", False),  # holiday, its first day
        ("2026-10-07 12:00", False),  # and its last
        ("2026-10-08 12:00", True),
        ("2026-10-10 12:00", True),  # Saturday, a make-up working day
        ("2026-10-11 12:00", False),  # Sunday
        ("2026-10-12 12:00", False),  # exams
        ("2026-10-14 12:00", True),
        ("2026-10-15 12:00", False),
    ],
)
def test_moments_of_the_calendar(moment: str, allowed: bool) -> None:
    assert calendar().allows(local(moment), SHANGHAI) is allowed


@pytest.mark.parametrize(
    ("since", "cut"),
    [
        ("2026-09-29 08:00", "2026-09-29 08:00"),
        ("2026-09-29 08:01", "2026-09-30 08:00"),
        ("2026-09-30 14:00", "2026-10-08 08:00"),  # over the whole holiday
        ("2026-10-09 09:00", "2026-10-10 08:00"),  # the make-up Saturday
        ("2026-10-10 09:00", "2026-10-14 08:00"),  # Sunday, then two days of exams
    ],
)
def test_a_room_is_cut_at_eight_of_the_next_day_that_allows_it(since: str, cut: str) -> None:
    assert calendar().next_allowed(local(since), SHANGHAI) == local(cut)


@pytest.mark.parametrize(
    ("since", "cut"),
    [
        ("2026-09-29 14:00", "2026-09-29 14:00"),
        ("2026-09-29 23:30", "2026-09-30 07:00"),
        ("2026-09-30 23:30", "2026-10-08 07:00"),
    ],
)
def test_without_the_hour_it_is_cut_as_soon_as_nothing_forbids_it(since: str, cut: str) -> None:
    at_once = calendar(wait_for_cut_at=False)
    assert at_once.next_allowed(local(since), SHANGHAI) == local(cut)


def test_a_night_that_begins_after_midnight() -> None:
    late = calendar(night_from="00:30", night_to="06:00", wait_for_cut_at=False)
    assert late.allows(local("2026-09-30 00:15"), SHANGHAI)
    assert not late.allows(local("2026-09-30 00:30"), SHANGHAI)
    assert late.next_allowed(local("2026-09-30 00:45"), SHANGHAI) == local("2026-09-30 06:00")


def test_an_exam_day_is_no_working_day_even_if_somebody_says_so() -> None:
    both = calendar(exam_days=["2026-10-10"])
    assert not both.allows(local("2026-10-10 12:00"), SHANGHAI)


def test_a_calendar_that_never_allows_gives_no_moment() -> None:
    years = ["2026-01-01..2026-12-31", "2027-01-01..2027-12-31"]
    never = calendar(holidays=years, working_days=[])
    assert never.next_allowed(local("2026-06-01 12:00"), SHANGHAI) is None


def test_the_hour_is_local_on_the_day_the_clocks_change() -> None:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    berlin = ZoneInfo("Europe/Berlin")
    found = NoCutCalendar().next_allowed(datetime(2026, 3, 27, 20, 0, tzinfo=berlin), berlin)
    assert found is not None
    assert found.isoformat() == "2026-03-30T08:00:00+02:00"  # Monday after the change


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"warn": {"money": 25}}, ["warn.money (25) must be less than remind.money (20)"]),
        (
            {"remind": {"days": 2}, "warn": {"days": 3}, "last": {"days": 3}},
            ["warn.days (3) must be less", "last.days (3) must be less"],
        ),
        ({"last": {}}, ["needs money or days"]),
        ({"last": {"money": "1.005"}, "stale_after_s": 0}, ["decimal places", "greater than 0"]),
        ({"no_cut": {"cut_at": "06:00"}}, ["cut_at (06:00) lies in the night"]),
        ({"no_cut": {"weekend": [1, 2, 3, 4, 5, 6, 7]}}, ["nobody could ever be cut"]),
        ({"no_cut": {"holidays": ["2026-10-07..2026-10-01"]}}, ["before the first"]),
        ({"no_cut": {"holidays": ["soon", "2026-13-01"]}}, ["holidays.0", "holidays.1"]),
        ({"warning_hours": 2, "rearm_money": -1}, ["warning_hours", "rearm_money"]),
    ],
)
def test_a_policy_with_faults_is_refused_with_all_of_them(
    wrong: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ValidationError) as error:
        LevelPolicy.model_validate(wrong)
    assert [word for word in words if word not in str(error.value)] == []


def test_the_usual_policy_has_three_levels_before_arrears() -> None:
    policy = LevelPolicy()
    assert [str(level.money) for level in (policy.remind, policy.warn, policy.last)] == [
        "20", "10", "5",
    ]  # fmt: skip
