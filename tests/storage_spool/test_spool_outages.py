"""Killed processes, power cuts, full disks, locked files."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from lossy_disk import LossyConnection, LossyDisk

from domain.errors import StoreUnavailable
from domain.ports import StreamRecord
from storage.spool import SqliteSpool


def record(name: str, size: int = 3_000) -> StreamRecord:
    return StreamRecord(name, "sweep", random.Random(name).randbytes(size))


CHILD = """
import sys
from pathlib import Path
from domain.ports import StreamRecord
from storage.spool import SqliteSpool

spool = SqliteSpool(Path(sys.argv[1]))
{work}
print("ready", flush=True)
sys.stdin.read()
"""


def killed_after(path: Path, work: str) -> list[str]:
    """Run a child until it has printed `ready`, kill -9 it, return what it printed before."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(work=work), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = []
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == "ready":
            break
        lines.append(line.strip())
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    return lines


def test_a_kill_between_take_and_settle_delivers_again(open_spool, spool_path):
    taken = killed_after(
        spool_path,
        "for n in range(5): spool.publish(StreamRecord(f'r{n}', 's', b'x')).result(10)\n"
        "for r in spool.take(3): print(r.id)\n"
        "spool.settle(accepted=['r0'])",
    )
    assert taken == ["r0", "r1", "r2"]
    spool = open_spool()
    assert [found.id for found in spool.take(9)] == ["r1", "r2", "r3", "r4"]


def test_a_kill_between_commit_and_answer_keeps_the_record_once(open_spool, spool_path):
    # The future is never waited for: the child knows from the counters that the commit is done.
    killed_after(
        spool_path,
        "future = spool.publish(StreamRecord('r', 's', b'x'))\n"
        "while spool.stats().published == 0: pass\n",
    )
    spool = open_spool()
    spool.publish(StreamRecord("r", "s", b"x")).result(10)
    assert [found.id for found in spool.take(9)] == ["r"]
    assert spool.stats().duplicates == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_any_moment_keeps_what_was_acknowledged(open_spool, spool_path, seed):
    publish_for_ever = (
        "import itertools\n"
        "print('ready', flush=True)\n"
        "for n in itertools.count():\n"
        "    spool.publish(StreamRecord(str(n), 's', bytes(3000))).result(10)\n"
        "    print(n, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(work=publish_for_ever), str(spool_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for _ in range(20 + 7 * seed):
        child.stdout.readline()
    child.kill()
    acknowledged = 19 + 7 * seed + len(child.stdout.readlines())
    child.wait(10)
    spool = open_spool()
    found = [int(taken.id) for taken in spool.take(100_000)]
    assert found[:acknowledged] == list(range(acknowledged))


def lossy_spool(disk: LossyDisk, path: Path, sync: bool = True) -> SqliteSpool:
    return SqliteSpool(
        path,
        busy_s=0.2,
        open_connection=lambda file, writes: LossyConnection(disk, file, writes, sync),
    )


def publish_until_the_power_goes(
    disk: LossyDisk, folder: Path, seed: int, sync: bool
) -> tuple[set[str], Path]:
    """Publish and settle; cut the power in the middle; return what had been acknowledged."""
    spool = lossy_spool(disk, folder / "spool.db", sync)
    chance, lock = random.Random(seed), threading.Lock()
    acknowledged: set[str] = set()

    def note(name: str) -> None:
        with lock:
            acknowledged.add(name)

    for n in range(chance.randrange(20, 60)):
        future = spool.publish(record(f"r{n}", chance.choice([50, 3_000, 9_000])))
        future.add_done_callback(lambda _, name=f"r{n}": note(name))
        if n % 10 == 9:
            future.result(10)
            first = spool.take(3)
            spool.settle(kept=[taken.id for taken in first])
    # No waiting: some records are on their way just now. What is in `before` was acknowledged.
    with lock:
        before = set(acknowledged)
    disk.power_cut(folder / "after", chance if seed % 2 else None)
    spool.close()
    return before, folder / "after" / "spool.db"


@pytest.mark.parametrize("seed", range(8))
def test_a_power_cut_keeps_every_acknowledged_record(tmp_path, seed):
    disk = LossyDisk(f"synced-{seed}")
    acknowledged, left = publish_until_the_power_goes(disk, tmp_path, seed, sync=True)
    spool = SqliteSpool(left)
    found = {taken.id: taken for taken in spool.take(1_000)}
    spool.close()
    assert len(acknowledged) >= 20 - 10
    assert acknowledged <= set(found)
    assert disk.syncs > 0


def test_without_syncing_the_same_power_cut_loses_acknowledged_records(tmp_path):
    """The control run: were the disk not forgetful, the test above would prove nothing."""
    disk = LossyDisk("not-synced")
    acknowledged, left = publish_until_the_power_goes(disk, tmp_path, 0, sync=False)
    spool = SqliteSpool(left)
    found = {taken.id for taken in spool.take(1_000)}
    spool.close()
    assert acknowledged - found


def test_a_full_disk_refuses_leaves_nothing_half_written_and_recovers(tmp_path):
    disk = LossyDisk("filling")
    spool = lossy_spool(disk, tmp_path / "spool.db")
    spool.publish(record("before")).result(10)
    disk.room_bytes = 40_000
    with pytest.raises(StoreUnavailable, match="disk is full"):
        spool.publish(record("too much", 200_000)).result(10)
    assert spool.stats().depth == 1
    disk.room_bytes = None
    spool.publish(record("after")).result(10)
    assert spool.is_ready()
    assert [taken.id for taken in spool.take(9)] == ["before", "after"]
    assert spool.stats().depth_bytes == 6_000
    spool.close()


def test_settling_on_a_full_disk_keeps_the_lease_and_works_later(tmp_path):
    disk = LossyDisk("filled")
    spool = lossy_spool(disk, tmp_path / "spool.db")
    spool.publish(record("a")).result(10)
    spool.take(1)
    disk.room_bytes = 0
    with pytest.raises(StoreUnavailable):
        spool.settle(accepted=["a"])
    assert not spool.is_ready()
    assert spool.take(1) == []
    disk.room_bytes = None
    assert spool.is_ready()
    spool.settle(accepted=["a"])
    assert spool.stats().depth == 0
    spool.close()


def test_a_file_locked_by_another_is_waited_for_so_long_and_no_longer(open_spool, spool_path):
    spool = open_spool(busy_s=0.05)
    other = sqlite3.connect(spool_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process holds the file"):
        spool.publish(record("a")).result(10)
    other.execute("ROLLBACK")
    other.close()
    spool.publish(record("a")).result(10)
    assert spool.stats().depth == 1


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(StoreUnavailable, match="nowhere"):
        SqliteSpool(tmp_path / "nowhere" / "spool.db")
