"""The blast radius: how many relays may be moved in a minute, and who may let more of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from domain.commands import Action
from domain.errors import CommandRefused, UnknownSubject

WINDOW_S = 60.0
APPROVALS_KEPT = 200
SUPERVISOR = "supervisor"


class Window:
    """A sliding minute of efforts; an effort that is tried again keeps its one place."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def has_room(self, key: str, limit: int, at_s: float) -> bool:
        """Say whether one more effort (or this one again) may go now; `at_s` is monotonic."""
        self._forget(at_s)
        return key in self._last or len(self._last) < limit

    def take(self, key: str, at_s: float) -> None:
        """Count an effort at this time."""
        self._last.pop(key, None)
        self._last[key] = at_s

    def next_room_s(self, limit: int, at_s: float) -> float:
        """Return the monotonic time at which there is room again, if nothing else is counted."""
        self._forget(at_s)
        if len(self._last) < limit:
            return at_s
        times = list(self._last.values())
        return times[len(times) - limit] + WINDOW_S

    def count(self, at_s: float) -> int:
        """Return the efforts of the last minute."""
        self._forget(at_s)
        return len(self._last)

    def _forget(self, at_s: float) -> None:
        # Entries are in order of time: `take` moves a renewed one to the end.
        while self._last:
            key, last = next(iter(self._last.items()))
            if at_s - last < WINDOW_S:
                return
            del self._last[key]


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a second person: may these relays be moved although it is more than the limit?

    `asked_by` is the supervisor for automatic trips, else the operator who wants it.
    """

    id: str
    action: Action
    meters: tuple[str, ...]
    asked_by: str
    reason: str
    asked_at: datetime
    expires_at: datetime
    until: datetime | None = None
    granted_by: str | None = None
    granted_at: datetime | None = None

    @property
    def is_automatic(self) -> bool:
        """True where no person has asked."""
        return self.asked_by == SUPERVISOR

    def as_details(self, state: str) -> dict[str, Any]:
        """Return the approval as an event's details; `state` is asked, joined, granted, expired."""
        return {
            "approval": self.id,
            "state": state,
            "action": self.action.value,
            "meters": list(self.meters),
            "asked_by": self.asked_by,
            "reason": self.reason,
            "asked_at": self.asked_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "granted_by": self.granted_by,
        }

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> "Approval":
        """Read back what `as_details` gave."""
        until = details.get("until")
        return cls(
            id=details["approval"],
            action=Action(details["action"]),
            meters=tuple(details["meters"]),
            asked_by=details["asked_by"],
            reason=details["reason"],
            asked_at=datetime.fromisoformat(details["asked_at"]),
            expires_at=datetime.fromisoformat(details["expires_at"]),
            until=datetime.fromisoformat(until) if until else None,
        )


def is_same_person(one: str, other: str) -> bool:
    """Say whether two names mean one person, whatever their case and blanks."""
    return one.strip().casefold() == other.strip().casefold()


@dataclass(slots=True)
class Approvals:
    """The open questions and what was granted; the newest APPROVALS_KEPT are remembered."""

    pending: dict[str, Approval] = field(default_factory=dict)
    done: dict[str, Approval] = field(default_factory=dict)
    # Meter -> who allowed its automatic trip above the limit.
    allowed: dict[str, str] = field(default_factory=dict)

    def automatic(self) -> Approval | None:
        """Return the open question about automatic trips, if there is one."""
        return next((a for a in self.pending.values() if a.is_automatic), None)

    def waits(self, meter: str) -> bool:
        """Say whether a meter's automatic trip waits for an answer."""
        batch = self.automatic()
        return batch is not None and meter in batch.meters

    def ask(self, approval: Approval) -> None:
        """Put a question, or more meters into one that is open."""
        self.pending[approval.id] = approval

    def join(self, meter: str) -> Approval | None:
        """Add a meter to the open question about automatic trips; None where there is none."""
        batch = self.automatic()
        if batch is None or meter in batch.meters:
            return batch
        self.pending[batch.id] = replace(batch, meters=(*batch.meters, meter))
        return self.pending[batch.id]

    def leave(self, meter: str) -> None:
        """Take a meter out: its trip is no longer wanted, or is done."""
        self.allowed.pop(meter, None)
        batch = self.automatic()
        if batch is not None and meter in batch.meters:
            left = tuple(other for other in batch.meters if other != meter)
            self.pending[batch.id] = replace(batch, meters=left)

    def check(self, approval_id: str, who: str, now: datetime) -> Approval:
        """Return the question as granted by `who`; nothing is changed yet.

        Raises UnknownSubject, and CommandRefused where it has expired, was answered by another, or
        the same person both asks and answers.
        """
        if not who.strip() or is_same_person(who, SUPERVISOR):
            raise CommandRefused("an approval needs the name of a person")
        answered = self.done.get(approval_id)
        if answered is not None and answered.granted_by is not None:
            if is_same_person(answered.granted_by, who):
                return answered
            raise CommandRefused(f"approval {approval_id} was given by {answered.granted_by}")
        if answered is not None:
            raise CommandRefused(f"approval {approval_id} has expired")
        approval = self.pending.get(approval_id)
        if approval is None:
            raise UnknownSubject(f"no approval {approval_id!r} is asked for")
        if now >= approval.expires_at:
            raise CommandRefused(f"approval {approval_id} has expired")
        if is_same_person(approval.asked_by, who):
            raise CommandRefused("the person who asks can't be the one who approves")
        return replace(approval, granted_by=who, granted_at=now)

    def grant(self, approval: Approval) -> None:
        """Take an answer: the automatic trips it is about may go."""
        self._finish(approval)
        if approval.is_automatic and approval.granted_by is not None:
            self.allowed |= dict.fromkeys(approval.meters, approval.granted_by)

    def expired(self, now: datetime) -> list[Approval]:
        """Return open questions that nobody answered in time."""
        return [a for a in self.pending.values() if now >= a.expires_at]

    def expire(self, approval: Approval) -> None:
        """End a question without an answer."""
        self._finish(approval)

    def _finish(self, approval: Approval) -> None:
        self.pending.pop(approval.id, None)
        self.done[approval.id] = approval
        while len(self.done) > APPROVALS_KEPT:
            del self.done[next(iter(self.done))]


def expiry(now: datetime, after_s: float) -> datetime:
    """Return the time so many seconds from now."""
    return now + timedelta(seconds=after_s)
