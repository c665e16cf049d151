"""Whether a meter answers, and when a silent one is worth the next probe: pure bookkeeping."""

from collector.settings import PollSettings


class Liveness:
    """One meter's attempts. After `silent_after` misses it is silent: probed with doubling waits,
    bounded, until it answers."""

    def __init__(self, settings: PollSettings) -> None:
        self._settings = settings
        self._misses = 0
        self._wait_s = 0.0
        self._next_s = float("-inf")

    @property
    def is_silent(self) -> bool:
        """Say whether the meter counts as silent."""
        return self._misses >= self._settings.silent_after

    @property
    def next_probe_s(self) -> float:
        """Monotonic time of the next probe; the past for a meter that answers."""
        return self._next_s

    def is_due(self, now_s: float) -> bool:
        """Say whether the meter may be asked now."""
        return now_s >= self._next_s

    def answered(self) -> bool:
        """Note an answer; return True if the meter was silent before."""
        was_silent = self.is_silent
        self._misses, self._wait_s, self._next_s = 0, 0.0, float("-inf")
        return was_silent

    def missed(self, now_s: float) -> bool:
        """Note an attempt without answer; return True if the meter is silent from now on."""
        self._misses = min(self._misses + 1, self._settings.silent_after + 1)
        if not self.is_silent:
            return False
        first_s, most_s = self._settings.probe_first_s, self._settings.probe_most_s
        newly = not self._wait_s
        self._wait_s = min(2 * self._wait_s or first_s, most_s)
        self._next_s = now_s + self._wait_s
        return newly
