"""Closing an account (销户): everything billed, every fen given back, and then it takes no more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
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
    record_of,
    same_action,
)
from billing.accounts.store import AccountsTransaction, ActionRecord, RequestState
from billing.model import Account
from domain.books import (
    FREE_EXPIRED,
    SUSPENSE,
    BookAccount,
    Entry,
    EntryKind,
    Leg,
    Unit,
    cash_book,
    free_book,
    room_book,
)
from domain.errors import InvalidInput
from domain.events import EventKind
from domain.faults import Fault
from domain.money import MICRO_PER_MINOR, micro_to_minor, minor_to_micro

# Money may come in while a refund is on its way; this often the rest is refunded too.
REFUND_ROUNDS = 3


class RefundBy(StrEnum):
    """How the balance of a closed account goes back."""

    CASH = "cash"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class SourceRefund:
    """What is to go back to where it came from; `id` is the caller's, asked again it is the same
    refund."""

    id: str
    account: str
    amount_minor: int
    actor: str
    reason: str


# Books the refunds it starts (room -x, clearing +x) and returns how much that was, minor units.
RefundToSource = Callable[[SourceRefund], int]


class Closing:
    """Closes accounts."""

    _desk: Desk
    _refund_to_source: RefundToSource | None
    _settle_closing: Callable[[str], None]

    def close_account(
        self,
        action_id: str,
        account_id: str,
        actor: str,
        reason: str,
        *,
        refund: RefundBy = RefundBy.CASH,
        cashier: str = "",
        force_reason: str = "",
    ) -> Done:
        """Settle, refund the balance, end registers and occupancies, close the books.

        Refused while energy is held or a meter unread or a request waits, unless `force_reason`
        says why that is right; refused while the account owes something. Cash is paid out of the
        drawer of `cashier`, in whole fen; the rest below a fen goes to suspense. The same id takes
        an interrupted closing up again. Raises InvalidInput, UnknownSubject, AccountRefused, and
        what settling and refunding raise.
        """
        desk = self._desk
        told = {
            "refund": refund.value, "cashier": cashier, "reason": reason,
            "force_reason": force_reason,
        }  # fmt: skip
        asked = Asked(action_id, "close", account_id, actor, told)
        desk.check_asked(asked, reason)
        if refund is RefundBy.CASH and not cashier.strip():
            raise InvalidInput([Fault("cashier", "is needed for a refund by cash")])
        known = desk.done_before(asked)
        if known is not None:
            return known
        account = desk.known_account(account_id)
        desk.settle(account_id)
        trouble = self._trouble(account)
        if trouble and not force_reason.strip():
            raise AccountRefused(
                f"{account_id} can't be closed yet: {'; '.join(trouble)}."
                " Settle that, or say why it is closed all the same (force_reason)"
            )
        # Only now: fees by days and the end of free energy are for an account that really closes.
        self._settle_closing(account_id)
        refunds = []
        if refund is RefundBy.SOURCE:
            refunds = self._send_back(asked, account_id, actor, reason)
        return self._finish(asked, cashier, reason, force_reason, trouble, refunds)

    def _trouble(self, account: Account) -> list[str]:
        desk = self._desk
        unread = [
            f"the meter {span.meter} was never read"
            for span in desk.directory.registers(account.id)
            if span.until is None and desk.reading_of(span.meter) is None
        ]
        held = [
            words
            for span in desk.directory.registers(account.id)
            if span.until is None and (words := desk.held_in_meter(span.meter))
        ]
        now = desk.now()
        waiting = [
            f"the request {request.id} ({request.kind.value}) waits"
            for request in desk.store.requests(state=RequestState.WAITING, account_id=account.id)
            if request.expires_at > now
        ]
        return [*desk.unsettled(account.id), *unread, *held, *waiting]

    def _send_back(
        self, asked: Asked, account_id: str, actor: str, reason: str
    ) -> list[dict[str, Any]]:
        """Refund to source what is there; what was begun before an interruption comes first."""
        desk = self._desk
        send = self._refund_to_source
        if send is None:
            raise AccountRefused("this station can't refund to source: pay out by cash")
        known = desk.store.action(asked.id)
        rounds = list(same_action(known, asked).result["refunds"]) if known else []
        done = []
        for number in range(REFUND_ROUNDS):
            if number == len(rounds):
                due = micro_to_minor(desk.books.balance(room_book(account_id)) or 0)
                if due <= 0:
                    break
                # Written down first: after a crash the same refund is asked for, not another.
                rounds.append({"id": f"{asked.id}:{number + 1}", "amount_minor": due})
                record = record_of(asked, desk.now(), {"refunds": rounds}, finished=False)
                desk.wait(desk.store.transact(partial(_save, record)))
            wanted = rounds[number]
            order = SourceRefund(wanted["id"], account_id, wanted["amount_minor"], actor, reason)
            sent_minor = send(order)
            done.append({**wanted, "sent_minor": sent_minor})
            if sent_minor < wanted["amount_minor"]:
                short = minor_to_micro(wanted["amount_minor"] - sent_minor)
                raise AccountRefused(
                    f"{money(short)} of {account_id} can't go back to where it came from:"
                    " pay that out by cash"
                )
        return done

    def _finish(
        self, asked: Asked, cashier: str, reason: str, force_reason: str,
        trouble: Sequence[str], refunds: Sequence[Mapping[str, Any]],
    ) -> Done:  # fmt: skip
        desk, now, today = self._desk, self._desk.now(), self._desk.today()
        by_cash = asked.particulars["refund"] == RefundBy.CASH

        def work(tx: AccountsTransaction) -> Mapping[str, Any]:
            account = open_account_in(tx, asked.subject)
            balance = tx.balance(room_book(account.id)) or 0
            paid_minor = _pay_out(tx, asked, account, balance, cashier if by_cash else "", now)
            lapsed_wh = _lapse_free(tx, asked, account, now)
            registers = _end_registers(tx, account.id, desk, now)
            for stay in tx.occupancies(account_id=account.id):
                if stay.since >= today:
                    tx.drop_occupancy(stay)
                elif stay.until is None or stay.until > today:
                    tx.save_occupancies(replace(stay, until=today))
            tx.close_book(room_book(account.id))
            tx.close_book(free_book(account.id))
            tx.save_accounts(replace(account, closed_at=now))
            result = {
                "account": account.id, "balance_micro": balance, "paid_out_minor": paid_minor,
                "refunds": list(refunds), "free_lapsed_wh": lapsed_wh, "registers": registers,
            }  # fmt: skip
            words = f"closed, {money(minor_to_micro(paid_minor))} paid out: {reason}"
            tx.tell(
                event_of(now, EventKind.ACCOUNT_CLOSED, account.id, words, asked.actor,
                         reason=reason, force_reason=force_reason, overridden=list(trouble),
                         action=asked.id, **result)
            )  # fmt: skip
            return result

        return desk.once(asked, work)


def _save(record: ActionRecord, tx: AccountsTransaction) -> None:
    tx.save_action(record)


def _pay_out(
    tx: AccountsTransaction, asked: Asked, account: Account, balance: int, cashier: str,
    now: datetime,
) -> int:  # fmt: skip
    """Bring the room's book to 0 and return what was paid by cash, minor units."""
    if balance <= -MICRO_PER_MINOR:
        raise AccountRefused(
            f"{account.id} owes {money(-balance)}: have it paid, or written off with approval"
        )
    paid_minor = max(micro_to_minor(balance), 0)
    if paid_minor and not cashier:
        raise AccountRefused(f"{account.id} has {money(balance)} left by now: send this again")
    rest = balance - minor_to_micro(paid_minor)
    legs = [Leg(room_book(account.id), -balance)] if balance else []
    details = {"account": account.id, "building": account.building, "closing": True}
    if rest:
        # Nobody can be handed a part of a fen, or asked for one.
        tx.open_books(BookAccount(SUSPENSE))
        legs.append(Leg(SUSPENSE, rest))
        details["rounding_micro"] = rest
    if paid_minor:
        tx.open_books(BookAccount(cash_book(cashier)))
        legs.append(Leg(cash_book(cashier), minor_to_micro(paid_minor)))
        details |= {"channel": "cash", "amount_minor": paid_minor, "cashier": cashier}
    if legs:
        kind = EntryKind.REFUND if paid_minor else EntryKind.ADJUSTMENT
        name = f"{kind.value}:{asked.id}"
        tx.post(
            Entry(name, now, kind, tuple(legs), asked.actor, "account closed", asked.id, details),
            {room_book(account.id): 0},
        )
    return paid_minor


def _lapse_free(tx: AccountsTransaction, asked: Asked, account: Account, now: datetime) -> int:
    left_wh = tx.balance(free_book(account.id)) or 0
    if left_wh:
        tx.open_books(BookAccount(FREE_EXPIRED, Unit.WH))
        legs = (Leg(free_book(account.id), -left_wh), Leg(FREE_EXPIRED, left_wh))
        details = {"account": account.id, "building": account.building, "closing": True}
        tx.post(
            Entry(
                f"free-expiry:{asked.id}", now, EntryKind.FREE_EXPIRY, legs, asked.actor,
                "account closed", asked.id, details,
            )
        )  # fmt: skip
    return left_wh


def _end_registers(
    tx: AccountsTransaction, account_id: str, desk: Desk, now: datetime
) -> dict[str, int | None]:
    ended: dict[str, int | None] = {}
    for span in tx.registers(account_id=account_id):
        if span.until is None:
            reading = desk.reading_of(span.meter)
            last_wh = reading.energy_wh if reading and reading.time >= span.since else None
            # What was billed ends here; a meter nobody could read leaves its end unknown.
            until = max(now, span.since)
            tx.save_register(replace(span, until=until, last_wh=last_wh))
            ended[span.meter] = last_wh
    return ended
