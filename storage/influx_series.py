"""The time-series store on an InfluxDB server, 1.6+, 2.x or 3.x: line protocol in, InfluxQL out."""

from collections.abc import Sequence
from datetime import datetime
from threading import RLock

import polars as pl

from domain.errors import InvalidInput, StoreUnavailable
from domain.faults import Fault
from domain.frame import SWEEP_SCHEMA
from domain.ports import Rejected, Resolution, WriteOutcome
from domain.site import Meter
from storage.influx_http import InfluxHttp, Refusal
from storage.influx_settings import InfluxSettings
from storage.influx_split import store_lines
from storage.influx_v2 import InfluxV2Writer
from storage.influxql import (
    MEASUREMENTS,
    count_statement,
    create_statement,
    delete_statement,
    latest_frame,
    latest_statements,
    window_frame,
    window_statements,
)
from storage.line_protocol import SeriesKeys, encode, tag_fault
from storage.series_schema import (
    chosen_values,
    empty_window,
    milliseconds,
    prepare,
    values_of,
)


class InfluxSeries:
    """TimeSeries on an InfluxDB server.

    Measurements meter, meter_1m, meter_1h, meter_1d; tags site, building, room, meter; one field a
    quantity. A point written again replaces the fields it has; a null can't erase an older value.
    A meter unknown to the roster is stored under site and meter alone, so no reading is lost.
    On 3.x `prune` deletes nothing: that server has no deletes, only its own retention period.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._http = InfluxHttp(settings)
        self._v2: InfluxV2Writer | None = None
        self._lock = RLock()
        self._major = 0
        self._keys = {resolution: SeriesKeys(name, {}) for resolution, name in MEASUREMENTS.items()}

    def describe(self, meters: Sequence[Meter]) -> None:
        """Take the tags from the roster. Raises InvalidInput listing what a tag can't hold."""
        tags = {meter.name: self._tags(meter) for meter in meters}
        faults = [
            Fault(f"{name} of the roster", reason, meter)
            for meter, own in tags.items()
            for name, text in own.items()
            if (reason := tag_fault(text)) is not None
        ]
        if faults:
            raise InvalidInput(faults)
        with self._lock:
            self._keys = {
                resolution: SeriesKeys(name, tags) for resolution, name in MEASUREMENTS.items()
            }

    def write(self, frame: pl.DataFrame, resolution: Resolution = Resolution.RAW) -> WriteOutcome:
        """Write rows; bad lines are found and refused one by one. Raises StoreUnavailable."""
        prepared = prepare(frame, resolution)
        self._connect()
        encoded = encode(
            prepared.frame, self._keys_for(prepared.frame, resolution), values_of(resolution)
        )
        refused, kept = store_lines(
            self._send, encoded, self._settings.batch_lines, self._settings.most_requests
        )
        rejected = [*prepared.rejected]
        for row, reason in (
            *((item.row, item.reason) for item in encoded.left_out),
            *((int(encoded.rows[line]), reason) for line, reason in refused),
        ):
            rejected.append(Rejected(prepared.row_in_input(row), reason))
        rejected.sort(key=lambda item: item.row)
        return WriteOutcome(frame.height - len(rejected) - kept, tuple(rejected), kept)

    def window(
        self,
        start: datetime,
        end: datetime,
        meters: Sequence[str] | None = None,
        quantities: Sequence[str] | None = None,
        resolution: Resolution = Resolution.RAW,
    ) -> pl.DataFrame:
        """Return rows with start <= time < end by meter and time: time, meter, quantities."""
        values = chosen_values(quantities, resolution)
        start_ms, end_ms = milliseconds(start), milliseconds(end)
        empty = empty_window(values, resolution)
        if start_ms >= end_ms:
            return empty
        self._connect()
        frames = [
            window_frame(series, values, resolution)
            for statement in window_statements(values, resolution, start_ms, end_ms, meters)
            for series in self._http.query(statement)
        ]
        if not frames:
            return empty
        # A meter whose room has changed has two series; a point in both counts once.
        return (
            pl.concat(frames)
            .sort("meter", "time")
            .unique(("meter", "time"), keep="last", maintain_order=True)
        )

    def latest(self, meters: Sequence[str] | None = None) -> pl.DataFrame:
        """Return the last non-null values of each meter and the time of its last row."""
        self._connect()
        frames = [
            latest_frame(self._http.query(lasts), self._http.query(times))
            for lasts, times in latest_statements(meters)
        ]
        return pl.concat(frames).sort("meter") if frames else pl.DataFrame(schema=SWEEP_SCHEMA)

    def prune(self, resolution: Resolution, older_than: datetime) -> int:
        """Delete rows with time < older_than and return how many there were (3.x: 0)."""
        self._connect()
        if self._major >= 3:
            return 0
        before_ms = milliseconds(older_than)
        counted = self._http.query(count_statement(resolution, before_ms))
        count = sum(int(series.rows[0][1]) for series in counted)
        if count and self._v2 is not None:
            self._v2.delete(MEASUREMENTS[resolution], older_than)
        elif count:
            self._http.command(delete_statement(resolution, before_ms))
        return count

    def is_ready(self) -> bool:
        """Say whether the server answers."""
        try:
            self._connect()
            self._http.version()
        except StoreUnavailable:
            return False
        return True

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._v2 is not None:
                self._v2.close()
            self._http.close()

    def _connect(self) -> None:
        with self._lock:
            if self._major:
                return
            version = self._settings.version
            major = int((self._http.version() if version == "auto" else version).split(".")[0])
            if major == 1:
                self._http.command(create_statement(self._settings.database))
            elif major == 2 and self._v2 is None:
                self._v2 = InfluxV2Writer(self._settings)
            self._major = major

    def _send(self, payload: bytes) -> Refusal | None:
        return self._http.write(payload) if self._v2 is None else self._v2.write(payload)

    def _tags(self, meter: Meter) -> dict[str, str]:
        return {
            "site": self._settings.site,
            "building": meter.building,
            "room": meter.room,
            "meter": meter.name,
        }

    def _keys_for(self, frame: pl.DataFrame, resolution: Resolution) -> SeriesKeys:
        with self._lock:
            keys = self._keys[resolution]
            for meter in keys.unknown(frame["meter"]):
                if tag_fault(meter) is None:
                    keys.add(meter, {"site": self._settings.site, "meter": meter})
            return keys
