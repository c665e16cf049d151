"""Power cuts, full disks, locked files, servers that go away: nothing false, nothing by half."""

import random
import sqlite3
import threading
from concurrent.futures import wait
from pathlib import Path

import pytest
import sqlalchemy as sa
from entries import NOON, charge, entry, recharge
from lossy_disk import LossyConnection, LossyDisk
from verify import faults_of_books

from domain.books import BelowFloor, BookAccount, EntryKind
from domain.clock import LeapClock
from domain.errors import StoreUnavailable
from storage.books.post_queue import PostQueue
from storage.books.posting import Request
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

ROOM, CHANNEL = BookAccount("room:a", floor=0), BookAccount("clearing:wechat")


def lossy_books(disk: LossyDisk, file: Path, sync: bool = True) -> SqlBooks:
    ledger = SqlLedger(
        f"sqlite:///{file}",
        busy_s=0.2,
        retry_waits_s=(0.01,),
        open_connection=lambda path, writes: LossyConnection(disk, path, writes, sync),
    )
    return SqlBooks(ledger)


def recharge_until_the_power_goes(
    disk: LossyDisk, folder: Path, seed: int, sync: bool
) -> tuple[set[str], Path]:
    books = lossy_books(disk, folder / "ledger.db", sync)
    books.open(ROOM, CHANNEL)
    acknowledged: set[str] = set()
    for n in range(random.Random(seed).randrange(30, 80)):
        future = books.post(recharge(f"r{n}"))
        future.add_done_callback(lambda _, n=n: acknowledged.add(f"r{n}"))
        if n % 7 == 6:
            future.result(10)
    before = set(acknowledged)
    disk.power_cut(folder / "after", random.Random(seed) if seed % 2 else None)
    books._ledger.close()
    return before, folder / "after" / "ledger.db"


def found_in(file: Path) -> tuple[set[str], dict[str, int], list[str]]:
    ledger = SqlLedger(f"sqlite:///{file}")
    books = SqlBooks(ledger)
    found = {posted.entry.id for posted in books.entries(limit=10_000)}
    balances, faults = dict(books.balances()), faults_of_books(books)
    ledger.close()
    return found, balances, faults


@pytest.mark.parametrize("seed", range(6))
def test_fault_26_a_power_cut_keeps_every_acknowledged_entry_and_none_by_half(tmp_path, seed):
    disk = LossyDisk(f"books-synced-{seed}")
    acknowledged, left = recharge_until_the_power_goes(disk, tmp_path, seed, sync=True)
    found, balances, faults = found_in(left)
    assert len(acknowledged) >= 20
    assert acknowledged <= found
    assert balances == {"room:a": 100 * len(found), "clearing:wechat": -100 * len(found)}
    assert faults == []


def test_fault_26_without_syncing_the_same_power_cut_loses_acknowledged_entries(tmp_path):
    """The control run: were the disk not forgetful, the test above would prove nothing."""
    disk = LossyDisk("books-not-synced")
    acknowledged, left = recharge_until_the_power_goes(disk, tmp_path, 0, sync=False)
    found, _, _ = found_in(left)
    assert acknowledged - found


def test_fault_27_a_full_disk_refuses_books_nothing_by_half_and_recovers(tmp_path):
    disk = LossyDisk("books-filling")
    books = lossy_books(disk, tmp_path / "ledger.db")
    books.open(ROOM, CHANNEL).result(10)
    books.post(recharge("before")).result(10)
    disk.room_bytes = 0
    futures = [books.post(recharge(f"r{n}")) for n in range(5)]
    futures.append(books.transact(lambda tx: tx.post(recharge("in a job"))))
    for future in futures:
        with pytest.raises(StoreUnavailable, match="disk is full"):
            future.result(10)
    assert (books.balance("room:a"), len(books.entries())) == (100, 1)
    disk.room_bytes = None
    assert books.post(recharge("r1")).result(10).number == 2
    assert books.balances() == {"room:a": 200, "clearing:wechat": -200}
    assert faults_of_books(books) == []
    books._ledger.close()


def test_fault_28_a_locked_database_is_waited_for_so_long_and_nothing_false_is_told(tmp_path):
    file = tmp_path / "ledger.db"
    ledger = SqlLedger(f"sqlite:///{file}", busy_s=0.05, retry_waits_s=(0.01,))
    books = SqlBooks(ledger)
    books.open(ROOM, CHANNEL).result(10)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process holds the file"):
        books.post(recharge("r")).result(10)
    assert (books.balance("room:a"), books.entry("r")) == (0, None)
    other.execute("ROLLBACK")
    other.close()
    assert not books.post(recharge("r")).result(10).repeated
    ledger.close()


def test_entries_that_wait_are_limited(tmp_path):
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.db'}")
    books = SqlBooks(ledger)
    books.open(ROOM, CHANNEL).result(10)
    queue = PostQueue(ledger, LeapClock(NOON), lambda _: None, batch_most=4, waiting_most=10)
    gate = threading.Event()
    holding = ledger.transact(lambda _: gate.wait(10))
    futures = [queue.put(Request.of(recharge(f"r{n}"), None, True)) for n in range(10)]
    with pytest.raises(StoreUnavailable, match="10 entries wait"):
        queue.put(Request.of(recharge("one more"), None, True))
    gate.set()
    holding.result(10)
    assert [future.result(10).number for future in futures] == list(range(1, 11))
    assert queue.put(Request.of(recharge("now"), None, True)).result(10).number == 11
    ledger.close()


