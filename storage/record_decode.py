"""Sweep frames from the bytes of stream records: many at a time, and never trusting them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc

from domain.frame import SWEEP_SCHEMA, frame_to_bytes, sweep_frame
from domain.ports import StreamRecord

_DAMAGE = (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError)
_SCHEMA = pa.ipc.open_file(pa.py_buffer(frame_to_bytes(sweep_frame([])))).schema


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame of all sound records, whose rows are whose, and the damaged ones with reasons."""

    frame: pl.DataFrame
    ids: tuple[str, ...]
    ends: tuple[int, ...]
    damaged: tuple[tuple[str, str], ...]

    def owner(self, row: int) -> str:
        """Return the id of the record that a row came in."""
        return self.ids[int(np.searchsorted(np.asarray(self.ends), row, side="right"))]


def decode(records: Sequence[StreamRecord]) -> Decoded:
    """Turn records into one frame of SWEEP_SCHEMA, rows in the order of the records.

    The Arrow library checks every offset and text before polars sees it, because a flipped bit
    that polars alone would meet can end in a panic. It is also ten times faster on small frames.
    """
    tables: list[pa.Table] = []
    ids: list[str] = []
    ends: list[int] = []
    damaged: list[tuple[str, str]] = []
    rows = 0
    for record in records:
        try:
            tables.append(_table(record.payload))
        except _DAMAGE as error:
            damaged.append((record.id, _first_line(error)))
            continue
        rows += tables[-1].num_rows
        ids.append(record.id)
        ends.append(rows)
    return Decoded(_frame(tables), tuple(ids), tuple(ends), tuple(damaged))


def _table(payload: bytes) -> pa.Table:
    table = pa.ipc.open_file(pa.py_buffer(payload)).read_all()
    table.validate(full=True)
    if table.schema.equals(_SCHEMA):
        return table
    # Written by another version: fit it by name, or say what does not fit.
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame) or set(SWEEP_SCHEMA) - set(frame.columns):
        raise ValueError(f"columns {', '.join(table.column_names)} are not a sweep's")
    fitted = frame.select(pl.col(name).cast(kind) for name, kind in SWEEP_SCHEMA.items())
    return pa.ipc.open_file(pa.py_buffer(frame_to_bytes(fitted))).read_all()


def _frame(tables: Sequence[pa.Table]) -> pl.DataFrame:
    if not tables:
        return pl.DataFrame(schema=SWEEP_SCHEMA)
    whole = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    frame = pl.from_arrow(whole)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("a table became something else than a frame")
    return frame.cast(pl.Schema(SWEEP_SCHEMA))


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
