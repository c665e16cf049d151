"""What the books promise, on SQLite and on PostgreSQL alike."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import pytest
import sqlalchemy as sa
from entries import NOON, Outsider, charge, entry, numbers, recharge

from domain.book_chain import FIRST_HASH, chain_hash, content_bytes, details_text, moment_text
from domain.books import (
    AccountUnknown,
    BelowFloor,
    BookAccount,
    EntryKind,
    EntryRefused,
    KeyReused,
    Unit,
)
from domain.errors import InvalidInput
from storage.ledger import tables


def post(books, *entries, **options):
    return [books.post(one, **options).result(10) for one in entries]


def test_an_entry_comes_back_as_it_went_in(books):
    given = recharge(
        "recharge:1", 5_000_000, time=NOON, description="50 元", reference="order-1",
        details={"channel": "wechat", "rate": "0.5512", "lines": [{"energy_wh": 1, "x": None}]},
    )  # fmt: skip
    (posted,) = post(books, given)
    assert (posted.number, posted.booked_at, posted.repeated) == (1, NOON, False)
    assert posted.balances == {"room:a": 5_000_000, "clearing:wechat": -5_000_000}
    assert books.entry("recharge:1") == posted
    assert books.entries() == [posted]
    assert books.entry("nobody") is None


def test_fault_20_the_same_id_and_the_same_entry_give_the_same_answer_and_one_booking(books):
    (first,) = post(books, recharge("r", details={"a": 1, "b": 2}))
    post(books, recharge("other"))
    stamped_anew = recharge("r", time=NOON + timedelta(seconds=5), details={"b": 2, "a": 1})
    (again,) = post(books, stamped_anew)
    assert again.repeated
    assert (again.entry, again.number, again.hash) == (first.entry, first.number, first.hash)
    assert again.balances == first.balances == {"room:a": 100, "clearing:wechat": -100}
    assert books.balance("room:a") == 200


@pytest.mark.parametrize(
    "changed",
    [
        recharge("r", 101),
        recharge("r", room="room:b"),
        recharge("r", actor="li"),
        recharge("r", reference="order-2"),
        recharge("r", description="other"),
        recharge("r", details={"a": 2}),
        recharge("r", kind=EntryKind.ADJUSTMENT),
    ],
)
def test_fault_21_the_same_id_with_other_content_is_refused(books, changed):
    post(books, recharge("r"))
    with pytest.raises(KeyReused, match="the id r was used"):
        books.post(changed).result(10)
    assert books.balance("room:a") == 100
    assert len(books.entries()) == 1


def test_ids_repeated_within_one_group_are_booked_once(books):
    futures = [books.post(recharge("r")) for _ in range(50)]
    posted = [future.result(10) for future in futures]
    assert {one.number for one in posted} == {1}
    assert [one.repeated for one in posted].count(False) == 1
    assert books.balance("room:a") == 100


def test_many_threads_with_the_same_ids_book_each_once(books):
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(lambda n=n: books.post(recharge(f"r{n % 40}")).result(30))
            for n in range(400)
        ]
        wait(jobs, 60)
    fresh = [job.result() for job in jobs if not job.result().repeated]
    assert len(fresh) == 40
    assert books.balance("room:a") == 40 * 100
    assert numbers(books.entries()) == list(range(1, 41))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (entry("e", ("room:a", 5), ("clearing:wechat", -4)), "sum to zero"),
        (entry("e", ("room:a", 0), ("clearing:wechat", 0)), "not 0"),
        (entry("e", ("room:a", 0.5), ("clearing:wechat", -0.5)), "whole number"),
        (entry("e", ("room:a", True), ("clearing:wechat", -1)), "whole number"),
        (entry("e", ("room:a", 10**16), ("clearing:wechat", -(10**16))), "at most"),
        (entry("e", ("room:a", 5)), "2 to 1000 legs"),
        (entry("e"), "2 to 1000 legs"),
        (entry("e", ("room:a", 5), ("room:a", -5)), "an account twice"),
        (entry("", ("room:a", 5), ("room:b", -5)), "must have an id"),
        (recharge("e", time=NOON.replace(tzinfo=None)), "must carry a zone"),
        (recharge("e", details={"a": object()}), "can't be written as JSON"),
        (recharge("e", details={"a": float("nan")}), "can't be written as JSON"),
        (recharge("e", description="a\0b"), "NUL"),
        (recharge("e", description="\ud800"), "can't be written"),
        (recharge("e" * 3_000), "at most 2000 characters"),
    ],
)
def test_what_no_book_can_take_is_refused_before_it_waits(books, wrong, told):
    with pytest.raises(InvalidInput, match=told):
        books.post(wrong)
    assert books.entries() == []


def test_all_faults_of_an_entry_are_told_at_once(books):
    with pytest.raises(InvalidInput) as refused:
        books.post(entry("", ("room:a", 0)))
    assert len(refused.value.faults) == 3


def test_units_are_balanced_each_for_itself(books):
    with pytest.raises(EntryRefused, match="in micro sum to 5"):
        books.post(entry("e", ("room:a", 5), ("free:a", -5))).result(10)
    free = entry("g", ("free:a", 800), ("free:granted", -800), kind=EntryKind.FREE_GRANT)
    assert books.post(free).result(10).balances["free:a"] == 800


def test_an_account_goes_to_its_floor_and_not_below(books):
    post(books, recharge("r", 300), charge("all", 300))
    with pytest.raises(BelowFloor) as refused:
        books.post(charge("more", 1)).result(10)
    assert (refused.value.account, refused.value.balance, refused.value.floor) == ("room:a", -1, 0)
    post(books, charge("credit", 500, "room:b"))
    assert books.balances("room:") == {"room:a": 0, "room:b": -500}


def test_a_debt_is_booked_whatever_the_balance_and_may_be_paid_in_parts(books):
    post(books, charge("used", 700), enforce_floors=False)
    (paid,) = post(books, recharge("part", 200))
    assert paid.balances["room:a"] == -500


def test_floors_of_one_entry_hold_for_that_entry_only(books):
    with pytest.raises(BelowFloor, match="clearing:wechat would fall to -100, below its floor"):
        books.post(recharge("r"), floors={"clearing:wechat": -99}).result(10)
    post(books, recharge("r"))
    with pytest.raises(EntryRefused, match="which the entry does not move"):
        books.post(recharge("s"), floors={"room:b": 0}).result(10)


def test_the_last_unit_is_spent_once(books):
    post(books, recharge("r", 1))
    futures = [books.post(charge(f"c{n}", 1)) for n in range(20)]
    wait(futures, 30)
    spent = [future for future in futures if not future.exception()]
    assert len(spent) == 1
    assert all(isinstance(one.exception(), BelowFloor) for one in futures if one not in spent)
    assert books.balance("room:a") == 0


def test_a_refused_entry_does_its_neighbours_no_harm(books):
    wanted = [recharge("a"), charge("too much", 101), recharge("b", room="room:x"), recharge("c")]
    futures = [books.post(one) for one in wanted]
    wait(futures, 30)
    kinds = [type(future.exception()).__name__ for future in futures]
    assert kinds == ["NoneType", "BelowFloor", "AccountUnknown", "NoneType"]
    assert [found.entry.id for found in books.entries()] == ["a", "c"]
    assert books.balance("room:a") == 200


def test_what_only_the_database_refuses_does_its_neighbours_no_harm(books, monkeypatch):
    """One of a group of three is made unbalanced behind the program's own check."""
    from storage.books import posting

    honest = posting._write

    def forge(connection, draft):
        legs = [(*leg[:4], leg[4] + 1, leg[5]) if leg[2] == "room:b" else leg for leg in draft.legs]
        draft.legs[:] = legs
        honest(connection, draft)

    monkeypatch.setattr(posting, "_write", forge)
    gate = threading.Event()
    holding = books.transact(lambda _: gate.wait(10))
    wanted = [recharge("a"), recharge("b", room="room:b"), recharge("c")]
    futures = [books.post(one) for one in wanted]
    gate.set()
    holding.result(10)
    wait(futures, 30)
    assert [future.exception() is None for future in futures] == [True, False, True]
    assert "sum to zero" in str(futures[1].exception())
    assert [found.entry.id for found in books.entries()] == ["a", "c"]
    assert books.balances("room:") == {"room:a": 200, "room:b": 0}


