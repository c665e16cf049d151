"""The durable queue: once each, retries, limits, quiet hours, and what a restart finds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from message_servers import HttpServer
from message_station import (
    LATER,
    LI,
    NOBODY,
    NOON,
    REFUSED,
    SENT,
    WANG,
    Box,
    Station,
    local,
    notice,
)

from alerts.channels import build_channels
from alerts.model import Answer, MessageState, Outcome
from alerts.outbox import Preference
from alerts.settings import MessageSettings
from domain.errors import StoreUnavailable
from domain.events import EventKind, Severity


@pytest.fixture
def mail() -> Box:
    return Box("mail")


@pytest.fixture
def station(tmp_path: Path, mail: Box) -> Iterator[Station]:
    made = Station(tmp_path, mail, Box("sms", "phone"))
    yield made
    made.stop()


def test_a_notice_becomes_one_message_a_person_and_channel(station: Station, mail: Box) -> None:
    assert station.notifier.tell([notice("t1", LI, WANG)]) == 3
    assert station.send() == (3, 0, 0, 0)
    assert sorted((one.person, one.address) for one in mail.got) == [
        ("s1", "li@example.edu"),
        ("s2", "wang@example.edu"),
    ]


def test_the_same_notice_again_sends_nothing_again(station: Station, mail: Box) -> None:
    for _ in range(3):
        station.notifier.tell([notice("t1", WANG)])
        station.send()
    station.restart()
    station.notifier.tell([notice("t1", WANG)])
    station.send()
    assert len(mail.got) == 1


def test_it_reaches_a_real_web_hook(tmp_path: Path) -> None:
    with HttpServer(lambda _: (200, {})) as web:
        url = f"json://{web.host}/{{person}}"
        settings = MessageSettings.model_validate(
            {"channels": {"hook": {"kind": "apprise", "url": url}}}
        )
        station = Station(tmp_path, *build_channels(settings))
        station.notifier.tell([notice("t1", LI, WANG)])
        assert station.send() == (2, 0, 0, 0)
        station.stop()
    assert sorted(request.path.rstrip("/") for request in web.got) == ["/s1", "/s2"]
    assert {request.json()["title"] for request in web.got} == {
        "Low electricity balance of B1 101: 8.50",
        "B1 101 电费余额不足：8.50 元",
    }


def test_a_failure_is_tried_again_at_growing_intervals_and_then_told(
    tmp_path: Path, mail: Box
) -> None:
    station = Station(tmp_path, mail, tries_most=4, retry_after_s=30, retry_after_most_s=100)
    mail.answer = LATER
    station.notifier.tell([notice("t1", WANG)])
    moments = []
    for _ in range(400):
        done = station.notifier.send_due()
        if done.later or done.failed:
            moments.append(int((station.clock.now() - NOON).total_seconds()))
        station.clock.leap(1)
    assert moments == [0, 30, 90, 190]  # 30, 60, then 100 at most
    (message,) = station.outbox.messages()
    assert (message.state, message.tries, message.error) == (MessageState.FAILED, 4, "later")
    found = station.outbox.message(message.id)
    assert found is not None
    assert [tried.outcome.detail for tried in found[1]] == ["later"] * 4
    (event,) = station.events
    assert (event.kind, event.severity, event.group) == (
        EventKind.MESSAGE_FAILED, Severity.ALARM, "messages:mail",
    )  # fmt: skip
    station.stop()


def test_a_refused_message_is_not_tried_again(station: Station, mail: Box) -> None:
    mail.answer = REFUSED
    station.notifier.tell([notice("t1", WANG)])
    assert station.send() == (0, 0, 1, 0)
    station.clock.leap(86_400)
    assert station.send() == (0, 0, 0, 0)


def test_a_bug_in_a_channel_costs_one_try_and_not_the_others(station: Station, mail: Box) -> None:
    def break_for_wang(message: object) -> None:
        if getattr(message, "person", "") == "s2":
            raise RuntimeError("a bug")

    mail.before = break_for_wang
    station.notifier.tell([notice("t1", LI, WANG)])
    assert station.send() == (2, 1, 0, 0)


def test_somebody_without_an_address_is_shown_in_the_log(station: Station) -> None:
    station.notifier.tell([notice("t1", NOBODY)])
    (message,) = station.outbox.messages(state=MessageState.FAILED)
    assert (message.person, message.error) == ("s3", "no channel has an address of this person")
    assert message.first_tried_at == NOON
    (event,) = station.events
    assert (event.kind, event.severity) == (EventKind.MESSAGE_FAILED, Severity.WARNING)


def test_quiet_hours_hold_a_message_until_the_morning(station: Station, mail: Box) -> None:
    station.at("2026-03-04 22:30")
    station.notifier.tell([notice("t1", WANG)])
    assert station.send() == (0, 0, 0, 1)
    station.at("2026-03-05 07:59")
    assert station.send() == (0, 0, 0, 0)
    station.at("2026-03-05 08:00")
    assert station.send() == (1, 0, 0, 0)


def test_a_retry_waits_for_the_morning_too(station: Station, mail: Box) -> None:
    mail.answer = LATER
    station.at("2026-03-04 21:59:45")
    station.notifier.tell([notice("t1", WANG)])
    assert station.send() == (0, 1, 0, 0)
    station.clock.leap(60)
    assert station.send() == (0, 0, 0, 1)
    (message,) = station.outbox.messages()
    assert message.due_at == local("2026-03-05 08:00")


def test_an_urgent_message_does_not_wait_for_the_morning(station: Station) -> None:
    station.at("2026-03-05 03:00")
    station.notifier.tell([notice("t1", WANG, urgent=True)])
    assert station.send() == (1, 0, 0, 0)


def test_what_is_of_no_use_any_more_is_dropped_unsent(station: Station, mail: Box) -> None:
    station.notifier.tell([notice("t1", WANG, expires_at=local("2026-03-04 13:00"))])
    station.at("2026-03-04 13:00")
    station.send()
    assert (station.states(), mail.got) == ([("s2", "expired", 0)], [])


def test_a_withdrawn_message_is_not_sent(station: Station, mail: Box) -> None:
    station.notifier.tell([notice("t1", WANG), notice("t2", WANG)])
    assert station.notifier.withdraw(["t1", "t9"]) == 1
    station.send()
    assert sorted(station.states()) == [("s2", "sent", 1), ("s2", "withdrawn", 0)]


def test_more_than_enough_for_one_day_waits_for_the_next(tmp_path: Path, mail: Box) -> None:
    station = Station(tmp_path, mail, per_person_a_day=2)
    station.notifier.tell([notice(f"t{n}", WANG) for n in range(3)])
    assert station.send() == (2, 0, 0, 1)
    station.restart()
    station.notifier.tell([notice("t9", WANG), notice("t8", LI)])
    assert station.send() == (1, 0, 0, 1)  # the count survives; Li has a day of his own
    station.at("2026-03-05 08:00")
    assert station.send() == (2, 0, 0, 0)
    station.stop()


def test_a_last_warning_is_never_one_too_many(tmp_path: Path, mail: Box) -> None:
    station = Station(tmp_path, mail, per_person_a_day=1)
    station.notifier.tell([notice("t1", WANG), notice("t2", WANG, must=True)])
    station.notifier.tell([notice("t3", WANG, must=True)])
    assert station.send() == (3, 0, 0, 0)
    station.stop()


def test_a_flood_goes_out_at_the_sites_rate_and_urgent_ones_first(
    tmp_path: Path, mail: Box
) -> None:
    station = Station(tmp_path, mail, per_minute=10, per_person_a_day=1000)
    station.notifier.tell([notice(f"t{n:02}", WANG) for n in range(25)])
    station.clock.leap(0.5)
    station.notifier.tell([notice("now", WANG, urgent=True)])
    sent = []
    for _ in range(4):
        sent.append(station.send()[0])
        station.clock.leap(61)
    assert sent == [10, 10, 6, 0]
    assert "now" in [one.topic for one in mail.got[:10]]
    station.stop()


def test_a_full_queue_refuses_and_drops_nothing(tmp_path: Path, mail: Box) -> None:
    station = Station(tmp_path, mail, queue_most=3)
    station.notifier.tell([notice("t1", WANG), notice("t2", WANG)])
    with pytest.raises(StoreUnavailable):
        station.notifier.tell([notice("t3", WANG), notice("t4", WANG)])
    assert len(station.outbox.messages()) == 2
    station.stop()


def test_an_opt_out_holds_for_all_but_the_last_warning(station: Station, mail: Box) -> None:
    station.outbox.save_preference(Preference("s2", ("mail",), NOON))
    station.notifier.tell([notice("t1", WANG)])
    station.notifier.tell([notice("t2", WANG, must=True)])
    station.send()
    assert [one.topic for one in mail.got] == ["t2"]


def test_a_group_is_told_once_and_not_once_a_person(tmp_path: Path) -> None:
    group = Box("chat", is_group=True)
    station = Station(tmp_path, group)
    station.notifier.tell([notice("t1", LI, WANG)])
    station.notifier.tell([notice("t1", NOBODY)])  # somebody who moved in later
    station.send()
    assert [one.person for one in group.got] == [""]
    station.stop()


def test_what_was_being_sent_when_the_program_ended_is_sent_again(
    station: Station, mail: Box
) -> None:
    station.notifier.tell([notice("t1", WANG)])
    (waiting,) = station.outbox.due(NOON, 10)
    station.outbox.begin([waiting.id], NOON)  # and here it is killed
    station.restart()
    assert station.send() == (1, 0, 0, 0)
    (message,) = mail.got
    assert (message.uncertain, message.tries) == (True, 2)
    assert message.id == waiting.id  # a provider that keeps ids takes it once


def test_a_provider_that_has_an_uncertain_message_is_not_given_it_again(
    station: Station, mail: Box
) -> None:
    mail.known = Outcome(Answer.SENT, "had it")
    station.notifier.tell([notice("t1", WANG)])
    station.outbox.begin([station.outbox.due(NOON, 10)[0].id], NOON)
    station.restart()
    assert station.send() == (1, 0, 0, 0)
    assert mail.got == []


def test_a_channel_that_never_answers_holds_up_nobody_for_ever(tmp_path: Path) -> None:
    import threading

    gate = threading.Event()
    stuck = Box("stuck", before=lambda _message: gate.wait(60))  # type: ignore[arg-type,return-value]
    fine = Box("fine")
    station = Station(tmp_path, stuck, fine, send_within_s=3)
    station.notifier.tell([notice("t1", WANG)])
    assert station.send() == (1, 1, 0, 0)
    states = {one.channel: (one.state.value, one.uncertain) for one in station.outbox.messages()}
    assert states == {"stuck": ("waiting", True), "fine": ("sent", False)}
    gate.set()
    station.stop()


def test_a_channel_that_is_gone_from_the_settings_is_told(tmp_path: Path, mail: Box) -> None:
    station = Station(tmp_path, mail)
    station.notifier.tell([notice("t1", WANG)])
    station.channels = ()
    station.restart()
    assert station.send() == (0, 0, 1, 0)
    station.stop()


def test_the_thread_sends_by_itself(station: Station, mail: Box) -> None:
    import threading

    arrived = threading.Event()
    mail.before = lambda _message: arrived.set()
    station.notifier.start()
    station.notifier.tell([notice("t1", WANG)])
    assert arrived.wait(10)
    station.notifier.stop()
    assert mail.answer is SENT
    assert station.outbox.last_beat() == NOON
