"""A code goes to the person by every channel that reaches him, and to no group."""

from zoneinfo import ZoneInfo

from api_station import at
from campus import SITE

from alerts.notifier import Notifier
from app.code_messages import code_sender
from storage.books.messages import SqlOutbox


class AChannel:
    """A channel that reaches telephones, or a group."""

    def __init__(self, name: str, *, is_group: bool = False, serves: bool = True) -> None:
        self.name, self.is_group, self._serves = name, is_group, serves

    def serves(self, _building: str, _template: str) -> bool:
        return self._serves

    def address_of(self, to) -> str:
        return "" if self.is_group else to.phone


def queued(campus, *channels: AChannel):
    outbox = SqlOutbox(campus.ledger)
    notifier = Notifier(
        outbox, channels, campus.clock, ZoneInfo(SITE.time_zone), campus.told.append
    )
    send = code_sender(notifier, channels, campus.directory, campus.clock)
    if send is None:
        return None
    send("2023001", "12345678", 600)
    send("nobody", "12345678", 600)
    return [(m.channel, m.address, m.body) for m in outbox.messages(limit=10)]


def test_a_code_is_never_posted_to_a_group(campus):
    told = queued(campus, AChannel("sms"), AChannel("chat", is_group=True))
    assert told == [("sms", "13802023001", "您的验证码是 12345678，10 分钟内有效。请勿告诉他人。")]


def test_without_a_channel_to_single_people_no_codes_are_sent(campus):
    assert queued(campus, AChannel("chat", is_group=True)) is None
    assert queued(campus, AChannel("sms", serves=False)) is None
    assert queued(campus) is None


def test_the_same_code_sent_again_is_another_message(campus):
    channels = [AChannel("sms")]
    assert len(queued(campus, *channels)) == 1
    campus.clock.jump(at(30))
    assert len(queued(campus, *channels)) == 2
