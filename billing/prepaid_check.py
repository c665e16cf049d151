"""What a prepaid meter holds against what the books say: differences are told, never mended."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_hex

import polars as pl

from billing.model import Account, BalanceMode, Directory
from billing.prepaid_model import (
    PrepaidDifference,
    PrepaidMark,
    PrepaidSettings,
    PrepaidStore,
    PurchaseMoved,
    PurchaseState,
)
from domain.books import SUSPENSE, Books, Entry, EntryKind, Leg, meter_book
from domain.clock import Clock
from domain.errors import Forbidden, InvalidInput, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.frame import Quality
from domain.money import MICRO_PER_MINOR, minor_to_micro

WITHIN_S = 30.0
# One look may fall between a reading and its charge; two in a row do not.
LOOKS_IN_A_ROW = 2


@dataclass(frozen=True, slots=True)
class Held:
    """What a meter told of itself in one sweep."""

    time: datetime
    remaining_minor: int
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A meter's amount beside the books': what was bought less what its energy costs so far."""

    meter: str
    account: Account
    held: Held
    book_micro: int
    accrued_micro: int
    bought_minor: int
    tolerance_micro: int
    mark: PrepaidMark | None

    @property
    def difference_micro(self) -> int:
        """The meter's amount less the books'."""
        return minor_to_micro(self.held.remaining_minor) - (self.book_micro - self.accrued_micro)

    @property
    def agrees(self) -> bool:
        """Say whether the two are the same within the tolerance."""
        return abs(self.difference_micro) <= self.tolerance_micro

    def evidence(self) -> dict[str, object]:
        """Return everything the comparison rests on."""
        mark = self.mark
        found: dict[str, object] = {
            "time": self.held.time.isoformat(),
            "remaining_minor": self.held.remaining_minor,
            "energy_wh": self.held.energy_wh,
            "book_micro": self.book_micro,
            "accrued_micro": self.accrued_micro,
            "expected_micro": self.book_micro - self.accrued_micro,
            "difference_micro": self.difference_micro,
            "tolerance_micro": self.tolerance_micro,
            "bought_minor": self.bought_minor,
        }
        if mark is not None:
            found["since"] = {
                "time": mark.at.isoformat(),
                "remaining_minor": mark.remaining_minor,
                "energy_wh": mark.energy_wh,
                "used_wh": self.held.energy_wh - mark.energy_wh,
                "bought_minor": self.bought_minor - mark.bought_minor,
            }
        return found


