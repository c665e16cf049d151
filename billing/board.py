"""Balances as they are shown: from memory, kept true by the books' own postings."""

from collections.abc import Callable
from dataclasses import dataclass

from billing.model import Account, BalanceMode
from domain.books import Books, Posted, free_book, room_book
from domain.clock import Clock

# What a forecast says changes slowly; what it rests on is not read for every question.
FORECAST_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class BalanceView:
    """What a room has. `booked_micro` is the ledger's balance, `accrued_micro` energy used and
    not booked yet, `balance_micro` the difference; None where it is not known.

    `held_by` says whether the ledger or the room's own prepaid meter holds the balance.
    """

    account: str
    held_by: BalanceMode
    balance_micro: int | None
    booked_micro: int | None
    accrued_micro: int
    free_wh: int | None
    level: str | None
    days_left: float | None


class BalanceBoard:
    """Answers what a room has without asking the database. Thread-safe, quick.

    The same view is given again, the same object, as long as nothing in it has changed.
    `accrued_micro`, `level`, `days_left` and `meter_micro` (what a prepaid meter was last read to
    hold) come from other services; each must answer from memory.
    """

    def __init__(
        self,
        books: Books,
        clock: Clock,
        *,
        accrued_micro: Callable[[str], int] = lambda _: 0,
        level: Callable[[str], str | None] = lambda _: None,
        days_left: Callable[[str], float | None] = lambda _: None,
        meter_micro: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        self._books, self._clock = books, clock
        self._accrued_micro, self._meter_micro = accrued_micro, meter_micro
        self._level, self._days_left = level, days_left
        self._booked: dict[str, int] = {}
        self._views: dict[str, tuple[BalanceView, int | None, float]] = {}
        books.subscribe(self._on_posted)

    def view(self, account: Account) -> BalanceView:
        """Return what an account has now."""
        name = account.id
        booked, free = self._balance(room_book(name)), self._balance(free_book(name))
        by_meter = account.mode is BalanceMode.METER
        held = self._meter_micro(name) if by_meter else booked
        accrued = 0 if by_meter else self._accrued_micro(name)
        now_s = self._clock.monotonic()
        known = self._views.get(name)
        if known is not None:
            view, held_before, good_until_s = known
            figures = (view.held_by, held_before, view.booked_micro, view.accrued_micro)
            same = figures == (account.mode, held, booked, accrued) and view.free_wh == free
            if same and now_s < good_until_s:
                return view
        view = BalanceView(
            account=name,
            held_by=account.mode,
            balance_micro=None if held is None else held - accrued,
            booked_micro=booked,
            accrued_micro=accrued,
            free_wh=free,
            level=self._level(name),
            days_left=self._days_left(name),
        )
        if known is not None and view == known[0]:
            view = known[0]
        self._views[name] = (view, held, now_s + FORECAST_KEPT_S)
        return view

    def _on_posted(self, posted: Posted) -> None:
        for name, amount in posted.balances.items():
            if name.startswith(("room:", "free:")):
                self._booked[name] = amount

    def _balance(self, name: str) -> int | None:
        known = self._booked.get(name)
        if known is not None:
            return known
        found = self._books.balance(name)
        if found is None:
            return None
        # An entry booked since then has told its own, newer balance, and that one stays.
        return self._booked.setdefault(name, found)
