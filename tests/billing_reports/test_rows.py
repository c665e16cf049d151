"""Literal entries in, literal rows out."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from made_month import SHANGHAI, Listed, MadeDirectory, at, campus, entry

from billing.reports.catalogue import REPORTS, Material, make_report
from billing.reports.model import Report
from billing.reports.period import Period
from billing.reports.scan import scan
from domain.books import EntryKind
from domain.errors import UnknownSubject

NOVEMBER = Period.of_month(2026, 11, SHANGHAI)
LINES = [
    {"tariff": "dorm", "version": 3, "band": "peak", "tier": 1, "energy_wh": 700, "free_wh": 200,
     "rate": "0.5583", "amount_micro": 279_150},
    {"tariff": "dorm", "version": 3, "band": "valley", "tier": 1, "energy_wh": 300, "free_wh": 0,
     "rate": "0.3083", "amount_micro": 92_490},
]  # fmt: skip


def report(name: str, source: Listed, period: Period = NOVEMBER) -> Report:
    """Make a report of a listed source, as of the tenth of December."""
    now = at("12-10 12:00")
    material = Material(lambda asked: scan(source, asked, now), campus(), lambda: now)
    return make_report(name, period, material)


def recharge(name: str, when: str, account: str, fen: int, book: str = "clearing:wechat") -> Any:
    """Return a booked recharge."""
    legs = {f"room:{account}": fen * 10_000, book: -fen * 10_000}
    made = entry(
        f"recharge:{name}", EntryKind.RECHARGE, at(when), legs, order=name, provider_ref=f"W{name}"
    )
    return at(when), made


def charge(name: str, when: str, lines: list[dict[str, Any]] = LINES) -> Any:
    """Return a booked charge of room b1-101."""
    amount = sum(line["amount_micro"] for line in lines)
    legs = {"room:b1-101": -amount, "revenue:energy": amount}
    made = entry(
        f"charge:{name}", EntryKind.CHARGE, at(when), legs, "2026-11",
        building="B1", kind="dorm", lines=lines,
    )  # fmt: skip
    return at(when), made


def test_recharges_are_told_by_channel_with_refunds_and_the_net() -> None:
    refund = entry(
        "refund:1", EntryKind.REFUND, at("11-06 10:00"),
        {"room:b1-101": -10_000_000, "clearing:wechat": 10_000_000}, "A",
    )  # fmt: skip
    source = Listed(
        [
            recharge("A", "11-05 10:00", "b1-101", 5_000),
            recharge("B", "11-05 11:00", "b2-102", 2_000),
            recharge("C", "11-06 09:00", "b1-101", 1_000, "cash:wang"),
            (at("11-06 10:00"), refund),
        ]
    )
    found = report("recharges", source)
    assert found.rows == (
        ("cash", 1, 10_000_000, 0, 0, 0, 0, 10_000_000),
        ("wechat", 2, 70_000_000, 1, -10_000_000, 0, 0, 60_000_000),
    )
    assert found.totals == {
        "recharges": 3, "recharged": 80_000_000, "refund_count": 1, "refunded": -10_000_000,
        "reversed": 0, "otherwise": 0, "net": 70_000_000,
    }  # fmt: skip


def test_recharges_by_day_count_for_the_local_day_they_were_booked() -> None:
    source = Listed(
        [
            recharge("A", "11-05 00:00", "b1-101", 100),
            recharge("B", "11-05 23:59", "b1-101", 200),
            recharge("C", "11-06 00:00", "b1-101", 400),
        ]
    )
    rows = report("recharges-by-day", source).rows
    assert [(row[0], row[2], row[3]) for row in rows] == [
        (date(2026, 11, 5), 2, 3_000_000),
        (date(2026, 11, 6), 1, 4_000_000),
    ]


def test_what_is_booked_at_the_first_moment_after_the_period_is_not_in_it() -> None:
    source = Listed(
        [
            recharge("A", "10-31 23:59", "b1-101", 1),
            recharge("B", "11-01 00:00", "b1-101", 2),
            recharge("C", "11-30 23:59", "b1-101", 4),
            recharge("D", "12-01 00:00", "b1-101", 8),
        ]
    )
    assert report("recharges", source).totals["recharged"] == 60_000


def test_consumption_is_told_by_every_field_of_the_lines() -> None:
    found = report("consumption", Listed([charge("1", "11-03 10:00"), charge("2", "11-03 11:00")]))
    assert found.rows == (
        ("B1", "dorm", "dorm", "3", "peak", "1", "0.5583", 1400, 400, 1000, 558_300),
        ("B1", "dorm", "dorm", "3", "valley", "1", "0.3083", 600, 0, 600, 184_980),
    )
    assert found.totals == {"energy": 2000, "free": 400, "paid": 1600, "cost": 743_280}


def test_energy_that_was_all_free_is_told_by_the_free_energy_s_entry() -> None:
    lines = [{**LINES[0], "energy_wh": 200, "amount_micro": 0}]
    use = entry(
        "free-use:1", EntryKind.FREE_USE, at("11-03 10:00"),
        {"free:b1-101": -200, "free:used": 200}, "2026-11", building="B1", kind="dorm", lines=lines,
    )  # fmt: skip
    found = report("consumption-by-room", Listed([(at("11-03 10:00"), use)]))
    assert found.rows == (("B1", "b1-101", 200, 200, 0, 0),)


def test_what_a_prepaid_meter_used_is_its_room_s(monkeypatch: pytest.MonkeyPatch) -> None:
    room = campus().account("b1-101")
    monkeypatch.setattr(MadeDirectory, "account_of_meter", lambda *_: room)
    booked_at, made = charge("1", "11-03 10:00")
    legs = tuple(
        replace(leg, account=leg.account.replace("room:b1-101", "meter:m")) for leg in made.legs
    )
    found = report("consumption-by-room", Listed([(booked_at, replace(made, legs=legs))]))
    assert [row[1] for row in found.rows] == ["b1-101"]


def test_a_reversed_charge_leaves_consumption_again() -> None:
    booked_at, made = charge("1", "11-03 10:00")
    legs = {leg.account: -leg.amount for leg in made.legs}
    undo = entry("undo", EntryKind.REVERSAL, at("11-04 10:00"), legs, "charge:1", "zhang")
    found = report("consumption", Listed([(booked_at, made), (at("11-04 10:00"), undo)]))
    assert found.totals == {"energy": 0, "free": 0, "paid": 0, "cost": 0}


def test_revenue_that_no_line_explains_is_a_row_of_its_own() -> None:
    booked_at, made = charge("1", "11-03 10:00")
    short = replace(made, details={**made.details, "lines": LINES[:1]})
    found = report("consumption-by-band", Listed([(booked_at, short)]))
    assert found.rows == (("", 0, 0, 0, 92_490), ("peak", 700, 200, 500, 279_150))


def test_balances_open_with_what_was_there_and_close_with_what_is_left() -> None:
    source = Listed(
        [
            recharge("A", "10-05 10:00", "b1-101", 5_000),
            charge("1", "11-03 10:00"),
            recharge("B", "11-05 10:00", "b1-101", 1_000),
            charge("2", "12-03 10:00"),
        ]
    )
    (row,) = report("balances", source).rows
    assert row == (
        "b1-101", "B1", "101", 50_000_000, 10_000_000, -371_640, 0, 0, 0, 0, 0, 0, 0, 59_628_360,
    )  # fmt: skip


def test_arrears_name_who_lives_there_and_since_when_the_room_owes() -> None:
    source = Listed(
        [
            recharge("A", "10-05 10:00", "b1-101", 10),
            charge("1", "10-20 10:00"),
            charge("2", "11-03 10:00"),
        ]
    )
    (row,) = report("arrears", source).rows
    assert row == (
        "b1-101", "B1", "101", "学生0a (2026000a), 学生0b (2026000b)", at("10-20 10:00"),
        643_280, 0, 643_280,
    )  # fmt: skip


def test_a_debt_that_was_paid_in_between_begins_anew() -> None:
    source = Listed(
        [
            charge("1", "10-20 10:00"),
            recharge("A", "11-02 10:00", "b1-101", 40),
            charge("2", "11-03 10:00"),
        ]
    )
    (row,) = report("arrears", source).rows
    assert row[4] == at("11-03 10:00")


def test_the_trial_balance_sums_to_zero_and_says_so() -> None:
    found = report(
        "trial-balance",
        Listed([recharge("A", "11-05 10:00", "b1-101", 50), charge("1", "11-06 10:00")]),
    )
    assert found.rows == (
        ("clearing:wechat", 0, 0, 500_000, -500_000),
        ("revenue:energy", 0, 371_640, 0, 371_640),
        ("room:b1-101", 0, 500_000, 371_640, 128_360),
    )
    assert found.totals["closing"] == 0
    assert [note.key for note in found.notes] == ["balanced"]


def test_a_balance_that_its_entries_do_not_explain_is_a_fault_in_the_report() -> None:
    source = Listed([recharge("A", "11-05 10:00", "b1-101", 50)])
    room, till = source.posted[0].legs
    source.posted[0] = source.posted[0]._replace(legs=(room._replace(balance=500_001), till))
    notes = report("balances", source).notes
    assert [(note.key, note.values, note.fault) for note in notes] == [
        ("balances-break", {"account": "room:b1-101"}, True)
    ]
    assert [note.key for note in report("trial-balance", source).notes if note.fault] == [
        "not-balanced", "balances-break",
    ]  # fmt: skip


def test_what_happened_before_the_period_and_was_booked_in_it_is_shown() -> None:
    _, made = charge("1", "10-30 10:00")
    source = Listed([(at("11-02 10:00"), made)])
    assert report("late", source).rows == (("charge", 1, -371_640, None),)
    (note,) = report("consumption-by-building", source).notes
    assert (note.key, note.values) == ("late-charges", {"entries": 1, "amount": 371_640})


def test_transfers_name_both_rooms_and_who_asked_and_approved() -> None:
    move = entry(
        "t", EntryKind.TRANSFER, at("11-02 10:00"), {"room:b1-101": -5, "room:b2-102": 5},
        "transfer-7", "chen", "wrong room", requested_by="li", approved_by="chen",
    )  # fmt: skip
    assert report("transfers", Listed([(at("11-02 10:00"), move)])).rows == (
        ("1", at("11-02 10:00"), "transfer", "b1-101", "b2-102", "transfer-7", "li", "chen",
         "wrong room", 5),
    )  # fmt: skip


def test_a_report_that_there_is_not_is_refused_with_the_list() -> None:
    with pytest.raises(UnknownSubject, match="no report 'profit'; there are summary, recharges"):
        report("profit", Listed())


@pytest.mark.parametrize(
    "name", [n for n in REPORTS if n not in ("shifts", "receipts", "exceptions")]
)
def test_a_period_without_entries_gives_a_report_without_faults(name: str) -> None:
    found = report(name, Listed())
    assert not any(note.fault for note in found.notes)
    assert not any(found.totals.values())
