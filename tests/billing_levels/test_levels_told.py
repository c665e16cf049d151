"""Who is told what, and how often."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from arrears_campus import DAY_S, HOUR_S, Campus


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    made = Campus(tmp_path)
    yield made
    made.stop()


def test_each_occupant_is_told_once_by_each_channel_that_reaches_him(campus: Campus) -> None:
    campus.has(19.99)
    campus.check()
    campus.check()
    assert sorted(campus.sms.told()) == [("s1", "level-remind"), ("s2", "level-remind")]
    assert campus.mail.told() == [("s1", "level-remind")]  # the other has no e-mail


@pytest.mark.parametrize(
    ("money", "level"),
    [
        (20.00, None),
        (19.999999, "level-remind"),
        (10.00, "level-remind"),
        (9.99, "level-warn"),
        (4.99, "level-last"),
        (0.00, "level-last"),
        (-0.01, "level-arrears"),
    ],
)
def test_a_balance_is_told_by_the_gravest_level_it_is_below(
    campus: Campus, money: float, level: str | None
) -> None:
    campus.has(money, "b1-102")
    campus.check()
    assert campus.mail.told() == ([("s3", level)] if level else [])


def test_a_fall_through_all_levels_is_told_step_by_step(campus: Campus) -> None:
    for money in (30, 15, 8, 3, -1):
        campus.has(money, "b1-102")
        campus.check()
        campus.clock.leap(DAY_S)
    levels = ["level-remind", "level-warn", "level-last", "level-arrears"]
    assert [level for _, level in campus.mail.told()] == levels


def test_a_balance_that_hovers_at_a_level_tells_once(campus: Campus) -> None:
    for money in (19.9, 20.1, 19.9, 20.9, 19.5):
        campus.has(money, "b1-102")
        campus.check()
        campus.clock.leap(HOUR_S)
    assert campus.mail.told() == [("s3", "level-remind")]


def test_a_recharge_well_above_a_level_arms_it_again(campus: Campus) -> None:
    for money in (19.9, 21.0, 19.9):
        campus.has(money, "b1-102")
        campus.check()
        campus.clock.leap(DAY_S)
    assert campus.mail.told() == [("s3", "level-remind")] * 2


def test_levels_that_are_jumped_over_are_not_told_afterwards(campus: Campus) -> None:
    for money in (3, 8, 15, 4):
        campus.has(money, "b1-102")
        campus.check()
    # 15 is well above warn and last, so last is told again; remind never was left.
    assert [level for _, level in campus.mail.told()] == ["level-last", "level-last"]


def test_what_was_told_is_remembered_across_a_restart(campus: Campus) -> None:
    campus.has(3, "b1-102")
    campus.check()
    campus.restart()
    campus.check()
    assert campus.mail.told() == [("s3", "level-last")]


def test_somebody_who_moves_in_later_is_told_too(campus: Campus) -> None:
    campus.has(8, "b1-102")
    campus.check()
    campus.rooms.people_of["b1-102"].append(campus.rooms.people_of["b1-101"][0])
    campus.check()
    campus.check()
    assert campus.mail.told() == [("s3", "level-warn"), ("s1", "level-warn")]


def test_texts_are_in_the_language_of_the_person(campus: Campus) -> None:
    campus.has(-1.005)
    campus.check()
    english = next(one for one in campus.sms.got if one.person == "s1")
    chinese = next(one for one in campus.sms.got if one.person == "s2")
    assert english.body == (
        "B1 101 is in arrears: balance -1.01, limit 0.00. The power will be cut at"
        " 2026-03-05 08:00 unless the debt is paid; once it is paid the power comes back by itself."
    )
    assert chinese.title == "B1 101 电费已欠费"
