"""So many in a span of time, then no more until the next."""

import threading

from domain.clock import Clock


class Quota:
    """Lets `most` through in each span of `span_s`. Thread-safe."""

    def __init__(self, clock: Clock, most: int, span_s: float) -> None:
        self._clock, self._most, self._span_s = clock, most, span_s
        self._lock = threading.Lock()
        self._since: float | None = None
        self._taken = 0

    def take(self) -> bool:
        """Say whether one more may pass."""
        now = self._clock.monotonic()
        with self._lock:
            if self._since is None or now - self._since >= self._span_s:
                self._since, self._taken = now, 0
            self._taken += 1
            return self._taken <= self._most

    def is_first(self) -> bool:
        """Say whether the one that passed last was the first of its span."""
        with self._lock:
            return self._taken == 1
