"""For occupants: why their relay was opened, a word against it, and their relay itself."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Header, Query, Response, status
from pydantic import BaseModel, ConfigDict, Field

from api.access import Who, occupies, room_for
from api.answers import CommandAnswer
from api.context import Context, Ctx, Deps
from api.deps import ApiDeps, CommandRequest
from api.identity.rates import Limit
from api.limited import limited
from api.params import CommandId, MeterName
from api.plain import plain
from api.routes.appeals import AppealAnswer
from api.trips import holding, language_of, seen_since, trip_in_words, trip_of, trips_of
from billing.model import Account
from domain.causes import CauseKind, TripCause
from domain.commands import OCCUPANT, Action, by_occupant
from domain.errors import CommandRefused, Forbidden, InvalidInput, UnknownSubject
from domain.events import Event, EventKind
from domain.faults import Fault
from domain.identity import Role
from domain.texts import Language, text
from domain.users import Appeal, AppealQuery

router = APIRouter(tags=["rooms"])

OFFICE = (Role.OPERATOR,)
Room = Annotated[Account, Depends(room_for(*OFFICE))]
LanguageQuery = Annotated[Language | None, Query(description="default: the person's own")]
AppealText = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00\x7f]+$")]
APPEALS = limited("appeals", user="10 per 1 day", address="100 per 1 hour")
RELAYS = limited("relay orders", user="4 per 10 minute; 12 per 1 day", address="60 per 1 hour")
# Of the orders that the station carries out in a minute most are kept for the office.
OCCUPANTS_SHARE = 4


class Relay(StrEnum):
    """What an occupant may do to his relay."""

    OPEN = "open"
    CLOSE = "close"


class _Body(BaseModel):
    # What a student's program sends beyond these fields is not looked at.
    model_config = ConfigDict(frozen=True, extra="ignore")


class AppealBody(_Body):
    """What an occupant says against a trip."""

    text: AppealText


class RelayBody(_Body):
    """An order to the room's relay; `meter` only where the room has several."""

    action: Relay
    meter: MeterName | None = None


class TripAnswer(BaseModel):
    """A trip with what it rests on, in words and in numbers."""

    id: str
    meter: str
    kind: CauseKind
    kind_in_words: str
    why: str
    since: datetime
    until: datetime | None
    cleared_at: datetime | None
    holds: bool
    evidence: dict[str, Any] | None
    appeal: AppealAnswer | None


class TripList(BaseModel):
    """Trips of a room, newest first."""

    count: int
    trips: list[TripAnswer]


@router.get("/rooms/{account_id}/trips", summary="Why the room's relay was opened")
def list_trips(
    room: Room,
    who: Who,
    deps: Deps,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    language: LanguageQuery = None,
) -> TripList:
    """Give the trips since the person moved in, with their evidence and appeals."""
    since = seen_since(deps, who, room, whole=who.may(*OFFICE))
    found = trips_of(deps, room, since, limit)
    appeals: dict[str, Appeal] = {}
    if deps.identity is not None:
        query = AppealQuery(account=room.id, limit=1_000)
        appeals = {one.cause: one for one in deps.identity.store.appeals(query)}
    words, now = language_of(deps, who, language), deps.clock.now()
    rows = [_trip(cause, appeals.get(cause.id), words, now) for cause in found]
    return TripList(count=len(rows), trips=rows)


@router.post(
    "/rooms/{account_id}/trips/{cause_id}/appeal",
    summary="Appeal against a trip",
    dependencies=[Depends(APPEALS)],
)
def post_appeal(room: Room, cause_id: str, body: AppealBody, who: Who, deps: Deps) -> AppealAnswer:
    """Say why a trip was wrong, once for a trip; an operator answers."""
    language = language_of(deps, who, None)
    if who.person is None or not occupies(deps, who, room.id):
        raise Forbidden(text("room.appeal-own", language))
    cause = trip_of(deps, room, seen_since(deps, who, room, whole=False), cause_id)
    if cause is None:
        raise UnknownSubject(f"no trip {cause_id!r} of this room")
    identity, now = deps.people(), deps.clock.now()
    appeal = Appeal(
        id=uuid.uuid4().hex, cause=cause.id, meter=cause.meter, account=room.id,
        person=who.person, text=body.text, filed_at=now,
    )  # fmt: skip
    identity.store.file_appeal(appeal).result(deps.limits.command_wait_s)
    identity.tell(
        Event(
            now, EventKind.APPEAL_FILED, cause.meter,
            f"appeal of room {room.id} against the trip {cause.id}", actor=who.user,
            details={"appeal": appeal.id, "cause": cause.id, "account": room.id},
        )
    )  # fmt: skip
    return AppealAnswer.of(appeal, language)


