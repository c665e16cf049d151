"""A file's bytes as rows of text: CSV in the encodings that Excel writes, or XLSX."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field

from billing.people_files.columns import Columns, column_of
from billing.people_files.workbook import looks_like_workbook, workbook_rows
from domain.faults import Fault

BYTES_MOST = 5 * 1024 * 1024
ROWS_MOST = 20_000
CELLS_MOST = 40
CELL_MOST = 1_000
DELIMITERS = ",;\t"

Numbered = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file: its number as people count it, and its cells by column."""

    source: str
    number: int
    cells: dict[str, str] = field(default_factory=dict)

    def at(self, column: str) -> str:
        """Name a cell in a fault."""
        return f"{self.source} {column}"

    def get(self, column: str) -> str:
        """Return a cell, blank where the column is missing."""
        return self.cells.get(column, "")


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows of a file and which columns it has."""

    columns: frozenset[str]
    rows: tuple[Row, ...]


def read_sheet(content: bytes, file: str, columns: Columns) -> tuple[Sheet | None, list[Fault]]:
    """Read a file; give its rows, or every fault of its form with file and line."""
    if len(content) > BYTES_MOST:
        return None, [Fault(file, f"has {len(content)} bytes; {BYTES_MOST} are allowed")]
    if looks_like_workbook(content):
        numbered, faults = workbook_rows(content, file, ROWS_MOST + 1, CELLS_MOST)
    else:
        numbered, faults = _csv_rows(content, file)
    if faults:
        return None, faults
    lines = [(number, cells) for number, cells in numbered if any(cells)]
    if not lines:
        return None, [Fault(file, "is empty")]
    if len(lines) > ROWS_MOST + 1:
        return None, [Fault(file, f"has more than {ROWS_MOST} rows; split it")]
    return _sheet(lines, file, columns)


def _sheet(lines: list[Numbered], file: str, columns: Columns) -> tuple[Sheet | None, list[Fault]]:
    number, heads = lines[0]
    heads = _without_tail(heads)
    known = [column_of(head, columns) for head in heads]
    faults = _head_faults(heads, known, f"{file}:{number}", columns)
    if faults:
        return None, faults
    rows: list[Row] = []
    for number, cells in lines[1:]:
        source = f"{file}:{number}"
        given = _without_tail(cells)
        if len(given) > len(heads):
            faults.append(Fault(source, f"has {len(given)} cells for {len(heads)} columns"))
            continue
        padded = given + [""] * (len(heads) - len(given))
        row = Row(source, number, dict(zip((one or "" for one in known), padded, strict=True)))
        faults += [
            Fault(row.at(column), f"has more than {CELL_MOST} characters")
            for column, cell in row.cells.items()
            if len(cell) > CELL_MOST
        ]
        faults += [
            Fault(row.at(column), "holds control characters")
            for column, cell in row.cells.items()
            if any(ord(letter) < 32 or ord(letter) == 127 for letter in cell)
        ]
        rows.append(row)
    if not rows and not faults:
        faults.append(Fault(file, "has a head and no rows"))
    return (None, faults) if faults else (Sheet(frozenset(filter(None, known)), tuple(rows)), [])


def _head_faults(
    heads: list[str], known: list[str | None], source: str, columns: Columns
) -> list[Fault]:
    allowed = ", ".join(columns.names)
    faults = [
        Fault(source, f"unknown column {head!r}; allowed are {allowed}")
        for head, column in zip(heads, known, strict=True)
        if column is None
    ]
    faults += [
        Fault(source, f"the column {column} is missing")
        for column in columns.required
        if column not in known
    ]
    twice = sorted({one for one in known if one is not None and known.count(one) > 1})
    return faults + [Fault(source, f"the column {column} stands twice") for column in twice]


def _csv_rows(content: bytes, file: str) -> tuple[list[Numbered], list[Fault]]:
    text = decoded(content)
    if text is None:
        return [], [Fault(file, "is neither UTF-8 nor GB18030 text, nor an XLSX workbook")]
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Numbered] = []
    begins = 1
    try:
        for cells in reader:
            rows.append((begins, [plain_cell(cell) for cell in cells[: CELLS_MOST + 1]]))
            begins = reader.line_num + 1
            if len(rows) > ROWS_MOST * 2:
                break
    except csv.Error as error:
        return [], [Fault(f"{file}:{begins}", f"is no valid CSV: {error}")]
    wide = [number for number, cells in rows if len(cells) > CELLS_MOST]
    return rows, [Fault(f"{file}:{number}", f"more than {CELLS_MOST} cells") for number in wide]


def decoded(content: bytes) -> str | None:
    """Return text of UTF-8 (with or without mark), UTF-16 with mark, or GB18030; None otherwise."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: Iterable[str] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\x00" in text else text
    return None


def plain_cell(cell: str) -> str:
    """Return a cell without the blanks around it and without the mark that kept it from being
    taken for a formula."""
    text = cell.strip()
    bare = text.lstrip("'")
    return text[1:] if text.startswith("'") and bare[:1] in tuple("=+-@") else text


def _without_tail(cells: Iterable[str]) -> list[str]:
    kept = list(cells)
    while kept and not kept[-1]:
        kept.pop()
    return kept
