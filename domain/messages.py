"""Messages to people: who is told what, before anybody has decided by which channel."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody to be told: where he can be reached, and the language he reads."""

    person: str
    name: str
    phone: str = ""
    email: str = ""
    language: str = "zh-CN"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people shall be told once.

    `topic` names the occasion: with the person and the channel it is the key under which a message
    is sent once, however often the notice comes. `template` is a key of the catalogue
    (`message.<template>.title` and `.body`), filled with `values` (words and numbers, JSON-able).
    `must`: neither an opt-out nor the daily limit holds it back. `urgent`: nor do quiet hours.
    After `expires_at` it is of no use any more and is dropped unsent. `attachments` are files.
    """

    topic: str
    template: str
    recipients: tuple[Recipient, ...]
    values: Mapping[str, Any] = field(default_factory=dict)
    account: str = ""
    building: str = ""
    must: bool = False
    urgent: bool = False
    expires_at: datetime | None = None
    attachments: tuple[str, ...] = ()
