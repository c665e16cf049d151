"""Codes for a new password, sent to the person alone: never to a group that reads along."""

from collections.abc import Sequence
from datetime import timedelta

from alerts.model import Channel
from alerts.notifier import Notifier
from api.identity.codes import SendCode
from billing.model import Directory
from domain.clock import Clock
from domain.messages import Notice, Recipient

TEMPLATE = "sign-in-code"


def code_sender(
    notifier: Notifier, channels: Sequence[Channel], directory: Directory, clock: Clock
) -> SendCode | None:
    """Return what queues a code for a person, None where no channel reaches a single person."""
    personal = [one for one in channels if not one.is_group and one.serves("", TEMPLATE)]
    if not personal:
        return None

    def send(person_id: str, code: str, for_s: int) -> None:
        person = directory.person(person_id)
        if person is None:
            return
        to = Recipient(person.id, person.name, person.phone, person.email, person.language)
        now = clock.now()
        notice = Notice(
            topic=f"{TEMPLATE}|{now.isoformat()}",
            template=TEMPLATE,
            recipients=(to,),
            values={"code": code, "minutes": max(1, for_s // 60)},
            must=True,
            urgent=True,
            expires_at=now + timedelta(seconds=for_s),
        )
        for channel in personal:
            if channel.address_of(to):
                notifier.tell([notice], channel.name)

    return send
