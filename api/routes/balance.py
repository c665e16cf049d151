"""For occupants and the office: what a room has."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from api.access import room_for
from api.balance_path import BALANCE_ROLES, balance_content
from api.context import Deps
from billing.model import Account, BalanceMode
from domain.errors import UnknownSubject

router = APIRouter(tags=["rooms"])


class BalanceAnswer(BaseModel):
    """What a room has, money in micro-units and in words, free energy in Wh."""

    model_config = ConfigDict(frozen=True)

    account: str
    held_by: BalanceMode
    currency: str
    balance: Annotated[str | None, Field(description="the balance in currency units")]
    balance_micro: Annotated[int | None, Field(description="booked less accrued")]
    booked_micro: Annotated[int | None, Field(description="as it stands in the ledger")]
    accrued_micro: Annotated[int, Field(description="used and not booked yet")]
    free_wh: Annotated[int | None, Field(description="free energy left; null: none was granted")]
    level: Annotated[str | None, Field(description="low-balance level; null: above all of them")]
    days_left: Annotated[float | None, Field(description="forecast; null: cannot be told")]


# Answered in front of the router as a rule (api/balance_path.py); this is the same in full.
@router.get("/rooms/{account_id}/balance", summary="What a room has")
def get_balance(
    account: Annotated[Account, Depends(room_for(*BALANCE_ROLES))], deps: Deps
) -> BalanceAnswer:
    """Give money, free energy, the low-balance level and for how many days it will last."""
    board = deps.money().board
    if board is None:
        raise UnknownSubject("this station shows no balances")
    content: dict[str, Any] = balance_content(board.view(account), deps.site().currency)
    return BalanceAnswer(**content)
