"""For the office: accounts of rooms and shops, their meters, moves and closings."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.access import AccountId, Who, needs, room_for
from api.account_answers import (
    AccountAnswer,
    AccountList,
    DoneAnswer,
    RoomAnswer,
    RosterAnswer,
)
from api.account_params import (
    AccountQuery,
    AttachBody,
    ChangeBody,
    CloseBody,
    Key,
    MeterChangeBody,
    MoveBody,
    OpenBody,
)
from api.context import Deps
from api.deps import ApiDeps
from billing.accounts.meters import MeterChange
from billing.accounts.new_account import NewAccount
from billing.accounts.service import Accounts
from billing.model import Account
from domain.books import room_book
from domain.errors import UnknownSubject
from domain.identity import Role
from domain.money import minor_to_micro

router = APIRouter(tags=["accounts"])

READERS = (Role.OPERATOR, Role.FINANCE, Role.FACILITIES, Role.ANALYST)
OFFICE = (Role.OPERATOR, Role.FINANCE)
FITTERS = (Role.OPERATOR, Role.FACILITIES)
Room = Annotated[Account, Depends(room_for(*READERS))]


def service_of(deps: ApiDeps) -> Accounts:
    """Return the service of accounts. Raises UnknownSubject where the station has none."""
    found = deps.money().accounts
    if found is None:
        raise UnknownSubject("this station changes no accounts")
    return found


@router.get(
    "/accounts", summary="Accounts of rooms and shops", dependencies=[Depends(needs(*READERS))]
)
def list_accounts(query: Annotated[AccountQuery, Query()], deps: Deps) -> AccountList:
    """Give accounts by building and room; closed ones only when asked for."""
    money = deps.money()
    balances = money.books.balances("room:")
    fitting = [
        account
        for account in money.directory.accounts(open_only=not query.closed)
        if _fits(account, query, deps) and (not query.owing or _owes(account, balances))
    ]
    shown = fitting[query.offset : query.offset + query.limit]
    told = [AccountAnswer.of(one, balances.get(room_book(one.id))) for one in shown]
    return AccountList(count=len(fitting), accounts=told)


@router.post("/accounts", summary="Open an account", dependencies=[Depends(needs(*OFFICE))])
def post_account(body: OpenBody, key: Key, who: Who, deps: Deps) -> DoneAnswer:
    """Open the account of a room; the result names it."""
    new = NewAccount(
        **body.model_dump(exclude={"opening_minor"}),
        opening_micro=minor_to_micro(body.opening_minor),
    )
    return DoneAnswer.of(service_of(deps).open_account(key, new, who.user))


@router.post(
    "/accounts/open-all",
    summary="Open accounts for the rooms of the roster",
    dependencies=[Depends(needs(*OFFICE))],
)
def post_open_all(who: Who, deps: Deps) -> RosterAnswer:
    """Open an account for every room of the roster that never had one, and attach meters."""
    accounts, money = service_of(deps), deps.money()
    opened = accounts.open_roster(deps.site(), money.tariff_of_kind, who.user)
    return RosterAnswer(opened=opened, waiting=accounts.attach_missing(deps.site(), who.user))


@router.get("/rooms/{account_id}", summary="One account with its meters")
def get_room(room: Room, deps: Deps) -> RoomAnswer:
    """Give an account with its registers; occupants may see their own."""
    money = deps.money()
    spans = list(money.directory.registers(room.id))
    return RoomAnswer.with_registers(room, money.books.balance(room_book(room.id)), spans)


@router.patch(
    "/rooms/{account_id}",
    summary="Change tariff, credit limit or note",
    dependencies=[Depends(needs(Role.FINANCE))],
)
def patch_room(
    account_id: AccountId, body: ChangeBody, key: Key, who: Who, deps: Deps
) -> DoneAnswer:
    """Change an account's terms; a new tariff counts from now on."""
    done = service_of(deps).change_account(
        key, account_id, who.user, body.reason, tariff=body.tariff,
        credit_limit_micro=body.credit_limit_micro, note=body.note,
    )  # fmt: skip
    return DoneAnswer.of(done)


@router.post(
    "/rooms/{account_id}/move",
    summary="Move occupants and their money to another room",
    dependencies=[Depends(needs(*OFFICE))],
)
def post_move(account_id: AccountId, body: MoveBody, key: Key, who: Who, deps: Deps) -> DoneAnswer:
    """Move people; the balance, or their share of it, moves along."""
    done = service_of(deps).move_room(
        key, account_id, body.to_account, who.user, body.reason, people=body.people, on=body.on,
        amount_minor=body.amount_minor, carry_debt=body.carry_debt,
    )  # fmt: skip
    return DoneAnswer.of(done)


@router.post(
    "/rooms/{account_id}/meter-change",
    summary="Record that a meter was exchanged",
    dependencies=[Depends(needs(*FITTERS))],
)
def post_meter_change(
    account_id: AccountId, body: MeterChangeBody, key: Key, who: Who, deps: Deps
) -> DoneAnswer:
    """End a register with its final reading and begin another."""
    change = MeterChange(**body.model_dump(exclude={"reason"}))
    accounts = service_of(deps)
    return DoneAnswer.of(accounts.change_meter(key, account_id, change, who.user, body.reason))


@router.post(
    "/rooms/{account_id}/meters",
    summary="Have a meter count for an account",
    dependencies=[Depends(needs(*FITTERS))],
)
def post_meter(
    account_id: AccountId, body: AttachBody, key: Key, who: Who, deps: Deps
) -> DoneAnswer:
    """Begin a register at a reading."""
    done = service_of(deps).attach_meter(
        key, account_id, body.meter, body.first_wh, who.user, body.reason, at=body.at,
        serial=body.serial,
    )  # fmt: skip
    return DoneAnswer.of(done)


@router.post(
    "/rooms/{account_id}/close",
    summary="Close an account and give its balance back",
    dependencies=[Depends(needs(Role.FINANCE))],
)
def post_close(
    account_id: AccountId, body: CloseBody, key: Key, who: Who, deps: Deps
) -> DoneAnswer:
    """Settle, refund, end registers and stays; the account keeps its history."""
    done = service_of(deps).close_account(
        key, account_id, who.user, body.reason, refund=body.refund, cashier=body.cashier,
        force_reason=body.force_reason,
    )  # fmt: skip
    return DoneAnswer.of(done)


def _fits(account: Account, query: AccountQuery, deps: ApiDeps) -> bool:
    wanted = {
        "building": query.building, "room": query.room, "kind": query.kind,
        "tariff": query.tariff,
    }  # fmt: skip
    if any(value is not None and getattr(account, name) != value for name, value in wanted.items()):
        return False
    if query.person is None:
        return True
    return bool(deps.directory().occupancies(account_id=account.id, person_id=query.person))


def _owes(account: Account, balances: Mapping[str, int]) -> bool:
    return balances.get(room_book(account.id), 0) < 0
