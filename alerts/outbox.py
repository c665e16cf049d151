"""The port of the durable queue of messages and its delivery log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerts.model import Message, MessageState, Try


@dataclass(frozen=True, slots=True)
class Depth:
    """How the queue stands: how many wait, and since when the oldest that is due has been due."""

    waiting: int
    due: int
    oldest_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Preference:
    """The channels a person does not want messages by."""

    person: str
    muted: tuple[str, ...] = ()
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A message that is not tried now: until when, and why."""

    message: str
    until: datetime
    why: str


class Outbox(Protocol):
    """Keeps messages. Calls block until durable; they raise StoreUnavailable.

    `add` ignores keys it has already and returns how many were new. `withdraw` ends those of some
    topics that still wait. `due` lists what waits and is due, urgent ones first, then the oldest.
    `begin` notes that a try begins and returns those that still waited; `finish` notes what came
    of a try, with the new state. A try that was given up may still end well: then the message is
    sent, unless it has ended already. `recover` puts back, as uncertain, what was being sent when
    the last program ended. Lists come newest first.
    """

    def add(self, messages: Sequence[Message]) -> int: ...

    def withdraw(self, topics: Sequence[str], now: datetime) -> int: ...

    def due(self, now: datetime, limit: int) -> Sequence[Message]: ...

    def hold(self, holds: Sequence[Hold]) -> None: ...

    def end(self, messages: Sequence[str], state: MessageState, now: datetime) -> None: ...

    def begin(self, messages: Sequence[str], now: datetime) -> Sequence[Message]: ...

    def finish(self, message: Message, tried: Try) -> None: ...

    def recover(self) -> int: ...

    def tried_since(self, since: datetime, people: Sequence[str]) -> Mapping[str, int]: ...

    def tries_since(self, since: datetime) -> int: ...

    def depth(self, now: datetime) -> Depth: ...

    def beat(self, now: datetime) -> None: ...

    def last_beat(self) -> datetime | None: ...

    def preferences(self, people: Sequence[str]) -> Mapping[str, Preference]: ...

    def save_preference(self, preference: Preference) -> None: ...

    def message(self, message_id: str) -> tuple[Message, Sequence[Try]] | None: ...

    def messages(
        self,
        *,
        state: MessageState | None = None,
        person: str | None = None,
        account: str | None = None,
        channel: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> Sequence[Message]: ...
