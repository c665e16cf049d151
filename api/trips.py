"""The trips of a room, as those who live in it may see them: since when, why, with what proof."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from api.deps import ApiDeps
from billing.model import Account, RegisterSpan
from domain.causes import RuleMode, TripCause
from domain.identity import Principal
from domain.texts import LANGUAGES, Language, rule_text, text

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
METERS_MOST = 50


def language_of(deps: ApiDeps, who: Principal, asked: Language | None) -> Language:
    """Return the language asked for, else that of the person, else English."""
    if asked is not None:
        return asked
    person = deps.directory().person(who.person) if who.person is not None else None
    known = {one: one for one in LANGUAGES}
    return known.get(person.language, "en") if person is not None else "en"  # type: ignore[call-overload]


def seen_since(deps: ApiDeps, who: Principal, account: Account, *, whole: bool) -> datetime:
    """Return from when on somebody may see what happened in a room: since he moved in.

    Who lived there before is none of his business. `whole` is for the office.
    """
    if whole or who.person is None:
        return EARLIEST
    today, zone = deps.today(), ZoneInfo(deps.site().time_zone)
    stays = [
        stay.since
        for stay in deps.directory().occupancies(account_id=account.id, person_id=who.person)
        if stay.since <= today and (stay.until is None or today < stay.until)
    ]
    if not stays:
        return deps.clock.now()
    return datetime.combine(min(stays), time(), zone).astimezone(UTC)


def trips_of(deps: ApiDeps, account: Account, since: datetime, limit: int) -> list[TripCause]:
    """Return the trips of a room's meters while they counted for it, newest first."""
    found: dict[str, TripCause] = {}
    for span in list(deps.directory().registers(account.id))[-METERS_MOST:]:
        begin = max(since, span.since)
        for cause in deps.ledger.causes(meter=span.meter, since=begin, shadow=False, limit=limit):
            if cause.mode is RuleMode.TRIP and (span.until is None or cause.since < span.until):
                found[cause.id] = cause
    return sorted(found.values(), key=lambda cause: (cause.since, cause.id), reverse=True)[:limit]


def trip_of(deps: ApiDeps, account: Account, since: datetime, cause_id: str) -> TripCause | None:
    """Return one trip of a room if it may be seen, or None."""
    cause = deps.ledger.cause(cause_id)
    if cause is None or cause.shadow or cause.mode is not RuleMode.TRIP or cause.since < since:
        return None
    spans = [s for s in deps.directory().registers(account.id) if s.meter == cause.meter]
    return cause if any(_covers(span, cause.since) for span in spans) else None


def holding(causes: Sequence[TripCause], now: datetime) -> list[TripCause]:
    """Return the causes that keep a relay open now."""
    return [
        cause
        for cause in causes
        if cause.cleared_at is None
        and not cause.shadow
        and cause.mode is RuleMode.TRIP
        and (cause.until is None or now < cause.until)
    ]


def trip_in_words(cause: TripCause, language: Language) -> str:
    """Say why a relay was opened."""
    evidence = cause.evidence
    why = cause.reason
    if evidence is not None:
        why = rule_text(evidence.rule, evidence.matched, evidence.limits, language)
    kind = text(f"kind.{cause.kind.value}", language)
    return text("room.trip", language, kind=kind, why=why)


def _covers(span: RegisterSpan, moment: datetime) -> bool:
    return span.since <= moment and (span.until is None or moment < span.until)
