"""A report as a PDF on A4: Chinese with the font inside, head on every page, page x of y."""

from collections.abc import Sequence
from datetime import datetime

from fpdf import FPDF
from fpdf.enums import Align, WrapMode, XPos, YPos

from billing.reports.font import FAMILY, use_font
from billing.reports.model import Cell, Column, Kind
from billing.reports.printed import Printed, cell_text
from domain.errors import InvalidInput
from domain.faults import Fault
from domain.texts import text

ROWS_MOST = 5_000
_TITLE_PT, _BODY_PT, _SMALLEST_PT, _NOTE_PT = 15, 8.5, 6, 8
_MARGIN_MM, _PAD_MM = 10.0, 1.2
_RIGHT = frozenset({Kind.MONEY, Kind.ENERGY, Kind.COUNT, Kind.RATE})
_HEAD_FILL, _TOTAL_FILL = (220, 230, 241), (242, 242, 242)


def write_pdf(page: Printed) -> bytes:
    """Return the document. Raises InvalidInput for more than ROWS_MOST rows: use XLSX or CSV."""
    if len(page.rows) > ROWS_MOST:
        message = f"a PDF has at most {ROWS_MOST} rows, this report {len(page.rows)}: use xlsx"
        raise InvalidInput([Fault("format", message)])
    document = _Document(page)
    document.write_report()
    return bytes(document.output())


class _Document(FPDF):
    """One report, laid out from top to bottom."""

    def __init__(self, page: Printed) -> None:
        wide = len(page.columns) > 6
        super().__init__(orientation="landscape" if wide else "portrait", format="A4")
        self._page = page
        self.set_title(page.title)
        self.set_lang(page.language)
        self.set_margins(_MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=14)
        self.c_margin = _PAD_MM
        use_font(self, _BODY_PT)
        self._body_pt, self._widths = self._fitted()

    def header(self) -> None:
        """Put the report's name on every page, and the table's head below it."""
        page = self._page
        if self.page_no() == 1:
            self.set_font(FAMILY, size=_TITLE_PT)
            self._line(page.title, 9, Align.C)
            self.set_font(FAMILY, size=_NOTE_PT)
            self._line(page.subtitle, 5, Align.C)
            self._line(page.made, 5, Align.C)
            self.ln(2)
        else:
            self.set_font(FAMILY, size=_NOTE_PT)
            self._line(f"{page.title}  {page.subtitle}", 6, Align.L)
        self._write_head()

    def footer(self) -> None:
        """Number the pages."""
        self.set_y(-11)
        self.set_font(FAMILY, size=_NOTE_PT)
        pages = str(self.str_alias_nb_pages)
        words = text("report.page", self._page.language, page=self.page_no(), pages=pages)
        self.cell(0, 5, words, align=Align.C)

    def write_report(self) -> None:
        """Write rows, rounding line, total and notes."""
        page = self._page
        self.add_page()
        self.set_font(FAMILY, size=self._body_pt)
        for row in page.rows:
            self._write_row(row)
        if page.rounding:
            self._write_row(page.rounding)
        if page.total:
            self._write_row(page.total, fill=_TOTAL_FILL)
        self.set_font(FAMILY, size=_NOTE_PT)
        self.ln(2)
        for note in page.notes:
            self.multi_cell(0, 4.5, note, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _line(self, words: str, height: float, align: Align) -> None:
        self.cell(0, height, words, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _write_head(self) -> None:
        self.set_font(FAMILY, size=self._body_pt)
        self.set_fill_color(*_HEAD_FILL)
        self._write_lines(
            [self._wrapped(head, place) for place, head in enumerate(self._page.heads)]
        )

    def _write_row(self, row: Sequence[Cell], fill: tuple[int, int, int] | None = None) -> None:
        cells = [
            self._wrapped(_shown(cell, column), place)
            for place, (cell, column) in enumerate(zip(row, self._page.columns, strict=True))
        ]
        height = max(len(lines) for lines in cells) * self._line_mm + 1
        if self.will_page_break(height):
            self.add_page()
            self.set_font(FAMILY, size=self._body_pt)
        if fill:
            self.set_fill_color(*fill)
        self._write_lines(cells, filled=fill is not None, is_head=False)

    def _write_lines(
        self, cells: Sequence[Sequence[str]], *, filled: bool = True, is_head: bool = True
    ) -> None:
        height = max(len(lines) for lines in cells) * self._line_mm + 1
        left, top = self.l_margin, self.get_y()
        style = "DF" if filled else "D"
        for lines, width, column in zip(cells, self._widths, self._page.columns, strict=True):
            self.rect(left, top, width, height, style=style)
            align = Align.C if is_head else Align.R if column.kind in _RIGHT else Align.L
            for number, line in enumerate(lines):
                self.set_xy(left, top + 0.5 + number * self._line_mm)
                self.cell(width, self._line_mm, line, align=align)
            left += width
        self.set_xy(self.l_margin, top + height)

    @property
    def _line_mm(self) -> float:
        return self._body_pt * 0.45

    def _wrapped(self, words: str, place: int) -> list[str]:
        """Break words into the lines that fit a column; a word too long is broken anywhere."""
        room = self._widths[place] - 2 * self.c_margin - 0.05
        if self.get_string_width(words) <= room:
            return [words]
        lines: list[str] = self.multi_cell(
            self._widths[place], self._line_mm, words, dry_run=True, output="LINES",
            wrapmode=WrapMode.CHAR,
        )  # type: ignore[assignment]  # fmt: skip
        return lines or [""]

    def _fitted(self) -> tuple[float, list[float]]:
        """Return the size of the letters and the columns' widths that fill the page's width.

        Figures are never broken; what does not fit makes the letters smaller, then text wraps.
        """
        for size_pt in (_BODY_PT, 7.5, 7, 6.5, _SMALLEST_PT):
            self.set_font(FAMILY, size=size_pt)
            least, wished = self._wants()
            if sum(wished) <= self.epw:
                return size_pt, _shared(wished, wished, self.epw)
            if sum(least) <= self.epw and size_pt <= 7:
                return size_pt, _shared(least, wished, self.epw)
        share = self.epw / sum(least)
        return _SMALLEST_PT, [width * share for width in least]

    def _wants(self) -> tuple[list[float], list[float]]:
        page, least, wished = self._page, [], []
        lines = [*page.rows[:300], *(line for line in (page.rounding, page.total) if line)]
        for place, column in enumerate(page.columns):
            widths = [self.get_string_width(_shown(line[place], column)) for line in lines]
            widest = max([0.0, *widths])
            head = self.get_string_width(page.heads[place])
            pad = 2 * self.c_margin + 0.5
            firm = widest if column.kind not in (Kind.TEXT, Kind.NAME) else min(widest, 16.0)
            least.append(max(firm, min(head, 9.0)) + pad)
            wished.append(max(min(widest, 60.0), min(head, widest + 14.0)) + pad)
        return least, wished


def _shown(cell: Cell, column: Column) -> str:
    # Seconds say nothing on paper, and the width is needed.
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M}"
    return cell_text(cell, column)


def _shared(least: Sequence[float], wished: Sequence[float], room: float) -> list[float]:
    """Give each column its least width and a share of what is left, by what it still wishes."""
    spare = room - sum(least)
    open_wishes = [wish - low for low, wish in zip(least, wished, strict=True)]
    total = sum(open_wishes)
    if total <= 0:
        return [low + spare / len(least) for low in least]
    return [low + spare * wish / total for low, wish in zip(least, open_wishes, strict=True)]