class PrepaidCheck:
    """Compares prepaid meters with the books. Thread-safe.

    Use is billed once, by the charger, from the energy counter, to the account `meter:<meter>`;
    what the meter takes off by itself is only held against that. `accrued_micro(account)` is what
    is used and not booked yet; `is_moving(meter)` says that a purchase may be on its way.
    """

    def __init__(
        self,
        books: Books,
        directory: Directory,
        store: PrepaidStore,
        accrued_micro: Callable[[str], int],
        is_moving: Callable[[str], bool],
        clock: Clock,
        *,
        on_event: Callable[[Event], None],
        settings: PrepaidSettings | None = None,
    ) -> None:
        self._books, self._directory, self._store = books, directory, store
        self._accrued_micro, self._is_moving = accrued_micro, is_moving
        self._clock, self._on_event = clock, on_event
        self.settings = settings or PrepaidSettings()
        self._lock = threading.RLock()
        self._held: dict[str, Held] = {}
        self._meters: frozenset[str] = frozenset()
        self._marks = {mark.meter: mark for mark in store.marks()}
        self._open = {one.meter: one for one in store.differences(limit=100_000)}
        self._bad_looks: dict[str, int] = {}
        self._next_s = float("-inf")

    def observe(self, frame: pl.DataFrame) -> None:
        """Take what prepaid meters tell in a sweep. Quick."""
        if not self._meters:
            return
        told = frame.filter(
            pl.col("balance_minor").is_not_null()
            & pl.col("energy_wh").is_not_null()
            & (pl.col("quality") == Quality.GOOD.value)
        ).select("meter", "time", "balance_minor", "energy_wh")
        for meter, time, remaining_minor, energy_wh in told.iter_rows():
            if meter in self._meters:
                self._held[meter] = Held(time, remaining_minor, energy_wh)

    def remaining_micro(self, account_id: str) -> int | None:
        """Return what an account's meter was last read to hold, or None."""
        spans = [one for one in self._directory.registers(account_id) if one.until is None]
        held = self._held.get(spans[-1].meter) if spans else None
        return None if held is None else minor_to_micro(held.remaining_minor)

    def compare_due(self) -> None:
        """Compare every meter when it is time to. Raises StoreUnavailable."""
        now_s = self._clock.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self.settings.compare_every_s
        self.compare()

    def compare(self) -> None:
        """Compare every meter that was read lately and has no purchase under way."""
        rooms = self._rooms()
        self._meters = frozenset(rooms)
        with self._lock:
            for meter, account in rooms.items():
                found = self.look(meter, account)
                if found is not None:
                    self._take(found)

    def look(self, meter: str, account: Account) -> Comparison | None:
        """Return a meter beside the books, or None where that can't be told now."""
        held = self._held.get(meter)
        if held is None or self._is_moving(meter):
            return None
        age_s = (self._clock.now() - held.time).total_seconds()
        if not -self.settings.stale_after_s <= age_s <= self.settings.stale_after_s:
            return None
        book_micro = self._books.balance(meter_book(meter))
        if book_micro is None:
            return None
        last = self._store.orders(state=PurchaseState.CONFIRMED, account=account.id, limit=1)
        if last and last[0].finished_at is not None and held.time <= last[0].finished_at:
            return None  # read before the purchase that the books hold already
        mark, bought_minor = self._marks.get(meter), self._store.bought_minor(meter)
        return Comparison(
            meter, account, held, book_micro, self._accrued_micro(account.id), bought_minor,
            self._tolerance_micro(mark, book_micro, bought_minor), mark,
        )  # fmt: skip

    def differences(
        self, *, open_only: bool = True, meter: str | None = None, limit: int = 100
    ) -> Sequence[PrepaidDifference]:
        """Return differences, newest first."""
        return self._store.differences(open_only=open_only, meter=meter, limit=limit)

    def propose(self, difference_id: str, actor: str, reason: str) -> PrepaidDifference:
        """Propose to take over the meter's amount. Raises UnknownSubject, InvalidInput,
        PurchaseMoved."""
        if not reason.strip():
            raise InvalidInput([Fault("reason", "say what is known about the difference")])
        with self._lock:
            found = self._standing(difference_id)
            proposed = replace(
                found, proposed_by=actor, proposed_micro=found.difference_micro, reason=reason
            )
            self._keep(proposed)
            return proposed

    def approve(self, difference_id: str, actor: str) -> PrepaidDifference:
        """Take over the meter's amount, as another person has proposed, by an entry in the books.

        Raises UnknownSubject, Forbidden (the same person), PurchaseMoved (nothing proposed, the
        meter is not to be read just now, or the difference has changed since).
        """
        with self._lock:
            found = self._standing(difference_id)
            if found.proposed_micro is None:
                raise PurchaseMoved("nobody has proposed anything about this difference yet")
            if found.proposed_by == actor:
                raise Forbidden("another person than the one who proposed it must approve")
            account = self._directory.account(found.account)
            seen = None if account is None else self.look(found.meter, account)
            if account is None or seen is None:
                raise PurchaseMoved(f"{found.meter} was not read lately, or is being written to")
            if abs(seen.difference_micro - found.proposed_micro) > seen.tolerance_micro:
                raise PurchaseMoved("the difference has changed since: propose it anew")
            return self._adjust(found, seen, actor)

    # --- what a comparison leads to

    def _take(self, seen: Comparison) -> None:
        known = self._open.get(seen.meter)
        if seen.agrees:
            self._bad_looks.pop(seen.meter, None)
            if known is not None or seen.mark is None:
                self._agree(seen, known)
            return
        looks = self._bad_looks[seen.meter] = self._bad_looks.get(seen.meter, 0) + 1
        if known is not None:
            self._keep(
                replace(
                    known,
                    seen_at=self._clock.now(),
                    difference_micro=seen.difference_micro,
                    evidence=seen.evidence(),
                )
            )
        elif looks >= LOOKS_IN_A_ROW:
            self._differ(seen)

    def _agree(self, seen: Comparison, known: PrepaidDifference | None) -> None:
        now = self._clock.now()
        if known is not None:
            known = replace(known, closed_at=now, closed_by="system", decision="gone")
        mark = self._mark(seen, seen.book_micro - seen.accrued_micro)
        self._store.agree(mark, known).result(WITHIN_S)
        self._marks[seen.meter] = mark
        self._open.pop(seen.meter, None)
        if known is not None:
            self._tell(known, Severity.INFO, "the meter and the books agree again")

    def _differ(self, seen: Comparison) -> None:
        now = self._clock.now()
        found = PrepaidDifference(
            id=f"{seen.meter}-{now:%Y%m%d%H%M%S}-{token_hex(3)}",
            meter=seen.meter,
            account=seen.account.id,
            kind="opening" if seen.mark is None else "amount",
            opened_at=now,
            seen_at=now,
            difference_micro=seen.difference_micro,
            evidence=seen.evidence(),
        )
        self._keep(found)
        expected_minor = (seen.book_micro - seen.accrued_micro) // MICRO_PER_MINOR
        message = (
            f"the meter holds {seen.held.remaining_minor} fen, the books say {expected_minor} fen"
        )
        self._tell(found, Severity.WARNING, message)

    def _adjust(self, found: PrepaidDifference, seen: Comparison, actor: str) -> PrepaidDifference:
        now, by_micro = self._clock.now(), seen.difference_micro
        closed = replace(
            found,
            seen_at=now,
            difference_micro=by_micro,
            evidence=seen.evidence(),
            closed_at=now,
            closed_by=actor,
            decision="adjusted",
        )
        mark = self._mark(seen, seen.book_micro - seen.accrued_micro + by_micro)
        opening = found.kind == "opening"
        entry = Entry(
            id=f"prepaid:{found.id}",
            time=now,
            kind=EntryKind.OPENING if opening else EntryKind.ADJUSTMENT,
            legs=(Leg(meter_book(found.meter), by_micro), Leg(SUSPENSE, -by_micro)),
            actor=actor,
            description=found.reason,
            reference=found.id,
            details={
                "meter": found.meter,
                "proposed_by": found.proposed_by,
                "approved_by": actor,
                "building": seen.account.building,
                "kind": seen.account.kind.value,
                "evidence": seen.evidence(),
            },
        )
        self._store.adjust(closed, mark, entry).result(WITHIN_S)
        self._marks[found.meter] = mark
        self._open.pop(found.meter, None)
        self._bad_looks.pop(found.meter, None)
        self._tell(closed, Severity.INFO, f"settled: {found.reason}", actor)
        return closed

    def _mark(self, seen: Comparison, book_micro: int) -> PrepaidMark:
        number = seen.mark.number + 1 if seen.mark is not None else 1
        return PrepaidMark(
            seen.meter, seen.account.id, number, self._clock.now(), seen.held.remaining_minor,
            seen.held.energy_wh, book_micro, seen.bought_minor,
        )  # fmt: skip

    def _tolerance_micro(self, mark: PrepaidMark | None, book_micro: int, bought_minor: int) -> int:
        tolerance_micro = minor_to_micro(self.settings.tolerance_minor)
        if mark is None:
            return tolerance_micro
        came_micro = minor_to_micro(bought_minor - mark.bought_minor)
        used_micro = max(mark.book_micro + came_micro - book_micro, 0)
        return tolerance_micro + int(used_micro * self.settings.tolerance_share)

    def _standing(self, difference_id: str) -> PrepaidDifference:
        found = self._store.difference(difference_id)
        if found is None:
            raise UnknownSubject(f"no difference {difference_id!r}")
        if found.closed_at is not None:
            raise PurchaseMoved(f"difference {difference_id} was settled before")
        return found

    def _keep(self, difference: PrepaidDifference) -> None:
        self._store.differ(difference).result(WITHIN_S)
        self._open[difference.meter] = difference

    def _rooms(self) -> dict[str, Account]:
        found = {}
        for account in self._directory.accounts():
            if account.mode is BalanceMode.METER:
                spans = [one for one in self._directory.registers(account.id) if one.until is None]
                if spans:
                    found[spans[-1].meter] = account
        return found

    def _tell(
        self, found: PrepaidDifference, severity: Severity, message: str, actor: str = "system"
    ) -> None:
        details = {
            "difference": found.id,
            "account": found.account,
            "difference_micro": found.difference_micro,
            "evidence": dict(found.evidence),
        }
        now, kind = self._clock.now(), EventKind.PREPAID_DIFFERENCE
        self._on_event(
            Event(
                now, kind, found.meter, message, severity, actor, group="prepaid", details=details
            )
        )
