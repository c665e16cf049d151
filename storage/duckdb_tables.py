"""Tables of the DuckDB store: meter numbers, and for each resolution a settled table and a tail."""

# Table and column names come from the closed lists of domain/, bounds and numbers are integers:
# ruff: noqa: S608

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from domain.ports import Resolution
from domain.site import Meter
from storage.duckdb_file import DuckDbFile
from storage.latest_board import NEVER_MS, VALUES, LatestBoard
from storage.series_schema import schema_of, values_of

_NAMES = {
    Resolution.RAW: "raw",
    Resolution.MINUTE: "minute",
    Resolution.HOUR: "hour",
    Resolution.DAY: "day",
}
_TYPES = {pl.Float64(): "DOUBLE", pl.Int64(): "BIGINT", pl.Boolean(): "BOOLEAN"}


def create_tables(cursor: duckdb.DuckDBPyConnection) -> None:
    """Create what is missing. `samples_raw` and its like are views for people who open the file."""
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS meters (number INTEGER PRIMARY KEY, "
        "name VARCHAR NOT NULL UNIQUE, building VARCHAR, "
        "floor VARCHAR, room VARCHAR, kind VARCHAR, bus VARCHAR)"
    )
    # The state at the last settling: the newest time of each meter in each table, and the newest
    # value of each quantity, so that opening reads this and the tail and never the whole history.
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS settled_state (resolution VARCHAR NOT NULL, "
        "quantity VARCHAR NOT NULL, number INTEGER NOT NULL, "
        "time_ms BIGINT NOT NULL, value DOUBLE, whole BIGINT)"
    )
    for resolution, name in _NAMES.items():
        columns = ", ".join(
            f"{value} {_type(resolution, value)}" for value in values_of(resolution)
        )
        for table in (name, f"{name}_tail"):
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {table} "
                f"(time_ms BIGINT NOT NULL, number INTEGER NOT NULL, {columns})"
            )
        cursor.execute(
            f"CREATE VIEW IF NOT EXISTS samples_{name} AS SELECT epoch_ms(time_ms) AS time_utc, "
            f"name AS meter, {', '.join(values_of(resolution))} FROM "
            f"(SELECT * FROM {name} UNION ALL SELECT * FROM {name}_tail) JOIN meters USING (number)"
        )


def _type(resolution: Resolution, value: str) -> str:
    kind = schema_of(resolution)[value]
    if isinstance(kind, pl.Enum):
        return "ENUM ({})".format(", ".join(f"'{name}'" for name in kind.categories))
    return _TYPES[kind]


class MeterNames:
    """Meters by number. Numbers are given once, in order, and never change."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._enum = pl.Enum(self._names)
        self._texts = pl.Series(self._names, dtype=pl.String())
        self._ranks = self._texts.rank("ordinal")

    @classmethod
    def load(cls, cursor: duckdb.DuckDBPyConnection) -> Self:
        """Read the names back."""
        return cls(
            [
                name
                for (name,) in cursor.execute("SELECT name FROM meters ORDER BY number").fetchall()
            ]
        )

    def all(self) -> tuple[str, ...]:
        """Return every name by number."""
        return self._names

    def texts(self, numbers: pl.Series) -> pl.Series:
        """Return the name of each number."""
        return self._texts.gather(numbers)

    def ranks(self, numbers: pl.Series) -> pl.Series:
        """Return the place of each number's meter in the order of names."""
        return self._ranks.gather(numbers)

    def known(self, meters: Sequence[str]) -> list[int]:
        """Return the numbers of those meters that have one."""
        return [self._numbers[name] for name in dict.fromkeys(meters) if name in self._numbers]

    def numbers(self, meters: pl.Series) -> pl.Series:
        """Return the number of each row's meter, null for a meter without one."""
        return meters.cast(self._enum, strict=False).to_physical()

    def with_added(self, cursor: duckdb.DuckDBPyConnection, names: Sequence[str]) -> "MeterNames":
        """Give numbers to new names in the database and return the longer list."""
        first = len(self._names)
        rows = [[first + index, name] for index, name in enumerate(names)]
        cursor.executemany("INSERT INTO meters (number, name) VALUES (?, ?)", rows)
        return MeterNames((*self._names, *names))


