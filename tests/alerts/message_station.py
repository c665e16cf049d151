"""A notifier on a real outbox, with channels that do as they are told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from alerts.heartbeat import Heartbeat
from alerts.model import Answer, Channel, Message, Outcome
from alerts.notifier import Notifier
from alerts.settings import MessageSettings
from domain.clock import LeapClock
from domain.events import Event
from domain.messages import Notice, Recipient
from storage.books.messages import SqlOutbox
from storage.ledger.sql_ledger import SqlLedger

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)  # Wednesday, 12:00 in Shanghai
LI = Recipient("s1", "Li", "13800000001", "li@example.edu", "en")
WANG = Recipient("s2", "Wang", "", "wang@example.edu", "zh-CN")
NOBODY = Recipient("s3", "Zhao")

SENT, LATER, REFUSED = (Outcome(answer, answer.value) for answer in Answer)


def local(text: str) -> datetime:
    """Return a local time, written 2026-03-04 10:00, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def notice(topic: str = "t1", *recipients: Recipient, **more: Any) -> Notice:
    """Return a notice of low balance."""
    values = {"building": "B1", "room": "101", "balance": "8.50", "days": 3}
    usual: dict[str, Any] = {
        "topic": topic, "template": "level-warn", "recipients": recipients or (LI,),
        "values": values, "account": "b1-101", "building": "B1",
    }  # fmt: skip
    return Notice(**(usual | more))


@dataclass
class Box:
    """A channel that keeps what it is given and answers what it is told to."""

    name: str
    kind: str = "email"
    is_group: bool = False
    answer: Outcome = SENT
    known: Outcome | None = None
    got: list[Message] = field(default_factory=list)
    before: Callable[[Message], None] = lambda _message: None

    def serves(self, building: str, template: str) -> bool:
        return True

    def address_of(self, to: Recipient) -> str:
        return str(getattr(to, self.kind))

    def send(self, message: Message) -> Outcome:
        self.before(message)
        self.got.append(message)
        return self.answer

    def was_sent(self, message: Message) -> Outcome | None:
        return self.known


class Station:
    """A notifier, its watcher and a clock that leaps, on a ledger file."""

    def __init__(self, folder: Path, *channels: Channel, **settings: Any) -> None:
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.clock = LeapClock(NOON)
        self.events: list[Event] = []
        self.channels = channels
        self.settings = MessageSettings.model_validate(settings)
        self.start()

    def start(self) -> None:
        self.ledger = SqlLedger(self.url, clock=self.clock)
        self.outbox = SqlOutbox(self.ledger)
        self.notifier = Notifier(
            self.outbox, self.channels, self.clock, SHANGHAI, self.events.append, self.settings
        )
        self.heart = Heartbeat(self.outbox, self.events.append, self.settings)

    def stop(self) -> None:
        self.notifier.stop()
        self.ledger.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def at(self, text: str) -> None:
        self.clock.leap((local(text) - self.clock.now()).total_seconds())

    def states(self) -> list[tuple[str, str, int]]:
        """Person, state and tries of every message, the oldest first."""
        rows = self.outbox.messages(limit=1000)[::-1]
        return [(one.person, one.state.value, one.tries) for one in rows]

    def send(self) -> tuple[int, int, int, int]:
        done = self.notifier.send_due()
        return done.sent, done.later, done.failed, done.held
