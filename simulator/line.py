"""One bus as a real server: Modbus RTU or MBAP over TCP, or RTU on a pty, paced as RS-485 is."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from collector.wire import WireTiming
from domain.clock import SystemClock
from domain.site import Bus
from simulator.exchange import Exchange
from simulator.faults import FaultBook
from simulator.meter import VirtualMeter
from simulator.modbus import CODECS, Codec
from simulator.pacing import LinePacer, PreciseTimer

HOST = "127.0.0.1"
MOST_CONNECTIONS = 16
INPUT_LONGEST = 4_096
# A half request that got no further bytes for this long is over; the line has been silent.
STALE_INPUT_S = 0.05


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a simulated bus can be reached: host and port, or the path of a serial device."""

    host: str = ""
    port: int = 0
    pty: str = ""

    def of(self, bus: Bus) -> Bus:
        """Return the bus's settings with this address in them."""
        if self.pty:
            return bus.model_copy(update={"port": self.pty})
        return bus.model_copy(update={"host": self.host, "tcp_port": self.port})

    def as_dict(self) -> dict[str, str | int]:
        """Return {"pty"} or {"host", "port"}."""
        return {"pty": self.pty} if self.pty else {"host": self.host, "port": self.port}


class LineServer:
    """A simulated bus that a collector can connect to.

    >>> faults = FaultBook(seed=1)
    >>> meters = [VirtualMeter(meter, profiles[meter.profile], source) for meter in roster]
    >>> line = LineServer(bus, meters, faults)  # paced=False: no wire time at all
    >>> bus = (await line.start()).of(bus)  # the same bus, with the port it listens on
    >>> faults.add(FaultSpec(kind=FaultKind.DEAD, meter="room-101", duration_s=5))
    >>> await line.stop()

    `bus.link` decides what is spoken: "tcp" MBAP, "rtu-over-tcp" RTU over TCP, "serial" RTU on a
    pty made here (`bus.port` is not used). `bus.baud`, `parity`, `stop_bits` and `reply_delay_s`
    are the pace. TCP ports are picked by the system unless `port` is given. `campus_now` tells the
    campus time in seconds (default: Unix time). Runs on the event loop that starts it.
    Raises ValueError where two meters share a unit id.
    """

    def __init__(
        self,
        bus: Bus,
        meters: Sequence[VirtualMeter],
        faults: FaultBook,
        paced: bool = True,
        *,
        campus_now: Callable[[], float] | None = None,
        port: int = 0,
    ) -> None:
        by_unit = {meter.unit_id: meter for meter in meters}
        if len(by_unit) != len(meters):
            raise ValueError(f"{bus.name}: two meters have the same unit id")
        for meter in meters:
            meter.attach(faults)
        self.bus = bus
        self.meters = tuple(meters)
        self.faults = faults
        self.refused = 0  # requests or connections beyond the limits
        self._port = port
        pacer = LinePacer(WireTiming.of(bus) if paced else None)
        delay_s = bus.reply_delay_s if paced else 0.0
        self._exchange = Exchange(bus.name, by_unit, faults, pacer, delay_s)
        self._campus_now = campus_now or _unix_time
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._pty: _Pty | None = None
        self._timer: PreciseTimer | None = None

    async def start(self) -> Endpoint:
        """Open the line and return where it is. Raises OSError where a port is taken."""
        loop = asyncio.get_running_loop()
        self._timer = PreciseTimer(loop)
        if self.bus.link == "serial":
            self._pty = _Pty(self, loop)
            return Endpoint(pty=self._pty.path)
        self._server = await loop.create_server(lambda: _Connection(self), HOST, self._port)
        port: int = self._server.sockets[0].getsockname()[1]
        return Endpoint(HOST, port)

    async def stop(self) -> None:
        """Close the line and every connection; what was still to be sent is lost."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()
        if self._pty is not None:
            self._pty.close()
        if self._timer is not None:
            self._timer.close()
        self._server = self._pty = self._timer = None

    def drop_connections(self) -> None:
        """Cut every TCP connection, as a gateway that restarts does; new ones are taken."""
        for connection in list(self._connections):
            connection.abort()

    def join(self, connection: "_Connection") -> bool:
        """Take a connection in, unless there are too many."""
        if len(self._connections) >= MOST_CONNECTIONS:
            self.refused += 1
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: "_Connection") -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def take(self, data: bytearray, codec: Codec, send: Callable[[bytes], object]) -> None:
        """Carry out every whole request in `data`; replies go to `send` when they have come."""
        timer = self._timer
        if timer is None:
            return
        for request, raw in codec.take(data):
            now_s = time.monotonic()
            try:
                self._exchange.carry(
                    request, raw, codec, now_s, self._campus_now(),
                    lambda when_s, frame: timer.call_at(when_s, send, frame),
                )  # fmt: skip
            except BufferError:
                self.refused += 1


class _Input:
    """Bytes of one connection that are not yet a request."""

    def __init__(self, line: LineServer) -> None:
        self._line = line
        self._codec: Codec = CODECS[line.bus.link]()
        self._data = bytearray()
        self._last_s = 0.0

    def feed(self, data: bytes, send: Callable[[bytes], object]) -> None:
        now_s = time.monotonic()
        if self._data and now_s - self._last_s > STALE_INPUT_S and self._line.bus.link != "tcp":
            self._codec.counts.damaged_bytes += len(self._data)
            self._data.clear()
        self._last_s = now_s
        self._data += data
        self._line.take(self._data, self._codec, send)
        if len(self._data) > INPUT_LONGEST:
            self._data.clear()


class _Connection(asyncio.Protocol):
    """One TCP connection to a bus."""

    def __init__(self, line: LineServer) -> None:
        self._line = line
        self._input = _Input(line)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A TCP server gives no other kind, though uvloop's does not derive from it.
        stream = cast(asyncio.Transport, transport)
        if self._line.join(self):
            self._transport = stream
        else:
            stream.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._line.leave(self)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._input.feed(data, self._send)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)


class _Pty:
    """A serial line: the master side of a pseudo terminal in raw mode."""

    def __init__(self, line: LineServer, loop: asyncio.AbstractEventLoop) -> None:
        # Not on every platform: only where a pty is asked for.
        import pty  # noqa: PLC0415
        import tty  # noqa: PLC0415

        # The far side stays open here too, or the line would die with its first user.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._input = _Input(line)
        self._loop = loop
        loop.add_reader(self._master, self._readable)

    def close(self) -> None:
        """Close both sides."""
        self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._input.feed(os.read(self._master, INPUT_LONGEST), self._send)

    def _send(self, frame: bytes) -> None:
        # A full pty means that nobody reads: on a real line the bytes are gone, too.
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, frame)


def _unix_time(clock: SystemClock = SystemClock()) -> float:  # noqa: B008  it holds no state
    return clock.now().timestamp()
