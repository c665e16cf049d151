"""InfluxDB line protocol from polars frames: whole columns at a time, series keys kept.

A line is `<series key> <fields> <time>`. The series key (measurement and tags, escaped) is built
once a meter; fields are built by polars expressions, one a column, never by a loop over rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from domain.errors import InvalidInput
from domain.faults import Fault
from domain.ports import Rejected

_CONTROL = frozenset(map(chr, (*range(32), 127)))
_KEY = "\0key"  # no field can be called that
_NO_LINES = pl.Series(dtype=pl.String())


@dataclass(frozen=True, slots=True)
class Encoded:
    """Lines ready to send, `rows` the frame's row number of each, and the rows left out."""

    lines: pl.Series
    rows: pl.Series
    left_out: tuple[Rejected, ...]

    def payload(self, start: int = 0, end: int | None = None) -> bytes:
        """Return the lines from start to end, without it, as one request body."""
        part = self.lines[start:end]
        return "\n".join(part.to_list()).encode() if len(part) < 64 else _joined(part)


def tag_fault(value: str) -> str | None:
    """Say why a text can't be a tag value, or None. Line protocol has no way to write these."""
    if any(letter in _CONTROL for letter in value):
        return "control character (a line break or its like); printable text is allowed"
    if value.endswith("\\"):
        return "backslash at the end; line protocol can't write it"
    return None


def escape_tag(text: str) -> str:
    """Escape a tag key, tag value or field name: comma, equals sign and space."""
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def escape_measurement(text: str) -> str:
    """Escape a measurement name: comma and space."""
    return text.replace(",", "\\,").replace(" ", "\\ ")


def series_key(measurement: str, tags: Mapping[str, str]) -> str:
    """Return the escaped measurement and tags, sorted by name; empty tags are left out.

    Raises InvalidInput listing every tag that line protocol can't hold.
    """
    texts = {"measurement": measurement, **tags}
    faults = [
        Fault(name, reason, text)
        for name, text in texts.items()
        if (reason := tag_fault(text)) is not None
    ]
    if faults or not measurement:
        raise InvalidInput(faults or [Fault("measurement", "must not be empty")])
    pairs = (f",{escape_tag(name)}={escape_tag(tags[name])}" for name in sorted(tags) if tags[name])
    return escape_measurement(measurement) + "".join(pairs)


class SeriesKeys:
    """The series key of each meter of one measurement, built once."""

    def __init__(self, measurement: str, tags: Mapping[str, Mapping[str, str]]) -> None:
        """Take the tags of each meter by its name. Raises InvalidInput like `series_key`."""
        self._measurement = measurement
        self._keys = {meter: series_key(measurement, own) for meter, own in tags.items()}
        self._index()

    def has(self, meter: str) -> bool:
        """Say whether the meter has a key."""
        return meter in self._keys

    def add(self, meter: str, tags: Mapping[str, str]) -> None:
        """Add a meter that the roster does not know. Raises InvalidInput like `series_key`."""
        self._keys[meter] = series_key(self._measurement, tags)
        self._index()

    def unknown(self, meters: pl.Series) -> list[str]:
        """Return the meters that have no key yet, each once."""
        numbers = self._numbers(meters)
        if not numbers.null_count():
            return []
        return meters.filter(numbers.is_null()).drop_nulls().unique().to_list()

    def of(self, meters: pl.Series) -> pl.Series:
        """Return the key of each row's meter, null for an unknown one."""
        return self._texts.gather(self._numbers(meters))

    def _numbers(self, meters: pl.Series) -> pl.Series:
        return meters.cast(self._enum, strict=False).to_physical().cast(pl.UInt32)

    def _index(self) -> None:
        self._enum = pl.Enum(list(self._keys))
        self._texts = pl.Series(list(self._keys.values()), dtype=pl.String())


