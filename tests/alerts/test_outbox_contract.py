"""The outbox and the levels on a database of each kind."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.model import Answer, Message, MessageState, Outcome, Try
from alerts.outbox import Hold, Preference
from billing.arrears_ports import Tried
from billing.levels import Level, LevelState, Told
from storage.books.levels import SqlLevels
from storage.books.messages import SqlOutbox
from storage.ledger.sql_ledger import SqlLedger

NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_message(name: str, **more: Any) -> Message:
    usual: dict[str, Any] = {
        "id": name, "key": f"key-{name}", "topic": f"topic-{name}", "channel": "mail",
        "address": "li@example.edu", "template": "test", "title": "电费", "body": "余额 8.50 元",
        "created_at": NOON, "due_at": NOON, "person": "s1", "account": "b1-101",
        "values": {"balance": "8.50", "days": None}, "attachments": ("a.csv",),
    }  # fmt: skip
    return Message(**(usual | more))


def tried(message: Message, answer: Answer, **more: Any) -> Try:
    return Try(message.id, message.tries, at(0), at(1), Outcome(answer, "words", **more))


@pytest.fixture
def ledger(database_url: str) -> Iterator[SqlLedger]:
    opened = SqlLedger(database_url)
    yield opened
    opened.close()


@pytest.fixture
def outbox(ledger: SqlLedger) -> SqlOutbox:
    return SqlOutbox(ledger)


def test_a_message_comes_back_as_it_was_put_in(outbox: SqlOutbox) -> None:
    message = a_message("m1", must=True, expires_at=at(60))
    assert outbox.add([message]) == 1
    assert outbox.messages() == [message]
    assert outbox.message("m1") == (message, [])
    assert outbox.message("m2") is None


def test_a_key_is_queued_once(outbox: SqlOutbox) -> None:
    first = a_message("m1")
    assert outbox.add([first, a_message("m2")]) == 2
    assert outbox.add([replace(first, id="other", body="else"), a_message("m3")]) == 1
    assert sorted(one.id for one in outbox.messages()) == ["m1", "m2", "m3"]


def test_urgent_ones_are_due_first_then_last_warnings_then_the_oldest(outbox: SqlOutbox) -> None:
    outbox.add(
        [
            a_message("late", due_at=at(1)),
            a_message("old", due_at=at(-9)),
            a_message("young", due_at=at(-3)),
            a_message("warning", must=True),
            a_message("now", urgent=True),
        ]
    )
    assert [one.id for one in outbox.due(NOON, 10)] == ["now", "warning", "old", "young"]
    assert [one.id for one in outbox.due(NOON, 1)] == ["now"]


def test_a_try_is_noted_before_and_after(outbox: SqlOutbox) -> None:
    outbox.add([a_message("m1")])
    (begun,) = outbox.begin(["m1"], at(5))
    assert (begun.state, begun.tries, begun.first_tried_at) == (MessageState.SENDING, 1, at(5))
    assert outbox.begin(["m1"], at(6)) == []
    assert outbox.due(at(9), 10) == []
    sent = replace(begun, state=MessageState.SENT, ended_at=at(7), provider_ref="biz")
    outbox.finish(sent, tried(begun, Answer.SENT, provider_ref="biz"))
    found = outbox.message("m1")
    assert found is not None
    assert (found[0], [one.outcome.answer for one in found[1]]) == (sent, [Answer.SENT])


def test_the_first_try_stays_the_first(outbox: SqlOutbox) -> None:
    outbox.add([a_message("m1")])
    (begun,) = outbox.begin(["m1"], at(5))
    again = replace(begun, state=MessageState.WAITING, due_at=at(30), error="busy")
    outbox.finish(again, tried(begun, Answer.LATER))
    (begun,) = outbox.begin(["m1"], at(30))
    assert (begun.tries, begun.first_tried_at, begun.last_tried_at) == (2, at(5), at(30))


def test_a_late_yes_of_a_try_that_was_given_up_counts(outbox: SqlOutbox) -> None:
    outbox.add([a_message("m1")])
    (begun,) = outbox.begin(["m1"], at(0))
    waiting = replace(begun, state=MessageState.WAITING, due_at=at(30), uncertain=True)
    outbox.finish(waiting, tried(begun, Answer.LATER))
    (second,) = outbox.begin(["m1"], at(30))
    outbox.finish(replace(begun, state=MessageState.SENT), tried(begun, Answer.SENT))
    outbox.finish(replace(second, state=MessageState.FAILED), tried(second, Answer.LATER))
    assert outbox.messages()[0].state is MessageState.SENT


def test_a_late_no_of_a_try_that_was_given_up_changes_nothing(outbox: SqlOutbox) -> None:
    outbox.add([a_message("m1")])
    (begun,) = outbox.begin(["m1"], at(0))
    outbox.finish(replace(begun, state=MessageState.WAITING), tried(begun, Answer.LATER))
    outbox.begin(["m1"], at(30))
    outbox.finish(replace(begun, state=MessageState.FAILED), tried(begun, Answer.REFUSED))
    assert outbox.messages()[0].state is MessageState.SENDING


def test_what_was_being_sent_is_put_back_as_uncertain(outbox: SqlOutbox) -> None:
    outbox.add([a_message("m1"), a_message("m2")])
    outbox.begin(["m1"], at(0))
    assert outbox.recover() == 1
    assert [(one.id, one.uncertain) for one in outbox.due(NOON, 10)] == [
        ("m1", True), ("m2", False),
    ]  # fmt: skip


def test_waiting_messages_are_withdrawn_held_and_ended_others_are_not(outbox: SqlOutbox) -> None:
    outbox.add([a_message(name) for name in ("m1", "m2", "m3", "m4")])
    outbox.begin(["m1"], at(0))
    assert outbox.withdraw(["topic-m1", "topic-m2"], at(1)) == 1
    outbox.hold([Hold("m1", at(60), "night"), Hold("m3", at(60), "night")])
    outbox.end(["m1", "m4"], MessageState.EXPIRED, at(1))
    states = {one.id: (one.state.value, one.due_at) for one in outbox.messages()}
    assert states == {
        "m1": ("sending", NOON),
        "m2": ("withdrawn", NOON),
        "m3": ("waiting", at(60)),
        "m4": ("expired", NOON),
    }


def test_tries_are_counted_by_person_and_in_all(outbox: SqlOutbox) -> None:
    outbox.add([a_message("m1"), a_message("m2", person="s2")])
    for _ in range(2):
        (begun,) = outbox.begin(["m1"], at(0))
        outbox.finish(replace(begun, state=MessageState.WAITING), tried(begun, Answer.LATER))
    assert outbox.tried_since(NOON, ["s1", "s2"]) == {"s1": 1}  # one message, tried twice
    assert (outbox.tries_since(NOON), outbox.tries_since(at(1))) == (2, 0)


def test_the_depth_is_what_waits_and_is_due(outbox: SqlOutbox) -> None:
    assert outbox.depth(NOON).oldest_due_at is None
    outbox.add([a_message("m1", due_at=at(-60)), a_message("m2"), a_message("m3", due_at=at(9))])
    depth = outbox.depth(NOON)
    assert (depth.waiting, depth.due, depth.oldest_due_at) == (3, 2, at(-60))


def test_the_last_beat_is_the_newest(outbox: SqlOutbox) -> None:
    assert outbox.last_beat() is None
    for seconds in (0, 15):
        outbox.beat(at(seconds))
    assert outbox.last_beat() == at(15)


def test_wishes_are_kept_by_person(outbox: SqlOutbox) -> None:
    outbox.save_preference(Preference("s1", ("sms",), at(0)))
    outbox.save_preference(Preference("s1", ("mail", "sms"), at(1)))
    assert outbox.preferences(["s1", "s2"]) == {"s1": Preference("s1", ("mail", "sms"), at(1))}


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, ["m3", "m2", "m1"]),
        ({"limit": 1}, ["m3"]),
        ({"person": "s2"}, ["m2"]),
        ({"account": "b1-102"}, ["m3"]),
        ({"channel": "sms"}, ["m3"]),
        ({"since": at(1)}, ["m3", "m2"]),
        ({"state": MessageState.SENT}, []),
    ],
)
def test_lists_come_newest_first(
    outbox: SqlOutbox, filters: dict[str, Any], ids: list[str]
) -> None:
    outbox.add(
        [
            a_message("m1"),
            a_message("m2", created_at=at(1), person="s2"),
            a_message("m3", created_at=at(2), channel="sms", account="b1-102"),
        ]
    )
    assert [one.id for one in outbox.messages(**filters)] == ids


def test_levels_come_back_as_they_were_saved(ledger: SqlLedger) -> None:
    levels = SqlLevels(ledger)
    told = {Level.LAST: Told(2, at(3), ("s1", "s2"), queued=True), Level.WARN: Told(1, at(0))}
    state = LevelState("b1-101", 2, told, at(4), at(5))
    levels.save([state, LevelState("b1-102")])
    levels.save([LevelState("b1-102", 7)])
    found = {one.account: one for one in levels.states()}
    assert found == {"b1-101": state, "b1-102": LevelState("b1-102", 7)}


def test_a_topic_was_tried_when_its_first_message_was(ledger: SqlLedger, outbox: SqlOutbox) -> None:
    outbox.add([a_message(name, topic="t1") for name in ("m1", "m2")])
    outbox.add([a_message("m3", topic="t2")])
    outbox.begin(["m2"], at(9))
    outbox.begin(["m1"], at(5))
    assert SqlLevels(ledger).tried(["t1", "t2", "t3"]) == {
        "t1": Tried(2, at(5)),
        "t2": Tried(1, None),
    }
