"""A small station for the API's tests: three meters, and a field that does as it is told."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from api.app import create_app
from api.deps import ApiDeps, ApiLimits, BusStats, CommandRequest, StationStats
from domain.clock import LeapClock
from domain.commands import Command, Receipt, ReceiptStatus
from domain.errors import StoreUnavailable
from domain.ports import StreamStats
from domain.site import Bus, Meter, Site

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
NOTHING_YET = StreamStats(
    depth=0, depth_bytes=0, published=0, duplicates=0, accepted=0, rejected=0, damaged=0,
    refused_full=0,
)  # fmt: skip


def at(seconds: float) -> datetime:
    """Return a moment that many seconds from noon."""
    return NOON + timedelta(seconds=seconds)


def a_meter(name: str, **where: Any) -> Meter:
    """Return a meter; what is not told is as in a usual room."""
    usual = {
        "bus": "b1", "unit_id": 1, "profile": "acrel-ddsy1352", "building": "B1", "floor": "1",
        "room": "101", "kind": "dorm", "rated_current_a": 60,
    }  # fmt: skip
    return Meter(name=name, **(usual | where))


SITE = Site(
    name="north-college",
    time_zone="Asia/Shanghai",
    buses=(
        Bus(name="b1", link="rtu-over-tcp", host="127.0.0.1", tcp_port=9001),
        Bus(name="b2", link="serial", port="/dev/ttyUSB0", baud=4800),
    ),
    meters=(
        a_meter("B1-0101"),
        a_meter("B1-0201", unit_id=2, floor="2", room="201", group="quiet"),
        a_meter("B2-shop", bus="b2", building="B2", room="S1", kind="shop", shed_priority=3),
    ),
)


class SeriesDouble:
    """A time-series store that is there and holds nothing; tests give it a `window`."""

    def is_ready(self) -> bool:
        return True


class NoLedger:
    """A ledger that holds nothing and may be down."""

    def __init__(self) -> None:
        self.down = False

    def record(self, *_: Any) -> "Future[None]":
        self._up()
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def command(self, _: str) -> None:
        self._up()

    def cause(self, _: str) -> None:
        self._up()

    def causes(self, **_: Any) -> list[Any]:
        return self._nothing()

    def commands(self, **_: Any) -> list[Any]:
        return self._nothing()

    def events(self, **_: Any) -> list[Any]:
        return self._nothing()

    def is_ready(self) -> bool:
        return not self.down

    def _nothing(self) -> list[Any]:
        self._up()
        return []

    def _up(self) -> None:
        if self.down:
            raise StoreUnavailable("the ledger database is locked")


class Field:
    """Carries orders out at once, or waits for `open_gate` first; counts how often it was asked."""

    def __init__(self, ledger: Any, clock: LeapClock) -> None:
        self.asked: list[CommandRequest] = []
        self.error: Exception | None = None
        self.status = ReceiptStatus.CONFIRMED
        self._ledger, self._clock = ledger, clock
        self._gate: asyncio.Event | None = None

    def shut_gate(self) -> None:
        self._gate = asyncio.Event()

    def open_gate(self) -> None:
        assert self._gate is not None
        self._gate.set()

    async def submit(self, request: CommandRequest) -> tuple[Command, Receipt | None]:
        self.asked.append(request)
        if self.error is not None:
            raise self.error
        command = a_command(request, self._clock.now())
        await asyncio.wrap_future(self._ledger.record(command))
        if self._gate is not None:
            await self._gate.wait()
        receipt = a_receipt(command, self.status)
        await asyncio.wrap_future(self._ledger.record(receipt))
        return command, receipt


def a_command(request: CommandRequest, issued_at: datetime = NOON) -> Command:
    """Return the command that a request becomes."""
    return Command(
        id=request.id,
        meter=request.meter,
        action=request.action,
        reason=request.reason,
        requested_by=request.requested_by,
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=30),
        cause_id="cause-of-" + request.id,
    )


def a_receipt(command: Command, status: ReceiptStatus = ReceiptStatus.CONFIRMED) -> Receipt:
    """Return a receipt as the field would give it."""
    return Receipt(
        command_id=command.id,
        meter=command.meter,
        action=command.action,
        status=status,
        reason="read back",
        relay_closed=False,
        finished_at=command.issued_at + timedelta(seconds=0.4),
        writes=1,
        proof={"relay_closed": False, "current_a": float("nan")},
    )


class Station:
    """What the API is given, each part of which a test may change."""

    def __init__(self, series: Any = None, ledger: Any = None) -> None:
        self.clock = LeapClock(NOON)
        self.ledger = ledger or NoLedger()
        self.field = Field(self.ledger, self.clock)
        self.latest: list[Mapping[str, Any]] = []
        self.deps = ApiDeps(
            site=lambda: SITE,
            series=series or SeriesDouble(),
            ledger=self.ledger,
            clock=self.clock,
            latest=self._latest,
            stream_stats=lambda: NOTHING_YET,
            bus_stats=lambda: [BusStats("b1", meters=2)],
            station_stats=StationStats,
            submit_command=self.field.submit,
            field_alive=lambda: True,
            open_reads=True,
            open_writes=True,
            version="1.2.3",
        )

    def keep(self, *rows: Any) -> None:
        """Put rows into the ledger."""
        self.ledger.record(*rows).result(10)

    def limits(self, **limits: Any) -> None:
        self.change(limits=replace(ApiLimits(), **limits))

    def change(self, **parts: Any) -> None:
        self.deps = replace(self.deps, **parts)

    def client(self, headers: Mapping[str, str] | None = None, host: str = "localhost"):
        """Return a client that talks to a new application of this station."""
        # Errors of the service are answered, as a server would, and not raised into the test.
        transport = httpx.ASGITransport(create_app(self.deps), raise_app_exceptions=False)
        return httpx.AsyncClient(
            transport=transport, base_url=f"http://{host}/api/v1", headers=headers
        )

    def _latest(self, meters: Sequence[str] | None) -> list[Mapping[str, Any]]:
        return [row for row in self.latest if meters is None or row["meter"] in meters]


def get(station: Station) -> Callable[..., Any]:
    """Return a coroutine function that asks a station for one path and gives the response."""

    async def ask(path: str, **more: Any) -> httpx.Response:
        async with station.client() as client:
            return await client.get(path, **more)

    return ask


def faults(response: httpx.Response) -> dict[str, str]:
    """Return the faults of a problem by where they are; fails when it is none."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return {error["where"]: error["message"] for error in response.json()["errors"]}
