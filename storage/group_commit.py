"""One thread writes for everybody: whatever waits when it comes round shares one commit."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import structlog

from domain.errors import StoreUnavailable

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Job(Generic[C]):
    work: Callable[[C], Any]
    after: Callable[[Any], Any]
    failed: Callable[[], None] | None
    future: "Future[Any]" = field(default_factory=Future)


class GroupWriter(Generic[C]):
    """Runs jobs on one connection, on one thread, many to a transaction.

    `transaction` opens one (commit on exit, rollback on error). `explain` turns what it raised
    into the error callers see; after a StoreUnavailable the whole group is tried again after each
    of `retry_waits_s`, after any other error each job is tried alone, so that one bad job fails by
    itself. A job's work must change nothing but the database: its `after` runs on this thread once
    the commit is durable and makes the future's result of the work's, its `failed` runs when the
    job came to nothing. Both must be short and must not wait for this thread.
    """

    def __init__(
        self,
        name: str,
        transaction: Callable[[], AbstractContextManager[C]],
        explain: Callable[[Exception], Exception],
        *,
        retry_waits_s: Sequence[float] = (),
        jobs_a_group: int = 1_000,
        jobs_most: int = 50_000,
    ) -> None:
        self._transaction, self._explain = transaction, explain
        self._retry_waits_s = tuple(retry_waits_s)
        self._jobs_a_group, self._jobs_most = jobs_a_group, jobs_most
        self._jobs: deque[_Job[C]] = deque()
        self._wake = threading.Condition()
        self._closing = threading.Event()
        self._last_failed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def last_failed(self) -> bool:
        """Say whether the newest commit could not be made."""
        return self._last_failed

    def submit(
        self,
        work: Callable[[C], T],
        after: Callable[[T], R],
        failed: Callable[[], None] | None = None,
    ) -> "Future[R]":
        """Queue a job; its future resolves after the commit. Raises StoreUnavailable when closed
        or when too many jobs wait already (then nothing was queued)."""
        job: _Job[C] = _Job(work, after, failed)
        with self._wake:
            if self._closing.is_set():
                raise StoreUnavailable("the store is closed")
            if len(self._jobs) >= self._jobs_most:
                raise StoreUnavailable(f"{self._jobs_most} writes wait for the disk already")
            self._jobs.append(job)
            self._wake.notify()
        return job.future

    def run(self, work: Callable[[C], T], within_s: float, after: Callable[[T], R]) -> R:
        """Queue a job and wait for it. Raises StoreUnavailable after `within_s`."""
        future = self.submit(work, after)
        try:
            return future.result(within_s)
        except TimeoutError as error:
            future.cancel()
            message = f"the disk did not take a write within {within_s:g} s"
            raise StoreUnavailable(message) from error

    def close(self) -> None:
        """Commit what waits and stop the thread."""
        with self._wake:
            self._closing.set()
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._closing.is_set():
                    self._wake.wait()
                if not self._jobs:
                    return
                size = min(len(self._jobs), self._jobs_a_group)
                group = [self._jobs.popleft() for _ in range(size)]
            self._commit([job for job in group if _is_wanted(job)])

    def _commit(self, group: Sequence[_Job[C]]) -> None:
        try:
            results = self._attempt(group)
        except StoreUnavailable as error:
            self._last_failed = True
            self._fail(group, error)
        except Exception as error:  # noqa: BLE001 - a bug in one job; its future carries it
            if len(group) > 1:
                for job in group:
                    self._commit([job])
            else:
                log.warning("a write failed", reason=f"{type(error).__name__}: {error}")
                self._fail(group, error)
        else:
            self._last_failed = False
            for job, result in zip(group, results, strict=True):
                self._finish(job, result)

    def _finish(self, job: _Job[C], result: Any) -> None:
        try:
            answer = job.after(result)
        except Exception as error:
            # It is durable; a bug behind it must not stop the thread that writes for all.
            log.exception("what follows a commit failed")
            job.future.set_exception(error)
        else:
            job.future.set_result(answer)

    def _attempt(self, group: Sequence[_Job[C]]) -> list[Any]:
        for wait_s in (*self._retry_waits_s, None):
            try:
                with self._transaction() as connection:
                    return [job.work(connection) for job in group]
            except Exception as error:
                explained = self._explain(error)
                if wait_s is None or not isinstance(explained, StoreUnavailable):
                    raise explained from error
                self._closing.wait(wait_s)
        raise AssertionError("the last try either returns or raises")

    def _fail(self, group: Sequence[_Job[C]], error: Exception) -> None:
        for job in group:
            if job.failed:
                job.failed()
            job.future.set_exception(error)


def _is_wanted(job: _Job[Any]) -> bool:
    wanted = job.future.set_running_or_notify_cancel()
    if not wanted and job.failed:
        job.failed()
    return wanted
