"""For occupants and the office: bills and use; for finance and operators: energy that is held."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.access import Who, needs, room_for
from api.charging_answers import (
    BillAnswer,
    BillList,
    DecisionBody,
    EnergyCheckAnswer,
    ReviewAnswer,
    ReviewList,
    UsageAnswer,
    UsageStretch,
)
from api.context import Deps
from api.params import Limit, Moment
from api.routes.tariffs import charger_of
from api.trips import seen_since
from billing.bills import UsageStep
from billing.model import Account
from domain.identity import Principal, Role

router = APIRouter(tags=["usage"])

USUAL_RANGE = {
    UsageStep.HOUR: timedelta(days=1),
    UsageStep.DAY: timedelta(days=31),
    UsageStep.MONTH: timedelta(days=366),
}
READERS = (Role.OPERATOR, Role.FINANCE, Role.FACILITIES, Role.ANALYST)
Room = Annotated[Account, Depends(room_for(*READERS))]
Keeper = Annotated[Principal, Depends(needs(Role.OPERATOR, Role.FINANCE))]
MonthName = Annotated[
    str, Path(pattern=r"^(19[7-9]\d|2[01]\d\d)-(0[1-9]|1[0-2])$", description="such as 2026-11")
]
ReviewId = Annotated[str, Path(max_length=200, description="the held jump's id")]


@router.get("/rooms/{account_id}/bills", summary="A room's bills")
def list_bills(
    account: Room,
    deps: Deps,
    limit: Annotated[int, Query(ge=1, le=120, description="most bills to give")] = 24,
) -> BillList:
    """Give bills by month, newest first."""
    currency = deps.site().currency
    found = charger_of(deps).bills(account.id, limit)
    return BillList(count=len(found), bills=[BillAnswer.of(bill, currency) for bill in found])


@router.get("/rooms/{account_id}/bills/{month}", summary="A room's bill of a month")
def get_bill(account: Room, month: MonthName, deps: Deps) -> BillAnswer:
    """Give the bill of a local month with the tariff applied, line by line."""
    return BillAnswer.of(charger_of(deps).bill(account.id, month), deps.site().currency)


@router.get("/rooms/{account_id}/usage", summary="A room's use by hour, day or month")
def get_usage(
    account: Room,
    who: Who,
    deps: Deps,
    resolution: Annotated[UsageStep, Query(description="hour, day or month")] = UsageStep.HOUR,
    start: Annotated[Moment | None, Query(description="default: a day, month or year ago")] = None,
    end: Annotated[Moment | None, Query(description="default: now")] = None,
) -> UsageAnswer:
    """Give energy and its cost by the local clock; at most 63 days of hours, 800 of days.

    To an occupant from the day he moved in.
    """
    until = end or deps.clock.now()
    # When whoever lived there before was at home is none of an occupant's business.
    moved_in = seen_since(deps, who, account, whole=who.may(*READERS))
    asked = start or until - USUAL_RANGE[resolution]
    since, before_him = max(asked, moved_in), asked < until <= moved_in
    charger = charger_of(deps)
    rows = () if before_him else charger.usage(account.id, since, until, resolution)
    return UsageAnswer(
        account=account.id,
        resolution=resolution,
        currency=deps.site().currency,
        count=len(rows),
        rows=[UsageStretch.of(row) for row in rows],
    )


@router.get("/reviews", summary="Energy that is held for review")
def list_reviews(
    deps: Deps,
    _: Keeper,
    open: Annotated[bool, Query(description="only those that wait")] = True,  # noqa: A002
    limit: Limit = 1000,
) -> ReviewList:
    """Give jumps of counters with their evidence, newest first."""
    found = charger_of(deps).reviews(open_only=open, limit=limit)
    return ReviewList(count=len(found), reviews=[ReviewAnswer.of(review) for review in found])


@router.get("/reviews/{review_id}", summary="One held jump with its evidence")
def get_review(review_id: ReviewId, deps: Deps, _: Keeper) -> ReviewAnswer:
    """Give one jump of a counter."""
    return ReviewAnswer.of(charger_of(deps).review(review_id))


@router.post("/reviews/{review_id}/decision", summary="Decide about held energy")
def decide_review(review_id: ReviewId, body: DecisionBody, deps: Deps, who: Keeper) -> ReviewAnswer:
    """Bill it, drop it, or count it as a rollover or a swap; the same again changes nothing."""
    done = charger_of(deps).resolve(review_id, body.decision(), who.user, body.reason)
    return ReviewAnswer.of(done)


@router.get("/energy-check", summary="Where every Wh of every counter went")
def check_energy(
    deps: Deps, _: Annotated[Principal, Depends(needs(Role.FINANCE, Role.ANALYST))]
) -> EnergyCheckAnswer:
    """Compare each register's counter with what is billed, pending and held of it."""
    return EnergyCheckAnswer.of(charger_of(deps).energy_check())
