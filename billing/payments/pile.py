"""Many small jobs on the store that come at once share one: one transaction, few statements."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from billing.payments.store import PaymentStore, PaymentsTx
from domain.errors import StoreUnavailable

A = TypeVar("A")
B = TypeVar("B")
PILE_MOST = 10_000
Work = Callable[[PaymentsTx, Sequence[A]], Sequence[B]]


class Pile(Generic[A, B]):
    """Gathers items until the writer comes round and does them together. Thread-safe.

    `work` gives one result for each item, in their order. Where it fails each item is done by
    itself, so that a bad one fails alone; an outage of the store fails all that share it.
    """

    def __init__(self, store: PaymentStore, work: "Work[A, B]") -> None:
        self._store, self._work = store, work
        self._lock = threading.Lock()
        self._waiting: list[tuple[A, Future[B]]] = []

    def add(self, item: A) -> "Future[B]":
        """Put an item on the pile; its future ends once its job is durable.

        Raises StoreUnavailable when too many wait.
        """
        future: Future[B] = Future()
        with self._lock:
            if len(self._waiting) >= PILE_MOST:
                raise StoreUnavailable(f"{PILE_MOST} notices wait for the disk already")
            self._waiting.append((item, future))
            first = len(self._waiting) == 1
        if first:
            self._submit()
        return future

    def _submit(self) -> None:
        batch: list[tuple[A, Future[B]]] = []

        def work(tx: PaymentsTx) -> Sequence[B]:
            # A job may run twice; what it took the first time is what it does the second.
            if not batch:
                batch.extend(self._take())
            return self._work(tx, [item for item, _ in batch])

        def done(job: "Future[Sequence[B]]") -> None:
            # A job that never ran has taken nothing: what waits fails with it.
            self._finish(batch or self._take(), job)

        try:
            self._store.transact(work).add_done_callback(done)
        except StoreUnavailable as error:
            for _, future in self._take():
                future.set_exception(error)

    def _take(self) -> list[tuple[A, "Future[B]"]]:
        with self._lock:
            taken, self._waiting = self._waiting, []
        return taken

    def _finish(self, batch: list[tuple[A, "Future[B]"]], job: "Future[Sequence[B]]") -> None:
        error = job.exception()
        if error is None:
            for (_, future), result in zip(batch, job.result(), strict=True):
                future.set_result(result)
        elif isinstance(error, StoreUnavailable) or len(batch) == 1:
            for _, future in batch:
                future.set_exception(error)
        else:
            for item, future in batch:
                self._alone(item, future)

    def _alone(self, item: A, future: "Future[B]") -> None:
        def done(job: "Future[Sequence[B]]") -> None:
            error = job.exception()
            if error is None:
                future.set_result(job.result()[0])
            else:
                future.set_exception(error)

        try:
            self._store.transact(lambda tx: self._work(tx, [item])).add_done_callback(done)
        except StoreUnavailable as error:
            future.set_exception(error)
