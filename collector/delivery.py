"""Handing sweeps on: in order, bounded, and never in the way of the bus."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

import structlog

from domain.frame import Sweep

SweepTaker = Callable[[Sweep], Awaitable[None] | None]
_log = structlog.get_logger(__name__)


class Delivery:
    """Calls the taker for each sweep; what it awaits goes on beside the polling.

    At most `most` sweeps are on their way: after that polling waits for the oldest. A taker that
    raises loses its sweep, which is counted and logged.
    """

    def __init__(self, take: SweepTaker, most: int) -> None:
        self._take = take
        self._most = most
        self._under_way: set[asyncio.Future[None]] = set()
        self.failures = 0

    async def hand_on(self, sweep: Sweep) -> None:
        """Hand one sweep on."""
        try:
            result = self._take(sweep)
        except Exception as error:  # noqa: BLE001 - the bus outlives whoever takes its sweeps
            self._failed(sweep, error)
            return
        if not inspect.isawaitable(result):
            return
        task = asyncio.ensure_future(self._finish(sweep, result))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        if len(self._under_way) >= self._most:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    async def drain(self) -> None:
        """Wait for all that is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _finish(self, sweep: Sweep, result: Awaitable[None]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001 - the bus outlives whoever takes its sweeps
            self._failed(sweep, error)

    def _failed(self, sweep: Sweep, error: Exception) -> None:
        self.failures += 1
        _log.error("sweep not taken", bus=sweep.bus, sweep=sweep.id, error=repr(error))
