"""Orders from outside: each id once, the same answer again, a bounded number at a time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import structlog

from api.deps import ApiDeps, CommandRequest
from api.errors import Busy
from domain.commands import Command, Receipt
from domain.errors import CommandRefused, UnknownSubject, WattwardenError

T = TypeVar("T")
Outcome = tuple[Command, Receipt | None]
# Threads of its own, so that long downloads can't keep a command from being looked up.
LOOK_UPS_AT_ONCE = 8

log = structlog.get_logger("api")


@dataclass(frozen=True, slots=True)
class _Flight:
    request: CommandRequest
    task: "asyncio.Task[Outcome]"


class Orders:
    """Hands orders to the station and waits for their receipts; lives on the API's event loop.

    The id of a request is looked up among the orders on their way and then in the ledger, so a
    repeated request is never carried out twice, whether it comes at once or after a restart.
    """

    def __init__(self, deps: ApiDeps) -> None:
        self._deps = deps
        self._flights: dict[str, _Flight] = {}
        self._approvals: set[asyncio.Future[Mapping[str, Any]]] = set()
        self._waiting = 0
        self._threads = anyio.CapacityLimiter(LOOK_UPS_AT_ONCE)

    async def carry(self, request: CommandRequest) -> Outcome | None:
        """Carry out an order once; None where its receipt takes longer than `command_wait_s`.

        What takes longer goes on. Raises CommandRefused (an id used for another order too),
        UnknownSubject, StoreUnavailable, Busy.
        """
        most = self._deps.limits.commands_in_flight
        if self._waiting >= most:
            raise Busy(f"{most} commands are waiting for their receipts; try again soon")
        flight = self._flights.get(request.id) or self._begin(request, most)
        _must_be_same(request, flight.request)
        self._waiting += 1
        try:
            # Neither a timeout nor a client that goes away cancels the order itself.
            done, _ = await asyncio.wait({flight.task}, timeout=self._deps.limits.command_wait_s)
        finally:
            self._waiting -= 1
        return _answer(flight.task) if done else None

    async def approve(self, approval_id: str, who: str, reason: str) -> Mapping[str, Any]:
        """Give a second person's yes. Raises CommandRefused, UnknownSubject, StoreUnavailable."""
        if self._deps.approve is None:
            raise UnknownSubject(f"no approval {approval_id!r} is asked for")
        task = asyncio.ensure_future(self._deps.approve(approval_id, who, reason))
        wait_s = self._deps.limits.command_wait_s
        self._approvals.add(task)
        task.add_done_callback(self._approvals.discard)
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        if not done:
            raise WattwardenError(f"no answer in {wait_s:g} s; GET /api/v1/approvals tells")
        return _answer(task)

    def pending(self, command_id: str) -> CommandRequest | None:
        """Return an order that is on its way, None where there is none of that id."""
        flight = self._flights.get(command_id)
        return flight.request if flight else None

    async def settle(self) -> None:
        """Wait for the orders on their way, for as long as a stop may take."""
        tasks = [flight.task for flight in self._flights.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=self._deps.limits.stop_wait_s)

    def _begin(self, request: CommandRequest, most: int) -> _Flight:
        if len(self._flights) >= most:
            raise Busy(f"{most} commands are on their way; try again soon")
        # From the look-up above to this entry nothing awaits: two requests can't both begin.
        flight = _Flight(request, asyncio.create_task(self._order(request)))
        self._flights[request.id] = flight
        flight.task.add_done_callback(lambda task: self._end(request.id, task))
        return flight

    async def _order(self, request: CommandRequest) -> Outcome:
        known = await anyio.to_thread.run_sync(
            self._deps.ledger.command, request.id, limiter=self._threads
        )
        if known is not None:
            _must_be_same(request, _as_request(known[0]))
            if known[1] is not None:
                return known
        if self._deps.site().meter(request.meter) is None:
            raise UnknownSubject(f"no meter {request.meter!r} in the roster")
        return await self._deps.submit_command(request)

    def _end(self, command_id: str, task: "asyncio.Task[Outcome]") -> None:
        del self._flights[command_id]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.info("command not carried out", command=command_id, reason=str(error))


def _answer(task: "asyncio.Future[T]") -> T:
    if task.cancelled():
        # A stop cancels what the field has not finished; whoever asked shall not hang or guess.
        raise WattwardenError("the station is stopping and gave no answer; ask again once it runs")
    return task.result()


def _must_be_same(request: CommandRequest, earlier: CommandRequest) -> None:
    if request != earlier:
        raise CommandRefused(
            f"Idempotency-Key {request.id!r} was used for another command"
            f" ({earlier.action.value} {earlier.meter} by {earlier.requested_by}); use a new one"
        )


def _as_request(command: Command) -> CommandRequest:
    return CommandRequest(
        command.id, command.meter, command.action, command.reason, command.requested_by
    )
