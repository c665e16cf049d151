"""When bytes are on an RS-485 line: the arithmetic, and a timer fine enough to keep to it."""

import asyncio
import ctypes
import heapq
import itertools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from collector.wire import WireTiming

_CLOCK_MONOTONIC = 1
_TIMER_FLAGS = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1


@dataclass(slots=True)
class LinePacer:
    """The line's own clock: who may talk when. Times are monotonic seconds.

    A request that comes while the line is busy waits for it, as a gateway's queue would. Without
    timing (None) bytes take no time, only delays do.
    """

    timing: WireTiming | None
    free_at_s: float = 0.0

    def request_end_s(self, arrival_s: float, request_bytes: int) -> float:
        """Put a request on the line and return when its last byte has passed."""
        start_s = max(arrival_s, self.free_at_s)
        if self.timing is None:
            return start_s
        end_s = start_s + request_bytes * self.timing.character_s
        self.free_at_s = end_s + self.timing.silence_s
        return end_s

    def reply_end_s(self, request_end_s: float, reply_bytes: int, delay_s: float) -> float:
        """Put the reply on the line and return when its last byte has passed."""
        end_s = request_end_s + delay_s
        if self.timing is None:
            self.free_at_s = end_s
            return end_s
        end_s += reply_bytes * self.timing.character_s
        self.free_at_s = end_s + self.timing.silence_s
        return end_s


class PreciseTimer:
    """Calls back at monotonic times to about 0.1 ms on any event loop.

    Event loops round their timers to whole milliseconds, a fiftieth of a meter's reply; a kernel
    timer (Linux timerfd) does not. Elsewhere the loop's own timer is used. At most `most` calls
    may be pending; more raise BufferError.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int = 4_096) -> None:
        self._loop = loop
        self._most = most
        self._heap: list[tuple[float, int, Callable[[bytes], object], bytes]] = []
        self._order = itertools.count()
        self._armed_s = float("inf")
        self._handle: asyncio.TimerHandle | None = None
        self._timer = _timerfd() if sys.platform == "linux" else None
        if self._timer is not None:
            loop.add_reader(self._timer[0], self._rung)

    def call_at(self, when_s: float, callback: Callable[[bytes], object], data: bytes) -> None:
        """Call back with these bytes at that time; at once if it has passed."""
        if not self._heap and when_s <= time.monotonic():
            callback(data)
            return
        if len(self._heap) >= self._most:
            raise BufferError(f"{self._most} replies are waiting already")
        heapq.heappush(self._heap, (when_s, next(self._order), callback, data))
        if when_s < self._armed_s:
            self._arm(when_s)

    def close(self) -> None:
        """Forget everything pending and let go of the kernel timer."""
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
        if self._timer is not None:
            self._loop.remove_reader(self._timer[0])
            os.close(self._timer[0])
            self._timer = None

    def _arm(self, when_s: float) -> None:
        self._armed_s = when_s
        if self._timer is not None:
            self._timer[1](when_s)
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_later(max(0.0, when_s - time.monotonic()), self._due)

    def _rung(self) -> None:
        if self._timer is None:
            return
        try:
            os.read(self._timer[0], 8)
        except BlockingIOError:  # armed anew between the ring and this call
            return
        self._due()

    def _due(self) -> None:
        now_s = time.monotonic()
        while self._heap and self._heap[0][0] <= now_s:
            _, _, callback, data = heapq.heappop(self._heap)
            callback(data)
        self._armed_s = float("inf")
        if self._heap:
            self._arm(self._heap[0][0])


class _TimeSpec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


def _timerfd() -> tuple[int, Callable[[float], None]] | None:
    """Return a kernel timer's descriptor and what arms it, or None where there is none."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "timerfd_create"):
        return None
    descriptor: int = library.timerfd_create(_CLOCK_MONOTONIC, _TIMER_FLAGS)
    if descriptor < 0:
        return None
    spec = _TimeSpec()
    where = ctypes.byref(spec)
    settime = library.timerfd_settime

    def arm(when_s: float) -> None:
        spec.value_s = int(when_s)
        # 0 would disarm the timer.
        spec.value_ns = max(1, int((when_s - int(when_s)) * 1e9))
        settime(descriptor, _ABSOLUTE, where, None)

    return descriptor, arm
