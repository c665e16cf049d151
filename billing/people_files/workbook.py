"""XLSX workbooks: the first sheet as text; formulas and lost digits are faults, not guesses."""

import io
import zipfile
from datetime import date, datetime, time
from typing import Any

import openpyxl
from openpyxl.utils import get_column_letter

from domain.faults import Fault

UNPACKED_MOST = 64 * 1024 * 1024
PARTS_MOST = 1_000
# A spreadsheet's numbers carry this many digits; longer ones have lost some.
DIGITS_MOST = 15

Numbered = tuple[int, list[str]]


def looks_like_workbook(content: bytes) -> bool:
    """Say whether bytes are a ZIP archive, as XLSX is."""
    return content.startswith(b"PK\x03\x04")


def workbook_rows(
    content: bytes, file: str, rows_most: int, cells_most: int
) -> tuple[list[Numbered], list[Fault]]:
    """Return the rows of the first sheet as text, or every fault with file, row and column."""
    refusal = _refusal(content)
    if refusal:
        return [], [Fault(file, refusal)]
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False)
    except Exception as error:  # noqa: BLE001 - openpyxl raises whatever its parsers do
        return [], [Fault(file, f"is no XLSX workbook that can be read: {error}")]
    try:
        return _rows(book.worksheets[0], file, rows_most, cells_most)
    except Exception as error:  # noqa: BLE001 - a damaged sheet is parsed only while read
        return [], [Fault(file, f"is damaged: {error}")]
    finally:
        book.close()


def _refusal(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except zipfile.BadZipFile as error:
        return f"is a damaged workbook: {error}"
    if len(parts) > PARTS_MOST or sum(part.file_size for part in parts) > UNPACKED_MOST:
        return f"unpacks to more than {UNPACKED_MOST} bytes or {PARTS_MOST} parts"
    return ""


def _rows(
    sheet: Any, file: str, rows_most: int, cells_most: int
) -> tuple[list[Numbered], list[Fault]]:
    rows: list[Numbered] = []
    faults: list[Fault] = []
    # What the sheet says of its own size may be wrong, or huge for the sake of a format.
    sheet.reset_dimensions()
    for number, cells in enumerate(sheet.iter_rows(max_col=cells_most + 1), start=1):
        texts: list[str] = []
        for place, cell in enumerate(cells, start=1):
            text, wrong = _text(cell)
            if wrong:
                faults.append(Fault(f"{file}:{number} {get_column_letter(place)}", wrong))
            texts.append(text)
        if any(texts):
            rows.append((number, texts))
        if len(texts) > cells_most and texts[cells_most]:
            faults.append(Fault(f"{file}:{number}", f"more than {cells_most} cells"))
        if len(rows) > rows_most or number > rows_most * 10:
            break
    return rows, faults


def _text(cell: Any) -> tuple[str, str]:
    """Return a cell as text, or what is wrong with it."""
    value = cell.value
    if value is None:
        return "", ""
    if cell.data_type == "f":
        return "", "holds a formula; put its value there"
    if cell.data_type == "e":
        return "", f"holds the error {value}"
    if isinstance(value, bool):
        return "", "holds a yes/no value; text is needed"
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat(), ""
    if isinstance(value, datetime | date):
        return value.isoformat(), ""
    if isinstance(value, int | float):
        return _number(value)
    return str(value).strip(), ""


def _number(value: float) -> tuple[str, str]:
    if abs(value) >= 10**DIGITS_MOST:
        return "", f"is a number of more than {DIGITS_MOST} digits: make the column text"
    whole = int(value)
    return (str(whole) if value == whole else repr(value)), ""
