"""What holds a message back for now: quiet hours, a person's day, the site's minute."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.model import Message
from alerts.outbox import Hold, Outbox
from alerts.settings import MessageSettings

MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Plan:
    """What becomes of the messages that are due: ids to send, to end unsent, and to put off."""

    go: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)


class Limits:
    """Decides about messages that are due. Counts rest on the delivery log, not on memory."""

    def __init__(self, outbox: Outbox, settings: MessageSettings, zone: ZoneInfo) -> None:
        self._outbox, self._settings, self._zone = outbox, settings, zone

    def plan(self, due: Sequence[Message], now: datetime) -> Plan:
        """Return what to do now; what is above the minute's share just stays due."""
        plan = Plan()
        if not due:
            return plan
        today = _midnight(now, self._zone)
        people = sorted({one.person for one in due if one.person and not one.must})
        had = dict(self._outbox.tried_since(today, people))
        room = self._settings.per_minute - self._outbox.tries_since(now - MINUTE)
        quiet_until = self._settings.quiet.until(now, self._zone)
        for message in due:
            if message.expires_at is not None and message.expires_at <= now:
                plan.expired.append(message.id)
            elif quiet_until is not None and not message.urgent:
                plan.holds.append(Hold(message.id, quiet_until, "quiet hours"))
            elif self._is_enough(message, had):
                tomorrow = _midnight(now, self._zone, days=1)
                plan.holds.append(Hold(message.id, tomorrow, "enough messages for one day"))
            elif len(plan.go) < room:
                plan.go.append(message.id)
        return plan

    def _is_enough(self, message: Message, had: dict[str, int]) -> bool:
        """Count a message on its person's day; say whether the day is full. A retry counts as the
        message it was, and a last warning is never one too many."""
        if not message.person or message.must or message.tries > 0:
            return False
        if had.get(message.person, 0) >= self._settings.per_person_a_day:
            return True
        had[message.person] = had.get(message.person, 0) + 1
        return False


def _midnight(now: datetime, zone: ZoneInfo, days: int = 0) -> datetime:
    day = now.astimezone(zone).date() + timedelta(days=days)
    return datetime.combine(day, datetime.min.time(), tzinfo=zone).astimezone(now.tzinfo)
