"""The watcher of the notifier: whoever runs it is not the notifier, so silence is noticed."""

from collections.abc import Callable
from datetime import datetime, timedelta

from alerts.outbox import Outbox
from alerts.settings import MessageSettings
from domain.errors import StoreUnavailable
from domain.events import Event, EventKind, Severity


class Heartbeat:
    """Raises an alarm when the notifier has not beaten, or its queue not moved, for too long.

    Call `check` from another thread than the notifier's, every minute or so. The alarm comes once,
    and again every `alarm_again_s` while it lasts; its end is told.
    """

    def __init__(
        self,
        outbox: Outbox,
        on_event: Callable[[Event], None],
        settings: MessageSettings | None = None,
    ) -> None:
        self._outbox, self._on_event = outbox, on_event
        self._settings = settings or MessageSettings()
        self._since: datetime | None = None
        self._alarmed_at: datetime | None = None
        self._first_check: datetime | None = None

    def check(self, now: datetime) -> str:
        """Look at the beat and the queue; return what is wrong, empty where nothing is."""
        self._first_check = self._first_check or now
        try:
            wrong = self._wrong(now)
        except StoreUnavailable as error:
            wrong = f"nobody can tell, the outbox can't be read: {error}"
        if wrong:
            self._alarm(wrong, now)
        elif self._since is not None:
            lasted_s = (now - self._since).total_seconds()
            self._since = self._alarmed_at = None
            self._tell(
                now, EventKind.MESSAGES_BACK, f"messages go out again after {lasted_s:.0f} s"
            )
        return wrong

    def _wrong(self, now: datetime) -> str:
        beat = self._outbox.last_beat()
        # Before the first check nobody watched: the notifier gets its time from then on.
        last = max(filter(None, (beat, self._first_check)), default=now)
        silent_s = (now - last).total_seconds()
        if silent_s > self._settings.dead_after_s:
            return f"the notifier has been silent for {silent_s:.0f} s"
        oldest = self._outbox.depth(now).oldest_due_at
        stalled = timedelta(seconds=self._settings.stalled_after_s)
        if oldest is None or now - max(oldest, self._first_check or now) <= stalled:
            return ""
        # A long queue that moves at the site's rate is no stall.
        if self._outbox.tries_since(now - stalled) == 0:
            return f"messages have been due since {oldest.isoformat()} and do not go out"
        return ""

    def _alarm(self, wrong: str, now: datetime) -> None:
        self._since = self._since or now
        again = timedelta(seconds=self._settings.alarm_again_s)
        if self._alarmed_at is not None and now - self._alarmed_at < again:
            return
        self._alarmed_at = now
        self._tell(now, EventKind.MESSAGES_STALLED, wrong, Severity.ALARM)

    def _tell(
        self, now: datetime, kind: EventKind, message: str, severity: Severity = Severity.INFO
    ) -> None:
        self._on_event(Event(now, kind, "messages", message, severity, group="messages"))
