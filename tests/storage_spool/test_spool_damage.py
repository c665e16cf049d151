"""Torn tails and flipped bits: at most that record is lost, it is reported, the service starts."""

import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.clock import LeapClock
from domain.errors import StoreUnavailable
from domain.ports import StreamRecord
from storage.spool import SqliteSpool
from storage.spool_repair import QUARANTINED_MOST

CLOCK = LeapClock(datetime(2026, 11, 22, 12, tzinfo=UTC))
PAYLOADS = random.Random(7)
RECORDS = [
    StreamRecord(
        f"sweep-{n:03d}", "sweep", PAYLOADS.randbytes(PAYLOADS.choice([90, 2600, 4100, 9000]))
    )
    for n in range(60)
]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a killed process leaves it: 50 records wait, half of them in the log only."""
    folder = tmp_path_factory.mktemp("left")
    work = tmp_path_factory.mktemp("work")
    spool = SqliteSpool(work / "spool.db")
    for record in RECORDS[:30]:
        spool.publish(record).result(10)
    spool.take(10)
    spool.settle(accepted=[record.id for record in RECORDS[:10]])
    spool.close()
    spool = SqliteSpool(work / "spool.db")
    for record in RECORDS[30:]:
        spool.publish(record).result(10)
    for name in ("spool.db", "spool.db-wal"):
        shutil.copy(work / name, folder / name)
    spool.close()
    assert (folder / "spool.db-wal").stat().st_size > 100_000
    return folder


def copied(left: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("spool.db", "spool.db-wal"):
        shutil.copy(left / name, folder / name)
    return folder / "spool.db"


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def open_and_empty(path: Path) -> tuple[list[StreamRecord], int]:
    """Open, take everything, settle it: what came out and how many damages were reported."""
    spool = SqliteSpool(path, clock=CLOCK)
    try:
        found: list[StreamRecord] = []
        while batch := spool.take(7):
            found += batch
            spool.settle(accepted=[record.id for record in batch])
        assert spool.stats().depth == 0
        spool.publish(StreamRecord("after", "sweep", b"goes on")).result(10)
        assert [record.id for record in spool.take(5)] == ["after"]
        return found, spool.stats().damaged
    finally:
        spool.close()


@pytest.mark.parametrize("name", ["spool.db", "spool.db-wal"])
@pytest.mark.parametrize("seed", range(25))
def test_a_flipped_bit_anywhere_costs_at_most_one_record(left, tmp_path, name, seed):
    path = copied(left, tmp_path / "spool")
    flip(path.with_name(name), random.Random(f"{name}{seed}"))
    found, damaged = open_and_empty(path)
    whole = set(RECORDS)
    assert all(record in whole for record in found)
    lost = {record.id for record in RECORDS[10:]} - {record.id for record in found}
    assert len(lost) <= 1
    assert damaged >= len(lost)


@pytest.mark.parametrize("seed", range(6))
def test_a_torn_tail_of_the_log_costs_only_what_was_torn(left, tmp_path, seed):
    path = copied(left, tmp_path / "spool")
    log = path.with_name("spool.db-wal")
    size = log.stat().st_size - random.Random(seed).randrange(1, 4_000)
    with log.open("r+b") as file:
        file.truncate(size)
    found, damaged = open_and_empty(path)
    lost = {record.id for record in RECORDS[10:]} - {record.id for record in found}
    assert lost <= {RECORDS[-1].id}
    assert damaged >= 1


def test_a_record_with_a_flipped_bit_is_moved_aside_and_the_others_go_on(tmp_path):
    path, told = tmp_path / "spool.db", []
    spool = SqliteSpool(path)
    for n in range(5):
        spool.publish(StreamRecord(f"r{n}", "sweep", f"payload number {n}".encode())).result(10)
    spool.close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"payload number 3", b"payload numbep 3"))
    spool = SqliteSpool(path, on_damage=told.append)
    assert [record.id for record in spool.take(9)] == ["r0", "r1", "r2", "r4"]
    assert (spool.stats().damaged, spool.stats().depth) == (1, 4)
    assert [damage.record_id for damage in told] == ["r3"]
    assert "checksum" in told[0].reason
    spool.close()


def test_a_file_that_is_not_even_a_database_is_put_aside_with_the_reason(tmp_path):
    path = tmp_path / "spool.db"
    path.write_bytes(b"\x17" * 10_000)
    spool = SqliteSpool(path, clock=CLOCK)
    assert spool.stats().damaged == 1
    (damage,) = spool.damages()
    aside = Path(damage.kept_at)
    assert aside.read_bytes() == b"\x17" * 10_000
    assert aside.with_name(aside.name + ".reason.txt").read_text().strip() == damage.reason
    spool.publish(StreamRecord("a", "sweep", b"x")).result(10)
    spool.close()


def test_whole_pages_of_rubbish_cost_only_the_records_on_them(left, tmp_path):
    path = copied(left, tmp_path / "spool")
    content = bytearray(path.read_bytes())
    content[4096 * 12 : 4096 * 14] = random.Random(3).randbytes(4096 * 2)
    path.write_bytes(content)
    found, damaged = open_and_empty(path)
    assert len(found) >= len(RECORDS[10:]) - 8
    assert damaged >= 1


def test_records_are_found_on_pages_whose_bookkeeping_is_gone(left, tmp_path):
    """Kind, cell count and cell pointers of every page with rows are wiped; the rows are not."""
    path = copied(left, tmp_path / "spool")
    content = bytearray(path.read_bytes())
    wiped = 0
    for start in range(4096, len(content), 4096):
        kind, count = content[start], int.from_bytes(content[start + 3 : start + 5], "big")
        if kind == 0x0D and count:
            content[start : start + 8 + 2 * count] = bytes(8 + 2 * count)
            wiped += 1
    path.write_bytes(content)
    found, damaged = open_and_empty(path)
    assert wiped >= 5
    assert {record.id for record in RECORDS[10:]} <= {record.id for record in found}
    assert damaged >= 1


def test_settled_records_do_not_come_back_when_a_file_is_rebuilt(left, tmp_path):
    path = copied(left, tmp_path / "spool")
    content = bytearray(path.read_bytes())
    content[0:16] = b"no SQLite file!!"
    path.write_bytes(content)
    found, _ = open_and_empty(path)
    assert found == RECORDS[10:]


def test_damage_met_while_running_is_mended_and_publishing_goes_on(tmp_path):
    path = tmp_path / "spool.db"
    spool = SqliteSpool(path)
    for record in RECORDS:
        spool.publish(record).result(10)
    spool.close()
    spool = SqliteSpool(path)
    assert len(spool.take(5)) == 5
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in (pages // 2, pages // 2 + 1):
            file.seek(4096 * page)
            file.write(random.Random(page).randbytes(4096))
    seen = {record.id for record in RECORDS[:5]}
    while batch := spool.take(20):
        seen |= {record.id for record in batch}
    spool.publish(StreamRecord("after", "sweep", b"x")).result(10)
    assert spool.stats().damaged >= 1
    assert len(seen) >= 50
    assert [record.id for record in spool.take(9)] == ["after"]
    spool.close()


def test_a_stop_between_the_two_renames_of_a_rebuild_loses_nothing(tmp_path):
    path = tmp_path / "spool.db"
    spool = SqliteSpool(path)
    spool.publish(RECORDS[0]).result(10)
    spool.close()
    path.rename(tmp_path / "spool.db.rebuilding")
    path.with_name("spool.db-wal").write_bytes(b"the log of the file that was put aside")
    spool = SqliteSpool(path)
    assert spool.take(3) == [RECORDS[0]]
    spool.close()


def test_only_so_many_damaged_files_are_kept(tmp_path):
    path = tmp_path / "spool.db"
    for _ in range(QUARANTINED_MOST + 2):
        path.write_bytes(b"\x17" * 10_000)
        CLOCK.leap(1)
        SqliteSpool(path, clock=CLOCK).close()
    assert len(list(tmp_path.glob("*.damaged-*Z"))) == QUARANTINED_MOST


def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    import sqlite3

    path = tmp_path / "spool.db"
    other = sqlite3.connect(path)
    other.execute("PRAGMA application_id = 1196444487")
    other.execute("CREATE TABLE money (amount)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="not a spool"):
        SqliteSpool(path)
    assert path.read_bytes() == before
