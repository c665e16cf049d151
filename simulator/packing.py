"""Values into registers as a meter shows them: rounded, rolled over, held at the range's end."""

import math
from collections.abc import Callable, Sequence

from collector.encode import encode_row, split_words
from collector.profile import Encoding, Profile, Row
from domain.quantities import QUANTITIES, Kind

Value = float | int | bool | None
Packer = Callable[[float], Sequence[int]]


def packer(profile: Profile, row: Row) -> Packer:
    """Return what turns a value of this row into words: `encode_shown`, worked out beforehand."""
    if row.encoding is Encoding.BIT:
        on, off = 1 << (row.bit or 0), 0
        if row.inverted:
            on, off = off, on
        return lambda value: (on,) if value else (off,)
    if row.encoding is Encoding.F32 or row.encoding.words > 1 or row.scale_address is not None:
        return lambda value: encode_shown(profile, row, value)
    factor, divisor = row.ratio
    low = -0x8000 if row.encoding.signed else 0
    high = low + 0xFFFF

    def pack(value: float) -> Sequence[int]:
        raw = round(value * divisor / factor)
        return (raw & 0xFFFF,) if low <= raw <= high else encode_shown(profile, row, value)

    return pack


def encode_shown(profile: Profile, row: Row, value: float | str) -> tuple[int, ...]:
    """Return the words of a value; one that does not fit is held at the end of the range.

    Energy counters roll over. "nan" gives what the model shows for "no number", "huge" and "inf"
    the largest it can show.
    """
    if isinstance(value, str):
        return _not_a_number(profile, row, value)
    quantity = QUANTITIES[row.quantity]
    counter = quantity.kind is Kind.INTEGER and quantity.unit == "Wh"
    try:
        if counter:
            return encode_row(
                profile, row, math.floor(value), wrap=row.encoding is not Encoding.F32
            )
        return encode_row(profile, row, value)
    except ValueError:
        if value < 0 and not row.encoding.signed:
            return (0,) * row.encoding.words
        return split_words(_limit(row, lowest=value < 0), row.encoding.words, profile.word_order)


def _not_a_number(profile: Profile, row: Row, word: str) -> tuple[int, ...]:
    count = row.encoding.words
    if row.encoding is Encoding.F32:
        raw = {"nan": 0x7FC0_0000, "inf": 0x7F80_0000}.get(word, 0x7E96_7699)  # 1e38
    elif word == "nan":
        raw = row.not_available[0] if row.not_available else (1 << 16 * count) - 1
    else:
        raw = _limit(row, lowest=False)
    return split_words(raw, count, profile.word_order)


def _limit(row: Row, *, lowest: bool) -> int:
    bits = 16 * row.encoding.words
    if not row.encoding.signed:
        return 0 if lowest else (1 << bits) - 1
    return 1 << (bits - 1) if lowest else (1 << (bits - 1)) - 1
