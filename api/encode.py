"""Frames to bytes, piece by piece, as JSON, CSV, Parquet or an Arrow IPC stream."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pa_parquet

from api.formats import Format
from api.plain import utc_text
from api.readings import Plan

# ISO 8601 in UTC, as everywhere else in the API.
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.3fZ"
ENDINGS: Mapping[Format, str] = {
    Format.JSON: "json",
    Format.CSV: "csv",
    Format.PARQUET: "parquet",
    Format.ARROW: "arrows",
}


def encode(kind: Format, plan: Plan, frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    """Return the bytes of frames in a format; one piece of bytes or more a frame."""
    return _ENCODERS[kind](plan, frames)


def file_name(kind: Format, plan: Plan) -> str:
    """Return a name to save readings under: meter, resolution and times."""
    days = f"{plan.start:%Y%m%dT%H%M%SZ}-{plan.end:%Y%m%dT%H%M%SZ}"
    return f"{plan.meter}_{plan.resolution.value}_{days}.{ENDINGS[kind]}"


def _json(plan: Plan, frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    head = json.dumps(
        {
            "meter": plan.meter,
            "start": utc_text(plan.start),
            "end": utc_text(plan.end),
            "resolution": plan.resolution.value,
            "quantities": list(plan.quantities),
        }
    )
    yield f'{head[:-1]}, "readings": ['.encode()
    count = 0
    for frame in frames:
        if frame.is_empty():
            continue
        rows = frame.drop("meter").with_columns(pl.col("time").dt.strftime(TIME_FORMAT))
        text = rows.write_json()[1:-1]
        yield f"{',' if count else ''}{text}".encode()
        count += frame.height
    yield f'], "count": {count}}}'.encode()


def _csv(plan: Plan, frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    yield (",".join(("time", "meter", *plan.quantities)) + "\n").encode()
    for frame in frames:
        text = frame.write_csv(include_header=False, datetime_format=TIME_FORMAT)
        if text:
            yield text.encode()


def _parquet(_: Plan, frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    def open_writer(sink: "_Sink", schema: Any) -> Any:
        return pa_parquet.ParquetWriter(sink, schema, compression="zstd")

    return _written(frames, open_writer)


def _arrow(_: Plan, frames: Iterable[pl.DataFrame]) -> Iterator[bytes]:
    return _written(frames, pa_ipc.new_stream)


def _written(
    frames: Iterable[pl.DataFrame], open_writer: Callable[["_Sink", Any], Any]
) -> Iterator[bytes]:
    sink = _Sink()
    writer = None
    for frame in frames:
        table = _table(frame)
        writer = writer or open_writer(sink, table.schema)
        if table.num_rows:
            writer.write_table(table)
        yield sink.drain()
    if writer is not None:
        writer.close()
    yield sink.drain()


def _table(frame: pl.DataFrame) -> pa.Table:
    # Words rather than a dictionary, and no views: every reader of Arrow and Parquet knows those.
    enums = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Enum)]
    plainer = frame.with_columns(pl.col(name).cast(pl.String) for name in enums)
    return plainer.to_arrow(compat_level=pl.CompatLevel.oldest())


class _Sink(io.RawIOBase):
    """A file that is only written: what was written since the last `drain` waits in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def drain(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


_ENCODERS: Mapping[Format, Callable[[Plan, Iterable[pl.DataFrame]], Iterator[bytes]]] = {
    Format.JSON: _json,
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
    Format.ARROW: _arrow,
}
