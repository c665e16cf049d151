"""Limits on how often something may be tried: several windows a name, in bounded memory.

The windows of one name get longer while the tries allowed in them hardly grow, so whoever goes on
waits longer and longer.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from limits import RateLimitItem, parse_many
from limits.storage import Storage
from limits.storage.base import MovingWindowSupport
from limits.strategies import MovingWindowRateLimiter

from api.identity.refusals import TooOften
from domain.clock import Clock

KEYS_MOST = 100_000


class WindowMemory(Storage, MovingWindowSupport):
    """Times of tries by key, newest first, on the station's clock; old keys leave when full."""

    STORAGE_SCHEME = ["wattwarden"]  # noqa: RUF012 - the library's own way

    def __init__(self, clock: Clock, keys_most: int = KEYS_MOST) -> None:
        super().__init__()
        self._clock, self._most = clock, keys_most
        self._tries: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the storage may raise: nothing of its own."""
        return ValueError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a try if fewer than `limit` are younger than `expiry` seconds."""
        now_s = self._clock.monotonic()
        with self._lock:
            tries = [at for at in self._tries.get(key, ()) if at > now_s - expiry]
            fits = len(tries) + amount <= limit
            self._tries[key] = [now_s] * amount + tries if fits else tries
            self._tries.move_to_end(key)
            while len(self._tries) > self._most:
                self._tries.popitem(last=False)
        return fits

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return when the oldest counted try was made, and how many count."""
        now_s = self._clock.monotonic()
        tries = [at for at in self._tries.get(key, ()) if at > now_s - expiry]
        return (tries[-1] if tries else now_s, len(tries))

    def give_back(self, key: str) -> None:
        """Take the newest try of a key back: it was none to worry about."""
        with self._lock:
            tries = self._tries.get(key)
            if tries:
                tries.pop(0)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Fixed windows are not used here."""
        raise ValueError(f"only moving windows are kept, not {key}")

    def get(self, key: str) -> int:
        """Return how many tries are kept of a key."""
        return len(self._tries.get(key, ()))

    def get_expiry(self, key: str) -> float:
        """Return when the newest try of a key was made."""
        return (self._tries.get(key) or [0.0])[0]

    def check(self) -> bool:
        """Say that the memory is there."""
        return True

    def reset(self) -> int | None:
        """Forget everything and say how many keys that were."""
        with self._lock:
            count = len(self._tries)
            self._tries.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._tries.pop(key, None)


@dataclass(frozen=True, slots=True)
class Limit:
    """What is limited and how: windows such as `5 per 1 minute; 10 per 10 minute`."""

    name: str
    windows: tuple[RateLimitItem, ...]

    @classmethod
    def of(cls, name: str, windows: str) -> "Limit":
        """Read the windows of a limit."""
        return cls(name, tuple(parse_many(windows)))


class Rates:
    """Counts tries. A try that any window refuses counts in none. Thread-safe."""

    def __init__(self, clock: Clock, keys_most: int = KEYS_MOST) -> None:
        self._memory = WindowMemory(clock, keys_most)
        self._windows = MovingWindowRateLimiter(self._memory)
        self._clock = clock

    def take(self, limit: Limit, *who: str) -> None:
        """Count a try, or raise TooOften."""
        taken: list[RateLimitItem] = []
        for window in limit.windows:
            if self._windows.hit(window, limit.name, *who):
                taken.append(window)
                continue
            for earlier in taken:
                self._memory.give_back(earlier.key_for(limit.name, *who))
            raise TooOften(limit.name, self._wait_s(limit, who))

    def take_all(self, tries: Sequence[tuple[Limit, tuple[str, ...]]]) -> None:
        """Count a try under several limits, or under none and raise TooOften."""
        for index, (limit, who) in enumerate(tries):
            try:
                self.take(limit, *who)
            except TooOften:
                for earlier, name in tries[:index]:
                    self.give_back(earlier, *name)
                raise

    def give_back(self, limit: Limit, *who: str) -> None:
        """Take the newest try back."""
        for window in limit.windows:
            self._memory.give_back(window.key_for(limit.name, *who))

    def forget(self, limit: Limit, *who: str) -> None:
        """Forget all tries of a name."""
        for window in limit.windows:
            self._memory.clear(window.key_for(limit.name, *who))

    def counted(self, limit: Limit, *who: str) -> int:
        """Return how many tries count in the longest window."""
        return max(self._stats(window, limit, who)[1] for window in limit.windows)

    def _wait_s(self, limit: Limit, who: tuple[str, ...]) -> int:
        now_s, longest_s = self._clock.monotonic(), 1.0
        for window in limit.windows:
            oldest_s, count = self._stats(window, limit, who)
            if count >= window.amount:
                longest_s = max(longest_s, oldest_s + window.get_expiry() - now_s)
        return int(longest_s + 0.999)

    def _stats(
        self, window: RateLimitItem, limit: Limit, who: tuple[str, ...]
    ) -> tuple[float, int]:
        key = window.key_for(limit.name, *who)
        return self._memory.get_moving_window(key, window.amount, window.get_expiry())
