"""Readings in: which account they belong to, which of them are believed, what the store holds."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from billing.account_charge import AccountCharge, Parts
from billing.calendar import first_day, local_date, month_at, to_ms, to_time
from billing.chain import Reading, Taken
from billing.charging_store import RegisterKey, RegisterRow, Review, ReviewState
from billing.model import Account, RegisterSpan
from billing.rating import ONE_DAY
from billing.register import Register
from domain.clock import Clock
from domain.errors import UnknownSubject
from domain.frame import Quality
from domain.ports import TimeSeries

# A stamp ahead of the clock by more comes from a clock that was wrong then, or is now.
AHEAD_MOST_MS = 120_000
# A clock set back by more than this is itself not believed.
BACK_MOST_MS = 26 * 3_600_000
LATE_MOST = 200_000
CATCH_UP_DAYS_MOST = 31
CATCH_UP_PIECE = timedelta(hours=1)
CATCH_UP_METERS = 50
CATCH_UP_BUCKET = "1m"


@dataclass(slots=True)
class ChargeCounters:
    """What became of readings since the start; `lost` is what no place was left for."""

    taken: int = 0
    not_good: int = 0
    unknown_meter: int = 0
    outside_span: int = 0
    ahead: int = 0
    refused: int = 0
    withdrawn: int = 0
    late: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Meter:
    spans: Sequence[RegisterSpan]
    registers: list[Register] = field(default_factory=list)


class Intake:
    """Holds every account's charging and gives it its readings. `lock` guards all of it."""

    def __init__(self, parts: Parts, clock: Clock) -> None:
        self.lock = threading.RLock()
        self.accounts: dict[str, AccountCharge] = {}
        self.counters = ChargeCounters()
        self._parts, self._clock = parts, clock
        self._meters: dict[str, _Meter] = {}
        self._late: deque[tuple[str, Reading]] = deque(maxlen=LATE_MOST)
        store = parts.store
        self._stored: dict[RegisterKey, RegisterRow] = {row.key: row for row in store.registers()}
        self._reviews: dict[RegisterKey, list[Review]] = {}
        for review in store.reviews():
            self._reviews.setdefault(review.key, []).append(review)
        self._unfinished = dict(store.unfinished())

    def observe(self, frame: pl.DataFrame) -> None:
        """Take the energy readings of a sweep; only good ones count. Quick, touches no disk."""
        meters = frame.get_column("meter").to_list()
        times = frame.get_column("time").to_physical().to_list()
        counts = frame.get_column("energy_wh").to_list()
        good = Quality.GOOD.value
        if "quality" in frame.columns:
            qualities = frame.get_column("quality").to_list()
        else:
            qualities = [good] * len(meters)
        now_ms = to_ms(self._clock.now())
        with self.lock:
            for meter, ms, energy_wh, quality in zip(meters, times, counts, qualities, strict=True):
                if energy_wh is None or quality != good:
                    self.counters.not_good += 1
                else:
                    self._take(meter, ms, energy_wh, now_ms, wait=True)

    def catch_up(self, series: TimeSeries) -> int:
        """Read what the time series got since each register's newest reading; return how much.

        What is known already changes nothing, so it may be called again. Raises StoreUnavailable.
        """
        now = self._clock.now()
        with self.lock:
            self.refresh_accounts()
            since = {
                meter: to_time(found.registers[-1].chain.times[-1])
                for meter, found in self._meters.items()
                if found.registers and found.registers[-1].until_ms is None
            }
        oldest = now - timedelta(days=CATCH_UP_DAYS_MOST)
        names = sorted(since, key=lambda name: since[name])
        rows = 0
        for first in range(0, len(names), CATCH_UP_METERS):
            part = names[first : first + CATCH_UP_METERS]
            start = max(since[part[0]], oldest)
            # A window leaves its end out, and a reading may be of this very moment.
            until = now + timedelta(seconds=1)
            while start < until:
                end = min(start + CATCH_UP_PIECE, until)
                rows += self._catch_up_piece(series, start, end, part)
                start = end
        return rows

    def _catch_up_piece(
        self, series: TimeSeries, start: datetime, end: datetime, meters: Sequence[str]
    ) -> int:
        frame = series.window(start, end, meters, ["energy_wh"]).drop_nulls("energy_wh")
        if frame.is_empty():
            return 0
        # The first and the last of each minute tell as much as all of them: edges lie on minutes.
        bucket = pl.col("time").dt.truncate(CATCH_UP_BUCKET)
        ends = frame.sort("meter", "time").group_by("meter", bucket.alias("bucket"))
        columns = [pl.col("time", "energy_wh")]
        both = pl.concat([ends.agg(columns[0].first()), ends.agg(columns[0].last())])
        thinned = both.select("meter", "time", "energy_wh").unique().sort("time", "meter")
        now_ms = to_ms(self._clock.now())
        with self.lock:
            for meter, ms, energy_wh in zip(
                thinned["meter"].to_list(),
                thinned["time"].to_physical().to_list(),
                thinned["energy_wh"].to_list(),
                strict=True,
            ):
                self._take(meter, ms, energy_wh, now_ms, wait=True)
        return frame.height

    def _take(self, meter: str, ms: int, energy_wh: int, now_ms: int, *, wait: bool) -> None:
        counters = self.counters
        if ms > now_ms + AHEAD_MOST_MS:
            counters.ahead += 1
            return
        found = self._meters.get(meter)
        spans = self._parts.directory.registers_of_meter(meter)
        if found is None or found.spans is not spans:
            found = self._take_spans(meter, spans)
        if not found.registers:
            counters.unknown_meter += 1
            return
        register = found.registers[-1]
        if not register.covers(ms):
            older = next((one for one in reversed(found.registers) if one.covers(ms)), None)
            if older is None:
                counters.outside_span += 1
                return
            register = older
        chain = register.chain
        if chain.times[-1] > now_ms + AHEAD_MOST_MS and not self.withdraw(register, now_ms):
            counters.refused += 1
            return
        if wait and register.is_let_go(ms):
            # Older than what is in memory: the disk is asked outside the sweep.
            counters.lost += len(self._late) == LATE_MOST
            self._late.append((meter, Reading(ms, energy_wh)))
            return
        counters.taken += 1
        counters.refused += chain.add(ms, energy_wh) is Taken.REFUSED

    def withdraw(self, register: Register, now_ms: int) -> bool:
        """Take out readings stamped by a clock that has been set back since; False where it went
        back so far that the clock itself is in doubt."""
        last_ms = register.chain.times[-1]
        if last_ms <= now_ms + AHEAD_MOST_MS:
            return True
        if last_ms > now_ms + BACK_MOST_MS:
            return False
        self.counters.withdrawn += len(register.chain.drop_after(now_ms))
        return True

    def take_late(self) -> None:
        """Take the readings that need the disk. The lock is held."""
        now_ms = to_ms(self._clock.now())
        for _ in range(len(self._late)):
            meter, reading = self._late.popleft()
            self.counters.late += 1
            month = first_day(month_at(reading.ms, self._parts.zone))
            for register in self._meters[meter].registers:
                if register.covers(reading.ms):
                    self.accounts[register.account].extend(register, month)
            self._take(meter, reading.ms, reading.energy_wh, now_ms, wait=False)

    def refresh_accounts(self) -> None:
        """Take in the accounts that the directory has open now. The lock is held."""
        for account in self._parts.directory.accounts():
            self.charge_of(account)

    def known(self, account_id: str) -> AccountCharge:
        """Return an account's charging. Raises UnknownSubject. The lock is held."""
        account = self._parts.directory.account(account_id)
        if account is None:
            raise UnknownSubject(f"no account {account_id!r}")
        return self.charge_of(account)

    def charge_of(self, account: Account) -> AccountCharge:
        """Return an account's charging, with its registers as the directory has them now."""
        directory = self._parts.directory
        charge = self._charge(account)
        for span in directory.registers(account.id):
            spans = directory.registers_of_meter(span.meter)
            meter = self._meters.get(span.meter)
            if meter is None or meter.spans is not spans:
                self._take_spans(span.meter, spans)
        if charge.dirty_from is None and not charge.months:
            charge.dirty(self._unfinished.pop(account.id, charge.first_month()))
        return charge

    def _charge(self, account: Account) -> AccountCharge:
        known = self.accounts.get(account.id)
        if known is None:
            known = self.accounts[account.id] = AccountCharge(account, self._parts)
            known.refresh()
        return known

    def _take_spans(self, meter: str, spans: Sequence[RegisterSpan]) -> _Meter:
        """Follow the directory: new registers begin, those taken off end with their last reading.

        What the old register was given after its end belongs to the new one.
        """
        found = self._meters.setdefault(meter, _Meter(spans))
        found.spans = spans
        known = {register.key: register for register in found.registers}
        found.registers = []
        moved: list[Reading] = []
        for span in sorted(spans, key=lambda one: one.since):
            register = known.get(RegisterKey(span.meter, span.since)) or self._register(span)
            if register is None:
                continue
            if span.until is not None and register.until_ms is None:
                month = first_day(month_at(to_ms(span.until), self._parts.zone))
                self.accounts[register.account].extend(register, month)
            moved += register.end(span)
            found.registers.append(register)
        for reading in sorted(moved):
            for register in found.registers:
                if register.covers(reading.ms):
                    register.chain.add(*reading)
        return found

    def _register(self, span: RegisterSpan) -> Register | None:
        account = self._parts.directory.account(span.account)
        if account is None:
            return None
        charge = self._charge(account)
        limits = self._parts.limits_of(span.meter)
        register = Register(span, limits, charge.stretch, self._parts.zone)
        row = self._stored.pop(register.key, None)
        if row is None:
            register.chain.begin(register.since_ms, span.first_wh)
        else:
            self._restore(charge, register, row)
        charge.add_register(register)
        return register

    def _restore(self, charge: AccountCharge, register: Register, row: RegisterRow) -> None:
        for review in self._reviews.pop(register.key, []):
            register.reviews[review.after.ms] = review
            charge.reviews[review.id] = review
            if review.decision is not None and review.state is not ReviewState.GONE:
                register.chain.decisions[review.after.ms] = review.decision
        register.hold_from(local_date(row.last.ms, self._parts.zone) + ONE_DAY)
        charge.extend(register, first_day(month_at(row.last.ms, self._parts.zone)))
        register.chain.total_wh = register.settled_wh = row.counted_wh
