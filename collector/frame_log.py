"""The last frames of a bus in a bounded ring, for the person who looks for a fault."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Direction = Literal["sent", "received", "dropped"]


@dataclass(frozen=True, slots=True)
class LoggedFrame:
    """Bytes on the wire: when, which way, and what was made of them."""

    time: datetime
    direction: Direction
    data: bytes
    note: str = ""

    def __str__(self) -> str:
        text = f"{self.time:%H:%M:%S.%f} {self.direction:8} {self.data.hex(' ')}"
        return f"{text}  ({self.note})" if self.note else text


class FrameLog:
    """A ring of the last `most` frames."""

    def __init__(self, most: int) -> None:
        self._frames: deque[LoggedFrame] = deque(maxlen=most)

    def add(self, time: datetime, direction: Direction, data: bytes, note: str = "") -> None:
        """Keep one frame; the oldest goes once the ring is full."""
        self._frames.append(LoggedFrame(time, direction, data, note))

    def frames(self) -> list[LoggedFrame]:
        """Return what is kept, oldest first."""
        return list(self._frames)