def describe_meters(cursor: duckdb.DuckDBPyConnection, meters: Sequence[Meter]) -> None:
    """Write where each meter is; its name must have a number already."""
    cursor.executemany(
        "UPDATE meters SET building = ?, floor = ?, room = ?, kind = ?, bus = ? WHERE name = ?",
        [[m.building, m.floor, m.room, m.kind.value, m.bus, m.name] for m in meters],
    )


class SampleTable:
    """The rows of one resolution: `<name>` sorted by meter in runs, `<name>_tail` as they came."""

    def __init__(self, resolution: Resolution) -> None:
        self.tail_rows = 0
        self._resolution = resolution
        self._name = _NAMES[resolution]
        self._tail = f"{self._name}_tail"
        self._values = values_of(resolution)
        self._columns = ", ".join(("time_ms", "number", *self._values))
        self._newest_ms = np.empty(0, np.int64)

    def load(self, cursor: duckdb.DuckDBPyConnection, board: LatestBoard) -> None:
        """Find the newest time of each meter again, and for raw samples the newest values."""
        is_raw = self._resolution is Resolution.RAW
        for quantity in ("time", *(VALUES if is_raw else ())):
            state = cursor.sql(
                "SELECT number, time_ms, coalesce(value, whole) AS value FROM settled_state "
                "WHERE resolution = ? AND quantity = ?",
                params=[self._name, quantity],
            ).pl()
            tail = cursor.sql(self._newest_in_tail(quantity)).pl()
            for found in (state, tail):
                if quantity == "time":
                    self._saw(found["number"].to_numpy(), found["time_ms"].to_numpy())
                if is_raw:
                    board.put(quantity, found)
        self.tail_rows = int(cursor.execute(f"SELECT count(*) FROM {self._tail}").fetchall()[0][0])

    def write(
        self,
        file: DuckDbFile,
        rows: pl.DataFrame,
        numbers: npt.NDArray[np.int64],
        moving: AbstractContextManager[object],
    ) -> None:
        """Write rows in one transaction; a row of the same meter and time is replaced.

        `moving` is held while rows are replaced: they must not be moved by another at that time.
        """
        times_ms = rows["time"].to_physical().to_numpy()
        kept = _last_of_each(numbers, times_ms)
        if kept is not None:
            rows, numbers, times_ms = rows[kept], numbers[kept], times_ms[kept]
        incoming = rows.select(
            pl.Series("time_ms", times_ms), pl.Series("number", numbers, pl.Int32), *self._values
        )
        maybe_there = times_ms <= self._newest(numbers)
        replaced = 0
        is_replacing = bool(maybe_there.any())
        with moving if is_replacing else nullcontext(), file.transaction() as cursor:
            if is_replacing:
                older = incoming.filter(pl.Series(maybe_there)).select("time_ms", "number")
                replaced = self._delete(cursor, older)
            cursor.register("incoming", incoming)
            cursor.execute(f"INSERT INTO {self._tail} ({self._columns}) SELECT * FROM incoming")
            cursor.unregister("incoming")
        self.tail_rows += incoming.height - replaced
        self._saw(numbers, times_ms)

    def read(
        self,
        cursor: duckdb.DuckDBPyConnection,
        start_ms: int,
        end_ms: int,
        numbers: Sequence[int] | None,
        values: Sequence[str],
    ) -> pl.DataFrame:
        """Return time_ms, number and values of start_ms <= time_ms < end_ms, in no order."""
        columns = ", ".join(("time_ms", "number", *values))
        wanted = f"time_ms >= {start_ms} AND time_ms < {end_ms}"
        if numbers is not None:
            wanted += " AND number IN ({})".format(", ".join(str(number) for number in numbers))
        found: pl.DataFrame = cursor.sql(
            f"SELECT {columns} FROM {self._name} WHERE {wanted} "
            f"UNION ALL SELECT {columns} FROM {self._tail} WHERE {wanted}"
        ).pl()
        return found

    def begin_settling(
        self, cursor: duckdb.DuckDBPyConnection, board: LatestBoard
    ) -> tuple[int, pl.DataFrame]:
        """Fix which rows of the tail will move: their count, and the newest values as of now.

        No row may be written between this transaction's first look at the tail and the return.
        """
        rows = cursor.execute(f"SELECT count(*) FROM {self._tail}").fetchall()
        return int(rows[0][0]), self._state(board)

    def finish_settling(self, cursor: duckdb.DuckDBPyConnection, state: pl.DataFrame) -> None:
        """Move the rows into the settled table, sorted. Rows appended meanwhile stay."""
        cursor.execute(
            f"INSERT INTO {self._name} SELECT * FROM {self._tail} ORDER BY number, time_ms"
        )
        cursor.execute(f"DELETE FROM {self._tail}")
        cursor.execute("DELETE FROM settled_state WHERE resolution = ?", [self._name])
        cursor.register("state", state)
        cursor.execute("INSERT INTO settled_state SELECT * FROM state")
        cursor.unregister("state")

    def prune(self, file: DuckDbFile, before_ms: int) -> int:
        """Delete rows with time_ms < before_ms and return how many there were."""
        with file.transaction() as cursor:
            settled, tail = (
                _count(cursor.execute(f"DELETE FROM {table} WHERE time_ms < {before_ms}"))
                for table in (self._name, self._tail)
            )
        self.tail_rows -= tail
        return settled + tail

    def _newest_in_tail(self, quantity: str) -> str:
        if quantity == "time":
            return (
                "SELECT number, max(time_ms) AS time_ms, 0 AS value "
                f"FROM {self._tail} GROUP BY number"
            )
        physical = "enum_code({})" if quantity == "quality" else "{}"
        return (
            "SELECT number, max(time_ms) AS time_ms, "
            f"arg_max({physical.format(quantity)}, time_ms) AS value "
            f"FROM {self._tail} WHERE {quantity} IS NOT NULL GROUP BY number"
        )

    def _state(self, board: LatestBoard) -> pl.DataFrame:
        index = np.flatnonzero(self._newest_ms != NEVER_MS)
        times = pl.DataFrame({"number": index, "time_ms": self._newest_ms[index], "value": 0})
        frames = [_state_rows(self._name, "time", times)]
        if self._resolution is Resolution.RAW:
            frames += [_state_rows(self._name, name, board.cells(name)) for name in VALUES]
        return pl.concat(frames)

    def _delete(self, cursor: duckdb.DuckDBPyConnection, older: pl.DataFrame) -> int:
        times_ms = older["time_ms"].to_numpy()
        # The bounds let DuckDB skip every row group outside them before it compares.
        bounds = f"BETWEEN {times_ms.min()} AND {times_ms.max()}"
        cursor.register("older", older)
        in_tail = 0
        for table in (self._name, self._tail):
            deleted = cursor.execute(
                f"DELETE FROM {table} USING older WHERE {table}.time_ms {bounds} "
                f"AND {table}.time_ms = older.time_ms AND {table}.number = older.number"
            )
            in_tail = _count(deleted)
        cursor.unregister("older")
        return in_tail

    def _newest(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        self._grow(int(numbers.max()) + 1)
        return self._newest_ms[numbers]

    def _saw(self, numbers: npt.NDArray[np.int64], times_ms: npt.NDArray[np.int64]) -> None:
        if len(numbers):
            self._grow(int(numbers.max()) + 1)
            np.maximum.at(self._newest_ms, numbers, times_ms)

    def _grow(self, size: int) -> None:
        if size > len(self._newest_ms):
            more = np.full(max(size, 2 * len(self._newest_ms)) - len(self._newest_ms), NEVER_MS)
            self._newest_ms = np.concatenate([self._newest_ms, more])


def _last_of_each(
    numbers: npt.NDArray[np.int64], times_ms: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64] | None:
    """Return the rows to keep, in order of arrival, or None when no point comes twice."""
    order = np.lexsort((times_ms, numbers))
    n, t = numbers[order], times_ms[order]
    repeats = (n[1:] == n[:-1]) & (t[1:] == t[:-1])
    if not repeats.any():
        return None
    return np.sort(order[np.append(~repeats, True)])


def _state_rows(table: str, quantity: str, cells: pl.DataFrame) -> pl.DataFrame:
    is_float = cells["value"].dtype == pl.Float64()
    nothing = pl.lit(None)
    return cells.select(
        resolution=pl.lit(table),
        quantity=pl.lit(quantity),
        number=pl.col("number").cast(pl.Int32),
        time_ms=pl.col("time_ms"),
        value=(pl.col("value") if is_float else nothing).cast(pl.Float64),
        whole=(nothing if is_float else pl.col("value")).cast(pl.Int64),
    )


def _count(done: duckdb.DuckDBPyConnection) -> int:
    return int(done.fetchall()[0][0])
