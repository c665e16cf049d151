"""Money on its way into prepaid meters, and meters that do not hold what the books say."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from api.access import Who, acting, needs, room_for
from api.context import Deps
from api.deps import ApiDeps
from api.params import MeterName, Person, Words
from api.plain import plain
from billing.model import Account
from billing.prepaid import PrepaidKeeper
from billing.prepaid_check import PrepaidCheck
from billing.prepaid_model import PrepaidDifference, PurchaseOrder, PurchaseState
from domain.errors import UnknownSubject
from domain.identity import Role

router = APIRouter(tags=["prepaid meters"])

OFFICE = (Role.OPERATOR, Role.FINANCE)
# No control characters: PostgreSQL refuses some, and none has a place here.
PLAIN = r"^[^\x00-\x1f\x7f]*$"
Room = Annotated[Account, Depends(room_for(*OFFICE))]
PurchaseId = Annotated[str, Path(max_length=200, pattern=PLAIN)]
DifferenceId = Annotated[str, Path(max_length=200, pattern=PLAIN)]
ListLimit = Annotated[int, Query(ge=1, le=1000, description="most rows to give, newest first")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReasonBody(_Strict):
    """Who decides something, and why."""

    reason: Words
    decided_by: Person | None = None


class SettleBody(ReasonBody):
    """Whether the meter took a purchase, as its display says."""

    taken: Annotated[bool, Field(strict=True)]


class ApproveBody(_Strict):
    """A second person's yes."""

    approved_by: Person | None = None


class RoomPurchaseAnswer(BaseModel):
    """An amount of a room's money for its meter, and how far it has come."""

    id: str
    meter: str
    amount_minor: int
    state: PurchaseState
    created_at: datetime
    finished_at: datetime | None
    reason: str

    @classmethod
    def of(cls, order: PurchaseOrder) -> "RoomPurchaseAnswer":
        """Tell an order."""
        return cls(**{name: getattr(order, name) for name in cls.model_fields})


class PurchaseAnswer(RoomPurchaseAnswer):
    """An order with what the meter showed and what went over the wire."""

    account: str
    expires_at: datetime
    next_at: datetime
    attempts: int
    writes: int
    count_before: int | None
    remaining_before_minor: int | None
    sent_at: datetime | None
    closed_by: str
    proof: dict[str, Any]


class RoomPurchaseList(BaseModel):
    """A room's orders, newest first."""

    count: int
    purchases: list[RoomPurchaseAnswer]


class PurchaseList(BaseModel):
    """Orders, newest first."""

    count: int
    purchases: list[PurchaseAnswer]


class DifferenceAnswer(BaseModel):
    """What a meter holds less what the books say, and what was seen of it last."""

    id: str
    meter: str
    account: str
    kind: str
    opened_at: datetime
    seen_at: datetime
    difference_micro: int
    evidence: dict[str, Any]
    proposed_by: str
    proposed_micro: int | None
    reason: str
    closed_at: datetime | None
    closed_by: str
    decision: str

    @classmethod
    def of(cls, found: PrepaidDifference) -> "DifferenceAnswer":
        """Tell a difference."""
        told = {name: getattr(found, name) for name in cls.model_fields}
        return cls(**told | {"evidence": plain(found.evidence)})


class DifferenceList(BaseModel):
    """Differences, newest first."""

    count: int
    differences: list[DifferenceAnswer]


def _keeper(deps: ApiDeps) -> PrepaidKeeper:
    found = deps.money().prepaid
    if found is None:
        raise UnknownSubject("this station writes to no prepaid meters")
    return found


def _check(deps: ApiDeps) -> PrepaidCheck:
    found = deps.money().prepaid_check
    if found is None:
        raise UnknownSubject("this station compares no prepaid meters")
    return found


@router.get(
    "/purchases", summary="Purchases for prepaid meters", dependencies=[Depends(needs(*OFFICE))]
)
def list_purchases(
    deps: Deps,
    state: PurchaseState | None = None,
    account: Annotated[str | None, Query(max_length=64, pattern=PLAIN)] = None,
    limit: ListLimit = 100,
) -> PurchaseList:
    """Give purchases, newest first."""
    found = _keeper(deps).orders(state=state, account=account, limit=limit)
    return PurchaseList(count=len(found), purchases=[_told(one) for one in found])


