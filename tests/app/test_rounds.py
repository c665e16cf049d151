"""Rounds: jobs at intervals on one thread; a failure of one is told and harms no other."""

import threading

from app.rounds import Round, Rounds
from domain.clock import SystemClock

WITHIN_S = 10.0


def test_a_job_that_fails_is_told_once_and_again_when_it_works_and_harms_no_other() -> None:
    told: list[tuple[str, bool]] = []
    calls: list[int] = []
    well, done = threading.Event(), threading.Event()

    def unsteady() -> None:
        calls.append(len(calls))
        if len(calls) <= 2:
            raise RuntimeError("not yet")
        well.set()

    def steady() -> None:
        if well.is_set():
            done.set()

    def changed(item: Round) -> None:
        told.append((item.name, bool(item.failing)))

    rounds = Rounds("test", SystemClock(), changed)
    rounds.add("unsteady", 0.0, unsteady)
    rounds.add("steady", 0.0, steady)
    rounds.start()
    assert done.wait(WITHIN_S)
    rounds.stop()
    assert told == [("unsteady", True), ("unsteady", False)]
    assert rounds.failing() == []


def test_a_hurried_round_does_not_wait_for_its_interval() -> None:
    calls = threading.Semaphore(0)
    rounds = Rounds("test", SystemClock(), lambda _: None)
    rounds.add("slow", 3600.0, calls.release)
    rounds.start()
    assert calls.acquire(timeout=WITHIN_S)
    rounds.hurry("slow")
    assert calls.acquire(timeout=WITHIN_S)
    rounds.stop()
