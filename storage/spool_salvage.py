"""Finds the records of a spool file that SQLite can no longer read, each proven by its checksum."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

from storage.spool_tables import checksum
from storage.sqlite_pages import (
    TABLE_LEAF,
    Bytes,
    Cell,
    PageImage,
    cells_anywhere,
    cells_by_pointers,
    column_types,
    row_bytes,
    values_of,
)

SEARCHED_PAGES_MOST = 5_000
RECORD_BYTES_MOST = 64 * 1024 * 1024
_TABLE_INNER = 0x05
_INDEX_KINDS = (0x02, 0x0A)
_KINDS = (*_INDEX_KINDS, _TABLE_INNER, TABLE_LEAF)


@dataclass(frozen=True, slots=True)
class Found:
    """A row found in a damaged file: which table it belongs to, its number and its columns."""

    table: str
    seq: int
    values: tuple[object, ...]


def salvage(image: PageImage) -> Iterator[Found]:
    """Yield every whole row, in no order and perhaps more than once.

    Pages are read by their own pointers first; those whose bookkeeping does not add up are then
    searched byte by byte, and at last those that nothing accounts for, so many of each.
    """
    torn: list[Bytes] = []
    for number in range(2, image.main_pages + 1):
        page = image.file_page(number)
        sound = yield from _rows_of(image, page)
        # A leaf that lost its kind by a flipped bit may pass for an inner page.
        if not sound and page[0] in (TABLE_LEAF, _TABLE_INNER) and len(torn) < SEARCHED_PAGES_MOST:
            torn.append(page)
    yield from _searched(image, torn)
    yield from salvage_log(image)
    yield from _searched(image, _unexplained(image))


def salvage_log(image: PageImage) -> Iterator[Found]:
    """Yield every whole row in the write-ahead log alone."""
    torn: list[tuple[int, Bytes]] = []
    for number, page in image.log_pages():
        sound = yield from _rows_of(image, page)
        if not sound and page[0] not in _INDEX_KINDS and len(torn) < SEARCHED_PAGES_MOST:
            torn.append((number, page))
    yield from _searched(image, (page for number, page in torn if not image.is_explained(number)))


def _rows_of(image: PageImage, page: Bytes) -> Generator[Found, None, bool]:
    cells, sound = cells_by_pointers(page)
    for cell in cells:
        found = _row(image, cell)
        if found:
            yield found
        else:
            sound = False
    return sound


def _searched(image: PageImage, pages: Iterable[Bytes]) -> Iterator[Found]:
    for page in islice(pages, SEARCHED_PAGES_MOST):
        for cell in cells_anywhere(page):
            found = _row(image, cell)
            if found and found.table != "settled":
                yield found


def _unexplained(image: PageImage) -> Iterator[Bytes]:
    """Yield pages that are neither of a known kind nor part of a row that was found whole."""
    for number in range(2, image.main_pages + 1):
        page = image.file_page(number)
        if not image.is_explained(number) and page[0] not in _KINDS and any(page):
            yield page


def _row(image: PageImage, cell: Cell) -> Found | None:
    """Read a cell as a row of one of our tables, or None. Nothing is taken without its proof."""
    types, header = column_types(cell.local)
    reader = _TABLES.get(len(types))
    size = len(cell.local) + cell.missing
    if reader is None or size > RECORD_BYTES_MOST or types[0] != 0:
        return None
    if row_bytes(types, header) != size:
        return None
    for content in image.contents(cell):
        values = values_of(content, types, header)
        found = reader(cell.rowid, values) if values else None
        if found:
            image.explain(cell)
            return found
    return None


def _record(seq: int, values: Sequence[object]) -> Found | None:
    return _checked("record", seq, values)


def _rejected(seq: int, values: Sequence[object]) -> Found | None:
    return _checked("rejected", seq, values)


def _settled(seq: int, values: Sequence[object]) -> Found | None:
    return Found("settled", seq, (values[1],)) if isinstance(values[1], bytes) else None


def _checked(table: str, seq: int, values: Sequence[object]) -> Found | None:
    _, record_id, subject, crc, payload, *rest = values
    if not isinstance(crc, int) or not all(
        isinstance(value, bytes) for value in (record_id, subject, payload, *rest)
    ):
        return None
    texts = cast("tuple[bytes, bytes, bytes]", (record_id, subject, payload))
    if checksum(*texts) != crc:
        return None
    return Found(table, seq, (record_id, subject, crc, payload, *rest))


_TABLES: dict[int, Callable[[int, Sequence[object]], Found | None]] = {
    2: _settled,
    5: _record,
    7: _rejected,
}
