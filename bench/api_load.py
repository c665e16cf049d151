"""A load generator over raw keep-alive sockets: cheap, so that the server is what is measured."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

LOOKED_AT_MOST = 200


@dataclass(slots=True)
class Load:
    """What came of a run: answers by status, the time it took, and latencies in seconds."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    bodies: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def requests_s(self) -> float:
        """Good answers a second."""
        return self.statuses.get(200, 0) / self.seconds if self.seconds else 0.0


def request_bytes(path: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return a GET request as it goes on the wire."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{n}: {v}" for n, v in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class _Client(asyncio.Protocol):
    """One connection that sends its next request as soon as the last one is answered."""

    def __init__(self, requests: Sequence[bytes], first: int, load: Load, end_s: float) -> None:
        self._requests, self._next, self._load, self._end_s = requests, first, load, end_s
        self._buffer = b""
        self._sent_s = 0.0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP gives no other
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        now_s, load = time.perf_counter(), self._load
        status = int(head[9:12])
        load.statuses[status] = load.statuses.get(status, 0) + 1
        load.latencies_s.append(now_s - self._sent_s)
        if len(load.bodies) < LOOKED_AT_MOST:
            load.bodies.append(((self._next - 1) % len(self._requests), rest[:length]))
        if now_s < self._end_s:
            self._send()
        elif self._transport is not None:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._sent_s = time.perf_counter()
        if self._transport is not None:
            self._transport.write(request)


async def drive(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Send requests in turn over so many connections for a while."""
    load, loop = Load(), asyncio.get_running_loop()
    begun_s = time.perf_counter()
    clients = []
    for number in range(connections):
        first = number * len(requests) // connections
        _, client = await loop.create_connection(
            lambda first=first: _Client(requests, first, load, begun_s + seconds),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        clients.append(client.done)
    await asyncio.wait_for(asyncio.gather(*clients), seconds + 30)
    load.seconds = time.perf_counter() - begun_s
    return load
