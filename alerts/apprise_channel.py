"""Channels by apprise: e-mail, webhooks, WeChat Work, DingTalk, Feishu and many more."""

import logging
import threading
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import apprise

from alerts.model import Answer, Message, Outcome
from alerts.settings import AppriseSettings
from domain.messages import Recipient

LOGGER = "apprise"
DETAIL_MOST = 500
# apprise's own limits on connecting and on reading, in the URL: `cto` and `rto`.
LIMITS = "cto={limit:g}&rto={limit:g}"


class AppriseChannel:
    """Sends by one apprise URL, whose places are filled in for each message."""

    def __init__(self, name: str, settings: AppriseSettings) -> None:
        self._name, self._settings = name, settings
        self._url = settings.url.get_secret_value()

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._name

    @property
    def is_group(self) -> bool:
        """Say whether it posts to a group."""
        return self._settings.is_group

    def serves(self, building: str, template: str) -> bool:
        """Say whether it is for a building; what is about no building goes everywhere."""
        mine = self._settings.buildings
        return not mine or not building or building in mine

    def address_of(self, to: Recipient) -> str:
        """Return how the URL names somebody, empty where something of it is not known."""
        known = {"{email}": to.email, "{phone}": to.phone, "{person}": to.person}
        wanted = [value for place, value in known.items() if place in self._url]
        return " ".join(wanted) if wanted and all(wanted) else ""

    def was_sent(self, message: Message) -> Outcome | None:
        """None: none of these services says what it has been given."""
        return None

    def send(self, message: Message) -> Outcome:
        """Send one message and return what became of it, with apprise's words if it failed."""
        url = self._filled(message)
        # On this thread, so that what it logs can be told apart; the notifier has its own pool.
        service = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))
        with _Words() as words:
            if not service.add(url):
                return Outcome(Answer.REFUSED, "apprise does not understand this URL")
            files = [file for file in message.attachments if Path(file).is_file()]
            if len(files) < len(message.attachments):
                return Outcome(Answer.REFUSED, "a file to be sent along is not there any more")
            done = service.notify(body=message.body, title=message.title, attach=files or None)
        if done:
            return Outcome(Answer.SENT)
        return Outcome(Answer.LATER, _without_secrets(words.text() or "not delivered", url))

    def _filled(self, message: Message) -> str:
        wanted = [place for place in ("{email}", "{phone}", "{person}") if place in self._url]
        # The address was written down in this order when the message was made.
        values = dict(zip(wanted, message.address.split(" "), strict=False))
        values["{message}"] = message.id
        url = self._url
        for place, value in values.items():
            url = url.replace(place, quote(value, safe=""))
        limits = LIMITS.format(limit=self._settings.timeout_s)
        return f"{url}{'&' if '?' in url else '?'}{limits}"


class _Words(logging.Handler):
    """Collects what apprise logs on this thread: it answers no more than yes or no."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._own = threading.get_ident()
        self._lines: list[str] = []

    def __enter__(self) -> "_Words":
        logging.getLogger(LOGGER).addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(LOGGER).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of our own thread."""
        if record.thread == self._own:
            self._lines.append(record.getMessage())

    def text(self) -> str:
        """Return what was said, in one line."""
        return " | ".join(self._lines)[:DETAIL_MOST]


def _without_secrets(words: str, url: str) -> str:
    """Take out what the URL must not give away: a password, a token in its path."""
    parts = urlsplit(url)
    secrets = [parts.password or "", *parts.path.split("/")]
    if parts.scheme.lower() not in ("json", "jsons", "mailto", "mailtos"):
        secrets.append(parts.hostname or "")
    for secret in sorted({one for raw in secrets for one in (raw, unquote(raw))}, key=len)[::-1]:
        if len(secret) >= 4:
            words = words.replace(secret, "***")
    return words
