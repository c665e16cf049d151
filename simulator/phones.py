"""The phones of the demonstration: a channel whose messages arrive and are counted."""

import threading
from collections import Counter

from alerts.model import Answer, Message, Outcome
from domain.messages import Recipient


class Phones:
    """Takes every message to somebody with a phone number; see alerts.model.Channel."""

    name = "phones"
    is_group = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self.arrived: Counter[str] = Counter()

    def serves(self, building: str, template: str) -> bool:
        """Serve every building and every text."""
        return True

    def address_of(self, to: Recipient) -> str:
        """Return the phone number, which may be missing."""
        return to.phone

    def send(self, message: Message) -> Outcome:
        """Take a message; the same one again is known."""
        with self._lock:
            if message.id not in self._seen:
                self._seen.add(message.id)
                self.arrived[message.template] += 1
        return Outcome(Answer.SENT, provider_ref=message.id)

    def was_sent(self, message: Message) -> Outcome | None:
        """Say whether a message arrived."""
        with self._lock:
            return Outcome(Answer.SENT if message.id in self._seen else Answer.LATER)
