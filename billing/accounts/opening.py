"""Opening accounts and changing their terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from billing.accounts.desk import (
    AccountRefused,
    Asked,
    Desk,
    Done,
    event_of,
    money,
    open_account_in,
)
from billing.accounts.roster import account_id_of, accounts_for_roster, rooms_of
from billing.accounts.store import AccountsTransaction
from billing.model import Account, BalanceMode, RegisterSpan
from domain.books import SUSPENSE, BookAccount, Entry, EntryKind, Leg, Unit, free_book, room_book
from domain.errors import InvalidInput
from domain.events import Event, EventKind
from domain.faults import Fault
from domain.site import RoomKind, Site

REGISTER_MOST_WH = 10**13
OPENING_MOST_MICRO = 10**12
# Accounts opened in one transaction.
AT_ONCE = 200


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


class Opening:
    """Opens accounts, gives them meters, changes tariff, limit and notes."""

    _desk: Desk

    def open_account(self, action_id: str, new: NewAccount, actor: str) -> Done:
        """Open the account of a room; the same id opens it once. The result names the account.

        Raises InvalidInput, AccountRefused (the room has an open account, a meter counts already).
        """
        desk = self._desk
        asked = Asked(action_id, "open", f"{new.building}/{new.room}", actor, _told(new))
        desk.check_asked(asked)
        faults = new_account_faults(new, desk.rules.most_credit_micro)
        if faults:
            raise InvalidInput(faults)
        now = desk.now()

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            account = open_in(tx, new, now, actor)
            return {"account": account.id}

        return desk.once(asked, work)

    def change_account(
        self,
        action_id: str,
        account_id: str,
        actor: str,
        reason: str,
        *,
        tariff: str | None = None,
        credit_limit_micro: int | None = None,
        note: str | None = None,
    ) -> Done:
        """Change an account's tariff, credit limit or note; what is None stays.

        What was used until now is booked first, by the old tariff. Raises InvalidInput,
        UnknownSubject, AccountRefused, and what settling raises.
        """
        desk = self._desk
        wanted = {"tariff": tariff, "credit_limit_micro": credit_limit_micro, "note": note}
        changes = {name: value for name, value in wanted.items() if value is not None}
        asked = Asked(action_id, "change", account_id, actor, {**changes, "reason": reason})
        desk.check_asked(asked, reason)
        faults = _terms_faults(changes, desk.rules.most_credit_micro)
        if faults:
            raise InvalidInput(faults)
        known = desk.done_before(asked)
        if known is not None:
            return known
        desk.known_account(account_id)
        if tariff is not None:
            desk.settle(account_id)
        now = desk.now()

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            account = open_account_in(tx, account_id)
            before = {name: getattr(account, name) for name in changes}
            tx.save_account(replace(account, **changes))  # type: ignore[arg-type]
            if tariff is not None and tariff != account.tariff:
                tx.save_tariff(account_id, now, tariff)
            words = ", ".join(f"{name} {before[name]} -> {changes[name]}" for name in changes)
            tx.tell(
                event_of(
                    now, EventKind.ACCOUNT_CHANGED, account_id, f"{words}: {reason}", actor,
                    before=before, after=changes, reason=reason, action=action_id,
                )
            )  # fmt: skip
            return {"account": account_id, "before": before, "after": changes}

        return desk.once(asked, work)

    def open_roster(
        self, site: Site, tariff_of: Mapping[RoomKind, str], actor: str = "system"
    ) -> list[str]:
        """Open an account for every room of the roster that never had one; return the new ids.

        Their meters begin to count with `attach_missing`, once they have been read. A room that
        was closed is opened anew by a person only.
        """
        desk = self._desk
        had = {(one.building, one.room) for one in desk.directory.accounts(open_only=False)}
        planned = [
            NewAccount(one.building, one.room, one.kind, one.tariff, floor=one.floor)
            for one in accounts_for_roster(site, tariff_of)
            if (one.building, one.room) not in had
        ]
        now = desk.now()

        def work(part: Sequence[NewAccount], tx: AccountsTransaction) -> list[str]:
            return [
                open_in(tx, new, now, actor).id
                for new in part
                if tx.account_of_room(new.building, new.room) is None
            ]

        parts = [planned[at : at + AT_ONCE] for at in range(0, len(planned), AT_ONCE)]
        futures = [desk.store.transact(partial(work, part)) for part in parts]
        return [name for future in futures for name in desk.wait(future)]

    def attach_missing(self, site: Site, actor: str = "system") -> list[str]:
        """Have the roster's meters count for the open account of their room, from the last
        reading on; return those that wait for a first reading. Quick when nothing is missing."""
        desk, waiting = self._desk, list[str]()
        spans: list[RegisterSpan] = []
        for (building, room), meters in rooms_of(site).items():
            account = desk.directory.account_of_room(building, room)
            for meter in meters if account else ():
                if account is None or desk.directory.registers_of_meter(meter.name):
                    continue
                reading = desk.reading_of(meter.name)
                if reading is None:
                    waiting.append(meter.name)
                else:
                    first_wh = reading.energy_wh
                    spans.append(RegisterSpan(meter.name, account.id, reading.time, first_wh))

        def work(part: Sequence[RegisterSpan], tx: AccountsTransaction) -> None:
            for span in part:
                if not tx.registers(meter=span.meter):
                    tx.save_register(span)
                    tx.tell(_attached(span, desk.now(), actor, "in the roster"))

        parts = [spans[at : at + AT_ONCE] for at in range(0, len(spans), AT_ONCE)]
        for future in [desk.store.transact(partial(work, part)) for part in parts]:
            desk.wait(future)
        return waiting

    def attach_meter(
        self,
        action_id: str,
        account_id: str,
        meter: str,
        first_wh: int,
        actor: str,
        reason: str,
        *,
        at: datetime | None = None,
        serial: str = "",
    ) -> Done:
        """Have a meter count for an account from a reading on.

        Raises InvalidInput, UnknownSubject, AccountRefused (the meter counts for an account).
        """
        desk = self._desk
        moment = at or desk.now()
        # A repeat without a time means the same moment, whenever it comes.
        told = {
            "meter": meter, "first_wh": first_wh, "at": at, "serial": serial, "reason": reason,
        }  # fmt: skip
        asked = Asked(action_id, "attach-meter", account_id, actor, told)
        desk.check_asked(asked, reason)
        faults = register_faults("first_wh", first_wh)
        if moment > desk.now():
            faults.append(Fault("at", f"{moment.isoformat()} is still to come"))
        if faults:
            raise InvalidInput(faults)

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            open_account_in(tx, account_id)
            span = RegisterSpan(meter, account_id, moment, first_wh, serial=serial)
            attach_in(tx, span)
            tx.tell(_attached(span, desk.now(), actor, reason))
            return {"account": account_id, "meter": meter, "first_wh": first_wh}

        return desk.once(asked, work)


def open_in(tx: AccountsTransaction, new: NewAccount, now: datetime, actor: str) -> Account:
    """Open an account within a transaction. Raises AccountRefused."""
    holder = tx.account_of_room(new.building, new.room)
    if holder is not None:
        raise AccountRefused(f"{new.building} {new.room} has an open account, {holder.id}")
    account = _account_of(new, _free_id(tx, new), now)
    tx.save_account(account)
    tx.save_tariff(account.id, now, account.tariff)
    # Its book has no floor of its own: what was used is owed. What may not be spent is said by
    # the entry that spends (a transfer, a refund).
    tx.open_books(
        BookAccount(room_book(account.id)),
        BookAccount(free_book(account.id), Unit.WH, 0),
        BookAccount(SUSPENSE),
    )
    for meter, first_wh in (new.registers or {}).items():
        attach_in(tx, RegisterSpan(meter, account.id, now, first_wh))
    if new.opening_micro:
        legs = (
            Leg(room_book(account.id), new.opening_micro),
            Leg(SUSPENSE, -new.opening_micro),
        )
        details = {"building": account.building, "account": account.id}
        tx.post(
            Entry(
                f"opening:{account.id}", now, EntryKind.OPENING, legs, actor,
                "brought along from before", details=details,
            ),
            enforce_floors=False,
        )  # fmt: skip
    words = f"opened for {account.building} {account.room}, tariff {account.tariff}"
    if new.opening_micro:
        words += f", with {money(new.opening_micro)}"
    tx.tell(
        event_of(
            now, EventKind.ACCOUNT_OPENED, account.id, words, actor, room_kind=account.kind.value,
            tariff=account.tariff, opening_micro=new.opening_micro,
            registers=dict(new.registers or {}),
        )
    )  # fmt: skip
    return account


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


def new_account_faults(new: NewAccount, most_credit_micro: int) -> list[Fault]:
    """List what is wrong with a new account."""
    faults = [
        Fault(name, "is needed")
        for name, text in (("building", new.building), ("room", new.room), ("tariff", new.tariff))
        if not text.strip()
    ]
    faults += _terms_faults({"credit_limit_micro": new.credit_limit_micro}, most_credit_micro)
    if new.area_m2 is not None and not 0 < new.area_m2 <= 100_000:
        faults.append(Fault("area_m2", f"must be from 0 to 100000 m2 (given: {new.area_m2})"))
    if new.id and account_id_of(new.id, "") != new.id.rstrip("-"):
        faults.append(Fault("id", f"must be of small letters, digits, - and . (given: {new.id!r})"))
    if abs(new.opening_micro) > OPENING_MOST_MICRO:
        faults.append(Fault("opening_micro", "is beyond any account"))
    for meter, first_wh in (new.registers or {}).items():
        faults += register_faults(f"registers.{meter}", first_wh)
    return faults


def register_faults(source: str, energy_wh: int) -> list[Fault]:
    """List what is wrong with a counter's reading, Wh."""
    if 0 <= energy_wh <= REGISTER_MOST_WH:
        return []
    return [Fault(source, f"must be from 0 to {REGISTER_MOST_WH} Wh (given: {energy_wh})")]