def test_accounts_are_opened_once_and_their_floor_can_change(books):
    post(books, recharge("r"))
    books.open(BookAccount("room:a", floor=-1000)).result(10)
    assert books.account("room:a") == BookAccount("room:a", floor=-1000)
    assert books.balance("room:a") == 100
    post(books, charge("c", 1100))
    with pytest.raises(EntryRefused, match="counts micro"):
        books.open(BookAccount("room:a", Unit.WH)).result(10)
    assert books.account("nobody") is None
    assert books.balance("nobody") is None


def test_an_account_opened_just_before_can_be_posted_to_without_waiting(books):
    first = books.post(recharge("r"))
    books.open(BookAccount("room:new"))
    second = books.post(recharge("s", room="room:new"))
    assert first.result(10).number < second.result(10).number


def test_a_closed_account_takes_nothing_and_can_be_opened_again(books):
    post(books, recharge("r"))
    with pytest.raises(EntryRefused, match="still holds 100"):
        books.close_account("room:a").result(10)
    post(books, charge("c", 100))
    books.close_account("room:a").result(10)
    assert books.account("room:a").closed
    with pytest.raises(AccountUnknown, match="is closed"):
        books.post(recharge("s")).result(10)
    with pytest.raises(AccountUnknown, match="was not opened"):
        books.close_account("nobody").result(10)
    books.open(BookAccount("room:a", floor=0)).result(10)
    post(books, recharge("s"))


