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
_NO_LINES = pl.Series(dtype=pl.String())


@dataclass(frozen=True, slots=True)
class Encoded:
    """Lines ready to send, each with its line break, `rows` the frame's row number of each, and
    the rows left out."""

    lines: pl.Series
    rows: pl.Series
    left_out: tuple[Rejected, ...]

    def payload(self, start: int = 0, end: int | None = None) -> bytes:
        """Return the lines from start to end, without it, as one request body."""
        texts = self.lines[start:end].to_arrow(compat_level=pl.CompatLevel.oldest())
        # One buffer holds all lines end to end: the request body, without a loop or a copy more.
        data = texts.buffers()[2]
        return b"" if data is None else bytes(data)


def tag_fault(value: str) -> str | None:
    """Say why a text can't be a tag value, or None. Line protocol has no way to write these."""
    if any(letter in _CONTROL for letter in value):
        return "control character (a line break or its like); printable text is allowed"
    if value.endswith("\\"):
        return "backslash at the end; line protocol can't write it"
    return None


def name_fault(name: str) -> str | None:
    """Say why a text can't be the name of a measurement, tag or field, or None."""
    if not name or name == "time":
        return "must be a name, other than time"
    if "\\" in name:
        return "backslash in a name; InfluxDB reads it back as another name"
    return tag_fault(name)


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
    faults = [
        Fault("name", reason, name)
        for name in (measurement, *tags)
        if (reason := name_fault(name)) is not None
    ] + [
        Fault(name, reason, value)
        for name, value in tags.items()
        if (reason := tag_fault(value)) is not None
    ]
    if faults:
        raise InvalidInput(faults)
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
    Rows without any field, and rows of a meter without a key, are left out and reported. Raises
    InvalidInput on field names that line protocol can't hold.
    """
    faults = [Fault("field", why, name) for name in fields if (why := name_fault(name))]
    if faults:
        raise InvalidInput(faults)
    # Columns go by their place from here on: polars reads names like "^a$" as patterns.
    places = [f"f{place}" for place in range(len(fields))]
    values = [frame[name].alias(place) for name, place in zip(fields, places, strict=True)]
    table = _finite(
        pl.DataFrame([keys.of(frame["meter"]).alias("key"), frame["time"].alias("time"), *values])
    )
    rows = pl.Series("row", range(frame.height), pl.Int64())
    left_out: tuple[Rejected, ...] = ()
    good = _writable(table, places)
    if good is not None:
        left_out = tuple(_left_out(row, table) for row in (~good).arg_true())
        table, rows = table.filter(good), rows.filter(good)
    labels = {place: escape_tag(name) for name, place in zip(fields, places, strict=True)}
    return Encoded(_lines(table, labels), rows, left_out)


def _finite(table: pl.DataFrame) -> pl.DataFrame:
    floats = [column.name for column in table if column.dtype.is_float()]
    whole = table.select(pl.col(name).is_finite().all() for name in floats).to_dicts()
    broken = [name for name in floats if not whole[0][name]]
    return table.with_columns(
        pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in broken
    )


def _writable(table: pl.DataFrame, places: Sequence[str]) -> pl.Series | None:
    """Return which rows can be written, or None for all of them (the usual case)."""
    some_field = any(not table[place].null_count() for place in places)
    if some_field and not table["key"].null_count() and not table["time"].null_count():
        return None
    present = (pl.col(place).is_not_null() for place in places)
    return table.select(
        pl.any_horizontal(pl.lit(value=False), *present)
        & pl.col("key").is_not_null()
        & pl.col("time").is_not_null()
    ).to_series()


def _lines(table: pl.DataFrame, labels: Mapping[str, str]) -> pl.Series:
    full = [
        _field(table[place], labels[place]) for place in labels if not table[place].null_count()
    ]
    gappy = [
        _field(table[place], labels[place])
        for place in labels
        if 0 < table[place].null_count() < table.height
    ]
    time = pl.col("time").to_physical()
    if not full and not gappy:
        return _NO_LINES
    head = "{} " + ",".join(template for template, _ in full)
    inputs = [pl.col("key"), *(value for _, value in full)]
    if not gappy:
        return table.select(pl.format(head + " {}\n", *inputs, time)).to_series()
    # A format of a null is null, and left out. Each of these brings its own comma.
    some = [pl.format(f",{template}", value) for template, value in gappy]
    end = pl.format(" {}\n", time)
    if full:
        pieces = [pl.format(head, *inputs), *some, end]
        return table.select(pl.concat_str(pieces, ignore_nulls=True)).to_series()
    # The first comma of each row is taken away again.
    body = pl.concat_str(some, ignore_nulls=True).str.strip_prefix(",")
    return table.select(pl.concat_str(pl.format(head, *inputs), body, end)).to_series()


def _field(column: pl.Series, label: str) -> tuple[str, pl.Expr]:
    """Return the format of `name=value` and the value that goes into it."""
    name = label.replace("{", "{{").replace("}", "}}")
    value = pl.col(column.name)
    if column.dtype.is_integer():
        return f"{name}={{}}i", value
    if column.dtype.is_float() or column.dtype == pl.Boolean():
        return f"{name}={{}}", value
    if isinstance(column.dtype, pl.Enum):
        texts = pl.Series([_quoted(text) for text in column.dtype.categories], dtype=pl.String())
        return f"{name}={{}}", pl.lit(texts.gather(column.to_physical().cast(pl.UInt32)))
    escaped = value.str.replace_all("\\", "\\\\", literal=True)
    return f'{name}="{{}}"', escaped.str.replace_all('"', '\\"', literal=True)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _left_out(row: int, table: pl.DataFrame) -> Rejected:
    if table["key"][row] is None:
        return Rejected(row, "a meter without a series key")
    return Rejected(row, "no time" if table["time"][row] is None else "no field has a value")
