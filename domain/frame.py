"""The sweep frame: one row a meter, the time of each row taken when its reply ended."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import polars as pl


class Quality(StrEnum):
    """What a row is worth; values that were not really read are null."""

    GOOD = "good"
    HELD = "held"  # a value was implausible: it is null here and kept in an event
    TIMEOUT = "timeout"  # no valid reply came
    EXCEPTION = "exception"  # the meter answered with a Modbus exception
    SKIPPED = "skipped"  # not asked: a dead meter waiting for its next probe


SWEEP_SCHEMA: dict[str, pl.DataType] = {
    "time": pl.Datetime("ms", "UTC"),
    "meter": pl.String(),
    "voltage_v": pl.Float64(),
    "current_a": pl.Float64(),
    "power_w": pl.Float64(),
    "power_factor": pl.Float64(),
    "frequency_hz": pl.Float64(),
    "energy_wh": pl.Int64(),
    "balance_minor": pl.Int64(),
    "relay_closed": pl.Boolean(),
    "quality": pl.Enum([quality.value for quality in Quality]),
}


@dataclass(frozen=True, slots=True)
class Sweep:
    """One pass over one bus, or one confirming read ahead of the round.

    `id` is unique for ever; `frame` has SWEEP_SCHEMA; `confirming` marks single rows that came
    ahead of a round: a step up, or a read that the rules asked for; `wire_time_s` is the
    calculated wire time of what was sent.
    """

    id: str
    bus: str
    started_at: datetime
    ended_at: datetime
    frame: pl.DataFrame
    confirming: bool = False
    wire_time_s: float = 0.0


def sweep_frame(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    """Build a frame of SWEEP_SCHEMA from dict rows; absent keys become null."""
    columns = {name: [row.get(name) for row in rows] for name in SWEEP_SCHEMA}
    return pl.DataFrame(columns, schema=SWEEP_SCHEMA)


def frame_to_bytes(frame: pl.DataFrame) -> bytes:
    """Serialise a frame as an Arrow IPC file."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="uncompressed")
    return buffer.getvalue()


def frame_from_bytes(payload: bytes) -> pl.DataFrame:
    """Read back what `frame_to_bytes` wrote. Raises polars' ComputeError on damage."""
    return pl.read_ipc(io.BytesIO(payload))
