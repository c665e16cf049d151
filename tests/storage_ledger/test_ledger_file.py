"""The ledger's file: schema, one writer, append-only tables, outages, power cuts."""

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from lossy_disk import LossyConnection, LossyDisk

import storage.books.all_tables  # noqa: F401 - fills the metadata
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.errors import InvalidInput, StoreUnavailable
from domain.events import Event, EventKind
from domain.policy import Policy
from domain.ports import Restore
from storage.ledger import tables
from storage.ledger.sql_ledger import SqlLedger
from storage.ledger.upgrade import configuration

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def event(number: int) -> Event:
    return Event(NOON + timedelta(seconds=number), EventKind.APPROVAL, "m1", f"event {number}")


def test_the_steps_of_the_schema_make_exactly_the_tables_the_code_uses(ledger, ledger_file):
    engine = sa.create_engine(f"sqlite:///{ledger_file}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, tables.metadata)
    engine.dispose()
    # Indexes, keys and uniqueness live in the steps alone; tables and columns must agree.
    about = {"add_table", "remove_table", "add_column", "remove_column", "modify_nullable"}
    told = [one for one in differences if isinstance(one, list) or one[0] in about]
    tables_told = [one for one in told if isinstance(one, list) or one[1].name != "alembic_version"]
    assert tables_told == []


def test_opening_again_runs_no_step_twice_and_keeps_the_rows(open_ledger):
    ledger = open_ledger()
    ledger.record(event(1)).result(10)
    ledger.close()
    assert open_ledger().events() == [event(1)]


def test_steps_form_one_line(ledger):
    assert len(ScriptDirectory.from_config(configuration()).get_heads()) == 1


def test_a_step_that_fails_leaves_nothing_behind(open_ledger, ledger_file, monkeypatch):
    def fail(*_: object) -> None:
        raise StoreUnavailable("the power went")

    monkeypatch.setattr("storage.ledger.dialect.refuse_changes", fail)
    with pytest.raises(StoreUnavailable, match="the power went"):
        open_ledger()
    connection = sqlite3.connect(ledger_file)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    monkeypatch.undo()
    assert open_ledger().is_ready()


def test_a_ledger_of_a_newer_program_is_refused_in_clear_words(open_ledger, ledger_file):
    open_ledger().close()
    with sqlite3.connect(ledger_file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreUnavailable, match="newer Wattwarden"):
        open_ledger()


def test_a_second_writer_in_this_process_is_refused(ledger, open_ledger):
    with pytest.raises(StoreUnavailable, match=f"already written by process {os.getpid()}"):
        open_ledger()


def test_a_second_writer_in_another_process_is_refused(ledger, ledger_file):
    code = (
        "import sys\n"
        "from domain.errors import StoreUnavailable\n"
        "from storage.ledger.sql_ledger import SqlLedger\n"
        "try: SqlLedger(f'sqlite:///{sys.argv[1]}')\n"
        "except StoreUnavailable as error: print(error)\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(ledger_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"already written by process {os.getpid()}" in other.stdout
    assert "stop that one" in other.stdout


def test_the_lock_falls_when_its_process_is_killed(open_ledger, ledger_file):
    code = (
        "import sys\n"
        "from storage.ledger.sql_ledger import SqlLedger\n"
        "ledger = SqlLedger(f'sqlite:///{sys.argv[1]}')\n"
        "print(ledger.secret('s').hex(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(ledger_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    secret = child.stdout.readline().strip()
    with pytest.raises(StoreUnavailable, match=f"process {child.pid}"):
        open_ledger()
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    assert open_ledger().secret("s").hex() == secret


@pytest.mark.parametrize("table", tables.APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_the_audit_trail(ledger, ledger_file, table, change):
    ledger.save_policy(Policy(), "li", "first")
    ledger.record(
        event(1),
        Command("k", "m", Action.TRIP, "r", "li", NOON, NOON + timedelta(seconds=9)),
        Receipt("k", "m", Action.TRIP, ReceiptStatus.CONFIRMED, "r", False, NOON),
    ).result(10)
    column = tables.metadata.tables[table].columns[1].name
    outsider = sqlite3.connect(ledger_file)
    with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
        outsider.execute(change.format(table, column, column))
    outsider.close()


def test_reads_run_on_connections_that_can_not_write(ledger):
    with (
        ledger.database.reading.begin() as connection,
        pytest.raises(sa.exc.OperationalError, match="readonly"),
    ):
        connection.execute(sa.text("DELETE FROM cause"))


def test_every_commit_is_synced_and_the_log_is_used(ledger):
    with ledger.database.writing.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_nobody_else_on_the_machine_may_read_the_keys(ledger, ledger_file):
    assert stat.S_IMODE(ledger_file.stat().st_mode) == 0o600


def test_many_records_share_commits_and_all_arrive(ledger):
    futures = [ledger.record(event(n)) for n in range(2_000)]
    wait(futures, 30)
    assert {future.result(0) for future in futures} == {None}
    assert len(ledger.events(limit=10_000)) == 2_000


def test_a_locked_file_is_waited_for_so_long_and_then_reported(open_ledger, ledger_file):
    ledger = open_ledger(busy_s=0.05, retry_waits_s=(0.01,))
    other = sqlite3.connect(ledger_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process holds the file"):
        ledger.record(event(1)).result(10)
    assert not ledger.is_ready()
    other.execute("ROLLBACK")
    other.close()
    assert ledger.is_ready()
    ledger.record(event(2)).result(10)
    assert ledger.events() == [event(2)]


def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(open_ledger, ledger_file):
    ledger_file.write_bytes(b"\x17" * 8_192)
    with pytest.raises(StoreUnavailable, match="restore it from a copy"):
        open_ledger()
    assert ledger_file.read_bytes() == b"\x17" * 8_192


def test_a_folder_that_is_not_there_is_a_clear_error(open_ledger, tmp_path):
    with pytest.raises(StoreUnavailable, match="nowhere"):
        open_ledger(tmp_path / "nowhere" / "ledger.db")


@pytest.mark.parametrize("url", ["sqlite://", "mysql://h/db", "nonsense", "sqlite:///a.db?mode=ro"])
def test_an_address_that_is_not_served_is_refused_with_what_is_allowed(url):
    with pytest.raises(InvalidInput, match="must be sqlite:///FILE"):
        SqlLedger(url)


def test_a_closed_ledger_takes_no_more(open_ledger):
    ledger = open_ledger()
    ledger.close()
    with pytest.raises(StoreUnavailable):
        ledger.record(event(1))


def lossy_ledger(disk: LossyDisk, file: Path, sync: bool = True) -> SqlLedger:
    return SqlLedger(
        f"sqlite:///{file}",
        busy_s=0.2,
        retry_waits_s=(0.01,),
        open_connection=lambda path, writes: LossyConnection(disk, path, writes, sync),
    )


def record_until_the_power_goes(
    disk: LossyDisk, folder: Path, seed: int, sync: bool
) -> tuple[set[str], Path]:
    ledger = lossy_ledger(disk, folder / "ledger.db", sync)
    acknowledged: set[str] = set()
    for n in range(random.Random(seed).randrange(15, 40)):
        future = ledger.record(event(n), Restore("m1", NOON, str(n)))
        future.add_done_callback(lambda _, n=n: acknowledged.add(f"event {n}"))
        if n % 5 == 4:
            future.result(10)
    before = set(acknowledged)
    disk.power_cut(folder / "after", random.Random(seed) if seed % 2 else None)
    ledger.close()
    return before, folder / "after" / "ledger.db"


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_keeps_every_acknowledged_record_and_none_by_half(tmp_path, seed):
    disk = LossyDisk(f"ledger-synced-{seed}")
    acknowledged, left = record_until_the_power_goes(disk, tmp_path, seed, sync=True)
    ledger = SqlLedger(f"sqlite:///{left}")
    found = [found.message for found in ledger.events()]
    restores = {f"event {restore.cause_id}" for restore in ledger.restores_since(NOON)}
    ledger.close()
    assert len(acknowledged) >= 10
    assert acknowledged <= set(found)
    assert set(found) == restores
    assert len(found) == len(set(found))


def test_without_syncing_the_same_power_cut_loses_acknowledged_records(tmp_path):
    """The control run: were the disk not forgetful, the test above would prove nothing."""
    disk = LossyDisk("ledger-not-synced")
    acknowledged, left = record_until_the_power_goes(disk, tmp_path, 0, sync=False)
    ledger = SqlLedger(f"sqlite:///{left}")
    found = {found.message for found in ledger.events()}
    ledger.close()
    assert acknowledged - found


def test_a_full_disk_refuses_writes_nothing_by_half_and_recovers(tmp_path):
    disk = LossyDisk("ledger-filling")
    ledger = lossy_ledger(disk, tmp_path / "ledger.db")
    ledger.record(event(1)).result(10)
    disk.room_bytes = 0
    with pytest.raises(StoreUnavailable, match="disk is full"):
        ledger.record(event(2), event(3)).result(10)
    assert not ledger.is_ready()
    assert ledger.events() == [event(1)]
    disk.room_bytes = None
    assert ledger.is_ready()
    ledger.record(event(4)).result(10)
    assert ledger.events() == [event(4), event(1)]
    ledger.close()
