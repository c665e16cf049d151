"""Quantities to registers: the inverse of `decode`, used by the simulator and the invariants."""

import struct
from collections.abc import Mapping

from collector.decode import Value
from collector.plan import Block
from collector.profile import Encoding, Profile, Row

Image = dict[str, dict[int, int]]
NAN_RAW = 0x7FC00000


def encode_row(profile: Profile, row: Row, value: Value, *, wrap: bool = False) -> tuple[int, ...]:
    """Return the words that a meter of this model holds for a value, in wire order.

    A bit row gives one word with only its own bit; words of rows that share an address are to be
    or-ed. None gives the row's "not available" words (NaN for floats). `wrap` lets a counter roll
    over. Raises ValueError where the value does not fit the encoding or can't be told as missing.
    """
    if row.encoding is Encoding.BIT:
        if value is None:
            raise ValueError(f"{row.quantity}: a bit can't say that it is missing")
        return (int(bool(value) ^ row.inverted) << (row.bit or 0),)
    raw = _missing(row) if value is None else _raw(row, float_or_int(value), wrap)
    return split_words(raw, row.words, profile.word_order)


def encode_scale(row: Row) -> tuple[int, ...]:
    """Return the word of a row's scale factor as a simulated meter holds it."""
    return (row.simulated_scale & 0xFFFF,)


def register_image(
    profile: Profile, values: Mapping[str, Value], base: int = 0, *, wrap: bool = False
) -> Image:
    """Return every register of a model by space and address, holding these values.

    Every row of a quantity is filled, bits that share a word are merged, scale factors are set.
    Quantities that are absent from `values` hold zero words.
    """
    image: Image = {}
    for row in profile.rows:
        registers = image.setdefault(row.space, {})
        words: tuple[int, ...] = (0,) * row.words
        if row.quantity in values:
            words = encode_row(profile, row, values[row.quantity], wrap=wrap)
        for offset, word in enumerate(words):
            address = base + row.address + offset
            registers[address] = registers.get(address, 0) | word
        if row.scale_address is not None:
            registers[base + row.scale_address] = encode_scale(row)[0]
    return image


def read_image(image: Image, block: Block) -> list[int]:
    """Return the words of a block of a register image, 0 where nothing lies."""
    registers = image.get(block.space, {})
    return [registers.get(address, 0) for address in range(block.address, block.last + 1)]


def split_words(raw: int, count: int, word_order: str) -> tuple[int, ...]:
    """Split an unsigned integer into registers, in wire order."""
    words = tuple(raw >> (16 * place) & 0xFFFF for place in range(count))
    return words if word_order == "low-first" else words[::-1]


def float_or_int(value: float | int | bool) -> float | int:
    """Return a boolean as 0 or 1, any other number as it is."""
    return int(value) if isinstance(value, bool) else value


def _missing(row: Row) -> int:
    if row.not_available:
        return row.not_available[0]
    if row.encoding is Encoding.F32:
        return NAN_RAW
    raise ValueError(f"{row.quantity}: this model has no way to say that it is missing")


def _raw(row: Row, value: float | int, wrap: bool) -> int:
    """Return the unsigned raw integer of a value."""
    numerator, denominator = row.ratio
    if row.scale_address is not None:
        exponent = row.simulated_scale
        numerator, denominator = (
            (numerator * 10**exponent, denominator)
            if exponent >= 0
            else (numerator, denominator * 10**-exponent)
        )
    if row.encoding is Encoding.F32:
        try:
            return int.from_bytes(struct.pack(">f", value * denominator / numerator), "big")
        except OverflowError as error:
            raise ValueError(f"{row.quantity}: {value:g} does not fit a 32-bit float") from error
    number = _nearest(value, denominator, numerator)
    bits = 16 * row.words
    low = -(1 << (bits - 1)) if row.encoding.signed else 0
    high = low + (1 << bits) - 1
    if not wrap and not low <= number <= high:
        raise ValueError(
            f"{row.quantity}: {value:g} does not fit {row.encoding.value} x {row.factor:g}"
        )
    return number & ((1 << bits) - 1)


def _nearest(value: float | int, numerator: int, denominator: int) -> int:
    """Scale and round to the nearest whole raw number; integers stay exact."""
    if isinstance(value, int):
        numerator *= value
        if denominator < 0:
            numerator, denominator = -numerator, -denominator
        return (2 * numerator + denominator) // (2 * denominator)
    return round(value * numerator / denominator)
