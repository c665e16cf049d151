"""The delivery log over HTTP, tests that somebody sends, one's own messages and wishes, levels."""

from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from api_station import SITE, faults
from campus import OTHER, OWN, Campus

from alerts.model import Answer, Message, Outcome
from alerts.notifier import Notifier
from alerts.settings import MessageSettings
from domain.messages import Notice, Recipient
from storage.books.messages import SqlOutbox

WANG, ZHAO = Recipient("2023001", "Wang", "13800000001"), Recipient("2023003", "Zhao", "138")
TAKEN = Outcome(Answer.SENT, provider_ref="biz-7")
VALUES = {"building": "B1", "room": "101", "balance": "8.50", "days": 3}


@dataclass
class Sms:
    """A channel that answers what it is told to."""

    answer: Outcome = TAKEN
    name: str = "sms"
    is_group: bool = False
    got: list[Message] = field(default_factory=list)

    def serves(self, building: str, template: str) -> bool:
        return True

    def address_of(self, to: Recipient) -> str:
        return to.phone

    def was_sent(self, message: Message) -> Outcome | None:
        return None

    def send(self, message: Message) -> Outcome:
        self.got.append(message)
        return self.answer


@pytest.fixture
def sms(campus: Campus) -> Sms:
    """The only channel of the station."""
    channel = Sms()
    never = MessageSettings.model_validate({"quiet": {"start": "00:00", "end": "00:00"}})
    notifier = Notifier(
        SqlOutbox(campus.ledger), [channel], campus.clock, ZoneInfo(SITE.time_zone),
        campus.told.append, never,
    )  # fmt: skip
    billing = campus.station.deps.billing
    assert billing is not None
    campus.station.change(billing=replace(billing, notifier=notifier))
    return channel


def notifier(campus: Campus) -> Notifier:
    found = campus.station.deps.money().notifier
    assert found is not None
    return found


def tell(campus: Campus, *people: Recipient, template: str = "level-warn", **more: Any) -> None:
    values = more.pop("values", VALUES)
    told = Notice(f"topic:{template}", template, people, values, account=OWN, **more)
    notifier(campus).tell([told])
    notifier(campus).send_due()


async def test_the_log_shows_what_was_sent_and_what_was_not(campus: Campus, sms: Sms) -> None:
    tell(campus, WANG)
    sms.answer = Outcome(Answer.REFUSED, "isv.MOBILE_NUMBER_ILLEGAL: no")
    tell(campus, ZHAO, template="level-last")
    async with campus.program("olga") as client:
        everything = (await client.get("/messages")).json()
        failed = (await client.get("/messages", params={"state": "failed"})).json()
        own = (await client.get("/messages", params={"person": "2023001"})).json()
        one = (await client.get(f"/messages/{failed['messages'][0]['id']}")).json()
    assert everything["count"] == 2
    assert [(row["person"], row["error"]) for row in failed["messages"]] == [
        ("2023003", "isv.MOBILE_NUMBER_ILLEGAL: no")
    ]
    assert [(row["address"], row["provider_ref"]) for row in own["messages"]] == [
        ("13800000001", "biz-7")
    ]
    assert [(row["number"], row["answer"]) for row in one["log"]] == [(1, "refused")]


async def test_nobody_reads_a_code_in_the_log(campus: Campus, sms: Sms) -> None:
    tell(campus, WANG, template="sign-in-code", values={"code": "1234-5678", "minutes": 10})
    assert "1234-5678" in sms.got[0].body
    async with campus.program("olga") as client:
        text = (await client.get("/messages")).text
    assert "1234" not in text
    assert "sign-in-code" in text


async def test_a_test_goes_the_way_of_all_messages_and_once_a_key(campus: Campus, sms: Sms) -> None:
    body = {"person": "2023001", "channel": "sms"}
    async with campus.program("fred") as client:
        for queued in (1, 0):
            answer = await client.post(
                "/messages/test", json=body, headers={"Idempotency-Key": "k1"}
            )
            assert answer.json() == {"queued": queued, "topic": "test:k1"}
        unknown = await client.post("/messages/test", json=body | {"channel": "pigeon"})
        nobody = await client.post("/messages/test", json=body | {"person": "9"})
    notifier(campus).send_due()
    assert [one.template for one in sms.got] == ["test"]
    assert (unknown.status_code, nobody.status_code) == (404, 404)


async def test_a_student_sees_his_own_messages_alone(campus: Campus, sms: Sms) -> None:
    tell(campus, WANG, ZHAO)
    async with campus.program("wang") as client:
        mine = (await client.get("/me/messages")).json()
    assert mine["count"] == 1
    (row,) = mine["messages"]
    assert (row["title"], row["state"]) == ("B1 101 电费余额不足：8.50 元", "sent")
    assert "address" not in row


async def test_a_muted_channel_is_silent_but_for_the_last_warning(campus: Campus, sms: Sms) -> None:
    async with campus.program("wang") as client:
        wanted = {"muted": ["sms"], "person": "2023003"}  # another's id is not looked at
        answer = await client.put("/me/messages/wishes", json=wanted)
        wrong = await client.put("/me/messages/wishes", json={"muted": ["pigeon"]})
    assert answer.json()["muted"] == ["sms"]
    assert faults(wrong) == {"body.muted": "must be of sms"}
    tell(campus, WANG, ZHAO)
    tell(campus, WANG, template="level-last", must=True)
    assert sorted((one.person, one.template) for one in sms.got) == [
        ("2023001", "level-last"),
        ("2023003", "level-warn"),
    ]


async def test_the_queue_tells_how_it_stands(campus: Campus, sms: Sms) -> None:
    sms.answer = Outcome(Answer.LATER, "down")
    tell(campus, WANG)
    async with campus.program("fred") as client:
        told = (await client.get("/messages/health")).json()
    assert (told["channels"], told["waiting"], told["due"]) == (["sms"], 1, 0)
    assert told["last_beat_at"] == "2026-05-01T12:00:00Z"


async def test_a_student_sees_how_his_room_stands(campus: Campus) -> None:
    campus.recharge(OWN, 3_500_000, "r1")
    async with campus.program("wang") as client:
        mine = (await client.get(f"/rooms/{OWN}/level")).json()
        others = await client.get(f"/rooms/{OTHER}/level")
    assert (mine["level"], mine["balance"], mine["days_left"]) == ("last", "3.50", None)
    assert others.status_code == 404