@router.get(
    "/purchases/{purchase_id}", summary="One purchase", dependencies=[Depends(needs(*OFFICE))]
)
def get_purchase(purchase_id: PurchaseId, deps: Deps) -> PurchaseAnswer:
    """Give one purchase with its proof."""
    return _told(_keeper(deps).order(purchase_id))


@router.post(
    "/purchases/{purchase_id}/release",
    summary="Let go of a refused purchase",
    dependencies=[Depends(needs(Role.FINANCE))],
)
def post_release(purchase_id: PurchaseId, body: ReasonBody, who: Who, deps: Deps) -> PurchaseAnswer:
    """What the room still has of it is sent again, as a new purchase."""
    actor = acting(who, body.decided_by, "body.decided_by")
    return _told(_keeper(deps).release(purchase_id, actor, body.reason))


@router.post(
    "/purchases/{purchase_id}/settle",
    summary="Say whether the meter took an unknown purchase",
    dependencies=[Depends(needs(Role.FINANCE))],
)
def post_settle(purchase_id: PurchaseId, body: SettleBody, who: Who, deps: Deps) -> PurchaseAnswer:
    """Settle by hand what read-back can't: after a look at the meter's display."""
    actor = acting(who, body.decided_by, "body.decided_by")
    return _told(
        _keeper(deps).settle(purchase_id, taken=body.taken, actor=actor, reason=body.reason)
    )


@router.post(
    "/prepaid-meters/{meter}/take-out",
    summary="Give the room what the books hold in a meter",
    dependencies=[Depends(needs(Role.FINANCE))],
)
def post_take_out(
    meter: Annotated[str, Path(max_length=200, pattern=PLAIN)],
    body: ReasonBody,
    who: Who,
    deps: Deps,
) -> PurchaseAnswer:
    """Of a meter that was reset, changed or taken away; before the room is closed or refunded."""
    actor = acting(who, body.decided_by, "body.decided_by")
    return _told(_keeper(deps).take_out(meter, actor, body.reason))


@router.get("/rooms/{account_id}/purchases", summary="A room's purchases for its meter")
def list_room_purchases(account: Room, deps: Deps, limit: ListLimit = 100) -> RoomPurchaseList:
    """Give what became of a room's money on its way into the meter, newest first."""
    found = _keeper(deps).orders(account=account.id, limit=limit)
    return RoomPurchaseList(
        count=len(found), purchases=[RoomPurchaseAnswer.of(one) for one in found]
    )


@router.get(
    "/prepaid-differences",
    summary="Meters that do not hold what the books say",
    dependencies=[Depends(needs(*OFFICE))],
)
def list_differences(
    deps: Deps,
    is_open: Annotated[bool, Query(alias="open", description="false: settled ones too")] = True,
    meter: Annotated[MeterName | None, Query(pattern=PLAIN)] = None,
    limit: ListLimit = 100,
) -> DifferenceList:
    """Give differences with their evidence, newest first."""
    found = _check(deps).differences(open_only=is_open, meter=meter, limit=limit)
    return DifferenceList(count=len(found), differences=[DifferenceAnswer.of(one) for one in found])


@router.post(
    "/prepaid-differences/{difference_id}/propose",
    summary="Propose to take over the meter's amount",
    dependencies=[Depends(needs(Role.FINANCE))],
)
def post_proposal(
    difference_id: DifferenceId, body: ReasonBody, who: Who, deps: Deps
) -> DifferenceAnswer:
    """Propose, with the reason; another person approves."""
    actor = acting(who, body.decided_by, "body.decided_by")
    return DifferenceAnswer.of(_check(deps).propose(difference_id, actor, body.reason))


@router.post(
    "/prepaid-differences/{difference_id}/approve",
    summary="Take over the meter's amount, as proposed",
    dependencies=[Depends(needs(Role.FINANCE))],
)
def post_approval(
    difference_id: DifferenceId, body: ApproveBody, who: Who, deps: Deps
) -> DifferenceAnswer:
    """Book the difference as another person has proposed."""
    actor = acting(who, body.approved_by, "body.approved_by")
    return DifferenceAnswer.of(_check(deps).approve(difference_id, actor))


def _told(order: PurchaseOrder) -> PurchaseAnswer:
    found = {name: getattr(order, name) for name in PurchaseAnswer.model_fields}
    return PurchaseAnswer(**found | {"proof": plain(order.proof)})
