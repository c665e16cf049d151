"""Rows of text as CSV or XLSX that a spreadsheet shows and never runs."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

import openpyxl
from openpyxl.cell import WriteOnlyCell

from billing.people_files.columns import Columns, head_of
from domain.catalogue.language import Language

# A cell that begins so is run as a formula by spreadsheets.
FORMULA_LEADS = ("=", "+", "-", "@", "\t", "\r")
TEXT_FORMAT = "@"
WIDTH = 18


def write_csv(
    rows: Iterable[Mapping[str, str]], columns: Columns, language: Language = "en"
) -> bytes:
    """Write rows as CSV in UTF-8 with the mark that Excel needs."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([head_of(column, language) for column in columns.names])
    for row in rows:
        writer.writerow([neutral(row.get(column, "")) for column in columns.names])
    return out.getvalue().encode("utf-8-sig")


def write_xlsx(
    rows: Iterable[Mapping[str, str]], columns: Columns, language: Language = "en"
) -> bytes:
    """Write rows as a workbook of text cells."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("wattwarden")
    sheet.freeze_panes = "A2"
    for place in range(len(columns.names)):
        sheet.column_dimensions[chr(ord("A") + place)].width = WIDTH
    heads = [head_of(column, language) for column in columns.names]
    sheet.append([_cell(sheet, head) for head in heads])
    for row in rows:
        sheet.append([_cell(sheet, row.get(column, "")) for column in columns.names])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def neutral(text: str) -> str:
    """Return a text that no spreadsheet runs; `reading.plain_cell` takes the mark off again."""
    bare = text.lstrip("'")
    return f"'{text}" if bare.startswith(FORMULA_LEADS) else text


def _cell(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, None)
    if text:
        cell.value = text
        # Whatever it looks like: a text. The prefix keeps it one when somebody edits the cell.
        cell.data_type = "s"
        cell.number_format = TEXT_FORMAT
        cell.quotePrefix = 1 if text.startswith(FORMULA_LEADS) else 0
    return cell
