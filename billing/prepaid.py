"""Prepaid meters: a room's money is put into its meter, once, and the two are compared."""

import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_hex
from typing import Any

from billing import prepaid_orders as steps
from billing.model import Account, BalanceMode, Directory
from billing.prepaid_model import (
    PrepaidSettings,
    PrepaidStore,
    PurchaseMoved,
    PurchaseOrder,
    PurchaseState,
)
from domain.books import SUSPENSE, BookAccount, Books, meter_book, room_book, transit_book
from domain.clock import Clock
from domain.errors import InvalidInput, UnknownSubject, WattwardenError
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.money import micro_to_minor
from domain.ports import PrepayDriver
from domain.purchases import PrepaidReading, Purchase, PurchaseReceipt

WITHIN_S = 30.0
# A flight that has not landed by then is given up; its purchase can't begin any more.
FLIGHT_SPARE_S = 30.0
Submit = Callable[[Coroutine[Any, Any, Any]], "Future[Any]"]


@dataclass(slots=True)
class _Flight:
    """A question or a purchase on its way to a meter."""

    order: PurchaseOrder
    future: "Future[Any]"
    give_up_s: float


class PrepaidKeeper:
    """Puts the money of METER-mode accounts into their meters. `tick` never waits for the field.

    Whatever stands on such a room's account, however it came there, is money for its meter: an
    order is made for what no other order holds. `driver_for(meter)` is who reaches it, or None;
    `submit` runs a coroutine on the field's event loop, as asyncio.run_coroutine_threadsafe does.
    `seal_key` is that of relay commands; `settle(account)` books what an account has used.
    """

    def __init__(
        self,
        books: Books,
        directory: Directory,
        store: PrepaidStore,
        driver_for: Callable[[str], PrepayDriver | None],
        submit: Submit,
        clock: Clock,
        *,
        on_event: Callable[[Event], None],
        seal_key: bytes,
        settings: PrepaidSettings | None = None,
        settle: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._books, self._directory, self._store = books, directory, store
        self._driver_for, self._submit = driver_for, submit
        self._clock, self._on_event, self._seal_key = clock, on_event, seal_key
        self._settle_use = settle
        self.settings = settings or PrepaidSettings()
        self._lock = threading.RLock()
        self._orders: dict[str, PurchaseOrder] = {one.id: one for one in store.open_orders()}
        self._flights: dict[str, _Flight] = {}
        self._opened: set[str] = set()
        self._doubtful: set[str] = set()

    def open_books(self) -> None:
        """Open the book accounts of every prepaid meter in use. Raises StoreUnavailable."""
        meters = {meter for _, meter in self._prepaid()} - self._opened
        if not meters:
            return
        accounts = [BookAccount(SUSPENSE)]
        for meter in sorted(meters):
            accounts += [BookAccount(transit_book(meter), floor=0), BookAccount(meter_book(meter))]
        self._store.open_accounts(*accounts).result(WITHIN_S)
        self._opened |= meters

    def tick(self) -> None:
        """Take up new money, land what has come back, start what is due."""
        with self._lock:
            self.open_books()
            self._reload()
            self._land()
            self._take_up()
            self._start()

    def orders(
        self,
        *,
        state: PurchaseState | None = None,
        account: str | None = None,
        limit: int = 100,
    ) -> Sequence[PurchaseOrder]:
        """Return purchase orders, newest first."""
        return self._store.orders(state=state, account=account, limit=limit)

    def order(self, order_id: str) -> PurchaseOrder:
        """Return a purchase order. Raises UnknownSubject."""
        found = self._store.order(order_id)
        if found is None:
            raise UnknownSubject(f"no purchase {order_id!r}")
        return found

    def on_the_way_minor(self, account_id: str) -> int:
        """Return what an account's meter is to get and has not got as far as anybody knows."""
        with self._lock:
            return sum(
                one.amount_minor
                for one in self._orders.values()
                if one.account == account_id and one.state is not PurchaseState.REFUSED
            )

    def is_moving(self, meter: str) -> bool:
        """Say whether a purchase may be changing a meter's amount just now."""
        moving = (PurchaseState.WRITING, PurchaseState.UNKNOWN)
        with self._lock:
            return any(one.meter == meter and one.state in moving for one in self._orders.values())

    def release(self, order_id: str, actor: str, reason: str) -> PurchaseOrder:
        """Let go of a refused order: what the room has is sent again, as a new order.

        Raises UnknownSubject, InvalidInput, PurchaseMoved.
        """
        with self._lock:
            order = self._decided(order_id, PurchaseState.REFUSED, actor, reason)
            return self._change(order, replace(order, state=PurchaseState.CLOSED, closed_by=actor))

    def settle(self, order_id: str, *, taken: bool, actor: str, reason: str) -> PurchaseOrder:
        """Say of an unknown purchase, after a look at the meter's display, whether it was taken.

        Not taken, its money is the room's again, and is sent again as a new order. Raises
        UnknownSubject, InvalidInput, PurchaseMoved (while the meter is being asked, too).
        """
        with self._lock:
            order = self._decided(order_id, PurchaseState.UNKNOWN, actor, reason)
            if order_id in self._flights:
                raise PurchaseMoved(f"the meter is being asked about {order_id} just now")
            state = PurchaseState.CONFIRMED if taken else PurchaseState.CLOSED
            now, words = self._clock.now(), f"settled by hand: {reason}"
            return self._change(
                order, replace(order, state=state, closed_by=actor, finished_at=now, reason=words)
            )

    def take_out(self, meter: str, actor: str, reason: str) -> PurchaseOrder:
        """Give the room what the books hold in a meter that was reset, changed or taken away.

        Of a meter still in use it is held back from being written again, by an order that is
        refused until a person releases it. Raises UnknownSubject, InvalidInput, PurchaseMoved (a
        purchase is under way).
        """
        if not reason.strip():
            raise InvalidInput([Fault("reason", "say what became of the meter")])
        spans = self._directory.registers_of_meter(meter)
        account = self._directory.account(spans[-1].account) if spans else None
        if account is None or self._books.balance(meter_book(meter)) is None:
            raise UnknownSubject(f"no prepaid meter {meter!r}")
        self._settle_use(account.id)
        with self._lock:
            if self.is_moving(meter):
                raise PurchaseMoved(f"a purchase for {meter} is under way")
            out = steps.taken_out(
                account, meter, self._books.balance(meter_book(meter)) or 0, self._clock.now(),
                actor=actor, reason=reason, in_use=spans[-1].until is None,
            )  # fmt: skip
            self._store.put(out.order, None, out.entries).result(WITHIN_S)
            if out.order.state is PurchaseState.REFUSED:
                self._orders[out.order.id] = out.order
        return out.order

    # --- new money

    def _prepaid(self) -> list[tuple[Account, str]]:
        """Return the accounts whose meters hold the balance, each with its meter in use."""
        found = []
        for account in self._directory.accounts():
            if account.mode is BalanceMode.METER:
                spans = [one for one in self._directory.registers(account.id) if one.until is None]
                if spans:
                    found.append((account, spans[-1].meter))
        return found

    def _take_up(self) -> None:
        held: dict[str, int] = {}
        for order in self._orders.values():
            if order.state in (PurchaseState.QUEUED, PurchaseState.REFUSED):
                held[order.account] = held.get(order.account, 0) + order.amount_minor
        for account, meter in self._prepaid():
            balance = self._books.balance(room_book(account.id))
            if balance is None:
                continue
            free_minor = micro_to_minor(balance) - held.get(account.id, 0)
            if free_minor >= self.settings.least_minor:
                self._make(account, meter, free_minor)

    def _make(self, account: Account, meter: str, amount_minor: int) -> None:
        now = self._clock.now()
        order = PurchaseOrder(
            id=f"{meter}-{now:%Y%m%d%H%M%S}-{token_hex(4)}",
            account=account.id,
            meter=meter,
            amount_minor=amount_minor,
            state=PurchaseState.QUEUED,
            created_at=now,
            expires_at=now + timedelta(days=self.settings.expire_days),
            next_at=now,
        )
        self._doubtful.add(order.id)
        self._store.put(order, None).result(WITHIN_S)
        self._doubtful.discard(order.id)
        self._orders[order.id] = order

    # --- to the meter and back

    def _recover(self) -> None:
        """What was being written, and nobody waits for any more, may have been taken."""
        now = self._clock.now()
        for order in list(self._orders.values()):
            if order.state is PurchaseState.WRITING and order.id not in self._flights:
                lost = replace(order, writes=order.writes + 1)
                reason = "its answer was lost with the service's memory of it"
                self._change(order, steps.unknown(lost, self.settings, now, reason))

    def _reload(self) -> None:
        """Read anew what the store may or may not have taken."""
        for order_id in list(self._doubtful):
            order = self._store.order(order_id)
            self._orders.pop(order_id, None)
            if order is not None and order.state not in _DONE:
                self._orders[order_id] = order
            self._doubtful.discard(order_id)
        self._recover()

    def _start(self) -> None:
        now = self._clock.now()
        busy = {flight.order.meter for flight in self._flights.values()}
        for order in sorted(self._orders.values(), key=lambda one: (one.created_at, one.id)):
            if order.state is PurchaseState.REFUSED or order.meter in busy:
                continue
            # The oldest goes first: while nobody knows of it, the count of the next is not known.
            busy.add(order.meter)
            if len(self._flights) >= self.settings.flights_most:
                return
            if order.state is PurchaseState.QUEUED and now >= order.expires_at:
                reason = f"waited since {order.created_at:%Y-%m-%d}; {order.reason or 'not sent'}"
                self._change(order, steps.refuse(order, now, reason))
            elif now >= order.next_at:
                self._fly(order, None)

    def _fly(self, order: PurchaseOrder, purchase: Purchase | None) -> bool:
        """Send a purchase or a question off; False where nobody reaches the meter."""
        driver = self._driver_for(order.meter)
        if driver is None:
            return False
        coroutine: Coroutine[Any, Any, Any] = (
            driver.read_prepaid(order.meter) if purchase is None else driver.purchase(purchase)
        )
        try:
            future = self._submit(coroutine)
        except (RuntimeError, WattwardenError):  # the field does not run: starting or ending
            coroutine.close()
            return False
        give_up_s = self._clock.monotonic() + self.settings.valid_s + FLIGHT_SPARE_S
        self._flights[order.id] = _Flight(order, future, give_up_s)
        return True

    def _land(self) -> None:
        for order_id, flight in list(self._flights.items()):
            is_late = self._clock.monotonic() >= flight.give_up_s
            if not flight.future.done() and not is_late:
                continue
            del self._flights[order_id]
            result: object = "the field did not answer in time"
            if flight.future.done():
                error = flight.future.exception() if not flight.future.cancelled() else "cancelled"
                result = flight.future.result() if error is None else str(error)
            self._arrived(flight.order, result)

    def _arrived(self, order: PurchaseOrder, result: object) -> None:
        now = self._clock.now()
        match order.state, result:
            case PurchaseState.QUEUED, PrepaidReading():
                self._write(order, steps.ready(order, result, self.settings, now))
            case PurchaseState.UNKNOWN, PrepaidReading():
                self._change(order, steps.after_look(order, result, self.settings, now))
            case PurchaseState.WRITING, PurchaseReceipt():
                self._change(order, steps.after_write(order, result, self.settings, now))
            case PurchaseState.WRITING, _:
                lost = replace(order, writes=order.writes + 1)
                self._change(order, steps.unknown(lost, self.settings, now, str(result)))
            case _:
                self._change(order, steps.later(order, self.settings, now, str(result)))

    def _write(self, before: PurchaseOrder, order: PurchaseOrder) -> None:
        """Send a purchase off, once its count is on disk and its money has left the room."""
        if order.state is PurchaseState.WRITING:
            balance = self._books.balance(room_book(order.account)) or 0
            if micro_to_minor(balance) < order.amount_minor:
                # Refunded or moved meanwhile: what is left gets an order of its own.
                reason = "the room's money is gone"
                order = replace(before, state=PurchaseState.CLOSED, reason=reason)
        order = self._change(before, order)
        if order.state is not PurchaseState.WRITING:
            return
        purchase = steps.purchase_of(order, self.settings, self._seal_key)
        if not self._fly(order, purchase):
            now = self._clock.now()
            self._change(order, steps.again(order, self.settings, now, "nobody reaches the meter"))

    # --- keeping

    def _change(self, before: PurchaseOrder, order: PurchaseOrder) -> PurchaseOrder:
        """Keep an order's new state with the money's way, then tell of it."""
        account = self._directory.account(order.account)
        if account is None:
            raise UnknownSubject(f"no account {order.account!r}")
        entries = steps.entries_of(before, order, account, self._clock.now())
        floors = {room_book(order.account): 0} if order.state is PurchaseState.WRITING else None
        self._doubtful.add(order.id)
        self._store.put(order, before.state, entries, floors).result(WITHIN_S)
        self._doubtful.discard(order.id)
        if order.state in _DONE:
            self._orders.pop(order.id, None)
        else:
            self._orders[order.id] = order
        if order.state is not before.state:
            self._tell(order)
        return order

    def _decided(
        self, order_id: str, state: PurchaseState, actor: str, reason: str
    ) -> PurchaseOrder:
        if not reason.strip() or not actor.strip():
            raise InvalidInput([Fault("reason", "say who decides this, and why")])
        order = self._orders.get(order_id)
        if order is None:
            order = self.order(order_id)
        if order.state is not state:
            raise PurchaseMoved(f"purchase {order_id} is {order.state.value}, not {state.value}")
        return order

    def _tell(self, order: PurchaseOrder) -> None:
        kind, severity = _EVENTS.get(order.state, (None, Severity.INFO))
        if kind is None:
            return
        message = f"{order.amount_minor} fen for {order.account}: {order.reason}"
        details: Mapping[str, Any] = {
            "purchase": order.id,
            "account": order.account,
            "amount_minor": order.amount_minor,
            "attempts": order.attempts,
            "writes": order.writes,
            "count_before": order.count_before,
            "remaining_before_minor": order.remaining_before_minor,
        }
        now, actor = self._clock.now(), order.closed_by or steps.ACTOR
        self._on_event(
            Event(
                now, kind, order.meter, message, severity, actor, group="prepaid", details=details
            )
        )


_DONE = (PurchaseState.CONFIRMED, PurchaseState.CLOSED)
_EVENTS: Mapping[PurchaseState, tuple[EventKind, Severity]] = {
    PurchaseState.CONFIRMED: (EventKind.PURCHASE_CONFIRMED, Severity.INFO),
    PurchaseState.REFUSED: (EventKind.PURCHASE_REFUSED, Severity.ALARM),
    PurchaseState.UNKNOWN: (EventKind.PURCHASE_UNKNOWN, Severity.WARNING),
}
