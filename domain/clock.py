"""Time is a parameter: the only place that reads the wall clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time in UTC, a monotonic reading in seconds, and a way to wait."""

    def now(self) -> datetime:
        """Return the time in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of real time."""
        await asyncio.sleep(seconds)


class LeapClock:
    """A clock that stands still until told to leap; sleeping leaps it. For replay and tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the time last leapt to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds leapt so far."""
        return self._monotonic

    def leap(self, seconds: float) -> None:
        """Move on by that many seconds."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def jump(self, to: datetime) -> None:
        """Set the wall time without touching the monotonic reading: a clock fault."""
        self._now = to

    async def sleep(self, seconds: float) -> None:
        """Leap on, and let other tasks run."""
        self.leap(seconds)
        await asyncio.sleep(0)
