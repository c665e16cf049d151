"""An account's months while they are charged: energy by stretch, priced; what is booked of it."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from billing.calendar import Grid, days_of, first_day
from billing.charging_store import MonthRow
from billing.model import Occupancy
from billing.rating import (
    NO_CARRY,
    Carry,
    Meterage,
    MonthRater,
    Rated,
    Terms,
    between,
    closing_lots,
    grant_wh,
    people_on,
)


@dataclass(slots=True)
class Month:
    """One month of one account. `rated` is None while its price has to be found anew."""

    grid: Grid
    row: MonthRow
    carry_in: Carry = NO_CARRY
    terms: Terms | None = None
    terms_revision: int = -1
    days_open: list[date] = field(default_factory=list)
    rated: Rated | None = None
    carry: Carry = NO_CARRY
    gone_wh: int = 0
    checkpoint: tuple[int, Meterage] | None = None

    @property
    def name(self) -> str:
        """The month, "2026-11"."""
        return self.grid.month

    def touch(self, place: int) -> None:
        """Note that energy from a stretch on may have changed."""
        self.rated = None
        if self.checkpoint is not None and place < self.checkpoint[0]:
            self.checkpoint = None

    def set_terms(self, terms: Terms, days_open: list[date]) -> None:
        """Set the occupants and the free energy of the month."""
        if (terms, days_open) != (self.terms, self.days_open):
            self.terms, self.days_open = terms, days_open
            self.checkpoint, self.rated = None, None

    def set_carry(self, carry: Carry) -> None:
        """Set what the month before hands over."""
        if carry != self.carry_in:
            self.carry_in = carry
            self.checkpoint, self.rated = None, None

    def rate(self, energies: Sequence[int], newest: int) -> Rated:
        """Price the month; `newest` is the stretch that is still growing."""
        if self.rated is None:
            rater = self.rater(from_checkpoint=True)
            begin = self.checkpoint[0] if self.checkpoint is not None else 0
            if newest > begin:
                rater.run(energies, begin, newest)
                self.checkpoint = (newest, rater.at.copy())
                begin = newest
            # After the stretch of the newest reading there is nothing yet.
            rater.run(energies, begin, min(newest + 1, len(energies)))
            self.rated = rater.rated()
            self._close(rater)
        return self.rated

    def rater(self, *, from_checkpoint: bool = False) -> MonthRater:
        """Return a rater at the month's beginning, or at what was rated for good before."""
        assert self.terms is not None  # noqa: S101 - terms are set before a month is rated
        rater = MonthRater(self.grid, self.terms, self.carry_in)
        if from_checkpoint and self.checkpoint is not None:
            rater.resume(self.checkpoint[1].copy())
        return rater

    def _close(self, rater: MonthRater) -> None:
        assert self.terms is not None  # noqa: S101 - see above
        kept, self.gone_wh = closing_lots(self.name, rater.at.lots, self.terms.free)
        self.carry = Carry(rater.at.tier_year_wh, kept)


def terms_of(grid: Grid, occupancies: Sequence[Occupancy], days: list[date]) -> Terms:
    """Return the terms of a month: those of the version in force when it began."""
    version = grid.pricings[0].version
    people = people_on(occupancies, days[0]) if days else 0
    free = version.free
    granted = grant_wh(free, grid.month, occupancies, days) if free is not None else 0
    return Terms(people, granted, free)


def open_days(month: str, opened: date | None, closed: date | None) -> list[date]:
    """Return the days of a month on which an account was open, both ends included."""
    days = days_of(month)
    return between(opened or first_day(month), closed or days[-1], days)


def total_energy(parts: Iterable["array[int]"], length: int) -> Sequence[int]:
    """Return the energy of each stretch over all registers of an account."""
    known = list(parts)
    if len(known) == 1:
        return known[0]
    if not known:
        return [0] * length
    return [sum(values) for values in zip(*known, strict=True)]
