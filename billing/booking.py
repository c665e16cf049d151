"""Out to the books: settles accounts a few at a time, and takes back what could not be written."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from billing.account_charge import AccountCharge, Parts
from billing.calendar import MS, month_at, month_bounds_ms, to_ms
from billing.charging_store import Plan, Review
from billing.intake import Intake
from billing.settlement import MONTH_GRACE_MS
from domain.books import EntryKind, Posted
from domain.clock import Clock
from domain.errors import WattwardenError
from domain.faults import Fault

# Between two batches others get their turn on the ledger's one writer.
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


@dataclass(frozen=True, slots=True)
class _UnderWay:
    charge: AccountCharge
    plan: Plan
    future: "Future[Sequence[Posted]]"


class Booking:
    """Books accounts, one settlement of each at a time. `tell` is called with reviews that are
    durable."""

    def __init__(
        self,
        intake: Intake,
        parts: Parts,
        clock: Clock,
        post_every_s: float,
        tell: Callable[[Review], None],
    ) -> None:
        self._intake, self._parts, self._clock, self._tell = intake, parts, clock, tell
        self._post_every_ms = max(int(post_every_s * MS), MS)
        self._settling: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._next_ms = 0

    def charge_due(self, now: datetime | None) -> ChargeRun:
        """Book every open account whose time has come."""
        now_ms = to_ms(now or self._clock.now())
        # A clock set back must not put charging off until it has come round again.
        if self._next_ms - self._post_every_ms <= now_ms < self._next_ms:
            return ChargeRun()
        with self._intake.lock:
            self._intake.take_late()
            self._intake.refresh_accounts()
            names = list(self._intake.accounts)
        run = _Run()
        for start in range(0, len(names), ACCOUNTS_A_BATCH):
            self._book(names[start : start + ACCOUNTS_A_BATCH], now_ms, run)
        self._next_ms = self._after(now_ms)
        return ChargeRun(run.accounts, run.entries, run.charged_micro, tuple(run.failed))

    def settle(self, account_id: str, *, closing: bool = False) -> None:
        """Book one account up to now, whatever is due."""
        now_ms = to_ms(self._clock.now())
        with self._intake.lock:
            self._intake.take_late()
            self._intake.known(account_id).set_closing(now_ms if closing else None)
        self._book([account_id], now_ms, _Run(raises=True), wait=True)

    def at_rest(self, account_id: str) -> threading.Lock:
        """Return the lock that is held while an account is being booked."""
        return self._settling[account_id]

    def _book(self, names: Sequence[str], now_ms: int, run: _Run, *, wait: bool = False) -> None:
        """Settle a few accounts in one go: planned one by one, waited for together."""
        under_way: list[_UnderWay] = []
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
                    under_way += [started] if started else []
            for one in under_way:
                self._finish(one, now_ms, run)
        finally:
            for busy in held:
                busy.release()

    def _start(self, name: str, now_ms: int) -> _UnderWay | None:
        with self._intake.lock:
            charge = self._intake.accounts[name]
            charge.refresh()
            if charge.account.closed_at is not None:
                return None
            for register in charge.registers.values():
                self._intake.withdraw(register, now_ms)
            plan = charge.plan(now_ms)
            if plan.is_empty:
                return None
            charge.hand_over(plan)
        try:
            return _UnderWay(charge, plan, self._parts.store.commit(plan))
        except WattwardenError:
            with self._intake.lock:
                charge.take_back(plan)
            raise

    def _finish(self, one: _UnderWay, now_ms: int, run: _Run) -> None:
        try:
            posted = one.future.result(WRITE_WITHIN_S)
        except (WattwardenError, TimeoutError) as error:
            with self._intake.lock:
                one.charge.take_back(one.plan)
            run.fail(one.plan.account, error)
            return
        with self._intake.lock:
            one.charge.committed(one.plan, now_ms)
        run.add(posted)
        for review in one.plan.reviews:
            self._tell(review)

    def _after(self, now_ms: int) -> int:
        """Return when the next booking is due: as planned, or soon after a month's end."""
        planned = (now_ms // self._post_every_ms + 1) * self._post_every_ms
        begin, end = month_bounds_ms(month_at(now_ms, self._parts.zone), self._parts.zone)
        ends = begin if now_ms < begin + MONTH_GRACE_MS else end
        return min(planned, ends + MONTH_GRACE_MS)
