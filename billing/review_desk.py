"""The queue of held jumps: listed with their evidence, decided by a person, once."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.calendar import first_day, month_at
from billing.chain import Decision, Ruling
from billing.charging_store import ChargingStore, Review, ReviewState
from billing.intake import Intake
from billing.jumps import resolved
from domain.clock import Clock
from domain.errors import InvalidInput, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.faults import Fault

_TOLD: Mapping[ReviewState, tuple[EventKind, Severity, str]] = {
    ReviewState.OPEN: (EventKind.ENERGY_HELD, Severity.WARNING, "is held for review"),
    ReviewState.EXPLAINED: (EventKind.ROLLOVER_COUNTED, Severity.INFO, "is a rollover"),
    ReviewState.DECIDED: (EventKind.ENERGY_DECIDED, Severity.INFO, "was decided"),
    ReviewState.GONE: (EventKind.ENERGY_DECIDED, Severity.INFO, "was no jump after all"),
}


class ReviewDesk:
    """Lists held jumps and takes decisions about them. `book` settles an account at once."""

    def __init__(
        self,
        intake: Intake,
        store: ChargingStore,
        clock: Clock,
        zone: ZoneInfo,
        on_event: Callable[[Event], None],
        book: Callable[[str], None],
    ) -> None:
        self._intake, self._store, self._clock, self._zone = intake, store, clock, zone
        self._on_event, self._book = on_event, book
        self._told: dict[str, ReviewState] = {}

    def reviews(self, *, open_only: bool, limit: int) -> list[Review]:
        """Return held jumps, newest first."""
        with self._intake.lock:
            fresh: dict[str, Review] = {}
            for charge in self._intake.accounts.values():
                # An account without a tariff has jumps all the same.
                with suppress(UnknownSubject):
                    charge.flush()
                fresh.update(charge.reviews)
        stored = self._store.reviews(open_only=open_only, limit=limit)
        known = {one.id: one for one in stored} | fresh
        found = [one for one in known.values() if not open_only or one.state is ReviewState.OPEN]
        return sorted(found, key=lambda one: (one.found_at, one.id), reverse=True)[:limit]

    def review(self, review_id: str) -> Review:
        """Return a held jump. Raises UnknownSubject."""
        with self._intake.lock:
            for charge in self._intake.accounts.values():
                if review_id in charge.reviews:
                    return charge.reviews[review_id]
        found = self._store.review(review_id)
        if found is None:
            raise UnknownSubject(f"no review {review_id!r}")
        return found

    def resolve(self, review_id: str, decision: Decision, actor: str, reason: str) -> Review:
        """Let a decision hold and book it; the same decision again changes nothing."""
        now = self._clock.now()
        with self._intake.lock:
            review = self.review(review_id)
            if review.state is ReviewState.DECIDED and review.decision == decision:
                return review
            _check(review, decision, reason)
            charge = self._intake.known(review.account)
            register = charge.registers[review.key]
            charge.extend(register, first_day(month_at(review.before.ms, self._zone)))
            done = resolved(register, review, decision, actor, now, reason)
            charge.reviews[done.id] = charge.dirty_reviews[done.id] = done
        self._book(review.account)
        return done

    def tell(self, review: Review) -> None:
        """Tell of a review that is durable, once for each state it comes to."""
        if self._told.get(review.id) is review.state:
            return
        self._told[review.id] = review.state
        self._on_event(review_event(review, self._clock.now()))


def decision_faults(decision: Decision) -> list[Fault]:
    """Return what a decision lacks."""
    needed = {
        Ruling.ROLLOVER: ("size_wh",),
        Ruling.SWAP: ("final_wh", "first_wh"),
    }.get(decision.ruling, ())
    faults = []
    for name in ("energy_wh", "size_wh", "final_wh", "first_wh"):
        value = getattr(decision, name)
        if value is None and name in needed:
            faults.append(Fault(name, f"is needed for {decision.ruling.value}, Wh"))
        elif value is not None and value < 0:
            faults.append(Fault(name, f"must be 0 Wh or more (given: {value})"))
    return faults


def review_event(review: Review, now: datetime) -> Event:
    """Return the event that tells of a review."""
    kind, severity, words = _TOLD[review.state]
    message = (
        f"counter went from {review.before.energy_wh} Wh to {review.after.energy_wh} Wh"
        f" and {words}; {review.counted_wh} Wh of it are billed"
    )
    details = {
        "review": review.id,
        "account": review.account,
        "before_wh": review.before.energy_wh,
        "after_wh": review.after.energy_wh,
        "possible_wh": review.possible_wh,
        "counted_wh": review.counted_wh,
        "reason": review.reason,
    }
    return Event(
        now, kind, review.key.meter, message, severity, review.decided_by or "charging",
        details=details,
    )  # fmt: skip


def _check(review: Review, decision: Decision, reason: str) -> None:
    faults = decision_faults(decision)
    if review.state is not ReviewState.OPEN:
        faults.append(Fault("decision", f"it is {review.state.value} already", review.id))
    if not reason.strip():
        faults.append(Fault("reason", "must be told"))
    if decision.ruling is Ruling.BILL and decision.energy_wh is None and review.difference_wh < 0:
        faults.append(Fault("energy_wh", "must be told where the counter went back, Wh"))
    if decision.ruling in (Ruling.ROLLOVER, Ruling.SWAP) and not faults:
        faults += _sense_faults(review, decision)
    if faults:
        raise InvalidInput(faults)


def _sense_faults(review: Review, decision: Decision) -> list[Fault]:
    before, after = review.before.energy_wh, review.after.energy_wh
    if decision.ruling is Ruling.ROLLOVER:
        if (decision.size_wh or 0) <= before:
            return [Fault("size_wh", f"must be above the reading before, {before} Wh")]
        return []
    faults = []
    if (decision.final_wh or 0) < before:
        faults.append(Fault("final_wh", f"must be {before} Wh or more, the last reading before"))
    if (decision.first_wh or 0) > after:
        faults.append(Fault("first_wh", f"must be {after} Wh or less, the first reading after"))
    return faults
