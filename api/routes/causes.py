"""For operators: why relays are open, with the evidence, and what happened."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.access import needs
from api.answers import CauseAnswer, CauseList, EventAnswer, EventList
from api.context import Deps, known_or_found
from api.params import CauseQuery, EventQuery
from domain.errors import UnknownSubject
from domain.identity import Role

router = APIRouter(dependencies=[Depends(needs(Role.OPERATOR, Role.FACILITIES))])


@router.get("/causes", summary="Trip causes with their evidence", tags=["causes"])
def list_causes(query: Annotated[CauseQuery, Query()], deps: Deps) -> CauseList:
    """Give trip causes, newest first; by default those that count, open and cleared."""
    found = deps.ledger.causes(
        open_only=query.open,
        meter=query.meter,
        since=query.since,
        shadow=query.shadow,
        kind=query.kind,
        limit=query.limit,
    )
    known_or_found(deps.site(), query.meter, len(found))
    return CauseList(count=len(found), causes=[CauseAnswer.of(cause) for cause in found])


@router.get("/causes/{cause_id}", summary="One trip cause with its evidence", tags=["causes"])
def get_cause(cause_id: str, deps: Deps) -> CauseAnswer:
    """Give one trip cause."""
    cause = deps.ledger.cause(cause_id)
    if cause is None:
        raise UnknownSubject(f"no trip cause {cause_id!r}")
    return CauseAnswer.of(cause)


@router.get("/events", summary="The audit trail and the field's incidents", tags=["events"])
def list_events(query: Annotated[EventQuery, Query()], deps: Deps) -> EventList:
    """Give events, newest first."""
    found = deps.ledger.events(
        subject=query.subject, kind=query.kind, since=query.since, limit=query.limit
    )
    return EventList(count=len(found), events=[EventAnswer.of(event) for event in found])
