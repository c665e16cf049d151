"""Charging: counter readings in, entries of the books out. Target less posted, whatever comes when.

What an account's month costs follows from the counter's readings, the tariff versions and the
occupants alone; the books get the difference to what they hold already. So a reading that comes
late, twice, or after a restart ends in the same total.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl

from billing.account_charge import Parts
from billing.bills import Bill, Bills, UsageRow, UsageStep
from billing.booking import Booking, ChargeRun
from billing.calendar import to_ms
from billing.chain import Decision, MeterLimits
from billing.charging_store import ChargingStore, Review
from billing.energy_audit import EnergyRow, energy_rows
from billing.intake import ChargeCounters, Intake
from billing.model import Account, BalanceMode, Directory
from billing.review_desk import ReviewDesk
from billing.shelf import TariffHistory, TariffShelf
from billing.tariff import Tariff
from domain.books import Books, meter_book, room_book
from domain.clock import Clock
from domain.errors import UnknownSubject
from domain.events import Event
from domain.ports import TimeSeries


class Charger:
    """Charges accounts for what their registers count. Thread-safe.

    `zone` is the site's. `limits_of` tells what a meter can do, `tariffs_of` which tariff an
    account had from when on, oldest first (default: its present one, always). `post_every_s` is
    how often use is booked; `settle` books one account's at once. `shelf` holds the tariffs.
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
        limits_of: Callable[[str], MeterLimits] = lambda _: MeterLimits(),
        tariffs_of: TariffHistory | None = None,
    ) -> None:
        self._books, self._directory, self._store, self._clock = books, directory, store, clock
        self.shelf = TariffShelf(store, clock, zone, on_event)
        parts = Parts(
            directory=directory,
            store=store,
            shelf=self.shelf,
            zone=zone,
            limits_of=limits_of,
            tariffs_of=tariffs_of or self._present_tariff,
            payer_of=self._payer_of,
        )
        self._intake = Intake(parts, clock)
        self._desk = ReviewDesk(self._intake, store, clock, zone, on_event, self.settle)
        self._booking = Booking(self._intake, parts, clock, post_every_s, self._desk.tell)
        self._bills = Bills(self._intake, parts)
        with self._intake.lock:
            self._intake.refresh_accounts()

    @property
    def counters(self) -> ChargeCounters:
        """What became of readings since the start."""
        return self._intake.counters

    def observe(self, frame: pl.DataFrame) -> None:
        """Take the energy readings of a sweep; only good ones count. Quick, touches no disk."""
        self._intake.observe(frame)

    def catch_up(self, series: TimeSeries) -> int:
        """Read what the time series got since each register's newest reading; return how many.

        Run it at start; again does no harm. Raises StoreUnavailable.
        """
        return self._intake.catch_up(series)

    def refresh(self) -> None:
        """Take over what the directory says now: who lives where, tariffs, accounts. Quick."""
        with self._intake.lock:
            self._intake.refresh_accounts()
            for charge in self._intake.accounts.values():
                charge.refresh()

    def charge_due(self, now: datetime | None = None) -> ChargeRun:
        """Book what is due: every `post_every_s`, and soon after each month's end.

        An account that can't be booked is told in the answer and tried again the next time.
        """
        return self._booking.charge_due(now)

    def settle(self, account_id: str) -> None:
        """Book what an account has used up to now; nothing of one that is closed.

        Raises UnknownSubject, StoreUnavailable, EntryRefused.
        """
        self._booking.settle(account_id)

    def settle_closing(self, account_id: str) -> None:
        """Book everything of an account that is about to close: its use, its fees by the days it
        was open, and what is left of its free energy. Raises as `settle`."""
        self._booking.settle(account_id, closing=True)

    def accrued_micro(self, account_id: str) -> int:
        """Return what an account has used and what is not booked, micro-units; 0 where the
        account or its tariff is not known (charge_due tells the latter)."""
        now_ms = to_ms(self._clock.now())
        with self._intake.lock:
            charge = self._intake.accounts.get(account_id)
            try:
                return charge.accrued_micro(now_ms) if charge is not None else 0
            except UnknownSubject:
                return 0

    def balance_micro(self, account_id: str) -> int | None:
        """Return what an account has: its booked balance less what is used and not booked."""
        booked = self._books.balance(room_book(account_id))
        return None if booked is None else booked - self.accrued_micro(account_id)

    def bill(self, account_id: str, month: str) -> Bill:
        """Return an account's bill of a month. Raises UnknownSubject, InvalidInput."""
        return self._bills.bill(account_id, month)

    def bills(self, account_id: str, limit: int = 24) -> list[Bill]:
        """Return an account's bills, newest first. Raises UnknownSubject."""
        return self._bills.bills(account_id, limit)

    def usage(
        self, account_id: str, start: datetime, end: datetime, resolution: UsageStep | str
    ) -> list[UsageRow]:
        """Return what was used between two times, by local hours, days or months, with its cost.

        Raises UnknownSubject, InvalidInput.
        """
        return self._bills.usage(account_id, start, end, UsageStep(resolution))

    def preview(self, tariff: Tariff, account_id: str, month: str) -> Bill:
        """Return what a month of an account would have cost by a tariff under design.

        Raises UnknownSubject, InvalidInput.
        """
        return self._bills.preview(tariff, account_id, month)

    def preview_usage(
        self, tariff: Tariff, usage: Sequence[tuple[datetime, datetime, int]], people: int = 1
    ) -> list[Bill]:
        """Return what given energy (start, end, Wh) would cost by a tariff, a bill a month.

        Raises InvalidInput.
        """
        return self._bills.preview_usage(tariff, usage, people)

    def reviews(self, open_only: bool = True, limit: int = 1000) -> list[Review]:
        """Return the jumps of counters that were held, newest first."""
        return self._desk.reviews(open_only=open_only, limit=limit)

    def review(self, review_id: str) -> Review:
        """Return one held jump. Raises UnknownSubject."""
        return self._desk.review(review_id)

    def resolve(self, review_id: str, decision: Decision, actor: str, reason: str) -> Review:
        """Let a person's decision about a held jump stand, and book it.

        The same decision again changes nothing. Raises UnknownSubject, and InvalidInput where it
        was decided otherwise, is gone, or the decision lacks a number or a reason.
        """
        return self._desk.resolve(review_id, decision, actor, reason)

    def energy_check(self) -> list[EnergyRow]:
        """Return, for every register, where each Wh of its counter went; differences are 0.

        Raises StoreUnavailable.
        """
        rows: list[EnergyRow] = []
        with self._intake.lock:
            self._intake.refresh_accounts()
            names = list(self._intake.accounts)
        for name in names:
            # Between a commit and its taking over, memory and store differ for a moment.
            with self._booking.at_rest(name):
                billed_wh = self._store.billed_wh(name)
                with self._intake.lock:
                    rows += energy_rows(self._intake.accounts[name], billed_wh)
        return rows

    def _present_tariff(self, account_id: str) -> Sequence[tuple[datetime, str]]:
        account = self._directory.account(account_id)
        if account is None or account.opened_at is None:
            return ()
        return ((account.opened_at, account.tariff),)

    def _payer_of(self, account: Account) -> str:
        """Return the book account that pays: the room's, or that of its prepaid meter."""
        if account.mode is BalanceMode.METER:
            for span in self._directory.registers(account.id):
                if span.until is None:
                    return meter_book(span.meter)
        return room_book(account.id)
