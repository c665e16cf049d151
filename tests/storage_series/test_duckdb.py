"""What only the embedded store promises: one process, kill, full disk, settling, a view to read."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import duckdb
import polars as pl
import pytest

from domain.errors import StoreUnavailable
from domain.ports import Resolution
from storage.duckdb_series import DuckDbSeries
from tests.storage_series.conftest import T0, a_meter, at, samples

ROOT = Path(__file__).parents[2]
HOUR = timedelta(hours=1)


def run_python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


OPENING = """
import sys
from pathlib import Path
from domain.errors import StoreUnavailable
from storage.duckdb_series import DuckDbSeries
try:
    DuckDbSeries(Path(sys.argv[1]))
except StoreUnavailable as error:
    print(error)
"""


def test_a_second_process_is_told_that_duckdb_lets_one_in(tmp_path: Path) -> None:
    store = DuckDbSeries(tmp_path / "s.duckdb")

    told = run_python(OPENING, tmp_path / "s.duckdb").stdout

    store.close()
    assert "DuckDB lets one process in" in told
    assert f"process {os.getpid()}" in told


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    path.write_bytes(b"not a database" * 1000)

    with pytest.raises(StoreUnavailable, match=r"s\.duckdb"):
        DuckDbSeries(path)
    assert path.read_bytes() == b"not a database" * 1000


def test_everything_is_there_again_after_closing_and_opening(tmp_path: Path) -> None:
    store = DuckDbSeries(tmp_path / "s.duckdb", settle_rows=4)
    store.write(samples((0, "A1", 1), (1, "A2", 2), (2, "A1", 3)))
    store.tidy(settle=True)
    store.write(samples((3, "A1", None), (4, "A3", 5)))
    window, latest = store.window(T0, T0 + HOUR), store.latest()
    store.close()

    again = DuckDbSeries(tmp_path / "s.duckdb")

    assert again.window(T0, T0 + HOUR).equals(window)
    assert again.latest().equals(latest)
    assert latest.select("meter", "power_w").rows() == [("A1", 3), ("A2", 2), ("A3", 5)]
    again.write(samples((0, "A1", 10), (4, "A3", 50)))
    assert again.window(T0, T0 + HOUR)["power_w"].to_list() == [10, 3, None, 2, 50]
    again.close()


def test_settling_moves_rows_and_changes_nothing_that_is_read(duckdb_series: DuckDbSeries) -> None:
    duckdb_series.write(samples(*[(s, f"M{m}", s * m) for s in range(50) for m in range(20)]))
    before = duckdb_series.window(T0, T0 + HOUR), duckdb_series.latest()

    duckdb_series.tidy(settle=True)
    duckdb_series.write(samples((3, "M7", 21), (49, "M7", 343)))

    assert duckdb_series.window(T0, T0 + HOUR).equals(before[0])
    assert duckdb_series.latest().equals(before[1])


def test_a_full_tail_is_settled_in_the_background_while_writes_go_on(tmp_path: Path) -> None:
    store = DuckDbSeries(tmp_path / "s.duckdb", settle_rows=100)
    for second in range(200):
        store.write(samples(*[(second, f"M{m}", 1) for m in range(5)]))
    store.close()

    with duckdb.connect(str(tmp_path / "s.duckdb")) as file:
        assert file.execute("SELECT count(*) FROM raw").fetchone()[0] >= 100
        assert file.execute("SELECT count(*) FROM samples_raw").fetchone() == (1000,)


def test_appends_and_rewrites_while_rows_move_lose_and_double_nothing(tmp_path: Path) -> None:
    store = DuckDbSeries(tmp_path / "s.duckdb", settle_rows=1_000_000)
    done = Event()

    def settle() -> None:
        while not done.is_set():
            store.tidy(settle=True)

    settler = Thread(target=settle)
    settler.start()
    for second in range(80):
        store.write(samples(*[(second, f"M{m}", second) for m in range(10)]))
        store.write(samples((second // 2, "M3", -1), (second, "M4", -2)))
    done.set()
    settler.join()
    store.close()

    again = DuckDbSeries(tmp_path / "s.duckdb")
    again.write(samples((79, "M5", -3)))
    window = again.window(T0, T0 + HOUR)
    again.close()
    powers = {(m, s): p for s, m, p in window.select("time", "meter", "power_w").iter_rows()}
    assert window.height == len(powers) == 800
    assert [powers["M3", at(s)] for s in (0, 39, 40, 79)] == [-1, -1, 40, 79]
    assert all(powers["M4", at(s)] == -2 for s in range(80))
    assert powers["M5", at(79)] == -3


def test_analysts_find_names_rooms_and_times_in_a_view(tmp_path: Path) -> None:
    store = DuckDbSeries(tmp_path / "s.duckdb")
    store.describe([a_meter("A1", "North", "101")])
    store.write(samples((0, "A1", 12.5)))
    store.close()

    with duckdb.connect(str(tmp_path / "s.duckdb"), read_only=True) as file:
        found = file.execute(
            "SELECT time_utc::VARCHAR, meter, building, room, power_w, quality::VARCHAR "
            "FROM samples_raw JOIN meters ON meter = name"
        ).fetchall()
    assert found == [("2026-03-02 08:00:00", "A1", "North", "101", 12.5, "good")]


def test_threads_read_while_another_writes(duckdb_series: DuckDbSeries) -> None:
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(30):
                window = duckdb_series.window(T0, T0 + HOUR)
                # A transaction is seen whole: ten rows a second, never a part of them.
                assert window.height % 10 == 0
                duckdb_series.latest()
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    readers = [Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for second in range(60):
        duckdb_series.write(samples(*[(second, f"M{m}", 1) for m in range(10)]))
    for reader in readers:
        reader.join()

    assert failures == []
    assert duckdb_series.window(T0, T0 + HOUR).height == 600


WRITING = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from tests.storage_series.conftest import samples
from storage.duckdb_series import DuckDbSeries
store = DuckDbSeries(Path(sys.argv[1]), settle_rows=int(sys.argv[2]))
for second in range(100000):
    store.write(samples(*[(second, f"M{m}", second) for m in range(10)]))
    print(second, flush=True)
"""


