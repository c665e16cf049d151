"""A report as CSV: UTF-8 with a byte order mark, so that Excel reads Chinese; no formulas."""

import csv
from io import StringIO

from billing.reports.printed import Printed, cell_text

# A cell that begins so is run as a formula by spreadsheet programs when the file is opened.
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(page: Printed) -> bytes:
    """Return heads, rows, the rounding line and the total; title and notes are left out."""
    out = StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(page.heads)
    lines = [*page.rows, *(line for line in (page.rounding, page.total) if line)]
    for line in lines:
        writer.writerow(
            _safe(cell_text(cell, column)) if isinstance(cell, str) else cell_text(cell, column)
            for cell, column in zip(line, page.columns, strict=True)
        )
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _safe(words: str) -> str:
    return f"'{words}" if words.startswith(_DANGEROUS) else words
