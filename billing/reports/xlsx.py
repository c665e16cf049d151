"""A report as an XLSX workbook: printable, frozen head, totals that Excel adds up again itself."""

from datetime import datetime
from io import BytesIO
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from billing.reports.model import Cell, Column, Kind
from billing.reports.printed import Printed, cell_text
from domain.money import MINOR_PER_UNIT, WH_PER_KWH
from domain.texts import text

# From so many rows on, rows are written to disk as they come instead of being kept in memory.
STREAMED_FROM_ROWS = 20_000
WIDTH_LEAST, WIDTH_MOST = 8, 42
WIDTH_ROWS = 500
_FORMATS = {
    Kind.MONEY: "#,##0.00;[Red]-#,##0.00",
    Kind.ENERGY: "#,##0.000;[Red]-#,##0.000",
    Kind.COUNT: "#,##0",
    Kind.TIME: "yyyy-mm-dd hh:mm:ss",
    Kind.DATE: "yyyy-mm-dd",
}
_SCALE = {Kind.MONEY: MINOR_PER_UNIT, Kind.ENERGY: WH_PER_KWH}
_HEAD_ROW = 3


def write_xlsx(page: Printed) -> bytes:
    """Return the workbook of one report."""
    buffer = BytesIO()
    streamed = len(page.rows) >= STREAMED_FROM_ROWS
    # Text stays text, whatever it looks like: no formulas, links or numbers are made of it.
    options = {
        "constant_memory": streamed,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_date_format": _FORMATS[Kind.TIME],
    }
    with xlsxwriter.Workbook(buffer, options) as book:
        book.set_properties({"title": page.title, "comments": page.subtitle})
        book.set_calc_mode("auto")
        _Sheet(book, page).write()
    return buffer.getvalue()


class _Sheet:
    """Writes the one sheet of a workbook, strictly from top to bottom."""

    def __init__(self, book: Any, page: Printed) -> None:
        self._page = page
        self._sheet = book.add_worksheet(_sheet_name(page.title))
        face = {"font_name": "SimSun" if page.language == "zh-CN" else "Arial", "font_size": 10}
        self._title = book.add_format({**face, "bold": True, "font_size": 14})
        self._plain = book.add_format(face)
        self._note = book.add_format({**face, "italic": True, "font_color": "#555555"})
        self._head = book.add_format(
            {**face, "bold": True, "bg_color": "#DCE6F1", "border": 1, "text_wrap": True,
             "align": "center", "valign": "vcenter"}
        )  # fmt: skip
        self._body = [_format(book, column, {**face, "border": 1}) for column in page.columns]
        last = {**face, "border": 1, "bold": True, "top": 2, "bg_color": "#F2F2F2"}
        self._last = [_format(book, column, last) for column in page.columns]

    def write(self) -> None:
        """Write everything."""
        self._set_up()
        page, sheet = self._page, self._sheet
        sheet.write_string(0, 0, page.title, self._title)
        sheet.write_string(1, 0, page.subtitle, self._plain)
        sheet.write_string(2, 0, page.made, self._note)
        for place, head in enumerate(page.heads):
            sheet.write_string(_HEAD_ROW, place, head, self._head)
        row = _HEAD_ROW + 1
        for cells in page.rows:
            self._write_row(row, cells, self._body)
            row += 1
        if page.rounding:
            self._write_row(row, page.rounding, self._body)
            row += 1
        if page.total:
            self._write_total(row)
            row += 1
        for note in page.notes:
            row += 1
            sheet.write_string(row, 0, note, self._note)

    def _set_up(self) -> None:
        page, sheet = self._page, self._sheet
        for place, width in enumerate(_widths(page)):
            sheet.set_column(place, place, width)
        sheet.freeze_panes(_HEAD_ROW + 1, 1)
        sheet.repeat_rows(_HEAD_ROW)
        sheet.set_paper(9)
        if len(page.columns) > 6:
            sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.7)
        # An ampersand begins a code in headers and footers; two of them print one.
        title, subtitle = (words.replace("&", "&&") for words in (page.title, page.subtitle))
        sheet.set_header(f"&L{title[:80]}&R{subtitle[:120]}")
        sheet.set_footer("&C" + text("report.page", page.language, page="&P", pages="&N"))
        if page.rows:
            last = _HEAD_ROW + len(page.rows)
            sheet.autofilter(_HEAD_ROW, 0, last, len(page.columns) - 1)

    def _write_row(self, row: int, cells: tuple[Cell, ...], formats: list[Any]) -> None:
        for place, (cell, column) in enumerate(zip(cells, self._page.columns, strict=True)):
            _write(self._sheet, row, place, cell, column, formats[place])

    def _write_total(self, row: int) -> None:
        page = self._page
        for place, (cell, column) in enumerate(zip(page.total or (), page.columns, strict=True)):
            if column.adds_up and isinstance(cell, int):
                letter = xl_col_to_name(place)
                formula = f"=SUM({letter}{_HEAD_ROW + 2}:{letter}{row})"
                value = cell / _SCALE.get(column.kind, 1)
                self._sheet.write_formula(row, place, formula, self._last[place], value)
            else:
                _write(self._sheet, row, place, cell, column, self._last[place])


def _write(sheet: Any, row: int, place: int, cell: Cell, column: Column, style: Any) -> None:
    if cell is None:
        sheet.write_blank(row, place, None, style)
    elif isinstance(cell, int):
        sheet.write_number(row, place, cell / _SCALE.get(column.kind, 1), style)
    elif isinstance(cell, str):
        sheet.write_string(row, place, cell, style)
    else:
        value = cell if isinstance(cell, datetime) else datetime.combine(cell, datetime.min.time())
        sheet.write_datetime(row, place, value, style)


def _format(book: Any, column: Column, style: dict[str, Any]) -> Any:
    number = _FORMATS.get(column.kind)
    return book.add_format({**style, "num_format": number} if number else style)


def _sheet_name(title: str) -> str:
    return "".join(letter for letter in title if letter not in "[]:*?/\\'")[:31] or "report"


def _widths(page: Printed) -> list[int]:
    """Return column widths in characters: the widest of the first rows and the total."""
    lines = [*page.rows[:WIDTH_ROWS], *([page.total] if page.total else [])]
    return [
        min(
            max(
                [
                    WIDTH_LEAST,
                    (_wide(page.heads[place]) + 1) // 2 + 2,
                    *(_wide(cell_text(line[place], column)) + 3 for line in lines),
                ]
            ),
            WIDTH_MOST,
        )
        for place, column in enumerate(page.columns)
    ]


def _wide(words: str) -> int:
    """Return how many columns words take; Chinese characters take two."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in words)
