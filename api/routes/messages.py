"""Messages to people: the delivery log for the office, one's own notices and wishes, levels."""

import uuid
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from alerts.model import Message, MessageState, Try
from alerts.notifier import Notifier
from alerts.outbox import Preference
from api.access import Who, needs, room_for
from api.context import Deps
from api.deps import ApiDeps
from api.params import CommandId, Limit, Moment
from billing.arrears_ports import LevelView
from billing.levels import Level
from billing.model import Account
from domain.errors import InvalidInput, UnknownSubject
from domain.faults import Fault
from domain.identity import Principal, Role
from domain.messages import Notice, Recipient
from domain.money import decimal_of

router = APIRouter(tags=["messages"])
OFFICE = Depends(needs(Role.OPERATOR, Role.FACILITIES))
# What these say is for one person alone; whoever reads the log could use it in his place.
SECRET_TEMPLATES = frozenset({"sign-in-code"})


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class MessageQuery(_Strict):
    """Which messages."""

    state: MessageState | None = None
    person: Annotated[str | None, Field(max_length=64)] = None
    account: Annotated[str | None, Field(max_length=64)] = None
    channel: Annotated[str | None, Field(max_length=40)] = None
    since: Moment | None = Field(None, description="only messages queued from then on")
    limit: Limit = 100


class OwnQuery(_Strict):
    """Which of one's own messages."""

    since: Moment | None = Field(None, description="only messages queued from then on")
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class TestBody(_Strict):
    """Who shall get a test, and by which channel (none: by all that reach him)."""

    person: Annotated[str, Field(min_length=1, max_length=64)]
    channel: Annotated[str | None, Field(max_length=40)] = None


class WishesBody(BaseModel):
    """Channels by which one does not want messages; the last warning comes all the same."""

    # A student's program may send more than is asked for: it is not looked at.
    model_config = ConfigDict(frozen=True, extra="ignore")

    muted: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=50)]


class NoticeAnswer(BaseModel):
    """A message as the person who got it sees it."""

    id: str
    channel: str
    template: str
    title: str
    body: str
    account: str
    state: MessageState
    created_at: datetime
    sent_at: datetime | None

    @classmethod
    def of(cls, message: Message) -> Self:
        """Tell a message to its own reader."""
        secret = message.template in SECRET_TEMPLATES
        return cls(
            id=message.id,
            channel=message.channel,
            template=message.template,
            title=message.title,
            body="" if secret else message.body,
            account=message.account,
            state=message.state,
            created_at=message.created_at,
            sent_at=message.ended_at if message.state is MessageState.SENT else None,
        )


class MessageAnswer(NoticeAnswer):
    """A message in the delivery log. `error` is what the last try said, `due_at` when it is tried
    next; `uncertain` says that nobody knows whether it arrived."""

    person: str
    address: str
    language: str
    must: bool
    urgent: bool
    due_at: datetime
    tries: int
    first_tried_at: datetime | None
    last_tried_at: datetime | None
    ended_at: datetime | None
    uncertain: bool
    provider_ref: str
    error: str

    @classmethod
    def of(cls, message: Message) -> Self:
        """Tell a message to the office."""
        more = {name: getattr(message, name) for name in cls.__annotations__}
        return cls(**NoticeAnswer.of(message).model_dump(), **more)


class TryAnswer(BaseModel):
    """One try to send a message."""

    number: int
    started_at: datetime
    ended_at: datetime
    answer: str
    detail: str
    provider_ref: str

    @classmethod
    def of(cls, tried: Try) -> Self:
        """Tell a try."""
        return cls(
            number=tried.number,
            started_at=tried.started_at,
            ended_at=tried.ended_at,
            answer=tried.outcome.answer.value,
            detail=tried.outcome.detail,
            provider_ref=tried.outcome.provider_ref,
        )


class MessageWithTries(MessageAnswer):
    """A message with every try, the oldest first."""

    log: list[TryAnswer]


class MessageList(BaseModel):
    """Messages, newest first."""

    count: int
    messages: list[MessageAnswer]


class NoticeList(BaseModel):
    """One's own messages, newest first."""

    count: int
    messages: list[NoticeAnswer]


class QueueAnswer(BaseModel):
    """How the queue stands and when the notifier last lived."""

    channels: list[str]
    waiting: int
    due: int
    oldest_due_at: datetime | None
    last_beat_at: datetime | None


class TestAnswer(BaseModel):
    """The messages of a test; how they fare stands in the log."""

    queued: int
    topic: str


class WishesAnswer(BaseModel):
    """The channels there are, and those one does not want."""

    channels: list[str]
    muted: list[str]
    updated_at: datetime | None


class LevelAnswer(BaseModel):
    """How a room stands; `level` and balance are null where the balance is not known.

    `cut_due_at` is when the power may be cut unless somebody pays, `cut_at` since when it is.
    `held_back` says why a room in arrears is not cut now.
    """

    account: str
    level: Level | None
    balance_micro: int | None
    balance: str | None
    credit_limit_micro: int
    days_left: float | None
    arrears_since: datetime | None
    cut_due_at: datetime | None
    cut_at: datetime | None
    held_back: str

    @classmethod
    def of(cls, view: LevelView) -> Self:
        """Tell a level."""
        micro = view.balance_micro
        return cls(
            account=view.account,
            level=view.level,
            balance_micro=micro,
            balance=None if micro is None else f"{decimal_of(micro):.2f}",
            credit_limit_micro=view.credit_limit_micro,
            days_left=view.days_left,
            arrears_since=view.arrears_since,
            cut_due_at=view.cut_due,
            cut_at=view.cut_at,
            held_back=view.held_back,
        )


