"""Relay commands and their receipts: nothing counts as done until it is read back."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

# An order by somebody who lives in the room is recorded under his user's name after this word.
OCCUPANT = "occupant "


class Action(StrEnum):
    """What a command does to a relay. Close, keep power and release are three different things."""

    TRIP = "trip"
    CLOSE = "close"
    KEEP_POWER = "keep-power"
    RELEASE = "release"


class ReceiptStatus(StrEnum):
    """How a command ended; `confirmed` only by read-back."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


def by_occupant(who: str) -> bool:
    """Say whether a name in the audit trail is that of somebody in his own room."""
    return who.startswith(OCCUPANT)


@dataclass(frozen=True, slots=True)
class Command:
    """An order to one meter's relay, valid until `expires_at`, sealed against alteration."""

    id: str
    meter: str
    action: Action
    reason: str
    requested_by: str
    issued_at: datetime
    expires_at: datetime
    cause_id: str | None = None
    seal: str = ""

    def sealed(self, key: bytes) -> "Command":
        """Return the command with its seal, an HMAC-SHA256 over every other field."""
        return replace(self, seal=self._digest(key))

    def is_intact(self, key: bytes) -> bool:
        """Say whether the seal fits the content."""
        return hmac.compare_digest(self.seal, self._digest(key))

    def _digest(self, key: bytes) -> str:
        content = [
            self.id, self.meter, self.action.value, self.reason, self.requested_by,
            self.issued_at.isoformat(), self.expires_at.isoformat(), self.cause_id,
        ]  # fmt: skip
        return hmac.new(key, json.dumps(content).encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a command: its status, the relay as read back (None = could not be told),
    when, after how many writes, and what was seen on the wire."""

    command_id: str
    meter: str
    action: Action
    status: ReceiptStatus
    reason: str
    relay_closed: bool | None
    finished_at: datetime
    writes: int = 0
    proof: Mapping[str, Any] = field(default_factory=dict)