@pytest.mark.parametrize("settle_rows", [100, 1_000_000])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, settle_rows: int) -> None:
    path = tmp_path / "s.duckdb"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(path), str(settle_rows)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    last = -1
    for line in process.stdout:
        last = int(line)
        if last == 60:
            process.send_signal(signal.SIGKILL)
    process.wait()

    store = DuckDbSeries(path)
    window = store.window(T0, T0 + HOUR)
    store.close()
    # Whole transactions only, each once, none of the acknowledged ones missing.
    assert window.height >= 10 * (last + 1)
    assert window.height % 10 == 0
    assert not window.select("meter", "time").is_duplicated().any()


def test_a_torn_log_costs_no_more_than_what_was_being_written(tmp_path: Path) -> None:
    path, log = tmp_path / "s.duckdb", tmp_path / "s.duckdb.wal"
    store = DuckDbSeries(path)
    store.write(samples((0, "A1", 1)))
    whole = log.stat().st_size
    store.write(samples((1, "A1", 2)))
    for name in (path, log):
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / name.name).write_bytes(name.read_bytes())
    store.close()
    torn = tmp_path / "copy" / log.name
    torn.write_bytes(torn.read_bytes()[: whole + 20])

    again = DuckDbSeries(tmp_path / "copy" / "s.duckdb")

    assert again.window(T0, T0 + HOUR)["power_w"].to_list() == [1]
    again.write(samples((1, "A1", 2)))
    assert again.window(T0, T0 + HOUR)["power_w"].to_list() == [1, 2]
    again.close()


FILLING = """
import resource, signal, sys
from datetime import timedelta
from pathlib import Path
from domain.errors import StoreUnavailable
from storage.duckdb_series import DuckDbSeries
from tests.storage_series.conftest import T0, samples
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = DuckDbSeries(Path(sys.argv[1]))
def write(second):
    store.write(samples(*[(second + m / 1000, f"M{m}", second) for m in range(500)]))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
stored = refused = 0
for second in range(1000):
    try:
        write(second)
        stored += 1
    except StoreUnavailable:
        refused += 1
        if refused == 3:
            break
latest_then = store.latest().height
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for second in range(stored, stored + 3):
    write(second)
window = store.window(T0, T0 + timedelta(hours=1))
doubles = int(window.select("meter", "time").is_duplicated().sum())
print(stored, refused, latest_then, window.height, doubles, store.is_ready())
store.close()
"""


def test_a_full_disk_refuses_the_write_whole_and_the_store_recovers(tmp_path: Path) -> None:
    done = run_python(FILLING, tmp_path / "s.duckdb")

    assert done.returncode == 0, done.stderr
    stored, refused, latest, rows, doubles, ready = done.stdout.split()
    assert int(stored) > 5
    assert int(refused) == 3
    assert int(latest) == 500
    assert int(rows) == 500 * (int(stored) + 3)
    assert (doubles, ready) == ("0", "True")


def test_calls_after_closing_say_so(tmp_path: Path) -> None:
    store = DuckDbSeries(tmp_path / "s.duckdb")
    store.close()
    store.close()

    assert not store.is_ready()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.write(samples((0, "A1", 1)))
    with pytest.raises(StoreUnavailable, match="closed"):
        store.window(T0, T0 + HOUR)


def test_rollup_tables_settle_and_prune_like_the_samples(duckdb_series: DuckDbSeries) -> None:
    rows = [{"time": at(60 * n), "meter": "A1", "power_mean_w": float(n)} for n in range(5)]
    duckdb_series.write(pl.DataFrame(rows[:3]), Resolution.MINUTE)
    duckdb_series.tidy(settle=True)
    duckdb_series.write(pl.DataFrame(rows[2:]), Resolution.MINUTE)

    assert duckdb_series.prune(Resolution.MINUTE, at(60)) == 1
    found = duckdb_series.window(T0, T0 + HOUR, resolution=Resolution.MINUTE)
    assert found["power_mean_w"].to_list() == [1, 2, 3, 4]
