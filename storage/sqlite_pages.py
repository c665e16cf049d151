"""Pages of an SQLite file and its write-ahead log, read without SQLite because it refuses them.

Layout: https://www.sqlite.org/fileformat2.html. Nothing here trusts a byte: whatever does not
parse is passed over, and callers check what they get against a checksum of their own.
"""

import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap

LOG_HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
TABLE_LEAF = 0x0D
_VERSIONS_TRIED = 64
_CELLS_A_PAGE = 1024
_CELL_LEAD_MOST = 14  # bytes of a cell's size and rowid, before its row
_ROW_HEADER = re.compile(rb"[\x02-\x20](?=\x00)")
_NUMBER_BYTES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}

Value = int | bytes | None
Bytes = bytes | mmap


@dataclass(frozen=True, slots=True)
class Cell:
    """A row of a table as found: its rowid, its first column types and the bytes it may have.

    `start`, `end` are its place in the page; `overflow` is the first overflow page or 0 and
    `missing` the number of bytes that lie there.
    """

    rowid: int
    local: bytes
    overflow: int
    missing: int
    start: int
    end: int


class PageImage:
    """Every version of every page: those of the log, newest first, then the file's own."""

    def __init__(self, main: Bytes, log: Bytes, page_bytes: int) -> None:
        self._main, self._log, self.page_bytes = main, log, page_bytes
        self._frames: dict[int, list[int]] = {}
        self.frame_places = list(_frame_places(log, page_bytes))
        for place in self.frame_places:
            number = struct.unpack_from(">I", log, place)[0]
            self._frames.setdefault(number, []).append(place + FRAME_HEADER_BYTES)
        self.main_pages = len(main) // page_bytes
        # Overflow pages met in whole records: nothing else needs to be looked for there.
        self._explained = bytearray(self.main_pages + len(self.frame_places) + 1)

    def versions(self, number: int) -> Iterator[Bytes]:
        """Yield the versions of a page, the newest first."""
        for place in reversed(self._frames.get(number, [])):
            yield self._log[place : place + self.page_bytes]
        if 1 <= number <= self.main_pages:
            start = (number - 1) * self.page_bytes
            yield self._main[start : start + self.page_bytes]

    def file_page(self, number: int) -> Bytes:
        """Return a page of the file itself; pages count from 1."""
        start = (number - 1) * self.page_bytes
        return self._main[start : start + self.page_bytes]

    def log_pages(self) -> Iterator[tuple[int, Bytes]]:
        """Yield the pages of the log with their numbers, oldest first."""
        for place in self.frame_places:
            (number,) = struct.unpack_from(">I", self._log, place)
            start = place + FRAME_HEADER_BYTES
            yield number, self._log[start : start + self.page_bytes]

    def is_explained(self, number: int) -> bool:
        """Say whether a page was met as part of a whole row."""
        return number < len(self._explained) and bool(self._explained[number])

    def contents(self, cell: Cell) -> Iterator[bytes]:
        """Yield what a cell may hold: once, or once a combination of its overflow pages."""
        budget = [_VERSIONS_TRIED]
        for chain in self._chains(cell.overflow, cell.missing, budget):
            yield cell.local + b"".join(chain)

    def explain(self, cell: Cell) -> None:
        """Note the overflow pages of a cell that proved whole."""
        number, missing = cell.overflow, cell.missing
        while missing > 0 and 1 <= number < len(self._explained):
            self._explained[number] = 1
            page = next(self.versions(number), None)
            if page is None:
                return
            number = struct.unpack_from(">I", page, 0)[0]
            missing -= self.page_bytes - 4

    def _chains(self, first: int, missing: int, budget: list[int]) -> Iterator[list[bytes]]:
        """Walk the overflow chains depth first without recursion, newest versions first."""
        if missing <= 0:
            yield []
            return
        room = self.page_bytes - 4
        parts: list[bytes] = []
        stack: list[Iterator[Bytes]] = [self.versions(first)]
        while stack and budget[0] > 0:
            page = next(stack[-1], None)
            if page is None:
                stack.pop()
                continue
            depth = len(stack) - 1
            left = missing - depth * room
            del parts[depth:]
            parts.append(bytes(page[4 : 4 + min(left, room)]))
            if left <= room:
                budget[0] -= 1
                yield list(parts)
            else:
                stack.append(self.versions(struct.unpack_from(">I", page, 0)[0]))


def cells_by_pointers(page: Bytes) -> tuple[list[Cell], bool]:
    """Return the cells a table leaf points at, and whether its bookkeeping adds up."""
    kind, free, count, content = struct.unpack_from(">BHHH", page, 0)
    if count > _CELLS_A_PAGE or 8 + 2 * count > len(page):
        return [], False
    pointers = struct.unpack_from(f">{count}H", page, 8)
    cells = [
        cell
        for pointer in pointers
        if 8 + 2 * count <= pointer < len(page) and (cell := cell_at(page, pointer)) is not None
    ]
    used = sum(max(4, cell.end - cell.start) for cell in cells)
    sound = kind == TABLE_LEAF and len(cells) == count
    spare = _free_bytes(page, free) + page[7]
    return cells, sound and used + spare == len(page) - (content or 65_536)


