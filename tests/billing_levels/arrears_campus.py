"""A small campus to keep arrears in: rooms with people, balances that tests set, a real outbox."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from alerts.model import Answer, Message, Outcome
from alerts.notifier import Notifier
from alerts.settings import MessageSettings, QuietHours
from billing.arrears import ArrearsKeeper
from billing.levels import LevelPolicy
from billing.model import Account, Occupancy, Person, RegisterSpan
from domain.causes import Verdict
from domain.clock import LeapClock
from domain.events import Event
from domain.messages import Recipient
from domain.money import MICRO
from domain.site import RoomKind
from storage.books.levels import SqlLevels
from storage.books.messages import SqlOutbox
from storage.ledger.sql_ledger import SqlLedger

SHANGHAI = ZoneInfo("Asia/Shanghai")
# Wednesday, 4 March 2026, 10:00 in Shanghai.
WEDNESDAY = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60


def local(text: str) -> datetime:
    """Return a local time, written 2026-03-04 10:00, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


class Rooms:
    """A directory in memory: room a has two occupants and meter m0, room b one and meter m1."""

    def __init__(self) -> None:
        self.people_of = {
            "b1-101": [
                Person("s1", "Li", "13800000001", "li@example.edu", "en"),
                Person("s2", "Wang", "13800000002", "", "zh-CN"),
            ],
            "b1-102": [Person("s3", "Zhao", "", "zhao@example.edu", "zh-CN")],
            "b1-103": [],
        }
        self.rows = {
            name: Account(name, "B1", name[3:], RoomKind.DORM, "flat") for name in self.people_of
        }
        opened = WEDNESDAY - timedelta(days=100)
        self.spans = {
            name: [RegisterSpan(f"m{n}", name, opened, 0)] for n, name in enumerate(self.rows)
        }

    def change(self, name: str, **more: Any) -> None:
        self.rows[name] = replace(self.rows[name], **more)

    def account(self, account_id: str) -> Account | None:
        return self.rows.get(account_id)

    def accounts(self, *, open_only: bool = True) -> Sequence[Account]:
        return [one for one in self.rows.values() if not (open_only and one.closed_at)]

    def account_of_room(self, building: str, room: str) -> Account | None:
        found = (one for one in self.accounts() if (one.building, one.room) == (building, room))
        return next(found, None)

    def account_of_meter(self, meter: str, at: datetime | None = None) -> Account | None:
        for spans in self.spans.values():
            for span in spans:
                if span.meter == meter and span.until is None:
                    return self.rows[span.account]
        return None

    def registers(self, account_id: str) -> Sequence[RegisterSpan]:
        return self.spans.get(account_id, [])

    def registers_of_meter(self, meter: str) -> Sequence[RegisterSpan]:
        return [one for spans in self.spans.values() for one in spans if one.meter == meter]

    def person(self, person_id: str) -> Person | None:
        return next((one for one in self.people() if one.id == person_id), None)

    def people(self) -> Sequence[Person]:
        return [person for people in self.people_of.values() for person in people]

    def occupants(self, account_id: str, on: date | None = None) -> Sequence[Person]:
        return self.people_of.get(account_id, [])

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> Sequence[Occupancy]:
        return []


class Box:
    """A channel that keeps what it is given, or is out of order."""

    is_group = False

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        self.got: list[Message] = []
        self.answer = Outcome(Answer.SENT)

    def serves(self, building: str, template: str) -> bool:
        return True

    def address_of(self, to: Recipient) -> str:
        return str(getattr(to, self.kind))

    def send(self, message: Message) -> Outcome:
        self.got.append(message)
        return self.answer

    def was_sent(self, message: Message) -> Outcome | None:
        return None

    def told(self) -> list[tuple[str, str]]:
        """Who was told of which level, in the order of sending."""
        return [(message.person, message.template) for message in self.got]


class Campus:
    """The keeper of arrears and a notifier around a real ledger file."""

    def __init__(
        self, folder: Path, policy: LevelPolicy | None = None, clock: LeapClock | None = None
    ) -> None:
        self.file = folder / "ledger.db"
        self.clock = clock or LeapClock(WEDNESDAY)
        self.rooms = Rooms()
        self.balances: dict[str, int | None] = dict.fromkeys(self.rooms.rows, 100 * MICRO)
        self.days: dict[str, float | None] = {}
        self.ages: dict[str, float | None] = {}
        self.kept: set[str] = set()
        self.events: list[Event] = []
        self.sms, self.mail = Box("sms", "phone"), Box("mail", "email")
        self.policy = policy or LevelPolicy()
        self.start()

    def start(self) -> None:
        self.ledger = SqlLedger(f"sqlite:///{self.file}", clock=self.clock)
        self.outbox = SqlOutbox(self.ledger)
        never = QuietHours(start="00:00", end="00:00")
        self.notifier = Notifier(
            self.outbox, [self.sms, self.mail], self.clock, SHANGHAI, self.events.append,
            MessageSettings(quiet=never, per_person_a_day=1000, per_minute=100_000),
        )  # fmt: skip
        self.keeper = ArrearsKeeper(
            self.balances.get, self.rooms, self.policy, SqlLevels(self.ledger), self.clock,
            SHANGHAI, lambda meter: self.ages.get(meter, 1.0), self.notifier.tell,
            withdraw=self.notifier.withdraw, days_left=self.days.get,
            kept=self.kept.__contains__, on_event=self.events.append,
        )  # fmt: skip

    def stop(self) -> None:
        self.notifier.stop()
        self.ledger.close()

    def restart(self) -> None:
        """End the program and start it again on the same file."""
        self.stop()
        self.start()

    def has(self, money: float | None, account: str = "b1-101") -> None:
        """Set what is left of an account, in currency units."""
        self.balances[account] = None if money is None else round(money * MICRO)

    def check(self, *accounts: str) -> dict[str, bool | None]:
        """Let the keeper look, and send what is due; return its word on each meter."""
        verdicts = self.keeper.check(accounts or None)
        self.notifier.send_due()
        return {verdict.meter: verdict.violated for verdict in verdicts}

    def verdicts(self) -> list[Verdict]:
        return self.keeper.check(None)

    def at(self, text: str) -> None:
        """Leap to a local time."""
        self.clock.leap((local(text) - self.clock.now()).total_seconds())
