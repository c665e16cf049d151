"""Charging: counter readings in, entries of the books out. Target less posted, whatever comes when.

What an account's month costs follows from the counter's readings, the tariff versions and the
occupants alone; the books get the difference to what they hold already. So a reading that comes
late, twice, or after a restart ends in the same total.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl

from billing.account_charge import AccountCharge, Parts
from billing.bills import Bill, Bills
from billing.calendar import MS, first_day, local_date, month_at, month_bounds_ms, next_month, to_ms
from billing.chain import Decision, MeterLimits, Reading
from billing.charging_store import (
    ChargingStore,
    Plan,
    RegisterKey,
    RegisterRow,
    Review,
    ReviewState,
)
from billing.jumps import resolved
from billing.model import Account, BalanceMode, Directory, RegisterSpan
from billing.rating import ONE_DAY
from billing.register import Register
from billing.settlement import MONTH_GRACE_MS
from billing.shelf import TariffHistory, TariffShelf
from domain.books import Books, EntryKind, Posted, meter_book, room_book
from domain.clock import Clock
from domain.errors import InvalidInput, UnknownSubject, WattwardenError
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.frame import Quality

# A stamp ahead of the clock by more comes from a clock that was wrong then, or is now.
AHEAD_MOST_MS = 120_000
# A clock set back by more than this is itself not believed.
BACK_MOST_MS = 26 * 3_600_000
LATE_MOST = 200_000
ACCOUNTS_A_BATCH = 20
WRITE_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class ChargeRun:
    """What a round of charging did. `failed` names the accounts that could not be charged."""

    accounts: int = 0
    entries: int = 0
    charged_micro: int = 0
    failed: tuple[Fault, ...] = ()


@dataclass(slots=True)
class ChargeCounters:
    """What became of readings since the start."""

    taken: int = 0
    not_good: int = 0
    unknown_meter: int = 0
    ahead: int = 0
    before_span: int = 0
    late: int = 0
    late_lost: int = 0
    refused: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """A register's books: what its counter moved and where that went, Wh. `difference_wh` is 0.

    Counter difference + `explained_wh` = billed + pending + held + `difference_wh`; `explained_wh`
    is what rollovers and decisions add to or take from the plain difference of two readings.
    """

    meter: str
    account: str
    since: datetime
    first_wh: int
    last_wh: int
    billed_wh: int
    pending_wh: int
    held_wh: int
    explained_wh: int
    difference_wh: int


@dataclass(slots=True)
class _Meter:
    spans: Sequence[RegisterSpan]
    registers: list[Register] = field(default_factory=list)


class Charger:
    """Charges accounts for what their registers count. Thread-safe.

    `observe` is quick and touches no disk. `zone` is the site's. `limits_of` tells what a meter
    can do, `tariffs_of` which tariff an account had from when on (default: its present one).
    `post_every_s` is how often use is booked; `settle` books an account's at once.
    """

    def __init__(
        self,
        books: Books,
        directory: Directory,
        store: ChargingStore,
        clock: Clock,
        zone: ZoneInfo,
        on_event: Callable[[Event], None],
        post_every_s: float = 3600,
        *,
        shelf: TariffShelf | None = None,
        limits_of: Callable[[str], MeterLimits] = lambda _: MeterLimits(),
        tariffs_of: TariffHistory | None = None,
    ) -> None:
        self.shelf = shelf or TariffShelf(store, clock, zone)
        self.counters = ChargeCounters()
        self._books, self._directory, self._store = books, directory, store
        self._clock, self._zone, self._on_event = clock, zone, on_event
        self._post_every_ms = int(post_every_s * MS)
        self._lock = threading.RLock()
        self._settling: dict[str, threading.Lock] = {}
        self._accounts: dict[str, AccountCharge] = {}
        self._meters: dict[str, _Meter] = {}
        self._late: deque[tuple[str, Reading]] = deque(maxlen=LATE_MOST)
        self._told: set[tuple[str, ReviewState]] = set()
        self._next_ms = 0
        self._parts = Parts(
            directory=directory,
            store=store,
            shelf=self.shelf,
            zone=zone,
            limits_of=limits_of,
            tariffs_of=tariffs_of or self._present_tariff,
            payer_of=self._payer_of,
        )
        self._stored: dict[RegisterKey, RegisterRow] = {row.key: row for row in store.registers()}
        self._stored_reviews: dict[RegisterKey, list[Review]] = {}
        for review in store.reviews():
            self._stored_reviews.setdefault(review.key, []).append(review)
        self._unfinished = dict(store.unfinished())
        self._bills = Bills(store, self._lock, self._fresh, zone)
        self._take_accounts()

    # --- readings

    def observe(self, frame: pl.DataFrame) -> None:
        """Take the energy readings of a sweep; only good ones count."""
        meters = frame.get_column("meter").to_list()
        times = frame.get_column("time").to_physical().to_list()
        counts = frame.get_column("energy_wh").to_list()
        good = Quality.GOOD.value
        qualities = (
            frame.get_column("quality").to_list()
            if "quality" in frame.columns
            else [good] * len(meters)
        )
        now_ms = to_ms(self._clock.now())
        with self._lock:
            for meter, ms, energy_wh, quality in zip(meters, times, counts, qualities, strict=True):
                if energy_wh is None or quality != good:
                    self.counters.not_good += 1
                else:
                    self._take(meter, ms, energy_wh, now_ms, wait=True)

    def _take(self, meter: str, ms: int, energy_wh: int, now_ms: int, *, wait: bool) -> None:
        if ms > now_ms + AHEAD_MOST_MS:
            self.counters.ahead += 1
            return
        found = self._meters.get(meter)
        spans = self._directory.registers_of_meter(meter)
        if found is None or found.spans is not spans:
            found = self._take_spans(meter, spans)
        register = next((one for one in reversed(found.registers) if one.covers(ms)), None)
        if register is None:
            if found.registers:
                self.counters.before_span += 1
            else:
                self.counters.unknown_meter += 1
            return
        chain = register.chain
        last_ms = chain.times[-1]
        if last_ms > now_ms + AHEAD_MOST_MS:
            if last_ms > now_ms + BACK_MOST_MS:
                self.counters.refused += 1
                return
            self._withdraw(register, now_ms)
        if wait and ms <= chain.times[0] and self._is_let_go(register, ms):
            # Older than what is in memory: the disk is asked outside the sweep.
            if len(self._late) == LATE_MOST:
                self.counters.late_lost += 1
            self._late.append((meter, Reading(ms, energy_wh)))
            return
        taken = chain.add(ms, energy_wh)
        self.counters.taken += 1
        if taken == "refused":
            self.counters.refused += 1

    def _is_let_go(self, register: Register, ms: int) -> bool:
        return local_date(ms, self._zone) < register.loaded_from

    def _withdraw(self, register: Register, now_ms: int) -> None:
        """Take out readings stamped by a clock that has been set back since."""
        gone = register.chain.drop_after(now_ms)
        self.counters.withdrawn += len(gone)

    def _take_late(self, now_ms: int) -> None:
        while self._late:
            meter, reading = self._late.popleft()
            self.counters.late += 1
            month = first_day(month_at(reading.ms, self._zone))
            for register in self._meters[meter].registers:
                if register.covers(reading.ms):
                    self._accounts[register.account].extend(register, month)
            self._take(meter, reading.ms, reading.energy_wh, now_ms, wait=False)

    # --- accounts and registers

    def _take_accounts(self) -> None:
        for account in self._directory.accounts():
            self._charge_of(account)

    def _charge_of(self, account: Account) -> AccountCharge:
        """Return an account's charging, with its registers as the directory has them now."""
        known = self._accounts.get(account.id)
        if known is None:
            known = self._accounts[account.id] = AccountCharge(account, self._parts)
            self._settling[account.id] = threading.Lock()
            known.refresh()
        for span in self._directory.registers(account.id):
            spans = self._directory.registers_of_meter(span.meter)
            meter = self._meters.get(span.meter)
            if meter is None or meter.spans is not spans:
                self._take_spans(span.meter, spans)
        if known.dirty_from is None and not known.months:
            known.dirty(self._unfinished.pop(account.id, known.first_month()))
        return known

    def _take_spans(self, meter: str, spans: Sequence[RegisterSpan]) -> _Meter:
        found = self._meters.get(meter) or _Meter(spans)
        self._meters[meter] = found
        found.spans = spans
        known = {register.key: register for register in found.registers}
        found.registers = []
        moved: list[Reading] = []
        for span in spans:
            register = known.get(RegisterKey(span.meter, span.since)) or self._register(span)
            if register is None:
                continue
            if span.until is not None and register.until_ms is None:
                moved += self._end(register, span)
            found.registers.append(register)
        for reading in sorted(moved):
            for register in found.registers:
                if register.covers(reading.ms):
                    register.chain.add(*reading)
        return found

    def _register(self, span: RegisterSpan) -> Register | None:
        account = self._directory.account(span.account)
        if account is None:
            return None
        charge = self._accounts.get(account.id)
        if charge is None:
            charge = self._accounts[account.id] = AccountCharge(account, self._parts)
            self._settling[account.id] = threading.Lock()
            charge.refresh()
        limits = self._parts.limits_of(span.meter)
        register = Register(span, limits, charge.stretch, self._zone)
        register.until_ms = None
        row = self._stored.pop(register.key, None)
        if row is None:
            register.chain.begin(register.since_ms, span.first_wh)
        else:
            self._restore(charge, register, row)
        charge.add_register(register)
        return register

    def _restore(self, charge: AccountCharge, register: Register, row: RegisterRow) -> None:
        for review in self._stored_reviews.pop(register.key, []):
            register.reviews[review.after.ms] = review
            charge.reviews[review.id] = review
            if review.decision is not None and review.state is not ReviewState.GONE:
                register.chain.decisions[review.after.ms] = review.decision
        register.loaded_from = local_date(row.last.ms, self._zone) + ONE_DAY
        charge.extend(register, first_day(month_at(row.last.ms, self._zone)))
        register.chain.total_wh = register.settled_wh = row.counted_wh

    def _end(self, register: Register, span: RegisterSpan) -> list[Reading]:
        until_ms = to_ms(span.until) if span.until is not None else 0
        last_wh = span.last_wh if span.last_wh is not None else register.chain.last.energy_wh
        gone = register.chain.drop_after(until_ms)
        register.span, register.until_ms = span, until_ms
        register.chain.end(until_ms, last_wh)
        return gone

    def _present_tariff(self, account_id: str) -> Sequence[tuple[datetime, str]]:
        account = self._directory.account(account_id)
        if account is None:
            return ()
        return ((account.opened_at or datetime.min, account.tariff),)

    def _payer_of(self, account: Account) -> str:
        """Return the book account that pays: the room's, or that of its prepaid meter."""
        if account.mode is BalanceMode.METER:
            spans = [span for span in self._directory.registers(account.id) if span.until is None]
            if spans:
                return meter_book(spans[-1].meter)
        return room_book(account.id)

    def _fresh(self, account_id: str) -> AccountCharge:
        """Return an account's charging. Raises UnknownSubject. The lock is held."""
        account = self._directory.account(account_id)
        if account is None:
            raise UnknownSubject(f"no account {account_id!r}")
        return self._charge_of(account)

    # --- booking

    def charge_due(self, now: datetime | None = None) -> ChargeRun:
        """Book what is due: every `post_every_s`, and soon after each month's end.

        An account that can't be booked is told in the answer and tried again the next time.
        """
        now_ms = to_ms(now or self._clock.now())
        if now_ms < self._next_ms:
            return ChargeRun()
        with self._lock:
            self._take_late(now_ms)
            self._take_accounts()
            names = [name for name, one in self._accounts.items() if one.account.closed_at is None]
        run = _Run()
        for start in range(0, len(names), ACCOUNTS_A_BATCH):
            self._book(names[start : start + ACCOUNTS_A_BATCH], now_ms, run)
        self._next_ms = self._after(now_ms)
        return ChargeRun(run.accounts, run.entries, run.charged_micro, tuple(run.failed))

    def settle(self, account_id: str) -> None:
        """Book what an account has used up to now. Raises UnknownSubject, StoreUnavailable,
        EntryRefused."""
        self._settle(account_id, to_ms(self._clock.now()), closing=False)

    def close(self, account_id: str) -> None:
        """Book everything of an account that is about to close: use, fees by days, free energy."""
        self._settle(account_id, to_ms(self._clock.now()), closing=True)

    def _settle(self, account_id: str, now_ms: int, *, closing: bool) -> None:
        with self._lock:
            self._take_late(now_ms)
            charge = self._fresh(account_id)
            charge.set_closing(now_ms if closing else None)
        run = _Run(raises=True)
        self._book([account_id], now_ms, run, wait=True)

    def _book(self, names: Sequence[str], now_ms: int, run: "_Run", *, wait: bool = False) -> None:
        """Settle a few accounts in one go: planned one by one, waited for together."""
        under_way: list[tuple[AccountCharge, Plan, Future[Sequence[Posted]]]] = []
        held: list[threading.Lock] = []
        try:
            for name in names:
                busy = self._settling[name]
                if not busy.acquire(blocking=wait):
                    continue
                held.append(busy)
                try:
                    started = self._start(name, now_ms)
                except WattwardenError as error:
                    run.fail(name, error)
                else:
                    if started is not None:
                        under_way.append(started)
            for charge, plan, future in under_way:
                self._finish(charge, plan, future, now_ms, run)
        finally:
            for busy in held:
                busy.release()

    def _start(
        self, name: str, now_ms: int
    ) -> "tuple[AccountCharge, Plan, Future[Sequence[Posted]]] | None":
        with self._lock:
            charge = self._accounts[name]
            for register in charge.registers.values():
                last_ms = register.chain.times[-1]
                if now_ms + AHEAD_MOST_MS < last_ms <= now_ms + BACK_MOST_MS:
                    self._withdraw(register, now_ms)
            plan = charge.plan(now_ms)
            if plan.is_empty:
                return None
            charge.hand_over(plan)
        try:
            return charge, plan, self._store.commit(plan)
        except WattwardenError:
            with self._lock:
                charge.take_back(plan)
            raise

    def _finish(
        self,
        charge: AccountCharge,
        plan: Plan,
        future: "Future[Sequence[Posted]]",
        now_ms: int,
        run: "_Run",
    ) -> None:
        try:
            posted = future.result(WRITE_WITHIN_S)
        except (WattwardenError, TimeoutError) as error:
            with self._lock:
                charge.take_back(plan)
            run.fail(plan.account, error)
            return
        with self._lock:
            charge.committed(plan, now_ms)
        run.add(posted)
        for review in plan.reviews:
            self._tell(review)

    def _after(self, now_ms: int) -> int:
        """Return when the next booking is due."""
        planned = (now_ms // self._post_every_ms + 1) * self._post_every_ms
        month = month_at(now_ms, self._zone)
        begin, end = month_bounds_ms(month, self._zone)
        grace_ends = begin + MONTH_GRACE_MS
        if now_ms < grace_ends:
            return min(planned, grace_ends)
        return min(planned, end + MONTH_GRACE_MS)

    # --- what is known

    def accrued_micro(self, account_id: str) -> int:
        """Return what an account has used and what is not booked yet, micro-units; 0 where it is
        not known."""
        now_ms = to_ms(self._clock.now())
        with self._lock:
            charge = self._accounts.get(account_id)
            if charge is None:
                return 0
            try:
                return charge.accrued_micro(now_ms)
            except UnknownSubject:
                # Without a tariff there is no price; charge_due tells it as a fault.
                return 0

    def balance_micro(self, account_id: str) -> int | None:
        """Return what an account has: its booked balance less what is used and not booked."""
        booked = self._books.balance(room_book(account_id))
        return None if booked is None else booked - self.accrued_micro(account_id)

    def reviews(self, *, open_only: bool = True, limit: int = 1000) -> list[Review]:
        """Return the jumps that were held, newest first."""
        with self._lock:
            fresh = {}
            for charge in self._accounts.values():
                charge.flush()
                fresh.update(charge.reviews)
        known = {one.id: one for one in self._store.reviews(limit=limit)} | fresh
        found = [one for one in known.values() if not open_only or one.state is ReviewState.OPEN]
        return sorted(found, key=lambda one: one.found_at, reverse=True)[:limit]

    def resolve(self, review_id: str, decision: Decision, actor: str, reason: str) -> Review:
        """Let a person decide about a held jump, and book it.

        The same decision again changes nothing. Raises UnknownSubject, and InvalidInput where it
        was decided otherwise, is gone, or the decision lacks a number.
        """
        now = self._clock.now()
        with self._lock:
            review = next(
                (
                    charge.reviews[review_id]
                    for charge in self._accounts.values()
                    if review_id in charge.reviews
                ),
                None,
            ) or self._store.review(review_id)
            if review is None:
                raise UnknownSubject(f"no review {review_id!r}")
            if review.state is ReviewState.DECIDED and review.decision == decision:
                return review
            self._check_decision(review, decision, reason)
            charge = self._fresh(review.account)
            register = charge.registers[review.key]
            charge.extend(register, first_day(month_at(review.before.ms, self._zone)))
            done = resolved(register, review, decision, actor, now, reason)
            charge.reviews[done.id] = charge.dirty_reviews[done.id] = done
        self.settle(review.account)
        return done

    def _check_decision(self, review: Review, decision: Decision, reason: str) -> None:
        faults = []
        if review.state is not ReviewState.OPEN:
            faults.append(Fault("decision", f"it is {review.state.value} already", review.id))
        faults += decision_faults(review, decision)
        if not reason.strip():
            faults.append(Fault("reason", "must be told"))
        if faults:
            raise InvalidInput(faults)

    def _tell(self, review: Review) -> None:
        if (review.id, review.state) in self._told:
            return
        self._told.add((review.id, review.state))
        event = review_event(review, self._clock.now())
        if event is not None:
            self._on_event(event)

    # --- bills

    def bill(self, account_id: str, month: str) -> Bill:
        """Return an account's bill of a month. Raises UnknownSubject."""
        return self._bills.bill(account_id, month)


@dataclass(slots=True)
class _Run:
    raises: bool = False
    accounts: int = 0
    entries: int = 0
    charged_micro: int = 0
    failed: list[Fault] = field(default_factory=list)

    def add(self, posted: Sequence[Posted]) -> None:
        self.accounts += 1
        self.entries += len(posted)
        self.charged_micro -= sum(
            one.entry.legs[0].amount
            for one in posted
            if one.entry.kind in (EntryKind.CHARGE, EntryKind.FEE)
        )

    def fail(self, account: str, error: Exception) -> None:
        if self.raises:
            raise error
        self.failed.append(Fault("charging", str(error) or type(error).__name__, account))


def decision_faults(review: Review, decision: Decision) -> list[Fault]:
    """Return what a decision lacks to be used on a review."""
    del review
    faults = []
    needs = {
        "rollover": (("size_wh", decision.size_wh),),
        "swap": (("final_wh", decision.final_wh), ("first_wh", decision.first_wh)),
    }
    for name, value in needs.get(decision.ruling.value, ()):
        if value is None or value < 0:
            faults.append(Fault(name, "must be a counter reading, Wh, of 0 or more"))
    if decision.energy_wh is not None and decision.energy_wh < 0:
        faults.append(Fault("energy_wh", "must be 0 or more"))
    return faults


def review_event(review: Review, now: datetime) -> Event | None:
    """Return the event that tells of a review, or None where there is nothing to tell."""
    kind, severity, words = {
        ReviewState.OPEN: (EventKind.ENERGY_HELD, Severity.WARNING, "is held for review"),
        ReviewState.EXPLAINED: (EventKind.ROLLOVER_COUNTED, Severity.INFO, "is a rollover"),
        ReviewState.DECIDED: (EventKind.ENERGY_DECIDED, Severity.INFO, "was decided"),
        ReviewState.GONE: (EventKind.ENERGY_DECIDED, Severity.INFO, "was no jump after all"),
    }[review.state]
    message = (
        f"counter went from {review.before.energy_wh} Wh to {review.after.energy_wh} Wh"
        f" and {words}; {review.counted_wh} Wh are billed of it"
    )
    return Event(
        time=now,
        kind=kind,
        subject=review.key.meter,
        message=message,
        severity=severity,
        actor=review.decided_by or "charging",
        details={
            "review": review.id,
            "account": review.account,
            "before_wh": review.before.energy_wh,
            "after_wh": review.after.energy_wh,
            "possible_wh": review.possible_wh,
            "counted_wh": review.counted_wh,
        },
    )


__all__ = ["ChargeRun", "Charger", "EnergyRow", "next_month"]
