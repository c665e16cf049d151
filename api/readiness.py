"""Is the station ready: each part is asked on a thread, none more than once at a time."""

import asyncio
from collections.abc import Callable

import anyio

from api.deps import ApiDeps
from domain.errors import WattwardenError

Ask = Callable[[], list[str]]


class Readiness:
    """Asks the stores, the spool and the field; a part that does not answer is not ready.

    A question that hangs is not put again until it is answered, so /readyz can't eat threads.
    """

    def __init__(self, deps: ApiDeps) -> None:
        self._wait_s = deps.limits.probe_wait_s
        self._parts: dict[str, Ask] = {
            "time series": _yes(deps.series.is_ready, "the time-series store does not answer"),
            "ledger": _yes(deps.ledger.is_ready, "the ledger database does not answer"),
            "field": _yes(deps.field_alive, "the field's event loop is stuck or stopped"),
            "spool": lambda: _no_reason(deps.stream_stats()),
            "station": lambda: list(deps.readiness()),
        }
        # Threads of its own: no download and no hanging part keeps the others from answering.
        self._threads = anyio.CapacityLimiter(len(self._parts))
        self._asking: dict[str, asyncio.Task[list[str]]] = {}

    async def reasons(self) -> list[str]:
        """Return why the station is not ready; an empty list means it is."""
        for name, ask in self._parts.items():
            if name not in self._asking:
                self._asking[name] = asyncio.create_task(self._ask(ask))
        asked = dict(self._asking)
        await asyncio.wait(asked.values(), timeout=self._wait_s)
        return [reason for name, task in asked.items() for reason in self._take(name, task)]

    async def _ask(self, ask: Ask) -> list[str]:
        return await anyio.to_thread.run_sync(ask, limiter=self._threads)

    def _take(self, name: str, task: "asyncio.Task[list[str]]") -> list[str]:
        if not task.done():
            return [f"{name}: no answer in {self._wait_s:g} s"]
        if self._asking.get(name) is task:
            del self._asking[name]
        error = task.exception()
        if error is None:
            return [f"{name}: {reason}" for reason in task.result()]
        if isinstance(error, WattwardenError):
            return [f"{name}: {error}"]
        raise error


def _yes(ask: Callable[[], bool], otherwise: str) -> Ask:
    return lambda: [] if ask() else [otherwise]


def _no_reason(_: object) -> list[str]:
    return []
