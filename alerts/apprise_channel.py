"""Channels by apprise: e-mail, webhooks, WeChat Work, DingTalk, Feishu and many more."""

import logging
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import apprise

from alerts.model import Answer, Message, Outcome
from alerts.settings import AppriseSettings
from domain.messages import Recipient

DETAIL_MOST = 500
TELLING = frozenset({"WARNING", "ERROR", "CRITICAL"})
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
        # No part may hold a space, for spaces are between them.
        return " ".join("".join(one.split()) for one in wanted) if all(wanted) else ""

    def was_sent(self, message: Message) -> Outcome | None:
        """None: none of these services says what it has been given."""
        return None

    def send(self, message: Message) -> Outcome:
        """Send one message and return what became of it, with apprise's words if it failed."""
        url = self._filled(message)
        # A second more than connecting and reading may take, so that those say what was wrong.
        limit_s = 2 * self._settings.timeout_s + 1
        service = apprise.Apprise(
            asset=apprise.AppriseAsset(async_mode=False, service_timeout=limit_s)
        )
        if not service.add(url):
            return Outcome(Answer.REFUSED, "apprise does not understand this URL")
        files = [file for file in message.attachments if Path(file).is_file()]
        if len(files) < len(message.attachments):
            return Outcome(Answer.REFUSED, "a file to be sent along is not there any more")
        with service.notify(
            body=message.body, title=message.title, attach=files or None, log_level=logging.DEBUG
        ) as done:
            if done:
                return Outcome(Answer.SENT)
            words = _without_secrets(_words(done), url) or "not delivered"
            return Outcome(Answer.LATER, words[:DETAIL_MOST], uncertain=done.timeout_count > 0)

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


def _words(done: apprise.AppriseResult) -> str:
    """Return what apprise logged as going wrong; the server's own words are in its debug lines."""
    return " | ".join(
        entry.message
        for result in done.results
        for entry in result.logs()
        if entry.level in TELLING or "xception" in entry.message
    )


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
