"""Days of the site: half-open, whatever the clocks do; and any cut of time adds up."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_month import SHANGHAI, Listed, campus, make_entries

from billing.reports.catalogue import REPORTS, Material, make_report
from billing.reports.model import Kind, Report
from billing.reports.period import Period, day_start, period_of
from billing.reports.printed import printed
from billing.reports.scan import scan
from domain.books import Unit
from domain.errors import InvalidInput

BERLIN = ZoneInfo("Europe/Berlin")
FOLDED = [name for name in REPORTS if name not in ("shifts", "receipts", "exceptions")]


def test_a_month_begins_and_ends_at_local_midnight() -> None:
    november = period_of(SHANGHAI, month="2026-11")
    assert november.start_at == datetime(2026, 10, 31, 16, tzinfo=UTC)
    assert november.end_at == datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert (november.last, len(november.days)) == (date(2026, 11, 30), 30)
    assert period_of(SHANGHAI, month="2026-12").end == date(2027, 1, 1)


def test_a_day_has_23_or_25_hours_where_the_clocks_are_put() -> None:
    hours = [
        (day.end_at - day.start_at) / timedelta(hours=1)
        for day in (
            period_of(BERLIN, day=date(2026, 3, 29)),
            period_of(BERLIN, day=date(2026, 10, 25)),
            period_of(BERLIN, day=date(2026, 10, 26)),
        )
    ]
    assert hours == [23, 25, 24]


def test_a_midnight_that_is_skipped_begins_the_day_at_the_skip() -> None:
    santiago = ZoneInfo("America/Santiago")
    assert day_start(date(2026, 9, 6), santiago) == datetime(2026, 9, 6, 4, tzinfo=UTC)
    assert day_start(date(2026, 9, 7), santiago) == datetime(2026, 9, 7, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({}, "period: name one of: a day, a month, or both from and to"),
        ({"day": date(2026, 11, 1), "month": "2026-11"}, "period: name one of"),
        ({"first": date(2026, 11, 1)}, "to: is required beside the other"),
        ({"end": date(2026, 11, 1)}, "from: is required beside the other"),
        ({"first": date(2026, 11, 1), "end": date(2026, 11, 1)}, "to: must be after from"),
        ({"first": date(2000, 1, 1), "end": date(2026, 1, 1)}, "to: a report covers at most"),
        ({"month": "2026-13"}, "month: must be a month such as 2026-11"),
        ({"month": "11/2026"}, "month: must be a month such as 2026-11"),
        ({"month": "1901-01"}, "from: the year must be from 1970 to 9998"),
        ({"day": date(9999, 12, 31)}, "from: the year must be from 1970 to 9998"),
    ],
)
def test_a_period_that_is_none_is_refused_with_what_is_allowed(
    asked: dict[str, object], fault: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        period_of(SHANGHAI, **asked)  # type: ignore[arg-type]
    assert str(refusal.value).startswith(fault)


def build(name: str, source: Listed, period: Period) -> Report:
    """Make a report long after its period."""
    now = datetime(2027, 6, 1, tzinfo=UTC)
    return make_report(
        name, period, Material(lambda p: scan(source, p, now), campus(), lambda: now)
    )


def random_books(seed: int) -> Listed:
    """Return five weeks of about three hundred entries."""
    start = datetime(2026, 10, 20, tzinfo=UTC)
    return Listed([*make_entries(seed, campus(), start, start + timedelta(days=35), 300)])


DAYS = st.dates(date(2026, 10, 18), date(2026, 11, 26))


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), cuts=st.lists(DAYS, min_size=3, max_size=3, unique=True))
def test_two_stretches_add_up_to_the_whole_and_their_balances_meet(
    seed: int, cuts: list[date]
) -> None:
    source = random_books(seed)
    first, middle, end = sorted(cuts)
    for name in ("recharges", "consumption", "balances", "free-energy", "fees", "trial-balance"):
        one, other, whole = (
            build(name, source, Period(start, stop, SHANGHAI)).totals
            for start, stop in ((first, middle), (middle, end), (first, end))
        )
        for key in whole:
            if key == "opening":
                assert one[key] == whole[key]
            elif key == "closing":
                assert (other["opening"], other[key]) == (one[key], whole[key])
            else:
                assert one[key] + other[key] == whole[key]


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(FOLDED))
def test_whatever_is_booked_every_row_keeps_its_identity_and_every_print_adds_up(
    seed: int, name: str
) -> None:
    source = random_books(seed)
    report = build(name, source, Period.of_month(2026, 11, SHANGHAI))
    assert not [note for note in report.notes if note.fault]
    for row in report.rows:
        signed = [
            column.sign * cell
            for column, cell in zip(report.columns, row, strict=True)
            if column.sign and isinstance(cell, int)
        ]
        assert sum(signed) == 0
    page = printed(report, "zh-CN", "")
    for place, column in enumerate(page.columns):
        if page.total and column.adds_up:
            lines = [*page.rows, *([page.rounding] if page.rounding else [])]
            cells = [line[place] for line in lines]
            assert sum(cell for cell in cells if isinstance(cell, int)) == page.total[place]


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_the_books_are_balanced_at_the_end_of_any_day(seed: int) -> None:
    source = random_books(seed)
    for number in range(0, 36, 7):
        day = Period.of_day(date(2026, 10, 20) + timedelta(days=number), SHANGHAI)
        folded = scan(source, day, datetime(2027, 1, 1, tzinfo=UTC))
        for unit in Unit:
            books = [book for book, found in folded.units.items() if found is unit]
            assert sum(folded.closing[book] for book in books) == 0
    report = build("trial-balance", source, Period.of_month(2026, 11, SHANGHAI))
    assert report.columns[1].kind is Kind.MONEY
