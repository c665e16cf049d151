"""The queue: order, leases, once per id, limits, what is kept aside."""

from concurrent.futures import wait
from datetime import UTC, datetime

import pytest

from domain.clock import LeapClock
from domain.errors import StoreUnavailable, StreamFull
from domain.ports import StreamRecord

CLOCK = LeapClock(datetime(2026, 11, 22, 12, tzinfo=UTC))


def record(name: str, payload: bytes = b"rows") -> StreamRecord:
    return StreamRecord(name, "sweep", payload)


def publish(spool, *names: str) -> None:
    for future in [spool.publish(record(name)) for name in names]:
        assert future.result(10) is None


def names(records) -> list[str]:
    return [taken.id for taken in records]


def test_records_come_out_whole_and_in_the_order_they_went_in(open_spool):
    spool = open_spool()
    whole = [record("b", b"\x00\xff"), record("a", b""), record("c", "电".encode() * 5_000)]
    for one in whole:
        spool.publish(one).result(10)
    assert spool.take(10) == whole


def test_a_taken_record_is_not_taken_twice_until_it_is_released(open_spool):
    spool = open_spool()
    publish(spool, "a", "b", "c", "d")
    assert names(spool.take(2)) == ["a", "b"]
    assert names(spool.take(10)) == ["c", "d"]
    assert spool.take(10) == []
    spool.settle(kept=["b"])
    publish(spool, "e")
    assert names(spool.take(10)) == ["b", "e"]
    spool.release()
    assert names(spool.take(3)) == ["a", "b", "c"]


def test_settled_records_leave_and_the_counters_say_how(open_spool):
    spool = open_spool()
    publish(spool, "a", "b", "c")
    spool.take(3)
    spool.settle(accepted=["a"], rejected=[("b", "power_w is no number")], kept=["c"])
    stats = spool.stats()
    assert (stats.depth, stats.depth_bytes) == (1, 4)
    assert (stats.published, stats.accepted, stats.rejected) == (3, 1, 1)
    assert spool.rejected() == [(record("b"), "power_w is no number")]
    assert names(spool.take(3)) == ["c"]


def test_the_same_id_goes_in_once_while_it_waits_and_after_it_was_settled(open_spool):
    spool = open_spool()
    publish(spool, "a", "a")
    spool.take(1)
    publish(spool, "a")
    spool.settle(accepted=["a"])
    publish(spool, "a")
    assert (spool.stats().depth, spool.stats().published, spool.stats().duplicates) == (0, 1, 3)
    assert spool.take(5) == []


def test_a_settled_id_is_still_known_after_a_restart(open_spool):
    spool = open_spool()
    publish(spool, "a", "b")
    spool.take(2)
    spool.settle(accepted=["a"], rejected=[("b", "no")])
    spool.close()
    again = open_spool()
    publish(again, "a", "b")
    assert again.stats().depth == 0


def test_only_so_many_settled_ids_are_remembered(open_spool):
    spool = open_spool(settled_most=2)
    publish(spool, "a", "b", "c")
    spool.take(3)
    for name in "abc":
        spool.settle(accepted=[name])
    publish(spool, "c", "b")
    assert spool.stats().depth == 0
    publish(spool, "a")
    assert spool.stats().depth == 1


def test_only_so_many_rejected_records_are_kept_aside(open_spool):
    spool = open_spool(rejected_most=2, clock=CLOCK)
    publish(spool, "a", "b", "c")
    spool.take(3)
    spool.settle(rejected=[("a", "x"), ("b", "y"), ("c", "z")])
    assert [(kept.id, reason) for kept, reason in spool.rejected()] == [("c", "z"), ("b", "y")]
    assert spool.stats().rejected == 3


def test_a_full_spool_refuses_and_counts_and_drops_nothing(open_spool):
    spool = open_spool(max_records=2)
    publish(spool, "a", "b")
    with pytest.raises(StreamFull, match="2 of 2 records"):
        spool.publish(record("c"))
    assert spool.stats().refused_full == 1
    assert not spool.is_ready()
    assert names(spool.take(5)) == ["a", "b"]
    spool.settle(accepted=["a"])
    publish(spool, "c")
    assert names(spool.take(5)) == ["c"]


def test_bytes_on_their_way_to_the_disk_count_against_the_limit(open_spool):
    spool = open_spool(max_bytes=100)
    first = [spool.publish(record(str(n), bytes(30))) for n in range(3)]
    with pytest.raises(StreamFull, match="of 100 bytes"):
        spool.publish(record("3", bytes(30)))
    wait(first, 10)
    assert spool.stats().depth_bytes == 90


def test_what_was_left_waits_after_a_restart_with_its_depth(open_spool):
    spool = open_spool()
    publish(spool, "a", "b", "c")
    spool.take(2)
    spool.settle(accepted=["a"])
    spool.close()
    again = open_spool()
    assert (again.stats().depth, again.stats().depth_bytes) == (2, 8)
    assert names(again.take(5)) == ["b", "c"]


def test_a_number_is_not_used_again_after_the_queue_ran_empty_and_restarted(open_spool):
    spool = open_spool()
    publish(spool, "a")
    spool.take(1)
    spool.settle(accepted=["a"])
    publish(spool, "b")
    assert names(spool.take(1)) == ["b"]


def test_settling_what_is_not_there_changes_nothing(open_spool):
    spool = open_spool()
    publish(spool, "a")
    spool.settle(accepted=["nobody"], rejected=[("nothing", "x")])
    assert (spool.stats().depth, spool.stats().accepted, spool.stats().rejected) == (1, 0, 0)


def test_a_second_opener_is_refused_and_told_who_holds_the_spool(open_spool, spool_path):
    import os

    from storage.spool import SqliteSpool

    open_spool()
    with pytest.raises(StoreUnavailable, match=f"process {os.getpid()}"):
        SqliteSpool(spool_path)


def test_a_closed_spool_takes_no_more(open_spool):
    spool = open_spool()
    spool.close()
    with pytest.raises(StoreUnavailable):
        spool.publish(record("a"))


def test_many_callers_share_commits(open_spool):
    from concurrent.futures import ThreadPoolExecutor

    spool = open_spool()
    with ThreadPoolExecutor(8) as pool:
        pending = list(pool.map(lambda n: spool.publish(record(f"{n:04d}")), range(800)))
    wait(pending, 20)
    assert sorted(names(spool.take(1_000))) == [f"{n:04d}" for n in range(800)]


def test_the_file_gives_its_space_back_once_an_outage_is_caught_up(open_spool, spool_path):
    spool = open_spool()
    for n in range(20):
        spool.publish(record(str(n), bytes(1_000_000))).result(10)
    for taken in spool.take(20):
        spool.settle(accepted=[taken.id])
    spool.close()
    assert spool_path.stat().st_size < 10_000_000
