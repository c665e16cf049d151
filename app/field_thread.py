"""The field's own event loop in its own thread, so no page or report can hold up a bus."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import structlog

from domain.errors import WattwardenError

try:
    import uvloop

    _new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # uvloop has no build for Windows; the standard loop does the same, slower
    _new_loop = asyncio.new_event_loop

T = TypeVar("T")
STOP_WITHIN_S = 20.0
RESTARTS = 20
RESTART_AFTER_S = 1.0
RESTART_AFTER_MOST_S = 60.0

log = structlog.get_logger("field")


class FieldThread:
    """Runs named jobs for ever on one event loop; a job that fails is logged and started again."""

    def __init__(self) -> None:
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name="field", daemon=True)
        self._tasks: list[asyncio.Task[None]] = []
        self.failures = 0
        self.given_up: list[str] = []

    def start(self) -> None:
        """Start the thread and its loop."""
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run a coroutine on the field's loop from any thread."""
        if not self._thread.is_alive():
            work.close()
            raise WattwardenError("the field's event loop is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function on the field's loop soon, from any thread."""
        self._loop.call_soon_threadsafe(function)

    def keep_running(self, name: str, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a job until the thread stops, starting it again when it fails."""
        self.submit(self._spawn(name, job)).result(STOP_WITHIN_S)

    def is_alive(self) -> bool:
        """Say whether the loop still turns: it answers within a second."""
        if not self._thread.is_alive():
            return False
        turned = threading.Event()
        self._loop.call_soon_threadsafe(turned.set)
        return turned.wait(1.0)

    def stop(self) -> None:
        """Cancel all jobs, wait for their end and stop the thread."""
        if not self._thread.is_alive():
            return
        self.submit(self._cancel_all()).result(STOP_WITHIN_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _spawn(self, name: str, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.create_task(self._guard(name, job), name=name))

    async def _guard(self, name: str, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        wait_s = RESTART_AFTER_S
        for _ in range(RESTARTS):
            try:
                await job()
                return
            except Exception:  # one bus must not stop the others; it is logged and bounded
                self.failures += 1
                log.exception("job failed", job=name, restart_after_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RESTART_AFTER_MOST_S)
        self.given_up.append(name)
        log.error("job given up", job=name, restarts=RESTARTS)

    async def _cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*self._tasks, return_exceptions=True), STOP_WITHIN_S)
