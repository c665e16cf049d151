"""Reports of what the services keep beside the books: held energy, shifts, receipts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
from made_month import SHANGHAI, Listed, at, campus

from billing.calendar import to_ms
from billing.chain import Decision, Reading, Ruling
from billing.charging_store import RegisterKey, Review, ReviewState
from billing.payments.model import Receipt, ReceiptKind, Shift
from billing.reports.catalogue import Material, make_report
from billing.reports.model import Report
from billing.reports.period import Period
from billing.reports.scan import scan
from domain.errors import InvalidInput, UnknownSubject

NOVEMBER = Period.of_month(2026, 11, SHANGHAI)
NOW = at("12-10 12:00")
HELD = Review(
    "r1", RegisterKey("m-101", at("09-01 00:00")), "b1-101", at("11-05 10:00"),
    Reading(to_ms(at("11-05 09:00")), 10_000), Reading(to_ms(at("11-05 10:00")), 900_000), 12_000,
)  # fmt: skip
TAKEN = Receipt(
    7, ReceiptKind.RECHARGE, "O1", "b1-101", "B1", "101", 5_000, "wang", "s1", at("11-05 10:00")
)


@dataclass
class Kept:
    """Reviews, shifts and receipts by hand, as the stores give them: newest first, limited."""

    held: Sequence[Review] = ()
    turns: Sequence[Shift] = ()
    slips: Sequence[Receipt] = ()

    def reviews(self, *, open_only: bool = False, limit: int = 10_000) -> Sequence[Review]:
        found = [one for one in self.held if not open_only or one.state is ReviewState.OPEN]
        return sorted(found, key=lambda one: one.found_at, reverse=True)[:limit]

    def shifts(
        self, *, since: datetime | None, until: datetime | None, limit: int
    ) -> Sequence[Shift]:
        assert since
        assert until
        return [one for one in self.turns if since <= one.opened_at < until][:limit]

    def receipts(
        self, *, since: datetime | None, until: datetime | None, limit: int
    ) -> Sequence[Receipt]:
        assert since
        assert until
        return [one for one in self.slips if since <= one.time < until][:limit]


def report(name: str, kept: Kept, most: int = 100) -> Report:
    """Make a report of November."""
    material = Material(
        lambda period: scan(Listed(), period, NOW), campus(), lambda: NOW, kept, kept, most
    )
    return make_report(name, NOVEMBER, material)


def test_held_energy_is_listed_with_what_may_have_been_used() -> None:
    assert report("exceptions", Kept([HELD])).rows == (
        ("r1", at("11-05 10:00"), "b1-101", "m-101", at("11-05 09:00"), at("11-05 10:00"),
         890_000, 12_000, "open", "", 0, "", ""),
    )  # fmt: skip


def test_what_was_decided_in_the_period_says_how_and_what_was_billed() -> None:
    decided = HELD.decided(Decision(Ruling.BILL, 5_000), "zhang", at("11-06 09:00"), "glitch")
    (row,) = report("exceptions", Kept([decided])).rows
    assert row[8:] == ("decided", "bill", 5_000, "zhang", "glitch")


def test_what_was_decided_after_the_period_was_open_at_its_end() -> None:
    decided = HELD.decided(Decision(Ruling.DROP), "zhang", at("12-02 09:00"), "glitch")
    (row,) = report("exceptions", Kept([decided])).rows
    assert row[8:] == ("open", "", 0, "", "")


def test_what_was_held_before_is_listed_as_long_as_it_was_open() -> None:
    old = replace(HELD, found_at=at("10-05 10:00"))
    settled = old.decided(Decision(Ruling.DROP), "zhang", at("10-06 09:00"), "")
    within = old.decided(Decision(Ruling.DROP), "zhang", at("11-06 09:00"), "")
    later = replace(HELD, id="r4", found_at=at("12-01 00:00"))
    kept = Kept([old, replace(settled, id="r2"), replace(within, id="r3"), later])
    assert [row[0] for row in report("exceptions", kept).rows] == ["r1", "r3"]


def test_an_old_open_one_is_found_behind_many_newer_ones() -> None:
    old = replace(HELD, id="old", found_at=at("10-05 10:00"))
    newer = [
        replace(HELD, id=f"n{n}", found_at=at("12-05 10:00"), state=ReviewState.GONE)
        for n in range(5)
    ]
    with pytest.raises(InvalidInput, match="more than 3 rows"):
        report("exceptions", Kept([old, *newer]), most=3)
    assert [row[0] for row in report("exceptions", Kept([old, *newer])).rows] == ["old"]


def test_shifts_tell_what_was_counted_and_what_was_missing() -> None:
    closed = Shift(
        "s1", "wang", at("11-05 08:00"), 10_000, at("11-05 17:00"), 14_900, 15_000, -100, "short"
    )
    still_open = Shift("s2", "li", at("11-30 08:00"), 0)
    found = report("shifts", Kept(turns=[still_open, closed]))
    assert found.rows == (
        ("s1", "wang", at("11-05 08:00"), at("11-05 17:00"), 100_000_000, 150_000_000,
         149_000_000, -1_000_000, "short"),
        ("s2", "li", at("11-30 08:00"), None, 0, None, None, None, ""),
    )  # fmt: skip
    assert found.totals["difference"] == -1_000_000


def test_receipts_come_by_number_and_what_was_given_back_is_negative() -> None:
    back = replace(TAKEN, number=8, kind=ReceiptKind.VOID, amount_minor=-5_000, voids=7)
    late = replace(TAKEN, number=9, time=at("12-01 00:00"))
    found = report("receipts", Kept(slips=[late, back, TAKEN]))
    assert [(row[0], row[2], row[8], row[9]) for row in found.rows] == [
        ("7", "recharge", "", 50_000_000), ("8", "void", "7", -50_000_000),
    ]  # fmt: skip
    assert found.totals["amount"] == 0


def test_more_rows_than_allowed_are_refused_and_not_cut() -> None:
    slips = [replace(TAKEN, number=number) for number in range(4)]
    with pytest.raises(InvalidInput, match="more than 3 rows; ask for fewer days"):
        report("receipts", Kept(slips=slips), most=3)


@pytest.mark.parametrize("name", ["shifts", "receipts", "exceptions"])
def test_a_station_without_cash_or_reviews_says_so(name: str) -> None:
    material = Material(lambda period: scan(Listed(), period, NOW), campus(), lambda: NOW)
    with pytest.raises(UnknownSubject, match="this station"):
        make_report(name, NOVEMBER, material)
