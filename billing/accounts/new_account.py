"""New accounts: what they are opened with, the checks, and the opening inside a transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.accounts.desk import AccountRefused, AccountRules, event_of, money
from billing.accounts.roster import account_id_of, free_id
from billing.accounts.store import AccountsTransaction, TariffSince
from billing.model import Account, BalanceMode, RegisterSpan
from domain.books import SUSPENSE, BookAccount, Entry, EntryKind, Leg, Unit, free_book, room_book
from domain.events import Event, EventKind
from domain.faults import Fault
from domain.site import RoomKind

REGISTER_MOST_WH = 10**13
OPENING_MOST_MICRO = 10**12


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account is opened with. `id` is made of building and room when left out.

    `registers` gives the meters that count for it with their first readings, Wh.
    `opening_micro` is a balance brought along from an earlier system.
    """

    building: str
    room: str
    kind: RoomKind
    tariff: str
    mode: BalanceMode = BalanceMode.STATION
    credit_limit_micro: int = 0
    floor: str = ""
    area_m2: float | None = None
    note: str = ""
    id: str = ""
    registers: Mapping[str, int] | None = None
    opening_micro: int = 0


def open_in(
    tx: AccountsTransaction, new: Sequence[NewAccount], now: datetime, actor: str
) -> list[Account]:
    """Open accounts within a transaction.

    A room that was closed gets another id. Raises AccountRefused where a room has an open account.
    """
    places = dict(tx.room_places())
    holders = {(row[0], row[1]): name for name, row in places.items() if row[2]}
    accounts: list[Account] = []
    for one in new:
        holder = holders.get((one.building, one.room))
        if holder is not None:
            raise AccountRefused(f"{one.building} {one.room} has an open account, {holder}")
        name = free_id(one.id or account_id_of(one.building, one.room), places)
        accounts.append(_account_of(one, name, now))
        places[name] = (one.building, one.room, True)
        holders[(one.building, one.room)] = name
    tx.save_accounts(*accounts)
    tx.save_tariffs(*(TariffSince(one.id, now, one.tariff) for one in accounts))
    # A room's book has no floor of its own: what was used is owed. What may not be spent is said
    # by the entry that spends (a transfer, a refund).
    tx.open_books(
        BookAccount(SUSPENSE),
        *(BookAccount(room_book(one.id)) for one in accounts),
        *(BookAccount(free_book(one.id), Unit.WH, 0) for one in accounts),
    )
    for account, one in zip(accounts, new, strict=True):
        for meter, first_wh in (one.registers or {}).items():
            attach_in(tx, RegisterSpan(meter, account.id, now, first_wh))
        if one.opening_micro:
            _bring_along(tx, account, one.opening_micro, now, actor)
    pairs = zip(accounts, new, strict=True)
    tx.tell(*(_opened(account, one, now, actor) for account, one in pairs))
    return accounts


def attach_in(tx: AccountsTransaction, span: RegisterSpan) -> None:
    """Have a meter count for an account within a transaction. Raises AccountRefused."""
    for known in tx.registers(meter=span.meter):
        if known.until is None:
            raise AccountRefused(f"the meter {span.meter} counts for {known.account} already")
        if span.since < known.until:
            raise AccountRefused(
                f"the meter {span.meter} counted for {known.account} until"
                f" {known.until.isoformat()}; it can't begin before that"
            )
    tx.save_register(span)


def new_account_faults(new: NewAccount, rules: AccountRules) -> list[Fault]:
    """List what is wrong with a new account."""
    faults = [
        Fault(name, "is needed")
        for name, text in (("building", new.building), ("room", new.room), ("tariff", new.tariff))
        if not text.strip()
    ]
    terms = {"credit_limit_micro": new.credit_limit_micro}
    faults += terms_faults(terms | ({"tariff": new.tariff} if new.tariff.strip() else {}), rules)
    if new.area_m2 is not None and not 0 < new.area_m2 <= 100_000:
        faults.append(Fault("area_m2", f"must be from 0 to 100000 m2 (given: {new.area_m2})"))
    if new.id and account_id_of(new.id, "") != new.id.rstrip("-"):
        faults.append(Fault("id", f"must be of small letters, digits, - and . (given: {new.id!r})"))
    if abs(new.opening_micro) > OPENING_MOST_MICRO:
        faults.append(Fault("opening_micro", "is beyond any account"))
    for meter, first_wh in (new.registers or {}).items():
        faults += register_faults(f"registers.{meter}", first_wh)
    return faults


def terms_faults(changes: Mapping[str, Any], rules: AccountRules) -> list[Fault]:
    """List what is wrong with changed terms of an account; limits in micro-units."""
    faults: list[Fault] = []
    if not changes:
        faults.append(Fault("body", "nothing to change is named"))
    limit = changes.get("credit_limit_micro")
    if limit is not None and not 0 <= limit <= rules.most_credit_micro:
        message = f"must be from 0 to {rules.most_credit_micro} micro-units (given: {limit})"
        faults.append(Fault("credit_limit_micro", message))
    tariff = changes.get("tariff")
    if tariff is not None and not str(tariff).strip():
        faults.append(Fault("tariff", "is needed"))
    elif tariff is not None and rules.tariffs is not None and tariff not in rules.tariffs():
        known = ", ".join(sorted(rules.tariffs())) or "none yet"
        faults.append(Fault("tariff", f"no tariff {tariff!r}; there are: {known}"))
    return faults


def register_faults(source: str, energy_wh: int) -> list[Fault]:
    """List what is wrong with a counter's reading, Wh."""
    if 0 <= energy_wh <= REGISTER_MOST_WH:
        return []
    return [Fault(source, f"must be from 0 to {REGISTER_MOST_WH} Wh (given: {energy_wh})")]


def _bring_along(
    tx: AccountsTransaction, account: Account, amount: int, now: datetime, actor: str
) -> None:
    legs = (Leg(room_book(account.id), amount), Leg(SUSPENSE, -amount))
    details = {"building": account.building, "account": account.id}
    words = "brought along from before"
    name = f"opening:{account.id}"
    entry = Entry(name, now, EntryKind.OPENING, legs, actor, words, details=details)
    tx.post(entry, enforce_floors=False)


def _opened(account: Account, new: NewAccount, now: datetime, actor: str) -> Event:
    words = f"opened for {account.building} {account.room}, tariff {account.tariff}"
    if new.opening_micro:
        words += f", with {money(new.opening_micro)}"
    return event_of(
        now, EventKind.ACCOUNT_OPENED, account.id, words, actor, room_kind=account.kind.value,
        tariff=account.tariff, opening_micro=new.opening_micro, registers=dict(new.registers or {}),
    )  # fmt: skip


def _account_of(new: NewAccount, name: str, now: datetime) -> Account:
    return Account(
        name, new.building, new.room, new.kind, new.tariff, new.mode, new.credit_limit_micro, now,
        floor=new.floor, area_m2=new.area_m2, note=new.note,
    )  # fmt: skip
