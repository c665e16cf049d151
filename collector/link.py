"""The lines themselves: a serial port or a TCP socket that bytes go into and come out of."""

import asyncio
import contextlib
import os
import socket
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import serial

from domain.errors import LinkDown
from domain.site import Bus, Parity

PTY_FOLDER = "/dev/pts/"


class Link(Protocol):
    """A line that can be opened again after it broke.

    `receive` returns what came in, or b"" once `timeout_s` has passed. `discard` throws away what
    is waiting and returns its size. All but `close` raise LinkDown. `keeps_silence`: the other end
    keeps the silence between frames itself.
    """

    keeps_silence: bool

    @property
    def is_open(self) -> bool: ...

    async def open(self) -> None: ...

    def send(self, frame: bytes) -> None: ...

    async def receive(self, timeout_s: float) -> bytes: ...

    def discard(self) -> int: ...

    def close(self) -> None: ...


LinkFactory = Callable[[Bus, float], Link]


def link_of(bus: Bus, connect_timeout_s: float) -> Link:
    """Return the link that a bus's settings describe, not yet open."""
    if bus.link == "serial":
        return SerialLink(bus)
    return TcpLink(bus.host, bus.tcp_port, connect_timeout_s)


class _Inbox:
    """Bytes that came in and the one task that may wait for them."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._broken: str | None = None

    def put(self, data: bytes) -> None:
        """Keep what came in and wake the reader."""
        self._data += data
        self._wake()

    def breaks(self, reason: str) -> None:
        """The line is gone: every reader is told from now on."""
        self._broken = self._broken or reason
        self._wake()

    def raise_if_broken(self) -> None:
        """Raise LinkDown once the line is gone."""
        if self._broken is not None:
            raise LinkDown(self._broken)

    def clear(self) -> int:
        """Throw away what waits; return how much it was."""
        size = len(self._data)
        self._data.clear()
        return size

    async def take(self, timeout_s: float) -> bytes:
        """Return all that waits, or wait for the next bytes; b"" after `timeout_s`."""
        if not self._data:
            self.raise_if_broken()
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(max(timeout_s, 0.0), self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
            if not self._data:
                self.raise_if_broken()
                return b""
        taken = bytes(self._data)
        self._data.clear()
        return taken

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Socket(asyncio.Protocol):
    def __init__(self, inbox: _Inbox) -> None:
        self._inbox = inbox

    def data_received(self, data: bytes) -> None:
        self._inbox.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbox.breaks(f"connection lost: {exc}" if exc else "connection closed by the peer")


class TcpLink:
    """One TCP connection to a gateway, Modbus TCP or raw RTU alike.

    A gateway hands a reply on only once its line has been silent, and keeps the silence before the
    next frame itself: what is sent here may go out at once.
    """

    keeps_silence = True

    def __init__(self, host: str, port: int, connect_timeout_s: float) -> None:
        self._host, self._port = host, port
        self._connect_timeout_s = connect_timeout_s
        self._transport: asyncio.Transport | None = None
        self._inbox = _Inbox()

    @property
    def is_open(self) -> bool:
        """Say whether the connection stands."""
        return self._transport is not None and not self._transport.is_closing()

    async def open(self) -> None:
        """Connect, without delay of small packets and with keep-alive."""
        self.close()
        inbox = self._inbox = _Inbox()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                self._transport, _ = await loop.create_connection(
                    lambda: _Socket(inbox), self._host, self._port
                )
        except (OSError, TimeoutError) as error:
            reason = str(error) or "no answer"
            raise LinkDown(f"{self._host}:{self._port}: {reason}") from error
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def send(self, frame: bytes) -> None:
        """Hand a frame to the socket."""
        self._inbox.raise_if_broken()
        if self._transport is None or self._transport.is_closing():
            raise LinkDown("not connected")
        self._transport.write(frame)

    async def receive(self, timeout_s: float) -> bytes:
        """Return what came in, or b"" after `timeout_s`."""
        return await self._inbox.take(timeout_s)

    def discard(self) -> int:
        """Throw away what is waiting."""
        return self._inbox.clear()

    def close(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._inbox.breaks("closed")


class SerialLink:
    """A serial port, opened exclusively; the silence between frames is the caller's to keep."""

    keeps_silence = False

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._port: serial.Serial | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox = _Inbox()

    @property
    def is_open(self) -> bool:
        """Say whether the port is open."""
        return self._port is not None

    async def open(self) -> None:
        """Open the port with the bus's baud, parity and stop bits."""
        self.close()
        self._inbox = _Inbox()
        self._loop = asyncio.get_running_loop()
        bus = self._bus
        # A pseudo terminal (a simulated line) has no parity and refuses to be given one.
        parity = Parity.NONE if _is_pseudo(bus.port) else bus.parity
        try:
            self._port = serial.Serial(
                bus.port,
                bus.baud,
                parity=parity.value,
                stopbits=bus.stop_bits,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError
            raise LinkDown(f"{bus.port}: {error}") from error
        self._loop.add_reader(self._port.fileno(), self._readable)

    def _readable(self) -> None:
        # Woken without a byte to read: the device has hung up.
        if self._fetch() == 0 and self._port is not None:
            self._break(f"{self._bus.port}: end of input, the adapter is gone")

    def _fetch(self) -> int:
        """Take over what the driver holds; return how much that was."""
        if self._port is None:
            return 0
        try:
            data = os.read(self._port.fileno(), 4096)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._break(f"{self._bus.port}: {error}")
            return 0
        if data:
            self._inbox.put(data)
        return len(data)

    def _break(self, reason: str) -> None:
        self._inbox.breaks(reason)
        self.close()

    def send(self, frame: bytes) -> None:
        """Hand a frame to the port; frames are far smaller than its buffer."""
        self._inbox.raise_if_broken()
        if self._port is None:
            raise LinkDown(f"{self._bus.port}: not open")
        try:
            written = os.write(self._port.fileno(), frame)
        except OSError as error:
            self._break(f"{self._bus.port}: {error}")
            raise LinkDown(f"{self._bus.port}: {error}") from error
        if written != len(frame):
            self._break(f"{self._bus.port}: took {written} of {len(frame)} bytes")
            self._inbox.raise_if_broken()

    async def receive(self, timeout_s: float) -> bytes:
        """Return what came in, or b"" after `timeout_s`."""
        return await self._inbox.take(timeout_s)

    def discard(self) -> int:
        """Throw away what is waiting, here and in the driver."""
        self._fetch()
        return self._inbox.clear()

    def close(self) -> None:
        """Let go of the port."""
        port, self._port = self._port, None
        if port is None:
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(port.fileno())
        with contextlib.suppress(OSError):  # the adapter may be unplugged already
            port.close()
        self._inbox.breaks("closed")


def _is_pseudo(port: str) -> bool:
    return str(Path(port).resolve()).startswith(PTY_FOLDER)
