"""Whose power may be cut for arrears, when, and what ends it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from arrears_campus import MINUTE_S, Campus

from alerts.model import Answer, Outcome
from billing.levels import LevelPolicy
from billing.model import BalanceMode
from billing.nocut import NoCutCalendar
from domain.causes import CauseKind, RuleMode
from domain.events import EventKind
from domain.money import MICRO


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    """Wednesday, 10:00: room 101 has just fallen into arrears and was told."""
    made = Campus(tmp_path)
    made.has(-1)
    made.check()
    yield made
    made.stop()


def test_a_room_in_arrears_is_cut_at_eight_on_the_next_working_day(campus: Campus) -> None:
    for moment, word in (
        ("2026-03-04 13:00", None),
        ("2026-03-04 23:30", None),
        ("2026-03-05 07:59", None),
        ("2026-03-05 08:00", True),
        ("2026-03-05 22:59", True),
        ("2026-03-05 23:00", None),  # nothing changes at night, the cut stands
        ("2026-03-06 08:00", True),
    ):
        campus.at(moment)
        assert campus.check("b1-101") == {"m0": word}, moment


def test_the_others_are_fine(campus: Campus) -> None:
    campus.at("2026-03-05 08:00")
    assert campus.check() == {"m0": True, "m1": False, "m2": False}


def test_a_payment_ends_it_in_the_same_check(campus: Campus) -> None:
    campus.at("2026-03-05 08:00")
    campus.check()
    campus.has(0)
    assert campus.check("b1-101") == {"m0": False}


def test_a_payment_that_leaves_a_debt_beyond_the_limit_ends_nothing(campus: Campus) -> None:
    campus.rooms.change("b1-101", credit_limit_micro=5 * MICRO)
    campus.has(-50)
    campus.check()
    campus.at("2026-03-05 08:00")
    assert campus.check("b1-101") == {"m0": True}
    campus.has(-5.000001)
    assert campus.check("b1-101") == {"m0": True}
    campus.has(-5)
    assert campus.check("b1-101") == {"m0": False}


def test_a_balance_within_the_credit_limit_is_no_arrears(campus: Campus) -> None:
    campus.rooms.change("b1-101", credit_limit_micro=5 * MICRO)
    campus.at("2026-03-05 08:00")
    assert campus.check("b1-101") == {"m0": False}


def test_nobody_is_cut_on_an_unknown_balance_nor_given_back(campus: Campus) -> None:
    campus.at("2026-03-05 08:00")
    campus.has(None)
    assert campus.check("b1-101") == {"m0": None}
    view = campus.keeper.level("b1-101")
    assert view is not None
    assert (view.level, view.balance_micro, view.held_back) == (None, None, "balance-unknown")


@pytest.mark.parametrize(
    ("age_s", "word"), [(900.0, True), (900.1, None), (None, None), (-5, None)]
)
def test_a_cut_on_stale_data_is_refused(
    campus: Campus, age_s: float | None, word: bool | None
) -> None:
    campus.at("2026-03-05 08:00")
    campus.ages["m0"] = age_s
    assert campus.check("b1-101") == {"m0": word}
    told = [event.message for event in campus.events if event.kind is EventKind.ARREARS_HELD]
    assert told == ([] if word else ["a cut for arrears is held back: stale"])


def test_stale_data_do_not_hold_up_the_end_of_arrears(campus: Campus) -> None:
    campus.at("2026-03-05 08:00")
    campus.check()
    campus.ages["m0"] = None
    campus.has(1)
    assert campus.check("b1-101") == {"m0": False}


def test_keep_power_wins_and_the_office_is_told_once(campus: Campus) -> None:
    campus.kept.add("m0")
    campus.at("2026-03-05 08:00")
    for _ in range(3):
        assert campus.check("b1-101") == {"m0": False}
    told = [event for event in campus.events if event.kind is EventKind.ARREARS_HELD]
    assert [event.details["reason"] for event in told] == ["keep-power"]
    campus.kept.clear()
    campus.at("2026-03-05 23:30")  # released at night: nobody is cut at night
    assert campus.check("b1-101") == {"m0": None}
    campus.at("2026-03-06 08:00")
    assert campus.check("b1-101") == {"m0": True}


def test_no_cut_before_the_last_warning_was_tried(campus: Campus) -> None:
    campus.has(-1, "b1-102")
    campus.keeper.check(["b1-102"])  # told, but the notifier is dead and sends nothing
    campus.at("2026-03-06 08:00")
    verdicts = campus.keeper.check(["b1-102"])
    assert [verdict.violated for verdict in verdicts] == [None]
    view = campus.keeper.level("b1-102")
    assert view is not None
    assert view.held_back == "untold"
    assert EventKind.ARREARS_HELD in [event.kind for event in campus.events]
    campus.notifier.send_due()
    assert campus.check("b1-102") == {"m1": None}  # it needs its two hours, and then an eight
    campus.at("2026-03-09 08:00")
    assert campus.check("b1-102") == {"m1": True}


def test_a_warning_that_could_not_be_delivered_was_tried(campus: Campus) -> None:
    campus.mail.answer = Outcome(Answer.REFUSED, "no such mailbox")
    campus.has(-1, "b1-102")
    campus.check()
    campus.at("2026-03-05 08:00")
    assert campus.check("b1-102") == {"m1": True}


def test_an_empty_room_in_arrears_has_nobody_to_be_warned(campus: Campus) -> None:
    campus.has(-1, "b1-103")
    campus.check()
    campus.at("2026-03-05 08:00")
    assert campus.check("b1-103") == {"m2": True}


def test_whoever_pays_only_the_debt_is_warned_again_before_the_next_cut(campus: Campus) -> None:
    campus.at("2026-03-05 08:00")
    campus.check()
    campus.has(0)
    campus.check()
    campus.clock.leap(MINUTE_S)
    campus.has(-0.01)
    assert campus.check("b1-101") == {"m0": None}
    campus.at("2026-03-06 08:00")
    assert campus.check("b1-101") == {"m0": True}
    told = [level for person, level in campus.sms.told() if person == "s1"]
    assert told == ["level-arrears", "level-last", "level-arrears"]


def test_what_still_waits_is_withdrawn_when_somebody_pays(campus: Campus) -> None:
    campus.has(4, "b1-102")
    campus.keeper.check(["b1-102"])
    campus.has(50, "b1-102")
    campus.check("b1-102")
    assert campus.mail.told() == [("s1", "level-arrears")]
    (message,) = campus.outbox.messages(account="b1-102")
    assert message.state.value == "withdrawn"


def test_arrears_survive_a_restart_with_the_time_they_began(campus: Campus) -> None:
    campus.at("2026-03-05 08:00")
    campus.check()
    campus.restart()
    view = campus.keeper.level("b1-101")
    assert view is not None
    assert view.cut_at == campus.clock.now()
    assert view.arrears_since == campus.clock.now() - timedelta(hours=22)
    campus.has(5)
    assert campus.check("b1-101") == {"m0": False}
    campus.restart()
    view = campus.keeper.level("b1-101")
    assert view is not None
    assert (view.cut_at, view.arrears_since) == (None, None)


def test_a_meter_that_holds_the_balance_itself_is_left_alone(campus: Campus) -> None:
    campus.rooms.change("b1-101", mode=BalanceMode.METER)
    campus.at("2026-03-05 08:00")
    assert campus.check("b1-101") == {"m0": False}


def test_a_meter_that_was_taken_out_is_not_held_open(campus: Campus) -> None:
    (span,) = campus.rooms.spans["b1-101"]
    closed = replace(span, until=campus.clock.now(), last_wh=5)
    campus.rooms.spans["b1-101"] = [closed, replace(span, meter="m9")]
    campus.at("2026-03-05 08:00")
    assert campus.check("b1-101") == {"m0": False, "m9": True}


def test_a_closed_account_holds_no_meter_open(campus: Campus) -> None:
    campus.at("2026-03-05 08:00")
    campus.check()
    (span,) = campus.rooms.spans["b1-101"]
    campus.rooms.spans["b1-101"] = [replace(span, until=campus.clock.now(), last_wh=5)]
    campus.rooms.change("b1-101", closed_at=campus.clock.now())
    assert campus.check()["m0"] is False


def test_rooms_are_cut_a_few_a_minute(tmp_path: Path) -> None:
    campus = Campus(tmp_path, LevelPolicy(cuts_a_minute=2))
    for room in campus.rooms.rows:
        campus.has(-1, room)
    campus.check()
    campus.at("2026-03-05 08:00")
    words = list(campus.check().values())
    assert (words.count(True), words.count(None)) == (2, 1)
    campus.clock.leap(MINUTE_S)
    assert list(campus.check().values()) == [True] * 3
    campus.stop()


def test_a_verdict_carries_what_it_rests_on(campus: Campus) -> None:
    campus.at("2026-03-05 08:00")
    (verdict,) = campus.keeper.check(["b1-101"])
    assert (verdict.kind, verdict.mode) == (CauseKind.ARREARS, RuleMode.TRIP)
    assert verdict.evidence is not None
    assert verdict.evidence.matched == {
        "balance": "-1.00",
        "balance_micro": -1_000_000,
        "arrears_since": "2026-03-04T02:00:00+00:00",
        "warned_at": "2026-03-04T02:00:00+00:00",
        "held_back": "",
    }
    assert verdict.evidence.limits == {"limit": "0.00", "limit_micro": 0}


def test_without_the_hour_a_room_is_cut_when_its_warning_is_old_enough(tmp_path: Path) -> None:
    policy = LevelPolicy(no_cut=NoCutCalendar(wait_for_cut_at=False), warning_before_minutes=30)
    campus = Campus(tmp_path, policy)
    campus.has(-1)
    words = []
    for moment in ("10:00", "10:29", "10:30", "23:30"):
        campus.at(f"2026-03-04 {moment}")
        word = campus.check("b1-101")["m0"]
        view = campus.keeper.level("b1-101")
        assert view is not None
        words.append((word, view.held_back))
    assert words == [(None, "warning"), (None, "warning"), (True, ""), (None, "calendar")]
    campus.stop()