@router.post(
    "/rooms/{account_id}/relay",
    summary="Open or close the room's relay",
    responses={202: {"model": CommandAnswer, "description": "Still on its way: ask again"}},
    dependencies=[Depends(RELAYS)],
)
async def post_relay(
    room: Annotated[Account, Depends(room_for())],
    body: RelayBody,
    who: Who,
    context: Ctx,
    response: Response,
    key: Annotated[
        CommandId | None, Header(alias="Idempotency-Key", description="your own id for it")
    ] = None,
) -> CommandAnswer:
    """Open the relay, or close it where nothing but occupants' own orders holds it open."""
    deps = context.deps
    language = language_of(deps, who, None)
    if not occupies(deps, who, room.id):
        raise Forbidden(text("room.relay-not-here", language))
    if deps.identity is None or not deps.identity.settings.relay_by_occupants:
        raise CommandRefused(text("room.relay-not-here", language))
    meter = _meter(deps, room, body.meter, language)
    closes = body.action is Relay.CLOSE
    if closes:
        await anyio.to_thread.run_sync(_may_close, deps, meter, language)
    await anyio.to_thread.run_sync(_take_share, context)
    request = CommandRequest(
        id=f"{room.id}:{key or uuid.uuid4().hex}",
        meter=meter,
        action=Action.CLOSE if closes else Action.TRIP,
        reason=text("room.closed" if closes else "room.opened"),
        requested_by=OCCUPANT + who.user,
    )
    outcome = await context.orders.carry(request)
    if outcome is None or outcome[1] is None:
        response.status_code = status.HTTP_202_ACCEPTED
    return CommandAnswer.of(*outcome) if outcome else CommandAnswer.pending(request)


def _meter(deps: ApiDeps, room: Account, asked: str | None, language: Language) -> str:
    meters = [span.meter for span in deps.directory().registers(room.id) if span.until is None]
    if not meters:
        raise UnknownSubject(text("room.no-meter", language))
    if asked is not None and asked in meters:
        return asked
    if asked is not None or len(meters) > 1:
        words = text("room.which-meter", language, meters=", ".join(meters))
        raise InvalidInput([Fault("body.meter", words)])
    return meters[0]


def _may_close(deps: ApiDeps, meter: str, language: Language) -> None:
    """Refuse where more than an occupant's own order holds. The desk looks again, under lock."""
    causes = deps.ledger.causes(open_only=True, meter=meter, shadow=False)
    others = [
        cause
        for cause in holding(causes, deps.clock.now())
        if cause.kind is not CauseKind.MANUAL or not by_occupant(cause.raised_by)
    ]
    if others:
        told = "; ".join(trip_in_words(cause, language) for cause in others)
        raise CommandRefused(text("room.cause-holds", language, causes=told))


def _take_share(context: Context) -> None:
    policy = context.deps.ledger.policy()
    a_minute = policy.control.trips_per_min if policy is not None else OCCUPANTS_SHARE
    share = max(1, a_minute // OCCUPANTS_SHARE)
    context.rates.take(Limit.of("relay orders of occupants", f"{share} per 1 minute"), "site")


def _trip(cause: TripCause, appeal: Appeal | None, language: Language, now: datetime) -> TripAnswer:
    return TripAnswer(
        id=cause.id,
        meter=cause.meter,
        kind=cause.kind,
        kind_in_words=text(f"kind.{cause.kind.value}", language),
        why=trip_in_words(cause, language),
        since=cause.since,
        until=cause.until,
        cleared_at=cause.cleared_at,
        holds=bool(holding([cause], now)),
        evidence=plain(cause.evidence.as_dict()) if cause.evidence else None,
        appeal=AppealAnswer.of(appeal, language) if appeal else None,
    )
