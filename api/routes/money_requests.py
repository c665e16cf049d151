"""For the office: money moved by hand; one person asks, a second one decides."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.access import Who, needs
from api.account_answers import MoneyRequestAnswer, MoneyRequestList
from api.account_params import (
    AdjustmentBody,
    DecisionBody,
    Key,
    MoneyRequestQuery,
    TransferBody,
    WriteOffBody,
)
from api.context import Deps
from api.routes.accounts import OFFICE, service_of
from domain.errors import Forbidden
from domain.identity import Role

router = APIRouter(tags=["money requests"])

RequestId = Annotated[
    str, Path(description="the request's id: its Idempotency-Key", max_length=100)
]
FINANCE = [Depends(needs(Role.FINANCE))]


@router.post(
    "/transfers",
    summary="Ask that a recharge to the wrong room be moved",
    dependencies=[Depends(needs(*OFFICE))],
)
def post_transfer(body: TransferBody, key: Key, who: Who, deps: Deps) -> MoneyRequestAnswer:
    """Ask for a transfer; nothing moves until somebody else agrees."""
    request = service_of(deps).request_transfer(
        key, body.from_account, body.to_account, body.recharge, body.amount_minor, who.user,
        body.reason,
    )  # fmt: skip
    return MoneyRequestAnswer.of(request)


@router.post("/adjustments", summary="Ask that a balance be corrected", dependencies=FINANCE)
def post_adjustment(body: AdjustmentBody, key: Key, who: Who, deps: Deps) -> MoneyRequestAnswer:
    """Ask for a correction, up or down; somebody else has to agree."""
    request = service_of(deps).request_adjustment(
        key, body.account, body.amount_minor, who.user, body.reason
    )
    return MoneyRequestAnswer.of(request)


@router.post("/write-offs", summary="Ask that a debt be written off", dependencies=FINANCE)
def post_write_off(body: WriteOffBody, key: Key, who: Who, deps: Deps) -> MoneyRequestAnswer:
    """Ask that what a room owes now be written off; somebody else has to agree."""
    request = service_of(deps).request_write_off(key, body.account, who.user, body.reason)
    return MoneyRequestAnswer.of(request)


@router.get("/money-requests", summary="Requests for money", dependencies=[Depends(needs(*OFFICE))])
def list_money_requests(
    query: Annotated[MoneyRequestQuery, Query()], deps: Deps
) -> MoneyRequestList:
    """Give requests as they stand now, newest first."""
    found = service_of(deps).money_requests(
        waiting_only=query.waiting, account_id=query.account, limit=query.limit
    )
    told = [MoneyRequestAnswer.of(request) for request in found]
    return MoneyRequestList(count=len(told), requests=told)


@router.get(
    "/money-requests/{request_id}",
    summary="One request for money",
    dependencies=[Depends(needs(*OFFICE))],
)
def get_money_request(request_id: RequestId, deps: Deps) -> MoneyRequestAnswer:
    """Give a request as it stands now."""
    return MoneyRequestAnswer.of(service_of(deps).money_request(request_id))


@router.post(
    "/money-requests/{request_id}/approve", summary="Agree, and book", dependencies=FINANCE
)
def post_approve(
    request_id: RequestId, body: DecisionBody, who: Who, deps: Deps
) -> MoneyRequestAnswer:
    """Agree to somebody else's request; it is booked at once."""
    request = service_of(deps).approve_transfer(request_id, who.user, body.reason)
    return MoneyRequestAnswer.of(request)


@router.post(
    "/money-requests/{request_id}/refuse",
    summary="Refuse a request, or withdraw one's own",
    dependencies=[Depends(needs(*OFFICE))],
)
def post_refuse(
    request_id: RequestId, body: DecisionBody, who: Who, deps: Deps
) -> MoneyRequestAnswer:
    """Say no; finance may refuse any request, everybody may withdraw his own."""
    accounts = service_of(deps)
    request = accounts.money_request(request_id)
    if request.requested_by != who.user and not who.may(Role.FINANCE):
        raise Forbidden("only finance may refuse what somebody else asks for")
    return MoneyRequestAnswer.of(accounts.refuse_request(request_id, who.user, body.reason))
