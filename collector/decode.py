"""Registers to quantities: pure, and what can't be trusted becomes null with a fault beside it."""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence

from collector.plan import Block
from collector.profile import Encoding, Profile, Row
from domain.faults import Fault

Value = float | int | bool | None
SCALE_NOT_AVAILABLE = 0x8000
SCALE_LIMIT = 10
SIGNED_BITS = {Encoding.I16: 16, Encoding.I32: 32, Encoding.I64: 64}


def decode(
    profile: Profile,
    blocks_words: Mapping[Block, Sequence[int]],
    quantities: Iterable[str],
    base: int = 0,
) -> tuple[dict[str, Value], list[Fault]]:
    """Return each quantity's value in its own unit, and a fault for each that was refused.

    Not read, not held by the model, or marked "not available" by the meter: null without a fault.
    NaN, infinity, a value out of range, damaged words: null with a fault whose source is
    `profile.quantity`. Never raises on data.
    """
    values: dict[str, Value] = {}
    faults: list[Fault] = []
    for name in quantities:
        value, complaint = _quantity(profile, blocks_words, name, base)
        values[name] = value
        if complaint:
            faults.append(Fault(f"{profile.name}.{name}", complaint))
    return values, faults


def _quantity(
    profile: Profile, blocks_words: Mapping[Block, Sequence[int]], name: str, base: int
) -> tuple[Value, str]:
    """Decode the first row of a quantity that was read."""
    for row in profile.sources(name):
        span = row.span
        for block, words in blocks_words.items():
            if block.covers(row.space, base + span.first, base + span.last):
                if len(words) != block.count:
                    return None, f"expected {block.count} words, got {len(words)}"
                offset = base - block.address
                return decode_row(profile, row, words, offset)
    return None, ""


def decode_row(
    profile: Profile, row: Row, words: Sequence[int], offset: int = 0
) -> tuple[Value, str]:
    """Decode one row; `words[offset + address]` is the register at `address`.

    Returns the value and "", or None and what is wrong with it ("" where it is just missing).
    """
    start = offset + row.address
    own = words[start : start + row.words]
    for word in own:
        if not 0 <= word <= 0xFFFF:
            return None, "a word is not between 0 and 65535"
    if row.encoding is Encoding.BIT:
        return bool(own[0] >> (row.bit or 0) & 1) ^ row.inverted, ""
    raw = join_words(own, profile.word_order)
    if raw in row.not_available:
        return None, ""
    if row.scale_address is None:
        return _convert(row, raw, 0)
    exponent, complaint = _exponent(words[offset + row.scale_address])
    return (None, complaint) if exponent is None else _convert(row, raw, exponent)


def _exponent(word: int) -> tuple[int | None, str]:
    """Read a SunSpec scale factor: a power of ten from -10 to 10, 0x8000 = not available."""
    if word == SCALE_NOT_AVAILABLE:
        return None, ""
    exponent = word - 0x10000 if word > 0x7FFF else word
    if not -SCALE_LIMIT <= exponent <= SCALE_LIMIT:
        return None, f"scale factor {exponent} is not between -10 and 10"
    return exponent, ""


def _convert(row: Row, raw: int, exponent: int) -> tuple[Value, str]:
    """Turn a raw number into the quantity's unit and kind, within its range."""
    numerator, denominator = row.ratio
    if exponent > 0:
        numerator *= 10**exponent
    elif exponent < 0:
        denominator *= 10**-exponent
    number = raw_number(row.encoding, raw)
    if isinstance(number, float) and not math.isfinite(number):
        return None, f"{number} is not a number that can be used"
    value: float | int
    if row.whole:
        value = _whole(number, numerator, denominator)
    else:
        value = number * numerator / denominator
    low, high = row.limits
    if (low is not None and value < low) or (high is not None and value > high):
        return None, f"{value:g} is out of range, {bounds_text(low, high)} is allowed"
    return value, ""


def join_words(words: Sequence[int], word_order: str) -> int:
    """Join registers into one unsigned integer."""
    raw = 0
    for word in words if word_order == "high-first" else reversed(words):
        raw = raw << 16 | word
    return raw


def raw_number(encoding: Encoding, raw: int) -> int | float:
    """Read an unsigned raw integer as what the encoding says."""
    if encoding is Encoding.F32:
        return float(struct.unpack(">f", raw.to_bytes(4, "big"))[0])
    bits = SIGNED_BITS.get(encoding, 0)
    return raw - (1 << bits) if bits and raw >> (bits - 1) else raw


def _whole(number: int | float, numerator: int, denominator: int) -> int:
    """Scale and round half up; integers stay exact, whatever their size."""
    if isinstance(number, int):
        return (2 * number * numerator + denominator) // (2 * denominator)
    return math.floor(number * numerator / denominator + 0.5)


def bounds_text(low: float | None, high: float | None) -> str:
    """Write bounds as they are spoken of; None is no bound."""
    if low is None and high is None:
        return "any number"
    if low is None:
        return f"up to {high:g}"
    return f"{low:g} and above" if high is None else f"{low:g} to {high:g}"