def test_a_reversal_gives_back_and_is_booked_once(books):
    post(books, recharge("r", 300))
    reversed_ = books.reverse("r", "undo", "li", "wrong room").result(10)
    assert reversed_.balances == {"room:a": 0, "clearing:wechat": 0}
    assert (reversed_.entry.kind, reversed_.entry.reference) == (EntryKind.REVERSAL, "r")
    assert books.reverse("r", "undo", "li", "wrong room").result(10).repeated
    with pytest.raises(EntryRefused, match="reversed before, by undo"):
        books.reverse("r", "undo again", "li", "wrong room").result(10)
    with pytest.raises(EntryRefused, match="no entry nobody"):
        books.reverse("nobody", "x", "li", "").result(10)
    with pytest.raises(EntryRefused, match="itself a reversal"):
        books.reverse("undo", "x", "li", "").result(10)


def test_a_reversal_may_not_take_what_was_spent(books):
    post(books, recharge("r", 300), charge("c", 200))
    with pytest.raises(BelowFloor):
        books.reverse("r", "undo", "li", "wrong room").result(10)
    assert books.balance("room:a") == 100


def test_a_job_books_and_changes_other_tables_or_does_neither(books):
    def note(tx, number):
        row = {"only": number, "tries": tx.post(recharge(f"r{number}")).number}
        tx.connection.execute(sa.insert(tables.probe), [row])

    books.transact(lambda tx: note(tx, 1)).result(10)
    with pytest.raises(BelowFloor):
        books.transact(lambda tx: (note(tx, 2), tx.post(charge("c", 999)))).result(10)
    rows = books._ledger.query(lambda c: c.execute(sa.select(tables.probe)).all())
    assert rows == [(1, 1)]
    assert [found.entry.id for found in books.entries()] == ["r1"]
    assert books.balance("room:a") == 100


def test_a_job_sees_what_it_booked_and_opened_itself(books):
    def work(tx):
        tx.open(BookAccount("room:n", floor=0))
        tx.post(recharge("r", 70, "room:n"))
        return tx.balance("room:n"), tx.entry("r").number, tx.balance("nobody")

    assert books.transact(work).result(10) == (70, 1, None)
    assert books.balance("room:n") == 70
    assert books.account("room:n") == BookAccount("room:n", floor=0)


def test_subscribers_hear_of_each_durable_entry_once_and_in_order(books):
    heard = []
    books.subscribe(lambda posted: heard.append((posted.number, posted.entry.id)))
    books.subscribe(lambda _: 1 / 0)
    futures = [books.post(recharge(name)) for name in ("a", "b", "a")]
    wait([*futures, books.post(charge("no", 900))], 10)
    books.transact(lambda tx: tx.post(recharge("c"))).result(10)
    assert heard == [(1, "a"), (2, "b"), (3, "c")]


def test_entries_are_narrowed_and_come_in_the_order_of_their_numbers(books):
    later = NOON + timedelta(hours=1)
    post(
        books,
        recharge("a", 500),
        charge("b", 100),
        recharge("c", room="room:b", time=later, reference="o-1"),
        recharge("d", time=later),
    )
    assert numbers(books.entries(account="room:a")) == [1, 2, 4]
    assert numbers(books.entries(kind=EntryKind.CHARGE)) == [2]
    assert numbers(books.entries(reference="o-1")) == [3]
    assert numbers(books.entries(since=later)) == [3, 4]
    assert numbers(books.entries(until=later)) == [1, 2]
    assert numbers(books.entries(after_number=2, limit=1)) == [3]
    assert numbers(books.entries(account="room:a", after_number=1, since=later)) == [4]
    assert books.entries(limit=0) == []


