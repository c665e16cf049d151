"""Every kind of damage, done with the guards taken off, and the very row that the audit names."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from entries import NOON, Outsider, charge, entry, recharge
from typer.testing import CliRunner
from verify import audited

from app.cli import app
from domain.books import BookAccount, EntryKind
from storage.books.charging_tables import (
    charged_month,
    charged_register,
    counter_review,
)
from storage.books.directory_tables import register_span
from storage.books.payment_tables import (
    payment_order,
    payment_refund,
    payment_review,
    provider_statement,
    provider_statement_row,
)
from storage.ledger.tables import UtcTime

GUARDS_OFF = {
    "sqlite": [
        f"DROP TRIGGER {name}"
        for name in (
            "book_entry_no_update", "book_entry_no_delete", "book_leg_no_update",
            "book_leg_no_delete", "book_entry_whole", "book_leg_in_time",
        )
    ],
    "postgresql": ["SET session_replication_role = replica"],
}  # fmt: skip


@pytest.fixture
def damaged(books, database_url):
    """Book a few entries, damage the tables as told, and audit: the faults, as text."""
    for one in (
        recharge("r1", 500, details={"x": 1}),
        charge("c1", 200),
        recharge("r2", 300, room="room:b"),
        charge("c2", 100),
        entry("g", ("free:a", 800), ("free:granted", -800), kind=EntryKind.FREE_GRANT),
    ):
        books.post(one).result(10)

    def damage(*statements: str) -> list[str]:
        outsider = Outsider(books._ledger)
        kind = books._ledger.database.writing.dialect.name
        if kind == "sqlite":
            outsider.connection.execute("PRAGMA foreign_keys = OFF")
        outsider.run(*GUARDS_OFF[kind], *statements)
        outsider.close()
        return audited(database_url)

    return damage


def test_sound_books_have_no_fault_while_the_station_runs(damaged, books, database_url):
    assert damaged() == []
    books.post(recharge("after")).result(10)
    assert audited(database_url) == []


CHANGED = "its hash does not fit its content and the entry before: it was changed"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor", "'eve'"),
        ("description", "'x'"),
        ("reference", "'x'"),
        ("kind", "'transfer'"),
        ("id", "'r9'"),
        ("details", "'{\"x\":2}'"),
        ("details", "'{\"x\":1 }'"),
        ("time", "'2026-11-22 12:00:00.000001'"),
        ("booked_at", "'2026-11-21 12:00:00'"),
        ("hash", "'" + "f" * 64 + "'"),
    ],
)
def test_a_changed_entry_is_named(damaged, column, value):
    found = damaged(f"UPDATE book_entry SET {column} = {value} WHERE number = 3")  # noqa: S608
    name = "r9" if column == "id" else "r2"
    wanted = [f"chain: entry 3: {CHANGED} [{name}]"]
    if column == "hash":  # the next one was chained to what stood there
        wanted.append(f"chain: entry 4: {CHANGED} [c2]")
    assert found == wanted


def test_a_changed_amount_is_named_with_its_leg_its_entry_and_its_account(damaged):
    found = damaged("UPDATE book_leg SET amount = amount + 7 WHERE number = 2 AND place = 0")
    assert found == [
        f"chain: entry 2: {CHANGED} [c1]",
        "sums: entry 2: its legs sum to 7 in micro, not to 0 [c1]",
        "balances: entry 2, leg 0: states a balance of 300, the legs up to it say 307 [room:a]",
        "balances: book_account room:a: its balance is kept as 200, its legs sum to 207 [room:a]",
    ]


def test_an_amount_moved_to_another_account_is_named(damaged):
    found = damaged("UPDATE book_leg SET account = 'room:b' WHERE number = 1 AND place = 0")
    assert f"chain: entry 1: {CHANGED} [r1]" in found
    assert (
        "balances: book_account room:a: its balance is kept as 200, its legs sum to -300 [room:a]"
        in found
    )


def test_a_changed_balance_is_named(damaged):
    found = damaged(
        "UPDATE book_account SET balance = 9999 WHERE id = 'room:a'",
        "UPDATE book_leg SET balance = 1 WHERE number = 3 AND place = 0",
    )
    assert found == [
        "balances: entry 3, leg 0: states a balance of 1, the legs up to it say 300 [room:b]",
        "balances: book_account room:a: its balance is kept as 9999, its legs sum to 200 [room:a]",
    ]


def test_an_entry_taken_out_is_named(damaged):
    found = damaged("DELETE FROM book_entry WHERE number = 2")
    assert "chain: entry 2: is missing: the books were cut [c2]" not in found
    assert found[0] == "chain: entry 2: is missing: the books were cut [r2]"
    assert "sums: leg 2/0: -200 on room:a belongs to no entry [room:a]" in found


def test_an_end_that_was_cut_off_is_named(damaged):
    found = damaged(
        "DELETE FROM book_entry WHERE number >= 4", "DELETE FROM book_leg WHERE number >= 4"
    )
    assert found[0] == "chain: entry 4 to 5: are missing at the end: the books were cut"
    assert any(one.startswith("balances: book_account room:a: its balance") for one in found)


def test_a_leg_put_in_afterwards_is_named(damaged):
    found = damaged("INSERT INTO book_leg VALUES (5, 2, 'room:a', 'micro', 5, 205)")
    assert found == [
        f"chain: entry 5: {CHANGED} [g]",
        "sums: entry 5: its legs sum to 5 in micro, not to 0 [g]",
        "balances: book_account room:a: its balance is kept as 200, its legs sum to 205 [room:a]",
    ]


def test_a_leg_without_an_entry_is_named(damaged):
    found = damaged("INSERT INTO book_leg VALUES (9, 0, 'room:x', 'micro', 5, 5)")
    assert found == ["sums: leg 9/0: 5 on room:x belongs to no entry [room:x]"]


def test_an_account_taken_out_is_named(damaged):
    found = damaged("DELETE FROM book_account WHERE id = 'room:b'")
    assert found == ["balances: book_account room:b: has legs but is not there [room:b]"]


def test_a_head_that_lies_is_named(damaged):
    found = damaged("UPDATE book_head SET hash = 'x'")
    assert found == [
        "chain: book_head: names entry 5, but the newest is 5 or its hash differs",
    ]


def test_money_that_went_below_its_floor_otherwise_than_by_use_is_named(books, damaged):
    move = entry("t", ("room:a", -150), ("room:b", 150), kind=EntryKind.TRANSFER)
    books.post(move).result(10)
    found = damaged("UPDATE book_account SET floor = 100 WHERE id = 'room:a'")
    assert found == ["floors: entry 6: room:a lies at 50, below its floor of 100 [room:a]"]


def test_use_below_the_floor_is_a_debt_and_no_fault(books, damaged):
    books.post(charge("more", 900), enforce_floors=False).result(10)
    assert damaged() == []


def test_a_closed_account_with_money_is_named(damaged):
    found = damaged("UPDATE book_account SET closed = true WHERE id = 'room:b'")
    assert found == ["balances: book_account room:b: is closed and holds 300 [room:b]"]


def fill(books, table, **columns):
    """Put a row in; what is not given is empty."""
    row = {}
    for column in table.columns:
        if column.name in columns:
            row[column.name] = columns[column.name]
        elif not column.nullable:
            kind = type(column.type)
            empty = {UtcTime: NOON, sa.JSON: {}}
            row[column.name] = empty[kind] if kind in empty else column.type.python_type()
    books._ledger.transact(lambda c: c.execute(sa.insert(table), [row]) and None).result(10)


def order(books, name, fen=100, **more):
    fields = {
        "id": name, "key": name, "requested_by": name, "channel": "wechat", "amount_minor": fen,
        "account": "a", "state": "credited", "book": "room:a", "provider_ref": f"P-{name}",
        "paid_at": NOON, "digest": "d", **more,
    }  # fmt: skip
    fill(books, payment_order, **fields)


def paid(books, name, fen=100):
    books.post(recharge(f"recharge:{name}", fen * 10_000, reference=name)).result(10)


def statement(books, *rows, day=date(2026, 11, 22)):
    fill(books, provider_statement, channel="wechat", day=day, rows=len(rows))
    for place, (name, fen, *kind) in enumerate(rows):
        refund = kind[0] if kind else ""
        fill(
            books, provider_statement_row, channel="wechat", day=day, place=place, order=name,
            kind="refund" if refund else "payment", refund=refund, provider_ref=f"P-{name}",
            amount_minor=fen,
        )  # fmt: skip


def test_orders_that_agree_with_books_and_statements_have_no_fault(books, database_url):
    for name in ("o1", "o2"):
        order(books, name)
        paid(books, name)
    order(books, "waiting", state="created", book="", paid_at=None)
    statement(books, ("o1", 100), ("o2", 100))
    assert audited(database_url) == []


def test_orders_and_books_that_differ_are_named(books, database_url):
    order(books, "never booked")
    order(books, "half booked")
    paid(books, "half booked", 50)
    order(books, "not paid", state="created", book="", paid_at=None)
    paid(books, "not paid")
    paid(books, "no order")
    fill(books, payment_refund, id="f1", key="f1", account="a", amount_minor=5, state="done")
    assert audited(database_url) == [
        "payments: payment_order half booked: is over 1000000 micro, entry 1 books 500000 [a]",
        "payments: payment_order never booked: is credited, but no recharge:never booked is in"
        " the books [a]",
        "payments: payment_order not paid: is created, but entry 2 credits it [a]",
        "payments: entry 3: recharges by an order no order that is not there [recharge:no order]",
        "payments: payment_refund f1: is done, but no refund:f1 is in the books [a]",
    ]


def test_statements_and_books_that_differ_are_named(books, database_url):
    for name in ("both", "amount", "only here"):
        order(books, name)
        paid(books, name)
    order(books, "other day", paid_at=NOON + timedelta(days=3))
    paid(books, "other day")
    statement(
        books,
        ("both", 100),
        ("amount", 99),
        ("only there", 70),
        ("both", 100),
        ("both", 30, "refund-7"),
        ("held", 10),
    )
    fill(
        books, payment_review, id="v", channel="wechat", order="held", provider_ref="P-held",
        resolved_at=NOON, resolved_by="li",
    )  # fmt: skip
    where = "payments: statement wechat 2026-11-22 row"
    assert audited(database_url) == [
        f"{where} 1: payment P-amount of 99 fen: entry 2 books 1000000 micro, not 990000 [amount]",
        f"{where} 2: payment P-only there of 70 fen: nothing in the books for only there"
        " [only there]",
        f"{where} 3: payment P-both of 100 fen: both stands in a statement before [both]",
        f"{where} 4: refund P-both of 30 fen: nothing in the books for refund-7 [refund-7]",
        "payments: payment_order only here: is credited, but the provider's statement of its day"
        " does not have it [a]",
    ]


SINCE = datetime(2026, 11, 1, tzinfo=UTC)
LINE = {"energy_wh": 400, "free_wh": 0, "amount_micro": 200}


def month(books, **more):
    fields = {
        "account": "a", "month": "2026-11", "amount_micro": 200, "energy_wh": 400,
        "lines": [LINE], "fees_micro": {}, "carry": {}, **more,
    }  # fmt: skip
    fill(books, charged_month, **fields)


def register(books, meter="m1", counted=400, last=1_400, **more):
    fill(books, register_span, meter=meter, since=SINCE, account="a", first_wh=1_000)
    fields = {"last_wh": last, "counted_wh": counted, "last_ms": 9, "account": "a", **more}
    fill(books, charged_register, meter=meter, since=SINCE, **fields)


def charged(books, amount=200, lines=(LINE,)):
    made = entry(
        "charge:a:2026-11:1", ("room:a", -amount), ("revenue:energy", amount),
        kind=EntryKind.CHARGE, reference="2026-11", details={"lines": list(lines)},
    )  # fmt: skip
    books.post(made, enforce_floors=False).result(10)


def test_bills_registers_and_books_that_agree_have_no_fault(books, database_url):
    charged(books)
    month(books)
    register(books)
    assert audited(database_url) == []


def test_a_bill_that_differs_from_the_books_is_named(books, database_url):
    charged(books, 180)
    month(books, fees_micro={"service": 7})
    register(books)
    where = "bills: charged_month a 2026-11"
    assert audited(database_url) == [
        "bills: entry 1: charges 180 micro, its lines come to 200 [charge:a:2026-11:1]",
        f"{where}: charge of energy, micro: the bill says 200, the books 180 (entry 1) [a]",
        f"{where}: fees, micro: the bill says 7, the books 0 (entry 1) [a]",
    ]


def test_a_charge_without_a_bill_is_named(books, database_url):
    charged(books)
    found = audited(database_url)
    assert found == [
        "bills: charged_month a 2026-11: is charged in the books, but there is no bill of that"
        " month (entry 1) [a]"
    ]


def test_a_register_that_counted_otherwise_than_it_moved_is_named(books, database_url):
    charged(books)
    month(books)
    register(books, last=1_390)
    assert audited(database_url) == [
        "registers: charged_register m1 since 2026-11-01T00:00:00+00:00: its counter moved 390 Wh"
        " (0 Wh of that held, 0 Wh explained), counted were 400 Wh [m1]"
    ]


def test_energy_that_is_held_is_no_fault_and_energy_that_vanished_is(books, database_url):
    charged(books)
    month(books)
    register(books, last=901_400)
    fill(
        books, counter_review, id="v", meter="m1", since=SINCE, account="a", before_wh=1_200,
        after_wh=901_200, after_ms=5, state="open", suggestion=None, decision=None,
    )  # fmt: skip
    assert audited(database_url) == []
    register(books, meter="m2", counted=50, last=1_050)
    assert audited(database_url) == [
        "registers: account a: its registers counted 450 Wh, its months hold 400 Wh [a]"
    ]


def test_the_command_says_what_is_wrong_and_ends_with_1(open_books, sqlite_url, tmp_path):
    books = open_books(sqlite_url)
    books.post(recharge("r1", 500)).result(10)
    runner = CliRunner()
    sound = runner.invoke(app, ["audit", "--ledger", str(tmp_path / "ledger.db"), "--json"])
    assert sound.exit_code == 0, sound.output
    assert json.loads(sound.stdout)["sound"] is True
    outsider = Outsider(books._ledger)
    outsider.run("UPDATE book_account SET balance = 1 WHERE id = 'room:a'")
    outsider.close()
    broken = runner.invoke(app, ["audit", "--ledger", sqlite_url, "--json"])
    told = json.loads(broken.stdout)
    assert (broken.exit_code, told["sound"], told["entries"]) == (1, False, 1)
    assert told["faults"] == [
        {
            "check": "balances",
            "row": "book_account room:a",
            "message": "its balance is kept as 1, its legs sum to 500",
            "subject": "room:a",
        }
    ]
    plain = runner.invoke(app, ["audit", "--ledger", sqlite_url])
    assert "balances: book_account room:a: its balance is kept as 1" in plain.stdout


def test_a_ledger_nobody_has_open_can_be_audited(open_books, sqlite_url):
    books = open_books(sqlite_url)
    books.open(BookAccount("room:z")).result(10)
    books._ledger.close()
    assert audited(sqlite_url) == []


def test_auditing_what_is_not_there_is_a_clear_error(tmp_path):
    missing = CliRunner().invoke(app, ["audit", "--ledger", str(tmp_path / "no.db")])
    assert "there is no ledger" in str(missing.exception)