def _terms_faults(changes: Mapping[str, Any], most_credit_micro: int) -> list[Fault]:
    faults: list[Fault] = []
    if not changes:
        faults.append(Fault("body", "nothing to change is named"))
    limit = changes.get("credit_limit_micro")
    if limit is not None and not 0 <= limit <= most_credit_micro:
        message = f"must be from 0 to {most_credit_micro} micro-units (given: {limit})"
        faults.append(Fault("credit_limit_micro", message))
    if "tariff" in changes and not str(changes["tariff"]).strip():
        faults.append(Fault("tariff", "is needed"))
    return faults


def _attached(span: RegisterSpan, now: datetime, actor: str, reason: str) -> Event:
    words = f"counts for {span.account} from {span.first_wh} Wh on: {reason}"
    return event_of(
        now, EventKind.METER_ATTACHED, span.meter, words, actor,
        account=span.account, first_wh=span.first_wh, at=span.since,
    )  # fmt: skip


def _free_id(tx: AccountsTransaction, new: NewAccount) -> str:
    base = new.id or account_id_of(new.building, new.room)
    taken: list[str] = []
    name = base
    # Each turn finds one more account of the same name; a room is opened a few times in its life.
    while tx.account(name) is not None:
        taken.append(name)
        name = f"{base}~{len(taken) + 1}"
    return name


def _account_of(new: NewAccount, name: str, now: datetime) -> Account:
    return Account(
        name, new.building, new.room, new.kind, new.tariff, new.mode, new.credit_limit_micro, now,
        floor=new.floor, area_m2=new.area_m2, note=new.note,
    )  # fmt: skip


def _told(new: NewAccount) -> dict[str, Any]:
    told = {name: getattr(new, name) for name in NewAccount.__slots__}
    return {**told, "registers": dict(new.registers or {})}