def test_balances_after_a_restart_are_those_before(open_books, database_url):
    books = open_books()
    post(books, recharge("a", 500), charge("b", 100))
    before = dict(books.balances())
    books._ledger.close()
    again = open_books()
    assert again.balances() == before
    assert again.balance("room:a") == 400
    assert again.post(recharge("c")).result(10).number == 3


def test_each_entry_is_chained_to_the_one_before(books):
    post(books, *(recharge(f"r{n}", n + 1, details={"n": n, "x": "é"}) for n in range(30)))
    previous = FIRST_HASH
    for found in books.entries():
        content = content_bytes(found.entry, details_text(found.entry.details))
        times = moment_text(found.booked_at), moment_text(found.entry.time)
        previous = chain_hash(previous, found.number, *times, content)
        assert found.hash == previous


def test_callers_on_an_event_loop_get_their_answers_there(books):
    async def all_of_them():
        wanted = [recharge("a"), charge("no", 9_000), recharge("a"), recharge("b")]
        return await asyncio.gather(*map(books.posted, wanted), return_exceptions=True)

    first, refused, repeated, last = asyncio.run(all_of_them())
    assert isinstance(refused, BelowFloor)
    assert (first.number, repeated.number, repeated.repeated, last.number) == (1, 1, True, 2)


def test_a_caller_that_goes_away_does_not_undo_its_entry(books):
    async def impatient():
        task = asyncio.create_task(books.posted(recharge("a")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return await books.posted(recharge("b"))

    assert asyncio.run(impatient()).number == 2
    assert books.balance("room:a") == 200


LEGS = "INSERT INTO book_leg (number, place, account, unit, amount, balance) VALUES "
HEAD = (
    "INSERT INTO book_entry (number, id, time, booked_at, kind, actor, description, reference,"
    " details, hash) VALUES ({}, '{}', '2026-11-22 12:00:00', '2026-11-22 12:00:00', 'recharge',"
    " 'x', '', '', '{{}}', 'h')"
)
PAIR = "(2, 0, 'room:a', 'micro', 5, 5), (2, 1, 'clearing:wechat', 'micro', -5, -5)"


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["UPDATE book_entry SET actor = 'y'"], "append-only"),
        (["UPDATE book_leg SET amount = amount + 1"], "append-only"),
        (["DELETE FROM book_entry"], "append-only"),
        (["DELETE FROM book_leg"], "append-only"),
        ([LEGS + PAIR.replace("-5, -5", "-4, -4"), HEAD.format(2, "e")], "sum to zero"),
        ([HEAD.format(2, "e")], "fewer than two legs"),
        ([LEGS + PAIR[: PAIR.index("), ") + 1], HEAD.format(2, "e")], "fewer than two legs"),
        ([LEGS + "(1, 7, 'room:b', 'micro', 5, 5)"], "booked already"),
        ([LEGS + PAIR], "(?i)foreign key"),
        ([LEGS + PAIR.replace("room:a", "room:x"), HEAD.format(2, "e")], "(?i)foreign key"),
        ([LEGS + PAIR.replace("'micro'", "'wh'"), HEAD.format(2, "e")], "(?i)foreign key"),
        ([LEGS + PAIR.replace("(2,", "(9,"), HEAD.format(9, "e")], "not the next one"),
        ([LEGS + PAIR, HEAD.format(2, "r")], "its id is taken"),
        ([LEGS + PAIR.replace("5", "0").replace("-0", "0")], "(?i)check constraint"),
        (["INSERT INTO book_account VALUES ('x', 'coins', NULL, false, 0, 0)"], "(?i)check"),
    ],
)
def test_fault_24_the_database_itself_refuses(books, statements, told):
    post(books, recharge("r"))
    outsider = Outsider(books._ledger)
    with pytest.raises(outsider.errors, match=told):
        outsider.run(*statements)
    outsider.run(LEGS + PAIR, HEAD.format(2, "e"))  # what is whole, it takes
    outsider.close()


def test_fault_24_replacing_an_entry_under_its_id_is_refused(open_books, sqlite_url):
    books = open_books(sqlite_url)
    post(books, recharge("r"))
    outsider = Outsider(books._ledger)
    for words in ("INSERT OR REPLACE", "INSERT OR IGNORE", "REPLACE"):
        with pytest.raises(outsider.errors, match="its id is taken"):
            outsider.run(LEGS + PAIR, HEAD.format(2, "r").replace("INSERT", words))
    outsider.close()
