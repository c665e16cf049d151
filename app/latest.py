"""The latest known values of every meter, in memory: each quantity with its own time."""

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from domain.frame import Quality
from domain.quantities import SWEEP_QUANTITIES


class LatestTable:
    """Latest non-null value and time of each quantity a meter. Thread-safe."""

    def __init__(self, meters: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, dict[str, Any]] = {name: _empty(name) for name in meters}

    def observe(self, frame: pl.DataFrame) -> None:
        """Take in a sweep frame; rows of unknown meters are passed over."""
        with self._lock:
            for row in frame.iter_rows(named=True):
                known = self._rows.get(row["meter"])
                if known is None or row["quality"] == Quality.SKIPPED.value:
                    continue
                known["quality"], known["time"] = row["quality"], row["time"]
                for name in SWEEP_QUANTITIES:
                    if row[name] is not None:
                        known["values"][name] = (row[name], row["time"])

    def rows(self, meters: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Return a row a meter: meter, time, quality, values {quantity: (value, time)}."""
        with self._lock:
            chosen = self._rows if meters is None else [m for m in meters if m in self._rows]
            return [{**self._rows[m], "values": dict(self._rows[m]["values"])} for m in chosen]

    def value(self, meter: str, quantity: str) -> tuple[Any, datetime] | None:
        """Return a meter's latest value of a quantity and its time, or None."""
        with self._lock:
            row = self._rows.get(meter)
            found: tuple[Any, datetime] | None = row["values"].get(quantity) if row else None
            return found


def _empty(meter: str) -> dict[str, Any]:
    return {"meter": meter, "time": None, "quality": None, "values": {}}
