"""A program that queues and sends messages until it is killed: `message_sender.py FILE HOST ROUND`.

It prints a topic once that topic's message is durable.
"""

import http.client
import sys
from zoneinfo import ZoneInfo

from alerts.model import Answer, Message, Outcome
from alerts.notifier import Notifier
from alerts.settings import MessageSettings
from domain.clock import SystemClock
from domain.messages import Notice, Recipient
from storage.books.messages import SqlOutbox
from storage.ledger.sql_ledger import SqlLedger

MOST = 10_000
NEVER = {"start": "00:00", "end": "00:00"}


class Hook:
    """A web hook; apprise would take seconds to load in every round."""

    name, is_group = "hook", False

    def __init__(self, host: str) -> None:
        self._host = host

    def serves(self, building: str, template: str) -> bool:
        return True

    def address_of(self, to: Recipient) -> str:
        return to.person

    def was_sent(self, message: Message) -> Outcome | None:
        return None

    def send(self, message: Message) -> Outcome:
        try:
            link = http.client.HTTPConnection(self._host, timeout=5)
            link.request("POST", f"/{message.address}", b"{}", {"Idempotency-Key": message.id})
            link.getresponse().read()
            link.close()
        except OSError as error:
            return Outcome(Answer.LATER, str(error), uncertain=True)
        return Outcome(Answer.SENT)


def main() -> None:
    file, host, name = sys.argv[1:]
    settings = MessageSettings.model_validate(
        {
            "quiet": NEVER,
            "per_minute": 100_000,
            "per_person_a_day": 1000,
        }
    )
    clock = SystemClock()
    outbox = SqlOutbox(SqlLedger(f"sqlite:///{file}", clock=clock))
    zone = ZoneInfo("Asia/Shanghai")
    notifier = Notifier(outbox, [Hook(host)], clock, zone, lambda _event: None, settings)
    notifier.start()
    for number in range(MOST):
        topic = f"{name}-{number}"
        person = Recipient(topic, "Li", email="li@example.edu")
        notifier.tell([Notice(topic, "test", (person,), {"channel": topic})])
        sys.stdout.write(f"{topic}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