def cells_anywhere(page: Bytes) -> Iterator[Cell]:
    """Yield whatever looks like a cell at any place of a page whose bookkeeping is lost.

    Looks for rows that begin with an integer primary key: their first column's type is 0.
    """
    content = bytes(page)
    for match in _ROW_HEADER.finditer(content):
        header = match.start()
        for lead in range(2, _CELL_LEAD_MOST + 1):
            start = header - lead
            if start < 8:
                break
            _, place = varint(content, start)
            _, place = varint(content, place)
            if place == header and (cell := cell_at(content, start)) is not None:
                yield cell


def cell_at(page: Bytes, start: int) -> Cell | None:
    """Read a table-leaf cell at a place, or None where there can't be one."""
    size, place = varint(page, start)
    rowid, place = varint(page, place)
    if size < 2 or place >= len(page) or not 0 < rowid < 1 << 62:
        return None
    usable = len(page)
    local = _local_bytes(size, usable)
    end = place + local + (4 if local < size else 0)
    if end > usable or not 2 <= page[place] <= 32:
        return None
    overflow = struct.unpack_from(">I", page, place + local)[0] if local < size else 0
    content = bytes(page[place : place + local])
    return Cell(rowid, content, overflow, size - local, start, end)


def column_types(content: Bytes) -> tuple[list[int], int]:
    """Return the serial types of a row's columns and where its values begin."""
    header, place = varint(content, 0)
    types: list[int] = []
    while place < min(header, len(content)):
        kind, place = varint(content, place)
        types.append(kind)
    return types, header


def row_bytes(types: Sequence[int], header: int) -> int | None:
    """Return how long a row of these columns must be, or None for types that don't exist."""
    lengths = [_value_bytes(kind) for kind in types]
    if None in lengths:
        return None
    return header + sum(length or 0 for length in lengths)


def values_of(content: bytes, types: Sequence[int], place: int) -> list[Value] | None:
    """Return a row's values, or None where they don't fill it exactly."""
    values: list[Value] = []
    for kind in types:
        length = _value_bytes(kind)
        if length is None or place + length > len(content):
            return None
        raw = content[place : place + length]
        place += length
        if kind == 0:
            values.append(None)
        elif kind >= 12:
            values.append(raw)
        else:
            values.append(kind - 8 if kind in (8, 9) else int.from_bytes(raw, "big", signed=True))
    return values if place == len(content) else None


def varint(data: Bytes, place: int) -> tuple[int, int]:
    """Read SQLite's variable-length integer; past the end it is 0."""
    value = 0
    for index in range(9):
        if place >= len(data):
            return 0, place
        byte = data[place]
        place += 1
        if index == 8:
            return (value << 8) | byte, place
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            break
    return value, place


def is_unfinished(log: Bytes, known_frames: int, page_bytes: int) -> bool:
    """Say whether the frames after the known ones are a sound, merely unfinished commit.

    False means that one of them is damaged: a torn tail or a flipped bit.
    """
    order = "<" if struct.unpack_from(">I", log, 0)[0] == 0x377F0682 else ">"
    stride = FRAME_HEADER_BYTES + page_bytes
    start = LOG_HEADER_BYTES + known_frames * stride
    before = log[start - stride + 16 : start - stride + 24] if known_frames else log[24:32]
    first, second = struct.unpack(">II", before)
    if not known_frames and (first, second) != _log_sum(log[:24], order, 0, 0):
        return False
    if (len(log) - LOG_HEADER_BYTES) % stride:
        return False
    for place in _frame_places(log, page_bytes):
        if place < start:
            continue
        covered = bytes(log[place : place + 8]) + bytes(
            log[place + FRAME_HEADER_BYTES :][:page_bytes]
        )
        first, second = _log_sum(covered, order, first, second)
        if (first, second) != struct.unpack_from(">II", log, place + 16):
            return False
    return True


def _log_sum(data: Bytes, order: str, first: int, second: int) -> tuple[int, int]:
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for index in range(0, len(words), 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return first, second


def _frame_places(log: Bytes, page_bytes: int) -> Iterator[int]:
    """Yield where the frames of the newest generation stand; older ones have other salts.

    A bit may have flipped in any one salt, so what most of the first frames say counts too.
    """
    stride = FRAME_HEADER_BYTES + page_bytes
    places = range(LOG_HEADER_BYTES, len(log) - stride + 1, stride)
    if not places:
        return
    salts = Counter(bytes(log[place + 8 : place + 16]) for place in places[:3])
    accepted = {bytes(log[16:24]), salts.most_common(1)[0][0]}
    misses = 0
    for place in places:
        misses = 0 if bytes(log[place + 8 : place + 16]) in accepted else misses + 1
        if misses > 1:
            return
        yield place


def _local_bytes(size: int, usable: int) -> int:
    most = usable - 35
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    fitting = least + (size - least) % (usable - 4)
    return fitting if fitting <= most else least


def _value_bytes(kind: int) -> int | None:
    if kind >= 12:
        return (kind - 12) // 2
    return _NUMBER_BYTES.get(kind)


def _free_bytes(page: Bytes, place: int) -> int:
    total, hops = 0, 0
    while 0 < place <= len(page) - 4 and hops < _CELLS_A_PAGE:
        place, size = struct.unpack_from(">HH", page, place)
        total += size
        hops += 1
    return total
