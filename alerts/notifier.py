"""The notifier: takes notices into a durable queue and sends them, so that none is lost."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from alerts.expand import expand
from alerts.limits import Limits
from alerts.model import Channel, Message, MessageState
from alerts.outbox import Outbox
from alerts.sending import Sender
from alerts.settings import MessageSettings
from domain.clock import Clock
from domain.errors import StoreUnavailable, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.messages import Notice

# So often the queue is looked at even when nobody says that something is new.
LOOK_EVERY_S = 1.0
BATCH = 200
STOP_WITHIN_S = 30.0

log = structlog.get_logger("alerts")


@dataclass(frozen=True, slots=True)
class Sent:
    """What one round did."""

    sent: int = 0
    later: int = 0
    failed: int = 0
    held: int = 0


class Notifier:
    """Queues messages durably and sends them by channels, with retries and limits.

    `tell` and `withdraw` may be called from any thread. `run` (on a thread of its own, see
    `start`) or `send_due` sends; only one of them at a time. A message may arrive twice only where
    the program ends between the provider's yes and the note of it: it is then sent again, with the
    same id, unless the provider can tell that it has it.
    Raises StoreUnavailable when it is made and the store can't be written.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Sequence[Channel],
        clock: Clock,
        zone: ZoneInfo,
        on_event: Callable[[Event], None],
        settings: MessageSettings | None = None,
    ) -> None:
        self.settings = settings or MessageSettings()
        self.outbox = outbox
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}
        self._clock, self._on_event = clock, on_event
        self._limits = Limits(outbox, self.settings, zone)
        self._sender = Sender(outbox, self._channels, clock, self.settings)
        self._beat_at: datetime | None = None
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        outbox.recover()

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels."""
        return tuple(self._channels)

    def tell(self, notices: Sequence[Notice], channel: str | None = None) -> int:
        """Queue the messages of notices; return how many were new. They are durable then.

        By all channels, or by one. Raises StoreUnavailable when the store is down or the queue
        full (nothing is queued then), UnknownSubject for a channel that is not there.
        """
        if channel is not None and channel not in self._channels:
            raise UnknownSubject(f"no channel {channel!r}; there are {', '.join(self._channels)}")
        now = self._clock.now()
        people = sorted({to.person for notice in notices for to in notice.recipients})
        preferences = self.outbox.preferences(people)
        channels = [one for name, one in self._channels.items() if channel in (None, name)]
        messages = [
            message for notice in notices for message in expand(notice, channels, preferences, now)
        ]
        if not messages:
            return 0
        waiting = self.outbox.depth(now).waiting
        if waiting + len(messages) > self.settings.queue_most:
            raise StoreUnavailable(f"{waiting} messages wait to be sent already")
        added = self.outbox.add(messages)
        for message in messages if added else ():
            if message.state is MessageState.FAILED:
                self._tell_failed(message, Severity.WARNING)
        self._wake.set()
        return added

    def withdraw(self, topics: Sequence[str]) -> int:
        """Take back what was not sent yet; return how many messages. Raises StoreUnavailable."""
        return self.outbox.withdraw(topics, self._clock.now())

    def start(self) -> None:
        """Send on a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self.run, name="notifier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; what is being sent is waited for, within bounds."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(STOP_WITHIN_S)
        self._sender.close()

    def run(self) -> None:
        """Send what is due, again and again, until stopped; a store that is down is waited for."""
        while not self._stop.is_set():
            self._wake.clear()
            try:
                done = self.send_due()
                busy = done.sent + done.later + done.failed > 0
            except StoreUnavailable as error:
                busy = False
                log.warning("the outbox is not available", reason=str(error))
            except Exception:
                # A bug about one message must not end the sending of all others; what stays due
                # for long is the watcher's alarm.
                log.exception("the notifier failed")
                busy = False
            if not busy:
                self._wake.wait(LOOK_EVERY_S)

    def send_due(self, now: datetime | None = None) -> Sent:
        """Send what is due and may go now; wait for its end. Raises StoreUnavailable."""
        now = now or self._clock.now()
        self._beat(now)
        plan = self._limits.plan(self.outbox.due(now, BATCH), now)
        if plan.expired:
            self.outbox.end(plan.expired, MessageState.EXPIRED, now)
        if plan.holds:
            self.outbox.hold(plan.holds)
        if not plan.go:
            return Sent(held=len(plan.holds))
        results = self._sender.send(plan.go, now)
        for message in results:
            if message.state is MessageState.FAILED:
                self._tell_failed(message, Severity.ALARM)
        states = [message.state for message in results]
        return Sent(
            states.count(MessageState.SENT),
            states.count(MessageState.WAITING),
            states.count(MessageState.FAILED),
            len(plan.holds),
        )

    def _beat(self, now: datetime) -> None:
        beat_s = self.settings.beat_every_s
        if self._beat_at is None or not 0 <= (now - self._beat_at).total_seconds() < beat_s:
            self.outbox.beat(now)
            self._beat_at = now

    def _tell_failed(self, message: Message, severity: Severity) -> None:
        self._on_event(
            Event(
                self._clock.now(),
                EventKind.MESSAGE_FAILED,
                message.person or message.channel,
                f"a message could not be delivered: {message.error}",
                severity,
                group=f"messages:{message.channel or 'no-address'}",
                details={
                    "message": message.id,
                    "channel": message.channel,
                    "account": message.account,
                    "template": message.template,
                    "tries": message.tries,
                },
            )
        )
