"""For operators: a second person's yes to a mass action."""

from typing import Any

from fastapi import APIRouter, Depends

from api.access import Who, acting, needs
from api.answers import ApprovalList
from api.context import Ctx, Deps
from api.params import ApprovalBody
from api.plain import plain
from domain.identity import Role

router = APIRouter(tags=["approvals"], dependencies=[Depends(needs(Role.OPERATOR))])


@router.get("/approvals", summary="Mass actions that wait for a second person")
def list_approvals(deps: Deps) -> ApprovalList:
    """Give the questions that are open."""
    rows = [plain(row) for row in deps.approvals()] if deps.approvals else []
    return ApprovalList(count=len(rows), approvals=rows)


@router.post("/approvals/{approval_id}", summary="Let a held mass action go on")
async def post_approval(
    approval_id: str, body: ApprovalBody, context: Ctx, who: Who
) -> dict[str, Any]:
    """Approve, as another person than the one who asked; approving again changes nothing."""
    person = acting(who, body.approved_by, "body.approved_by")
    answer = await context.orders.approve(approval_id, person, body.reason)
    return dict(plain(answer))
