"""Opening accounts and changing their terms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from billing.accounts.desk import (
    Asked,
    Desk,
    Done,
    event_of,
    open_account_in,
)
from billing.accounts.new_account import (
    NewAccount,
    attach_in,
    new_account_faults,
    open_in,
    register_faults,
    terms_faults,
)
from billing.accounts.roster import accounts_for_roster, rooms_of
from billing.accounts.store import AccountsTransaction, TariffSince
from billing.model import RegisterSpan
from domain.errors import InvalidInput
from domain.events import Event, EventKind
from domain.faults import Fault
from domain.site import RoomKind, Site

# Accounts opened in one transaction.
AT_ONCE = 200


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
        faults = new_account_faults(new, desk.rules)
        if faults:
            raise InvalidInput(faults)
        now = desk.now()

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            (account,) = open_in(tx, [new], now, actor)
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
        faults = terms_faults(changes, desk.rules)
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
            tx.save_accounts(replace(account, **changes))  # type: ignore[arg-type]
            if tariff is not None and tariff != account.tariff:
                tx.save_tariffs(TariffSince(account_id, now, tariff))
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
            there = {(row[0], row[1]) for row in tx.room_places().values()}
            missing = [new for new in part if (new.building, new.room) not in there]
            return [account.id for account in open_in(tx, missing, now, actor)]

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


def _attached(span: RegisterSpan, now: datetime, actor: str, reason: str) -> Event:
    words = f"counts for {span.account} from {span.first_wh} Wh on: {reason}"
    return event_of(
        now, EventKind.METER_ATTACHED, span.meter, words, actor,
        account=span.account, first_wh=span.first_wh, at=span.since,
    )  # fmt: skip


def _told(new: NewAccount) -> dict[str, Any]:
    told = {name: getattr(new, name) for name in NewAccount.__slots__}
    return {**told, "registers": dict(new.registers or {})}
