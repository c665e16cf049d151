"""Money written to a prepaid meter: the purchase, what became of it, what the meter tells."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class PurchaseStatus(StrEnum):
    """How one attempt at a purchase ended.

    CONFIRMED: the meter itself counts it. REFUSED: the meter or its model does not take it, and
    nothing was added. WAITING: nothing was written (meter or bus away, busy); a later attempt may
    follow. EXPIRED: it was too late to begin. UNKNOWN: it may have been added; only a read-back
    may settle it, never another write.
    """

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    WAITING = "waiting"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One purchase for one meter, valid until `expires_at`, sealed against alteration.

    `count_before` and `remaining_before_minor` are what the meter showed when the purchase was
    made ready: after it the meter counts one more, and holds `amount_minor` more less what was used
    meanwhile, `use_most_minor` at the most. Whoever sends the same purchase again adds nothing:
    the count has moved on by then.
    """

    id: str
    meter: str
    amount_minor: int
    count_before: int
    remaining_before_minor: int
    use_most_minor: int
    requested_by: str
    issued_at: datetime
    expires_at: datetime
    seal: str = ""

    @property
    def sequence(self) -> int:
        """What the meter counts once it has taken the purchase."""
        return self.count_before + 1

    def fits(self, remaining_minor: int) -> bool:
        """Say whether a remaining amount is what this purchase leaves behind."""
        full_minor = self.remaining_before_minor + self.amount_minor
        return full_minor - self.use_most_minor <= remaining_minor <= full_minor

    def sealed(self, key: bytes) -> "Purchase":
        """Return the purchase with its seal, an HMAC-SHA256 over every other field."""
        return replace(self, seal=self._digest(key))

    def is_intact(self, key: bytes) -> bool:
        """Say whether the seal fits the content."""
        return hmac.compare_digest(self.seal, self._digest(key))

    def _digest(self, key: bytes) -> str:
        content = [
            "purchase", self.id, self.meter, self.amount_minor, self.count_before,
            self.remaining_before_minor, self.use_most_minor, self.requested_by,
            self.issued_at.isoformat(), self.expires_at.isoformat(),
        ]  # fmt: skip
        return hmac.new(key, json.dumps(content).encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class PurchaseReceipt:
    """What became of an attempt: status, reason in words, and what the meter showed last.

    `writes` counts purchases sent (0 or 1); `remaining_minor` and `count` are None where the meter
    could not be read; `proof` keeps what was seen on the wire.
    """

    purchase_id: str
    meter: str
    status: PurchaseStatus
    reason: str
    finished_at: datetime
    writes: int = 0
    remaining_minor: int | None = None
    count: int | None = None
    proof: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PrepaidReading:
    """What a prepaid meter told of itself; what it did not tell is None, and `note` says why.

    `writable` says whether purchases can be written to its model at all, `amount_most_minor` the
    largest one, `step_minor` what amounts must be a multiple of, `remaining_most_minor` what the
    meter can hold.
    """

    meter: str
    time: datetime
    remaining_minor: int | None = None
    count: int | None = None
    energy_wh: int | None = None
    writable: bool = False
    amount_most_minor: int | None = None
    remaining_most_minor: int | None = None
    step_minor: int = 1
    note: str = ""
