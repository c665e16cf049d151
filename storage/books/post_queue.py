"""Entries on their way to the disk: those that wait together are booked together."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from domain.books import Posted
from domain.clock import Clock
from domain.errors import StoreUnavailable
from storage.books.posting import Outcome, Request, book
from storage.ledger.sql_ledger import SqlLedger

BATCH_MOST = 1_000
WAITING_MOST = 50_000
Follow = Callable[[Sequence[Posted]], None]
AsyncWaiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Posted]"]


@dataclass(slots=True)
class _Batch:
    requests: list[Request]
    waiters: "list[Future[Posted] | AsyncWaiter]"
    one_by_one: bool = False

    def add(self, request: Request, waiter: "Future[Posted] | AsyncWaiter") -> None:
        self.requests.append(request)
        self.waiters.append(waiter)


class PostQueue:
    """Gathers requests into batches, each of which is one job of the ledger's writer.

    A batch grows until the writer comes to it. `follow` is told on the writer's thread what became
    durable, before the callers are. At most `waiting_most` entries wait.
    """

    def __init__(
        self,
        ledger: SqlLedger,
        clock: Clock,
        follow: Follow,
        *,
        batch_most: int = BATCH_MOST,
        waiting_most: int = WAITING_MOST,
    ) -> None:
        self._ledger, self._clock, self._follow = ledger, clock, follow
        self._batch_most, self._waiting_most = batch_most, waiting_most
        self._lock = threading.Lock()
        self._open: _Batch | None = None
        self._waiting = 0

    def put(self, request: Request) -> "Future[Posted]":
        """Queue a request. Raises StoreUnavailable when closed or overrun: nothing was queued."""
        future: Future[Posted] = Future()
        self._put(request, future)
        return future

    async def put_async(self, request: Request) -> Posted:
        """Queue a request and wait for it on the running loop. Raises as `put` and its future."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Posted] = loop.create_future()
        self._put(request, (loop, future))
        return await future

    def seal(self) -> None:
        """Let no more requests into the batch that is open: another job comes between."""
        with self._lock:
            self._open = None

    def _put(self, request: Request, waiter: "Future[Posted] | AsyncWaiter") -> None:
        with self._lock:
            if self._waiting >= self._waiting_most:
                raise StoreUnavailable(f"{self._waiting_most} entries wait for the disk already")
            batch = self._open
            if batch is not None and len(batch.requests) < self._batch_most:
                batch.add(request, waiter)
                self._waiting += 1
                return
            batch = self._open = _Batch([request], [waiter])
            self._waiting += 1
            try:
                job = self._submit(batch)
            except StoreUnavailable:
                self._open, self._waiting = None, self._waiting - 1
                raise
        # Outside the lock: a job that failed already answers right here.
        job.add_done_callback(lambda done: self._answer(done, batch))

    def _submit(self, batch: _Batch) -> "Future[list[Outcome]]":
        return self._ledger.enqueue(lambda connection: self._book(connection, batch), self._settled)

    def _book(self, connection: Connection, batch: _Batch) -> list[Outcome]:
        with self._lock:
            if self._open is batch:
                self._open = None
        now = self._clock.now()
        if batch.one_by_one:
            return [self._book_one(connection, request, now) for request in batch.requests]
        try:
            return book(connection, batch.requests, now)
        except Exception as error:
            # What the database itself refuses must not take its neighbours along.
            batch.one_by_one = not self._ledger.is_outage(error)
            raise

    def _book_one(self, connection: Connection, request: Request, now: datetime) -> Outcome:
        try:
            with connection.begin_nested():
                return book(connection, [request], now)[0]
        except Exception as error:
            if self._ledger.is_outage(error):
                raise
            return error

    def _settled(self, outcomes: list[Outcome]) -> list[Outcome]:
        self._follow([one for one in outcomes if isinstance(one, Posted)])
        return outcomes

    def _answer(self, job: "Future[list[Outcome]]", batch: _Batch, again: bool = True) -> None:
        error = job.exception()
        if isinstance(error, Exception) and batch.one_by_one and again:
            try:
                retry = self._submit(batch)
            except StoreUnavailable as closed:
                error = closed
            else:
                retry.add_done_callback(lambda done: self._answer(done, batch, again=False))
                return
        with self._lock:
            self._waiting -= len(batch.requests)
            if self._open is batch:
                self._open = None
        outcomes: Sequence[Outcome] = (
            [error] * len(batch.waiters) if isinstance(error, Exception) else job.result()
        )
        loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Posted], Outcome]]] = {}
        for waiter, outcome in zip(batch.waiters, outcomes, strict=True):
            if isinstance(waiter, tuple):
                loops.setdefault(waiter[0], []).append((waiter[1], outcome))
            else:
                _resolve(waiter, outcome)
        for loop, answers in loops.items():
            _wake(loop, answers)


def _wake(
    loop: asyncio.AbstractEventLoop, answers: "list[tuple[asyncio.Future[Posted], Outcome]]"
) -> None:
    try:
        loop.call_soon_threadsafe(_resolve_all, answers)
    except RuntimeError:
        # The loop has ended and nobody waits; the entries are booked all the same.
        return


def _resolve_all(answers: "list[tuple[asyncio.Future[Posted], Outcome]]") -> None:
    for future, outcome in answers:
        if future.done():
            continue
        if isinstance(outcome, Posted):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)


def _resolve(future: "Future[Posted]", outcome: Outcome) -> None:
    # A caller may have cancelled; the entry is booked all the same.
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Posted):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