def test_closed_books_take_no_more(books):
    books._ledger.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        books.post(recharge("r"))
    with pytest.raises(StoreUnavailable, match="closed"):
        books.open(ROOM)


def test_a_bug_behind_a_commit_does_not_stop_the_writer_of_all(books):
    broken = books._ledger.enqueue(lambda _: 1, lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.result(10)
    assert books.post(recharge("r")).result(10).number == 1


# PostgreSQL


@pytest.fixture
def server_books(postgres_url):
    ledger = SqlLedger(postgres_url, clock=LeapClock(NOON), busy_s=2, retry_waits_s=(0.05, 0.1))
    books = SqlBooks(ledger)
    books.open(ROOM, CHANNEL, BookAccount("revenue:energy")).result(10)
    yield books
    ledger.close()


@pytest.mark.external
def test_a_second_writer_of_a_server_is_refused_and_told_who_writes(server_books, postgres_url):
    with pytest.raises(StoreUnavailable, match=r"already written by wattwarden \d+ \(session"):
        SqlLedger(postgres_url)


@pytest.mark.external
def test_fault_28_a_server_that_is_down_is_tried_so_often_and_nothing_false_is_told(
    server_books, postgres
):
    server_books.post(recharge("before")).result(10)
    postgres.kill()
    try:
        with pytest.raises(StoreUnavailable, match="can't be written"):
            server_books.post(recharge("r")).result(60)
        with pytest.raises(StoreUnavailable, match="can't be read"):
            server_books.entries()
        assert not server_books._ledger.is_ready()
        assert server_books.balance("room:a") == 100
    finally:
        postgres.start()
    assert server_books._ledger.is_ready()
    assert not server_books.post(recharge("r")).result(30).repeated
    assert server_books.balance("room:a") == 200
    assert faults_of_books(server_books) == []


@pytest.mark.external
def test_fault_28_a_server_that_restarts_meanwhile_is_hardly_noticed(server_books, postgres):
    server_books.post(recharge("before")).result(10)
    postgres.stop()
    postgres.start()
    assert server_books.post(recharge("r")).result(30).number == 2


@pytest.mark.external
def test_fault_25_a_session_lost_in_the_commit_itself_is_told_truly(server_books, postgres):
    """The session is ended by hand: once before the commit, once with the commit under way."""
    database = server_books._ledger.database
    engine = database.writing
    lost = []

    def lose(connection):
        if len(lost) < 2:
            pid = connection.connection.dbapi_connection.info.backend_pid
            if lost:  # the second time the commit arrives, and only its answer is lost
                connection.exec_driver_sql("COMMIT")
            lost.append(pid)
            postgres.sql(f"SELECT pg_terminate_backend({pid}, 5000)", "ledger_tests")

    sa.event.listen(engine, "commit", lose)
    first = server_books.post(recharge("lost before")).result(30)
    second = server_books.post(recharge("lost after")).result(30)
    sa.event.remove(engine, "commit", lose)
    assert len(lost) == 2
    assert (first.number, second.number) == (1, 2)
    # Neither was booked by a second try: the server told that it was committed.
    assert (first.repeated, second.repeated) == (False, False)
    assert server_books.balances("room:") == {"room:a": 200}
    assert faults_of_books(server_books) == []


@pytest.mark.external
def test_several_writers_of_one_server_make_one_chain_and_share_the_floors(postgres_url):
    ledgers = [SqlLedger(postgres_url, lone=False) for _ in range(3)]
    writers = [SqlBooks(ledger) for ledger in ledgers]
    writers[0].open(ROOM, CHANNEL, BookAccount("revenue:energy")).result(10)
    writers[0].post(recharge("r", 50)).result(10)
    spending = [
        books.post(charge(f"c{n}-{place}", 1))
        for n in range(40)
        for place, books in enumerate(writers)
    ]
    same = [books.post(recharge("same id")) for books in writers for _ in range(10)]
    wait([*spending, *same], 60)
    spent = sum(not future.exception() for future in spending)
    assert sum(not future.result().repeated for future in same) == 1
    assert [books.balance("room:a") for books in writers] == [150 - spent] * 3
    assert 50 <= spent <= 120
    assert all(isinstance(one.exception(), BelowFloor | None) for one in spending)
    assert faults_of_books(writers[0]) == []
    for ledger in ledgers:
        ledger.close()


@pytest.mark.external
def test_what_another_wrote_while_the_session_was_lost_is_read_anew(server_books, postgres_url):
    server_books.post(recharge("mine")).result(10)
    guest = SqlLedger(postgres_url, lone=False)
    move = entry(
        "theirs", ("clearing:wechat", 7), ("revenue:energy", -7), kind=EntryKind.ADJUSTMENT
    )
    SqlBooks(guest).post(move).result(10)
    guest.close()
    assert server_books.post(recharge("mine again")).result(10).number == 3
    assert server_books.balance("revenue:energy") == -7


@pytest.mark.external
def test_a_wrong_password_or_server_is_a_clear_error(postgres):
    url = postgres.url("ledger_tests")
    with pytest.raises(StoreUnavailable, match="password authentication failed"):
        SqlLedger(url.replace(postgres.password, "wrong"))
    with pytest.raises(StoreUnavailable, match="can't be opened"):
        SqlLedger(url.replace(f":{postgres.port}/", ":1/"), busy_s=2)
    with pytest.raises(StoreUnavailable, match="does not exist"):
        SqlLedger(postgres.url("no_such_database"))
