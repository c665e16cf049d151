"""From a notice to messages: one for each person and channel, in the person's language."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from alerts.model import Channel, Message, MessageState
from alerts.outbox import Preference
from domain.catalogue.language import LANGUAGES, Language
from domain.messages import Notice, Recipient
from domain.texts import text

GROUP_LANGUAGE: Language = "zh-CN"
NO_ADDRESS = "no channel has an address of this person"


def expand(
    notice: Notice,
    channels: Sequence[Channel],
    preferences: Mapping[str, Preference],
    now: datetime,
) -> list[Message]:
    """Return the messages of a notice; the same notice gives the same keys and ids again.

    Somebody whom no channel reaches gets a message that has failed already: the log shows it.
    """
    serving = [one for one in channels if one.serves(notice.building, notice.template)]
    groups = [one for one in serving if one.is_group]
    personal = [one for one in serving if not one.is_group]
    messages = [_message(notice, one.name, now) for one in groups]
    for to in notice.recipients:
        reached = {one.name: address for one in personal if (address := one.address_of(to))}
        preference = preferences.get(to.person)
        muted = preference.muted if preference is not None and not notice.must else ()
        messages += [
            _message(notice, name, now, to, address)
            for name, address in reached.items()
            if name not in muted
        ]
        if not reached and not groups:
            messages.append(_unreachable(_message(notice, "", now, to), now))
    return messages


def language_of(to: Recipient) -> Language:
    """Return the language of the catalogue a person reads."""
    return next((one for one in LANGUAGES if one == to.language), GROUP_LANGUAGE)


def message_id(key: str) -> str:
    """Return the id of the message of a key: providers that know it once take it once."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _message(
    notice: Notice, channel: str, now: datetime, to: Recipient | None = None, address: str = ""
) -> Message:
    person = to.person if to is not None else ""
    language = language_of(to) if to is not None else GROUP_LANGUAGE
    key = "|".join((notice.topic, person, channel))
    title = text(f"message.{notice.template}.title", language, **notice.values)
    body = text(f"message.{notice.template}.body", language, **notice.values)
    return Message(
        id=message_id(key),
        key=key,
        topic=notice.topic,
        channel=channel,
        address=address,
        template=notice.template,
        title=title,
        body=body,
        created_at=now,
        due_at=now,
        person=person,
        account=notice.account,
        building=notice.building,
        language=language,
        values=dict(notice.values),
        must=notice.must,
        urgent=notice.urgent,
        attachments=notice.attachments,
        expires_at=notice.expires_at,
    )


def _unreachable(message: Message, now: datetime) -> Message:
    return replace(
        message, state=MessageState.FAILED, first_tried_at=now, ended_at=now, error=NO_ADDRESS
    )
