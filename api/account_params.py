"""What may be asked about accounts: bodies and queries, checked, unknown names refused."""

from datetime import date
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field

from api.params import LIST_MOST, CommandId, MeterName, Moment, Words
from billing.accounts.closing import RefundBy
from billing.model import BalanceMode
from domain.catalogue.language import Language
from domain.money import AMOUNT_MOST_MINOR
from domain.site import RoomKind

# Beyond what a body may hold, JSON numbers would not come back as they went.
WHOLE_MOST = 2**53
Key = Annotated[
    CommandId,
    Header(alias="Idempotency-Key", description="your own id: the same again changes nothing"),
]
Plain = Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[Plain, Field(min_length=1)]
AccountName = Annotated[Plain, Field(min_length=1, max_length=64)]
PersonId = Annotated[Plain, Field(min_length=1, max_length=40, description="student number")]
EnergyWh = Annotated[int, Field(ge=0, le=10**13)]
Offset = Annotated[int, Field(ge=0, le=10_000_000)]
PositiveMinor = Annotated[int, Field(ge=1, le=AMOUNT_MOST_MINOR)]
AnyMinor = Annotated[int, Field(ge=-AMOUNT_MOST_MINOR, le=AMOUNT_MOST_MINOR)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class AccountQuery(_Strict):
    """Which accounts: all filters must fit."""

    building: Plain | None = None
    room: Plain | None = None
    kind: RoomKind | None = None
    tariff: Plain | None = None
    person: Plain | None = Field(None, description="only rooms this person occupies or occupied")
    owing: bool = Field(False, description="true: only those whose booked balance is below 0")
    closed: bool = Field(False, description="true: closed accounts too")
    limit: Annotated[int, Field(ge=1, le=LIST_MOST)] = 1_000
    offset: Offset = 0


class OpenBody(_Strict):
    """A new account; `registers` are its meters with their first readings, Wh."""

    building: Name
    room: Name
    kind: RoomKind
    tariff: Name
    mode: BalanceMode = BalanceMode.STATION
    credit_limit_micro: Annotated[int, Field(ge=0, le=WHOLE_MOST)] = 0
    floor: Plain = ""
    area_m2: Annotated[float, Field(gt=0, le=100_000)] | None = None
    note: Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    registers: Annotated[dict[str, EnergyWh], Field(max_length=20)] = Field(default_factory=dict)
    opening_minor: AnyMinor = 0


class ChangeBody(_Strict):
    """New terms; what is left out stays."""

    tariff: Name | None = None
    credit_limit_micro: Annotated[int, Field(ge=0, le=WHOLE_MOST)] | None = None
    note: Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    reason: Words


class MoveBody(_Strict):
    """People who change rooms; without `people` everybody."""

    to_account: AccountName
    people: Annotated[list[PersonId], Field(min_length=1, max_length=100)] | None = None
    on: date | None = None
    amount_minor: Annotated[int, Field(ge=0, le=AMOUNT_MOST_MINOR)] | None = None
    carry_debt: bool = False
    reason: Words


class MeterChangeBody(_Strict):
    """A meter that was exchanged, as it was found on site."""

    meter: MeterName
    final_wh: EnergyWh
    first_wh: EnergyWh
    new_meter: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9._-]*$")] = ""
    serial: Plain = ""
    at: Moment | None = None
    final_reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    reason: Words


class AttachBody(_Strict):
    """A meter that begins to count for the account."""

    meter: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._-]+$")]
    first_wh: EnergyWh
    at: Moment | None = None
    serial: Plain = ""
    reason: Words


class CloseBody(_Strict):
    """How an account is closed; `cashier` pays out where it is by cash."""

    reason: Words
    refund: RefundBy = RefundBy.CASH
    cashier: Plain = ""
    force_reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class StayBody(_Strict):
    """A person moves in."""

    person: PersonId
    since: date
    until: date | None = None


class LeaveBody(_Strict):
    """A person moves out; `until` is the first day away."""

    until: date


class PersonBody(_Strict):
    """What is known about a person."""

    name: Name
    phone: Plain = ""
    email: Annotated[str, Field(max_length=254, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    language: Language = "zh-CN"


class NewPersonBody(PersonBody):
    """A new person; `id` is the student or staff number."""

    id: PersonId


class PersonQuery(_Strict):
    """Which people: all filters must fit."""

    account: Plain | None = Field(None, description="only who occupies this room today")
    name: Plain | None = Field(None, description="a part of the name")
    limit: Annotated[int, Field(ge=1, le=LIST_MOST)] = 1_000
    offset: Offset = 0


class TransferBody(_Strict):
    """A recharge that went to the wrong room; `recharge` is its entry."""

    from_account: AccountName
    to_account: AccountName
    recharge: Annotated[Plain, Field(min_length=1, max_length=200)]
    amount_minor: PositiveMinor
    reason: Words


class AdjustmentBody(_Strict):
    """A correction of a balance, up or down."""

    account: AccountName
    amount_minor: AnyMinor
    reason: Words


class WriteOffBody(_Strict):
    """A debt that nobody will pay."""

    account: AccountName
    reason: Words


class DecisionBody(_Strict):
    """Why it is agreed to, or not."""

    reason: Words


class MoneyRequestQuery(_Strict):
    """Which requests."""

    waiting: bool = Field(False, description="true: only those that wait for a decision")
    account: Plain | None = None
    limit: Annotated[int, Field(ge=1, le=LIST_MOST)] = 100