def encode(frame: pl.DataFrame, keys: SeriesKeys, fields: Sequence[str]) -> Encoded:
    """Turn rows into lines; nulls, NaN and infinities are left out, integers end in `i`.

    Needs columns time (Datetime, ms), meter, and the fields (float, integer, boolean, text, enum).
    Rows without any field, and rows of a meter without a key, are left out and reported.
    """
    table = _finite(frame.select("time", *fields), fields).with_columns(
        keys.of(frame["meter"]).alias(_KEY)
    )
    rows = pl.Series("row", range(frame.height), pl.Int64())
    left_out: tuple[Rejected, ...] = ()
    good = _writable(table, fields)
    if good is not None:
        left_out = tuple(_left_out(row, table) for row in (~good).arg_true())
        table, rows = table.filter(good), rows.filter(good)
    return Encoded(_lines(table, fields), rows, left_out)


def _finite(frame: pl.DataFrame, fields: Sequence[str]) -> pl.DataFrame:
    broken = [
        name
        for name in fields
        if frame[name].dtype.is_float() and not frame[name].is_finite().all()
    ]
    return frame.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in broken
    )


def _writable(table: pl.DataFrame, fields: Sequence[str]) -> pl.Series | None:
    """Return which rows can be written, or None for all of them (the usual case)."""
    some_field = any(not table[name].null_count() for name in fields)
    if some_field and not table[_KEY].null_count() and not table["time"].null_count():
        return None
    present = (pl.col(name).is_not_null() for name in fields)
    return table.select(
        pl.any_horizontal(pl.lit(value=False), *present)
        & pl.col(_KEY).is_not_null()
        & pl.col("time").is_not_null()
    ).to_series()


def _lines(table: pl.DataFrame, fields: Sequence[str]) -> pl.Series:
    full = [name for name in fields if not table[name].null_count()]
    gappy = [name for name in fields if 0 < table[name].null_count() < table.height]
    time = pl.col("time").to_physical()
    if not full:
        # Each field brings its own comma; the first one of each row is taken away again.
        body = pl.concat_str(*(_gappy(table[name]) for name in gappy), ignore_nulls=True)
        pieces = [pl.col(_KEY), pl.lit(" "), body.str.strip_prefix(","), pl.lit(" "), time]
        return table.select(pl.concat_str(pieces)).to_series() if gappy else _NO_LINES
    pieces = [pl.col(_KEY)]
    before = " "
    for name in full:
        pieces += [pl.lit(f"{before}{escape_tag(name)}="), *_value(table[name])]
        before = ","
    pieces += [*(_gappy(table[name]) for name in gappy), pl.lit(" "), time]
    return table.select(pl.concat_str(pieces, ignore_nulls=True)).to_series()


def _gappy(column: pl.Series) -> pl.Expr:
    """Return `,name=value`, null where the value is."""
    return pl.concat_str(pl.lit(f",{escape_tag(column.name)}="), *_value(column))


def _value(column: pl.Series) -> list[pl.Expr]:
    value = pl.col(column.name)
    if column.dtype.is_integer():
        return [value, pl.lit("i")]
    if column.dtype.is_float() or column.dtype == pl.Boolean():
        return [value]
    if isinstance(column.dtype, pl.Enum):
        texts = pl.Series([_quoted(text) for text in column.dtype.categories], dtype=pl.String())
        return [pl.lit(texts.gather(column.to_physical().cast(pl.UInt32)))]
    text = value.str.replace_all("\\", "\\\\", literal=True)
    return [pl.lit('"'), text.str.replace_all('"', '\\"', literal=True), pl.lit('"')]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _left_out(row: int, table: pl.DataFrame) -> Rejected:
    if table[_KEY][row] is None:
        return Rejected(row, "a meter without a series key")
    return Rejected(row, "no time" if table["time"][row] is None else "no field has a value")


def _joined(lines: pl.Series) -> bytes:
    text: str = lines.str.join("\n").item()
    return text.encode()
