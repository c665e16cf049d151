"""Sends messages that may go now, a few at a time, each noted before and after."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from alerts.model import Answer, Channel, Message, MessageState, Outcome, Try
from alerts.outbox import Outbox
from alerts.settings import MessageSettings
from domain.clock import Clock

log = structlog.get_logger("alerts")


class Sender:
    """Tries messages on a pool of threads.

    Each try is written down before the provider hears of it and again with its answer, by the
    thread that makes it: so a kill leaves no more messages uncertain than there are threads.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        clock: Clock,
        settings: MessageSettings,
    ) -> None:
        self._outbox, self._channels = outbox, channels
        self._clock, self._settings = clock, settings
        self._pool = ThreadPoolExecutor(settings.at_once, thread_name_prefix="messages")
        self._under_way: dict[str, Message] = {}
        self._guard = threading.Lock()

    def send(self, messages: Sequence[str], now: datetime) -> list[Message]:
        """Try messages; return those that were, as they stand now. Raises StoreUnavailable."""
        jobs: dict[Future[Message | None], str] = {
            self._pool.submit(self._try, one, now): one for one in messages
        }
        done, late = wait_for(jobs, timeout=self._settings.send_within_s)
        results = [message for job in done if (message := job.result()) is not None]
        # Those that had no thread yet just stay due; of the others nobody knows.
        stuck = [jobs[job] for job in late if not job.cancel()]
        if stuck:
            log.warning("channels did not answer in time", messages=len(stuck))
        return results + [message for one in stuck if (message := self._give_up(one, now))]

    def close(self) -> None:
        """Take no more; what is being sent is left to itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _try(self, message_id: str, now: datetime) -> Message | None:
        begun = self._outbox.begin([message_id], now)
        if not begun:
            return None  # withdrawn in the meantime
        (message,) = begun
        with self._guard:
            self._under_way[message_id] = message
        try:
            return self._finish(message, self._ask(message), now)
        finally:
            with self._guard:
                self._under_way.pop(message_id, None)

    def _give_up(self, message_id: str, now: datetime) -> Message | None:
        with self._guard:
            message = self._under_way.get(message_id)
        if message is None:
            return None
        # It may still arrive: the next try asks the provider first, where it can tell.
        return self._finish(message, Outcome(Answer.LATER, "no answer in time", "", True), now)

    def _finish(self, message: Message, outcome: Outcome, started: datetime) -> Message:
        ended = self._clock.now()
        after = self._after(message, outcome, ended)
        self._outbox.finish(after, Try(message.id, message.tries, started, ended, outcome))
        return after

    def _ask(self, message: Message) -> Outcome:
        channel = self._channels.get(message.channel)
        if channel is None:
            return Outcome(Answer.REFUSED, f"there is no channel {message.channel!r} any more")
        try:
            if message.uncertain:
                known = channel.was_sent(message)
                if known is not None and known.answer is Answer.SENT:
                    return known
            return channel.send(message)
        except Exception as error:
            # A bug in a channel costs this message a try, and not the others their thread.
            log.exception("a channel failed", channel=message.channel)
            return Outcome(Answer.LATER, f"{type(error).__name__}: {error}")

    def _after(self, message: Message, outcome: Outcome, now: datetime) -> Message:
        """Return a message as it stands after a try."""
        known = replace(
            message,
            error=outcome.detail,
            provider_ref=outcome.provider_ref or message.provider_ref,
            uncertain=message.uncertain or outcome.uncertain,
        )
        if outcome.answer is Answer.SENT:
            return replace(known, state=MessageState.SENT, ended_at=now, error="", uncertain=False)
        if outcome.answer is Answer.REFUSED or message.tries >= self._settings.tries_most:
            return replace(known, state=MessageState.FAILED, ended_at=now)
        wait_s = self._settings.retry_after_s * 2.0 ** min(message.tries - 1, 30)
        due = now + timedelta(seconds=min(wait_s, self._settings.retry_after_most_s))
        return replace(known, state=MessageState.WAITING, due_at=due)