@router.get("/messages", summary="The delivery log", dependencies=[OFFICE])
def list_messages(query: Annotated[MessageQuery, Query()], deps: Deps) -> MessageList:
    """Give messages, newest first."""
    found = _notifier(deps).outbox.messages(
        state=query.state,
        person=query.person,
        account=query.account,
        channel=query.channel,
        since=query.since,
        limit=query.limit,
    )
    return MessageList(count=len(found), messages=[MessageAnswer.of(one) for one in found])


@router.get("/messages/health", summary="How the queue stands", dependencies=[OFFICE])
def get_health(deps: Deps) -> QueueAnswer:
    """Give the queue's depth, its oldest message that is due, and the notifier's last beat."""
    notifier = _notifier(deps)
    depth = notifier.outbox.depth(deps.clock.now())
    return QueueAnswer(
        channels=list(notifier.channels),
        waiting=depth.waiting,
        due=depth.due,
        oldest_due_at=depth.oldest_due_at,
        last_beat_at=notifier.outbox.last_beat(),
    )


@router.post("/messages/test", summary="Send somebody a test", dependencies=[OFFICE])
def post_test(
    body: TestBody,
    deps: Deps,
    idempotency_key: Annotated[CommandId | None, Header()] = None,
) -> TestAnswer:
    """Queue a test message; it goes the way of all others. The same key sends it once."""
    person = deps.directory().person(body.person)
    if person is None:
        raise UnknownSubject(f"no person {body.person!r}")
    topic = f"test:{idempotency_key or uuid.uuid4().hex}"
    to = Recipient(person.id, person.name, person.phone, person.email, person.language)
    values = {"channel": body.channel or "*"}
    notice = Notice(topic, "test", (to,), values, must=True, urgent=True)
    return TestAnswer(queued=_notifier(deps).tell([notice], body.channel), topic=topic)


@router.get("/messages/{message_id}", summary="One message with its tries", dependencies=[OFFICE])
def get_message(message_id: str, deps: Deps) -> MessageWithTries:
    """Give one message and every try to send it."""
    found = _notifier(deps).outbox.message(message_id)
    if found is None:
        raise UnknownSubject(f"no message {message_id!r}")
    message, tries = found
    known = MessageAnswer.of(message).model_dump()
    return MessageWithTries(**known, log=[TryAnswer.of(one) for one in tries])


@router.get("/me/messages", summary="One's own messages")
def list_own(query: Annotated[OwnQuery, Query()], who: Who, deps: Deps) -> NoticeList:
    """Give the messages to whoever asks, newest first."""
    found = _notifier(deps).outbox.messages(
        person=_person(who), since=query.since, limit=query.limit
    )
    return NoticeList(count=len(found), messages=[NoticeAnswer.of(one) for one in found])


@router.get("/me/messages/wishes", summary="By which channels one wants messages")
def get_wishes(who: Who, deps: Deps) -> WishesAnswer:
    """Give the channels and those that are muted."""
    person, notifier = _person(who), _notifier(deps)
    known = notifier.outbox.preferences([person]).get(person, Preference(person))
    return _wishes(notifier, known)


@router.put("/me/messages/wishes", summary="Mute channels")
def put_wishes(body: WishesBody, who: Who, deps: Deps) -> WishesAnswer:
    """Mute channels for whoever asks; a last warning before a cut comes all the same."""
    person, notifier = _person(who), _notifier(deps)
    unknown = sorted(set(body.muted) - set(notifier.channels))
    if unknown:
        known = ", ".join(notifier.channels)
        raise InvalidInput(
            [Fault("body.muted", f"must be of {known}", channel) for channel in unknown]
        )
    wanted = Preference(person, tuple(sorted(set(body.muted))), deps.clock.now())
    notifier.outbox.save_preference(wanted)
    return _wishes(notifier, wanted)


@router.get("/rooms/{account_id}/level", summary="How a room stands")
def get_level(
    account: Annotated[Account, Depends(room_for(Role.OPERATOR, Role.FINANCE, Role.FACILITIES))],
    deps: Deps,
) -> LevelAnswer:
    """Give the low-balance level, the forecast, and when the power may be cut."""
    keeper = deps.money().arrears
    if keeper is None:
        raise UnknownSubject("this station keeps no low-balance levels")
    view = keeper.level(account.id)
    if view is None:
        raise UnknownSubject(f"no room {account.id!r}")
    return LevelAnswer.of(view)


def _wishes(notifier: Notifier, known: Preference) -> WishesAnswer:
    return WishesAnswer(
        channels=list(notifier.channels), muted=list(known.muted), updated_at=known.updated_at
    )


def _notifier(deps: ApiDeps) -> Notifier:
    found = deps.money().notifier
    if found is None:
        raise UnknownSubject("this station sends no messages")
    return found


def _person(who: Principal) -> str:
    if who.person is None:
        raise UnknownSubject("you are no person of the directory, so nobody writes to you")
    return who.person
