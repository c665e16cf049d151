"""UnionPay's transaction file: a deflated zip with a ZM file of fixed widths, a blank between."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date

from billing.payments.http import STATEMENT_BYTES_MOST
from billing.payments.model import RowKind, StatementRow
from billing.payments.reading import Unreadable, beijing_time

# The widths of the first 28 columns; later ones are not needed, and grew over the years.
WIDTHS = (
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21,
    15,
)  # fmt: skip
TIME, AMOUNT, QUERY_ID, ORDER, KIND = 4, 6, 9, 11, 19
_LINE_LEAST = sum(WIDTHS) + len(WIDTHS) - 1
_FILES_MOST = 20


def bill_rows(packed: bytes, day: date) -> list[StatementRow]:
    """Read payments and refunds. Raises Unreadable."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, STATEMENT_BYTES_MOST)
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files = [file for file in archive.infolist()[:_FILES_MOST] if _is_zm(file.filename)]
            if sum(file.file_size for file in files) > STATEMENT_BYTES_MOST:
                raise Unreadable(f"the file is above {STATEMENT_BYTES_MOST} bytes")
            # Widths count bytes, so the text is read a byte a letter; names in it are not needed.
            pages = [archive.read(file).decode("latin-1") for file in files]
    except (zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise Unreadable("it is no deflated zip") from error
    return [row for page in pages for row in _rows(page, day)]


def _is_zm(name: str) -> bool:
    """Say whether a file is the one of transactions: INN<yymmdd><2 digits>ZM_<merchant>."""
    return name.startswith("INN") and name[11:14] == "ZM_"


def _rows(page: str, day: date) -> Iterator[StatementRow]:
    for line in page.splitlines():
        if not line.strip():
            continue
        if len(line) < _LINE_LEAST:
            raise Unreadable("a line is too short")
        columns, start = [], 0
        for width in WIDTHS:
            columns.append(line[start : start + width].strip())
            start += width + 1
        kind, amount = columns[KIND], columns[AMOUNT]
        if not amount.isdigit():
            raise Unreadable("a line has no amount")
        if kind not in ("01", "04"):
            continue
        is_refund = kind == "04"
        yield StatementRow(
            kind=RowKind.REFUND if is_refund else RowKind.PAYMENT,
            provider_ref=columns[QUERY_ID],
            order="" if is_refund else columns[ORDER],
            amount_minor=int(amount),
            time=beijing_time(f"{_year(columns[TIME], day):04d}{columns[TIME]}", "%Y%m%d%H%M%S"),
            refund=columns[ORDER] if is_refund else "",
        )


def _year(moment: str, day: date) -> int:
    """Return the year of a time that has none: that of the clearing day, or the one before."""
    return day.year - (moment[:2] == "12" and day.month == 1)
