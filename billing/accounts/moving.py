"""Changing rooms (换房): people move, and the money that is theirs moves with them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
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
from billing.accounts.people import leave_in, occupy_in
from billing.accounts.store import AccountsTransaction
from billing.model import Account, Occupancy
from domain.books import Entry, EntryKind, Leg, room_book
from domain.errors import InvalidInput, UnknownSubject
from domain.events import EventKind
from domain.faults import Fault
from domain.money import MICRO_PER_MINOR, minor_to_micro


class Moving:
    """Moves occupants with their money from a room to another."""

    _desk: Desk

    def move_room(
        self,
        action_id: str,
        from_account: str,
        to_account: str,
        actor: str,
        reason: str,
        *,
        people: Sequence[str] | None = None,
        on: date | None = None,
        amount_minor: int | None = None,
        carry_debt: bool = False,
    ) -> Done:
        """Move occupants (all of them by default) and their money on a day (default: today).

        When everybody moves, the exact balance moves; when some stay, each mover takes an equal
        share in whole fen and the rest stays, unless `amount_minor` names what they agreed on.
        Free energy stays with the room. A debt keeps people from moving, unless `carry_debt`
        takes their part of it along. Both rooms are settled first. The result gives the amount.
        Raises InvalidInput, UnknownSubject, AccountRefused, EntryRefused, and what settling raises.
        """
        desk = self._desk
        told = {
            "to": to_account, "people": sorted(people) if people is not None else None,
            "on": on, "amount_minor": amount_minor, "carry_debt": carry_debt, "reason": reason,
        }  # fmt: skip
        asked = Asked(action_id, "move-room", from_account, actor, told)
        desk.check_asked(asked, reason)
        if from_account == to_account:
            raise InvalidInput([Fault("to_account", "must be another room")])
        known = desk.done_before(asked)
        if known is not None:
            return known
        day = on or desk.today()
        desk.check_day(day, "on")
        for account_id in (from_account, to_account):
            desk.known_account(account_id)
            desk.settle(account_id)
        now = desk.now()

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            old, new = open_account_in(tx, from_account), open_account_in(tx, to_account)
            movers, there = _movers(tx, from_account, people, day)
            balance = tx.balance(room_book(from_account)) or 0
            if balance < 0 and not carry_debt:
                raise AccountRefused(
                    f"{from_account} owes {money(-balance)}: pay it first, or have it carried along"
                )
            amount = _share(balance, len(movers), there, amount_minor)
            if amount:
                entry = _entry(action_id, old, new, amount, now, actor, reason, movers)
                tx.post(entry, _floors(balance, amount, from_account))
            for person in movers:
                leave_in(tx, person, from_account, day)
                occupy_in(tx, Occupancy(person, to_account, day))
            result = {
                "from": from_account, "to": to_account, "people": movers, "on": day.isoformat(),
                "amount_micro": amount, "entry": f"room-move:{action_id}" if amount else None,
            }  # fmt: skip
            words = f"{', '.join(movers)} to {to_account} with {money(amount)}: {reason}"
            tx.tell(
                event_of(now, EventKind.ROOM_MOVED, from_account, words, actor,
                         reason=reason, action=action_id, **result)
            )  # fmt: skip
            return result

        return desk.once(asked, work)


def _movers(
    tx: AccountsTransaction, account_id: str, people: Sequence[str] | None, day: date
) -> tuple[list[str], int]:
    """Return who moves, and how many occupy the room before the move."""
    there = {
        stay.person
        for stay in tx.occupancies(account_id=account_id)
        if stay.since <= day and (stay.until is None or stay.until > day)
    }
    movers = sorted(there if people is None else set(people))
    if not movers:
        raise AccountRefused(f"nobody occupies {account_id} on {day}")
    for person in movers:
        if tx.person(person) is None:
            raise UnknownSubject(f"no person {person!r}")
        if person not in there:
            raise AccountRefused(f"{person} does not occupy {account_id} on {day}")
    return movers, len(there)


def _share(balance: int, movers: int, there: int, amount_minor: int | None) -> int:
    if amount_minor is not None:
        amount = minor_to_micro(amount_minor)
        if not 0 <= amount <= max(balance, 0):
            words = f"must be from 0 to what is there, {money(max(balance, 0))}"
            raise InvalidInput([Fault("amount_minor", f"{words} (given: {money(amount)})")])
        return amount
    if movers == there:
        return balance
    # Towards zero, in whole fen: what can't be divided stays with the room.
    share_minor = abs(balance) * movers // there // MICRO_PER_MINOR
    return minor_to_micro(share_minor) * (1 if balance > 0 else -1)


def _floors(balance: int, amount: int, account_id: str) -> dict[str, int]:
    # What is carried is never more than what is there, whatever came in between.
    return {room_book(account_id): 0} if amount > 0 and balance > 0 else {}


def _entry(
    action_id: str, old: Account, new: Account, amount: int, now: datetime, actor: str,
    reason: str, movers: Sequence[str],
) -> Entry:  # fmt: skip
    legs = (Leg(room_book(old.id), -amount), Leg(room_book(new.id), amount))
    details = {
        "account": old.id, "building": old.building, "to_account": new.id,
        "to_building": new.building, "people": list(movers),
    }  # fmt: skip
    return Entry(
        f"room-move:{action_id}", now, EntryKind.ROOM_MOVE, legs, actor, reason, action_id, details
    )
