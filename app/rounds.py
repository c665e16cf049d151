"""A thread that does jobs at intervals; one that fails is told of and tried again next time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from domain.clock import Clock

LOOK_EVERY_S = 0.2
STOP_WITHIN_S = 30.0

log = structlog.get_logger("rounds")


@dataclass(slots=True)
class Round:
    """A job, how often it is done, and how it has gone."""

    name: str
    every_s: float
    job: Callable[[], object]
    due_s: float = 0.0
    failures: int = 0
    failing: str = ""


class Rounds:
    """Does each round when it is due, one after the other, on a thread of its own.

    `on_change(round)` is told when a round begins to fail and when it works again. `hurry(name)`
    makes a round due at once; calls that come while it runs are one call.
    """

    def __init__(self, name: str, clock: Clock, on_change: Callable[[Round], None]) -> None:
        self._clock, self._on_change = clock, on_change
        self._rounds: dict[str, Round] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def add(self, name: str, every_s: float, job: Callable[[], object]) -> None:
        """Add a job; it is due at once. To be called before the start."""
        self._rounds[name] = Round(name, every_s, job)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def hurry(self, name: str) -> None:
        """Make a round due now."""
        self._rounds[name].due_s = float("-inf")
        self._wake.set()

    def failing(self) -> list[str]:
        """Say which rounds failed when they were last done, and why."""
        return [f"{item.name}: {item.failing}" for item in self._rounds.values() if item.failing]

    def stop(self) -> None:
        """Let the job under way end, and stop."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()
            for item in self._rounds.values():
                if self._stopping.is_set():
                    return
                if item.due_s <= self._clock.monotonic():
                    self._do(item)

    def _do(self, item: Round) -> None:
        # The next time is set first: a hurry that comes while the job runs is not lost.
        item.due_s = self._clock.monotonic() + item.every_s
        was_failing = bool(item.failing)
        try:
            item.job()
        except Exception as error:  # one job must not stop the others; it is told and done again
            item.failures += 1
            item.failing = f"{type(error).__name__}: {error}"
            log.exception("a round failed", round=item.name, failures=item.failures)
        else:
            item.failing = ""
        if bool(item.failing) != was_failing:
            self._on_change(item)
