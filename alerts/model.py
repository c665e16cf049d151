"""A message on its way: its states, what a channel is given and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from domain.messages import Recipient


class MessageState(StrEnum):
    """Where a message stands. It ends sent, failed, withdrawn (not true any more) or expired."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Message:
    """One text to one address by one channel. `key` makes it once; `id` names it at providers.

    `due_at` is when it may be tried next. `uncertain`: the program ended while it was being sent,
    so nobody knows whether it arrived. `error` is what the last try said.
    """

    id: str
    key: str
    topic: str
    channel: str
    address: str
    template: str
    title: str
    body: str
    created_at: datetime
    due_at: datetime
    person: str = ""
    account: str = ""
    building: str = ""
    language: str = "zh-CN"
    values: Mapping[str, Any] = field(default_factory=dict)
    must: bool = False
    urgent: bool = False
    attachments: tuple[str, ...] = ()
    expires_at: datetime | None = None
    state: MessageState = MessageState.WAITING
    tries: int = 0
    first_tried_at: datetime | None = None
    last_tried_at: datetime | None = None
    ended_at: datetime | None = None
    uncertain: bool = False
    provider_ref: str = ""
    error: str = ""


class Answer(StrEnum):
    """What a provider did with a message: took it, may take it later, will never take it."""

    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A provider's answer, its reason in words, and its own number for the message.

    `uncertain`: there was no answer, so it may have been taken all the same.
    """

    answer: Answer
    detail: str = ""
    provider_ref: str = ""
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Try:
    """One try to send a message, as the delivery log shows it."""

    message: str
    number: int
    started_at: datetime
    ended_at: datetime
    outcome: Outcome


class Channel(Protocol):
    """A way to reach people. `send` and `was_sent` block and never raise for a provider's faults.

    `is_group`: one message a notice is posted for all. `serves` says whether it is for a building
    and has a text of this template.
    `address_of` is empty where somebody can't be reached. `was_sent` asks the provider for a
    message of which nobody knows whether it was sent: SENT, LATER (it has it not), or None, it
    cannot tell.
    """

    @property
    def name(self) -> str: ...

    @property
    def is_group(self) -> bool: ...

    def serves(self, building: str, template: str) -> bool: ...

    def address_of(self, to: Recipient) -> str: ...

    def send(self, message: Message) -> Outcome: ...

    def was_sent(self, message: Message) -> Outcome | None: ...
