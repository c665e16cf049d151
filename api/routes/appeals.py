"""For operators: what occupants say against trips, and the answers to them."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.access import Who, needs
from api.context import Deps
from api.params import Limit, Moment
from domain.errors import UnknownSubject
from domain.events import Event, EventKind
from domain.identity import Role
from domain.texts import Language, text
from domain.users import Appeal, AppealQuery, AppealStatus

router = APIRouter(tags=["appeals"], dependencies=[Depends(needs(Role.OPERATOR))])


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class AppealsQuery(_Strict):
    """Which appeals."""

    status: AppealStatus | None = None
    account: Annotated[str | None, Field(max_length=64)] = None
    since: Moment | None = Field(None, description="only appeals filed from then on")
    limit: Limit = 100


class ReplyBody(_Strict):
    """An operator's answer, with the reason."""

    status: Literal["accepted", "rejected"]
    answer: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00\x7f]+$")]


class AppealAnswer(BaseModel):
    """An appeal and what became of it."""

    id: str
    cause: str
    meter: str
    account: str
    person: str
    text: str
    filed_at: datetime
    status: AppealStatus
    status_in_words: str
    answer: str
    answered_by: str
    answered_at: datetime | None

    @classmethod
    def of(cls, appeal: Appeal, language: Language = "en") -> "AppealAnswer":
        """Tell an appeal."""
        return cls(
            id=appeal.id,
            cause=appeal.cause,
            meter=appeal.meter,
            account=appeal.account,
            person=appeal.person,
            text=appeal.text,
            filed_at=appeal.filed_at,
            status=appeal.status,
            status_in_words=text(f"appeal.{appeal.status.value}", language),
            answer=appeal.answer,
            answered_by=appeal.answered_by,
            answered_at=appeal.answered_at,
        )


class AppealList(BaseModel):
    """Appeals, newest first."""

    count: int
    appeals: list[AppealAnswer]


@router.get("/appeals", summary="Appeals against trips")
def list_appeals(query: Annotated[AppealsQuery, Query()], deps: Deps) -> AppealList:
    """Give appeals, newest first."""
    found = deps.people().store.appeals(
        AppealQuery(query.account, query.status, None, query.since, query.limit)
    )
    return AppealList(count=len(found), appeals=[AppealAnswer.of(one) for one in found])


@router.get("/appeals/{appeal_id}", summary="One appeal")
def get_appeal(appeal_id: str, deps: Deps) -> AppealAnswer:
    """Give one appeal."""
    found = deps.people().store.appeal(appeal_id)
    if found is None:
        raise UnknownSubject(f"no appeal {appeal_id!r}")
    return AppealAnswer.of(found)


@router.post("/appeals/{appeal_id}", summary="Answer an appeal")
def post_reply(appeal_id: str, body: ReplyBody, who: Who, deps: Deps) -> AppealAnswer:
    """Accept or reject an appeal with the reason, once; the occupant sees it with the trip."""
    identity, now = deps.people(), deps.clock.now()
    status = AppealStatus(body.status)
    before = identity.store.appeal(appeal_id)
    done = identity.store.answer_appeal(appeal_id, status, body.answer, who.user, now)
    answered = done.result(deps.limits.command_wait_s)
    if before is not None and before.status is AppealStatus.OPEN:
        identity.tell(
            Event(
                now,
                EventKind.APPEAL_ANSWERED,
                answered.meter,
                f"appeal of room {answered.account}: {status.value}",
                actor=who.user,
                details={"appeal": answered.id, "cause": answered.cause, "status": status.value},
            )
        )
    return AppealAnswer.of(answered)
