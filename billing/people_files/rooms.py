"""The file of rooms: rows against the accounts that are there."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from billing.accounts.desk import AccountRules
from billing.accounts.new_account import NewAccount, new_account_faults
from billing.model import Account, Directory
from billing.people_files.columns import ROOMS
from billing.people_files.plan import (
    ChangeRoom,
    FileKind,
    ImportPlan,
    Item,
    ItemKind,
    OpenRoom,
    Step,
    differences,
    plan_of,
)
from billing.people_files.reading import Row, Sheet
from domain.catalogue.accounts import KINDS
from domain.faults import Fault
from domain.money import MICRO, MINOR_PER_UNIT, decimal_of
from domain.site import RoomKind

TERMS = ("kind", "tariff", "credit_limit_micro", "floor", "area_m2", "note")
AMOUNT_MOST = Decimal(1_000_000)
TEXTS_MOST = 100
OpeningOf = Callable[[str], int | None]


def plan_rooms(
    sheet: Sheet, file: str, directory: Directory, opening_of: OpeningOf, rules: AccountRules
) -> tuple[ImportPlan | None, list[Fault]]:
    """Hold a file of rooms against the accounts; give what would be done, or every fault.

    `opening_of` gives the balance an account was opened with, None where it had none.
    """
    planned: list[tuple[Item, Step | None]] = []
    faults: list[Fault] = []
    seen: dict[tuple[str, str], int] = {}
    for row in sheet.rows:
        place = (row.get("building"), row.get("room"))
        account = directory.account_of_room(*place)
        new, wrong = _read(row, account, sheet.columns, rules)
        if place in seen:
            wrong.append(Fault(row.at("room"), f"{' '.join(place)} stands in row {seen[place]}"))
        seen[place] = row.number
        wrong += _account_faults(row, account)
        if account is not None:
            wrong += _opening_faults(row, new, account, opening_of)
        faults += wrong
        if not wrong:
            planned.append(_planned(row, new, account))
    return (None, faults) if faults else (plan_of(FileKind.ROOMS, file, planned), [])


def room_rows(directory: Directory) -> list[dict[str, str]]:
    """Return the open accounts as rows of the file."""
    return [_row_of(account) for account in directory.accounts()]


def _row_of(account: Account) -> dict[str, str]:
    area = account.area_m2
    values = (
        account.id, account.building, account.room, account.floor, account.kind.value,
        account.tariff, f"{decimal_of(account.credit_limit_micro).normalize():f}",
        "" if area is None else f"{area:g}", account.note, "",
    )  # fmt: skip
    return dict(zip(ROOMS.names, values, strict=True))


def _planned(row: Row, new: NewAccount, account: Account | None) -> tuple[Item, Step | None]:
    subject = f"{new.building} {new.room}"
    if account is None:
        opening = {"opening_micro": (None, new.opening_micro)} if new.opening_micro else {}
        return Item(ItemKind.ADDED, row.number, subject, opening), OpenRoom(new)
    after = replace(
        account, kind=new.kind, tariff=new.tariff, credit_limit_micro=new.credit_limit_micro,
        floor=new.floor, area_m2=new.area_m2, note=new.note,
    )  # fmt: skip
    changed = differences(account, after, TERMS)
    if not changed:
        return Item(ItemKind.UNCHANGED, row.number, account.id), None
    return Item(ItemKind.CHANGED, row.number, account.id, changed), ChangeRoom(account, after)


def _read(
    row: Row, account: Account | None, columns: frozenset[str], rules: AccountRules
) -> tuple[NewAccount, list[Fault]]:
    """Read a row; a column that the file does not have leaves the account as it is."""
    faults: list[Fault] = []
    word = row.get("kind").lower()
    kind = KINDS.get(word, word)
    if kind not in set(RoomKind):
        allowed = ", ".join(RoomKind)
        faults.append(Fault(row.at("kind"), f"must be one of {allowed} (given: {word!r})"))
    credit = account.credit_limit_micro if account else 0
    if row.get("credit_limit"):
        credit = _amount_micro(row, "credit_limit", faults)
    area = account.area_m2 if account else None
    if "area_m2" in columns:
        area = _area(row, faults)
    floor = row.get("floor") if "floor" in columns else (account.floor if account else "")
    note = row.get("note") if "note" in columns else (account.note if account else "")
    opening = _amount_micro(row, "opening_balance", faults) if row.get("opening_balance") else 0
    new = NewAccount(
        row.get("building"), row.get("room"), RoomKind(kind) if not faults else RoomKind.DORM,
        row.get("tariff"), credit_limit_micro=credit, floor=floor, area_m2=area, note=note,
        opening_micro=opening,
    )  # fmt: skip
    names = {"credit_limit_micro": "credit_limit", "opening_micro": "opening_balance"}
    faults += [
        Fault(row.at(names.get(fault.source, fault.source)), fault.message)
        for fault in new_account_faults(new, rules)
    ]
    faults += [
        Fault(row.at(column), f"has more than {TEXTS_MOST} characters")
        for column in ("building", "room", "floor", "tariff")
        if len(row.get(column)) > TEXTS_MOST
    ]
    return new, faults


def _account_faults(row: Row, account: Account | None) -> list[Fault]:
    given = row.get("account")
    if not given or (account is not None and given == account.id):
        return []
    if account is None:
        return [Fault(row.at("account"), f"{given!r} is not this room's account; leave it blank")]
    return [Fault(row.at("account"), f"this room's account is {account.id} (given: {given!r})")]


def _opening_faults(
    row: Row, new: NewAccount, account: Account, opening_of: OpeningOf
) -> list[Fault]:
    if not row.get("opening_balance"):
        return []
    before = opening_of(account.id) or 0
    if before == new.opening_micro:
        return []
    words = f"{account.id} was opened with {decimal_of(before)}: correct it by an adjustment"
    return [Fault(row.at("opening_balance"), words)]


def _amount_micro(row: Row, column: str, faults: list[Fault]) -> int:
    text = row.get(column)
    try:
        amount = Decimal(text)
        fen = amount * MINOR_PER_UNIT
        fits = amount.is_finite() and abs(amount) <= AMOUNT_MOST and fen == fen.to_integral_value()
    except InvalidOperation:
        fits = False
    if not fits:
        words = f"must be an amount such as 50 or 50.25, at most {AMOUNT_MOST} (given: {text!r})"
        faults.append(Fault(row.at(column), words))
        return 0
    return int(amount * MICRO)


def _area(row: Row, faults: list[Fault]) -> float | None:
    text = row.get("area_m2")
    if not text:
        return None
    try:
        return float(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        faults.append(Fault(row.at("area_m2"), f"must be a number of m2 (given: {text!r})"))
        return None
