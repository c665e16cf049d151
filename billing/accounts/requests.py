"""Money moved by hand: one person asks, a second one decides, and only then it is booked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from billing.accounts.desk import (
    AccountRefused,
    Asked,
    Desk,
    event_of,
    money,
    open_account_in,
)
from billing.accounts.store import AccountsTransaction, MoneyRequest, RequestKind, RequestState
from domain.books import SUSPENSE, BookAccount, Entry, EntryKind, Leg, room_book
from domain.errors import Forbidden, InvalidInput, UnknownSubject
from domain.events import EventKind
from domain.faults import Fault
from domain.money import AMOUNT_MOST_MINOR, checked_amount_minor, minor_to_micro


class Requests:
    """Transfers of wrong-room recharges, adjustments, and debts written off."""

    _desk: Desk

    def request_transfer(
        self,
        request_id: str,
        from_account: str,
        to_account: str,
        recharge: str,
        amount_minor: int,
        actor: str,
        reason: str,
    ) -> MoneyRequest:
        """Ask that a recharge to the wrong room be moved; `recharge` is its entry.

        Nothing moves yet. Raises InvalidInput, UnknownSubject, AccountRefused (no such recharge
        of that room, or more than is left of it).
        """
        checked_amount_minor(amount_minor, "amount_minor")
        if from_account == to_account:
            raise InvalidInput([Fault("to_account", "must be another room")])
        return self._ask(
            request_id, RequestKind.TRANSFER, from_account, minor_to_micro(amount_minor), actor,
            reason, to_account=to_account, recharge=recharge,
        )  # fmt: skip

    def request_adjustment(
        self, request_id: str, account_id: str, amount_minor: int, actor: str, reason: str
    ) -> MoneyRequest:
        """Ask that a room's balance be corrected, up (above 0) or down.

        Raises InvalidInput, UnknownSubject, AccountRefused.
        """
        if isinstance(amount_minor, bool) or not 0 < abs(amount_minor) <= AMOUNT_MOST_MINOR:
            words = f"must be from 1 to {AMOUNT_MOST_MINOR} fen, or the same below 0"
            raise InvalidInput([Fault("amount_minor", f"{words} (given: {amount_minor})")])
        return self._ask(
            request_id, RequestKind.ADJUSTMENT, account_id, minor_to_micro(amount_minor), actor,
            reason,
        )  # fmt: skip

    def request_write_off(
        self, request_id: str, account_id: str, actor: str, reason: str
    ) -> MoneyRequest:
        """Ask that what a room owes now be written off, so that it can be closed.

        Raises UnknownSubject, AccountRefused (it owes nothing), and what settling raises.
        """
        desk = self._desk
        desk.known_account(account_id)
        known = desk.store.request(request_id)
        if known is None:
            desk.settle(account_id)
            debt = -(desk.books.balance(room_book(account_id)) or 0)
            if debt <= 0:
                raise AccountRefused(f"{account_id} owes nothing")
        else:
            debt = known.amount_micro
        return self._ask(request_id, RequestKind.WRITE_OFF, account_id, debt, actor, reason)

    def approve_transfer(self, request_id: str, actor: str, reason: str) -> MoneyRequest:
        """Agree, as a second person, and book; agreeing again changes nothing.

        The money must still be there: a transfer never takes a room below 0, nor more than is
        left of the recharge. Serves requests of every kind. Raises UnknownSubject, Forbidden (it
        is one's own request), AccountRefused, EntryRefused, and what settling raises.
        """
        desk = self._desk
        request = self.money_request(request_id)
        if request.state is RequestState.WAITING and request.kind is not RequestKind.WRITE_OFF:
            desk.settle(request.account)
        return self._decide(request_id, RequestState.APPROVED, actor, reason)

    def refuse_request(self, request_id: str, actor: str, reason: str) -> MoneyRequest:
        """Say no to a request, or withdraw one's own. Raises UnknownSubject, AccountRefused."""
        request = self.money_request(request_id)
        own = request.requested_by == actor
        state = RequestState.WITHDRAWN if own else RequestState.REFUSED
        return self._decide(request_id, state, actor, reason)

    def money_request(self, request_id: str) -> MoneyRequest:
        """Return a request as it stands now. Raises UnknownSubject."""
        request = self._desk.store.request(request_id)
        if request is None:
            raise UnknownSubject(f"no request {request_id!r}")
        return as_it_stands(request, self._desk.now())

    def money_requests(
        self, *, waiting_only: bool = False, account_id: str | None = None, limit: int = 100
    ) -> Sequence[MoneyRequest]:
        """Return requests, newest first, as they stand now."""
        now = self._desk.now()
        state = RequestState.WAITING if waiting_only else None
        found = self._desk.store.requests(state=state, account_id=account_id, limit=limit)
        standing = [as_it_stands(request, now) for request in found]
        if waiting_only:
            return [one for one in standing if one.state is RequestState.WAITING]
        return standing

    def _ask(
        self, request_id: str, kind: RequestKind, account_id: str, amount_micro: int, actor: str,
        reason: str, *, to_account: str = "", recharge: str = "",
    ) -> MoneyRequest:  # fmt: skip
        desk, now = self._desk, self._desk.now()
        desk.check_asked(Asked(request_id, kind.value, account_id, actor), reason)
        expires_at = now + timedelta(days=desk.rules.request_days)
        request = MoneyRequest(
            request_id, kind, account_id, amount_micro, reason, actor, now, expires_at,
            to_account, recharge,
        )  # fmt: skip

        def work(tx: AccountsTransaction) -> MoneyRequest:
            known = tx.request(request_id)
            if known is not None:
                return _same_request(known, request)
            _check_request(tx, request)
            tx.save_request(request)
            words = f"{kind.value} of {money(amount_micro)} asked for: {reason}"
            tx.tell(
                event_of(now, EventKind.MONEY_REQUESTED, account_id, words, actor,
                         **_particulars(request))
            )  # fmt: skip
            return request

        return as_it_stands(desk.wait(desk.store.transact(work)), now)

    def _decide(
        self, request_id: str, state: RequestState, actor: str, reason: str
    ) -> MoneyRequest:
        desk, now = self._desk, self._desk.now()
        desk.check_asked(Asked(request_id, "decide", request_id, actor), reason)

        def work(tx: AccountsTransaction) -> MoneyRequest:
            request = tx.request(request_id)
            if request is None:
                raise UnknownSubject(f"no request {request_id!r}")
            if (request.state, request.decided_by) == (state, actor):
                return request
            _check_decision(as_it_stands(request, now), state, actor)
            entry = ""
            if state is RequestState.APPROVED:
                _check_request(tx, request)
                entry = _book(tx, request, actor, now)
            decided = replace(
                request, state=state, decided_by=actor, decided_at=now, decision=reason,
                entry=entry,
            )  # fmt: skip
            tx.save_request(decided)
            words = f"{request.kind.value} of {money(request.amount_micro)} {state.value}: {reason}"
            tx.tell(
                event_of(now, EventKind.MONEY_DECIDED, request.account, words, actor,
                         requested_by=request.requested_by, entry=entry, **_particulars(request))
            )  # fmt: skip
            return decided

        return desk.wait(desk.store.transact(work))


def as_it_stands(request: MoneyRequest, now: datetime) -> MoneyRequest:
    """Return a request; one that waits past its expiry has expired."""
    if request.state is RequestState.WAITING and now >= request.expires_at:
        return replace(request, state=RequestState.EXPIRED)
    return request


def _check_decision(request: MoneyRequest, state: RequestState, actor: str) -> None:
    if request.state is not RequestState.WAITING:
        raise AccountRefused(f"the request {request.id} is {request.state.value} already")
    if state is RequestState.APPROVED and request.requested_by == actor:
        raise Forbidden(f"{actor} asked for {request.id}: a second person has to agree")


def _check_request(tx: AccountsTransaction, request: MoneyRequest) -> None:
    """Hold a request against what is there, when it is asked for and again when it is booked."""
    open_account_in(tx, request.account)
    if request.kind is not RequestKind.TRANSFER:
        return
    open_account_in(tx, request.to_account)
    left = tx.paid_left(request.recharge, room_book(request.account))
    if left is None:
        raise AccountRefused(f"{request.recharge} is no recharge of {request.account}")
    if request.amount_micro > left:
        raise AccountRefused(
            f"{money(left)} is left of {request.recharge}: {money(request.amount_micro)}"
            " can't be moved"
        )


def _book(tx: AccountsTransaction, request: MoneyRequest, actor: str, now: datetime) -> str:
    source, amount = room_book(request.account), request.amount_micro
    account = tx.account(request.account)
    details: dict[str, Any] = {
        "account": request.account, "building": account.building if account else "",
        "requested_by": request.requested_by, "approved_by": actor, "request": request.id,
    }  # fmt: skip
    if request.kind is RequestKind.TRANSFER:
        target = tx.account(request.to_account)
        details["to_account"] = request.to_account
        details["to_building"] = target.building if target else ""
        legs = (Leg(source, -amount), Leg(room_book(request.to_account), amount))
        # Spent money can't be moved, whatever credit the room has.
        entry = _entry(request, EntryKind.TRANSFER, legs, now, actor, details)
        return tx.post(entry, {source: 0}).entry.id
    if request.kind is RequestKind.WRITE_OFF:
        balance = tx.balance(source) or 0
        if balance + amount > 0:
            raise AccountRefused(
                f"{request.account} owes {money(max(-balance, 0))} now, not {money(amount)}:"
                " ask anew"
            )
        details["write_off"] = True
    legs = (Leg(source, amount), Leg(SUSPENSE, -amount))
    tx.open_books(BookAccount(SUSPENSE))
    entry = _entry(request, EntryKind.ADJUSTMENT, legs, now, actor, details)
    return tx.post(entry, enforce_floors=False).entry.id


def _entry(
    request: MoneyRequest, kind: EntryKind, legs: tuple[Leg, ...], now: datetime, actor: str,
    details: Mapping[str, Any],
) -> Entry:  # fmt: skip
    reference = request.recharge or request.id
    name = f"{kind.value}:{request.id}"
    return Entry(name, now, kind, legs, actor, request.reason, reference, details)


def _same_request(known: MoneyRequest, asked: MoneyRequest) -> MoneyRequest:
    names = ("kind", "account", "to_account", "amount_micro", "recharge", "requested_by", "reason")
    if any(getattr(known, name) != getattr(asked, name) for name in names):
        raise AccountRefused(f"the id {known.id} was used before for another request")
    return known


def _particulars(request: MoneyRequest) -> dict[str, Any]:
    return {
        "request": request.id,
        "request_kind": request.kind.value,
        "amount_micro": request.amount_micro,
        "to_account": request.to_account,
        "recharge": request.recharge,
    }
