"""What must hold for every meter model, shipped or the user's own; all faults are listed."""

import math
from collections.abc import Callable, Iterator

from collector.decode import bounds_text, decode_row
from collector.encode import encode_row, encode_scale
from collector.invariants_prepay import prepay_complaints
from collector.invariants_relay import relay_complaints
from collector.profile import Encoding, Group, Profile, Row
from domain.faults import Fault
from domain.quantities import QUANTITIES, Kind

# What is wrong: the key inside the file, and what is allowed there.
Complaint = tuple[str, str]


def profile_faults(profile: Profile, source: str = "") -> list[Fault]:
    """Return everything that is wrong with a profile; `source` is its file."""
    where = source or f"{profile.name}.toml"
    complaints = [found for check in CHECKS for found in check(profile)]
    if not complaints:
        # Only a profile without faults can be planned, encoded and decoded.
        complaints = list(_round_trip(profile))
    return [Fault(f"{where}: {key}", message, profile.name) for key, message in complaints]


def _key(index: int, row: Row, field: str = "") -> str:
    return f"rows[{index}] ({row.quantity})" + (f".{field}" if field else "")


def _source(profile: Profile) -> Iterator[Complaint]:
    if not profile.source.strip():
        yield "source", "name the manual or register table that the facts come from"
    if not profile.title.strip():
        yield "title", "name the model as its maker does"


def _quantities(profile: Profile) -> Iterator[Complaint]:
    """Names come from the closed list, and each kind of quantity has a fitting encoding."""
    for index, row in enumerate(profile.rows):
        quantity = QUANTITIES.get(row.quantity)
        if quantity is None:
            yield _key(index, row, "quantity"), "is not a quantity of domain/quantities.py"
        elif (quantity.kind is Kind.BOOLEAN) != (row.encoding is Encoding.BIT):
            allowed = "bit" if quantity.kind is Kind.BOOLEAN else "anything but bit"
            yield _key(index, row, "encoding"), f"is {row.encoding.value}, allowed is {allowed}"


def _bits(profile: Profile) -> Iterator[Complaint]:
    """A bit of a register is named, a coil has none, and nothing else has bits."""
    for index, row in enumerate(profile.rows):
        is_bit = row.encoding is Encoding.BIT
        if row.space == "coil" and not is_bit:
            yield _key(index, row, "encoding"), "a coil holds a bit and nothing else"
        if row.space == "coil" and row.bit is not None:
            yield _key(index, row, "bit"), "a coil has no bits to choose from, leave it out"
        if is_bit and row.space != "coil" and row.bit is None:
            yield _key(index, row, "bit"), "say which bit, 0 (lowest) to 15"
        if not is_bit and (row.bit is not None or row.inverted):
            yield _key(index, row), "bit and inverted belong to the encoding bit only"
        if is_bit and (row.factor != 1 or row.not_available or row.range or row.scale_address):
            yield _key(index, row), "a bit has no factor, range, scale or not_available"


def _scaling(profile: Profile) -> Iterator[Complaint]:
    """Factors are usable, markers of missing values fit their encoding."""
    for index, row in enumerate(profile.rows):
        if row.factor == 0 or not math.isfinite(row.factor):
            yield _key(index, row, "factor"), "must be a finite number other than 0"
        top = (1 << (16 * row.words)) - 1
        if any(not 0 <= raw <= top for raw in row.not_available):
            message = f"raw words as one unsigned number, 0 to 0x{top:X}"
            yield _key(index, row, "not_available"), message
        if row.scale_address is not None and row.encoding is Encoding.F32:
            yield _key(index, row, "scale_address"), "a float carries its own exponent"


def _ranges(profile: Profile) -> Iterator[Complaint]:
    """Ranges are ordered, inside the quantity's own, and reachable by the encoding."""
    for index, row in enumerate(profile.rows):
        quantity = QUANTITIES.get(row.quantity)
        if quantity is None or row.encoding is Encoding.BIT or row.factor == 0:
            continue
        low, high = row.limits
        key = _key(index, row, "range")
        if row.range is not None:
            yield from _range_order(key, row, quantity.lowest, quantity.highest)
        may_be_negative = low is None or low < 0
        if may_be_negative and not row.encoding.signed and row.factor > 0:
            yield (
                key,
                f"{row.encoding.value} has no sign: give a range from 0, or a signed encoding",
            )
        if high is not None and high <= 0:
            yield key, "must leave room above 0"


def _range_order(
    key: str, row: Row, lowest: float | None, highest: float | None
) -> Iterator[Complaint]:
    low, high = row.range or (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        yield key, "must be two finite numbers, the lower one first"
    if (lowest is not None and low < lowest) or (highest is not None and high > highest):
        yield key, f"must lie within the quantity's own range, {bounds_text(lowest, highest)}"
    if row.scale_address is None and row.encoding not in (Encoding.F32, Encoding.U64, Encoding.I64):
        bits = 16 * row.words - (1 if row.encoding.signed else 0)
        reach = abs(row.factor) * (1 << bits)
        if high > reach:
            yield key, f"{row.encoding.value} x {row.factor:g} reaches {reach:g} at most"


def _overlaps(profile: Profile) -> Iterator[Complaint]:
    """Two values share registers only as bits of one word, or with that word as a whole."""
    rows = list(enumerate(profile.rows))
    for position, (index, row) in enumerate(rows):
        for _, other in rows[position + 1 :]:
            if row.space == other.space and _clash(row, other):
                yield _key(index, row, "address"), f"overlaps {other.quantity} at {other.address}"
        for _, other in rows:
            scale = row.scale_address
            if scale is not None and row.space == other.space and _holds(other, scale):
                yield _key(index, row, "scale_address"), f"lies on {other.quantity}"


def _holds(row: Row, address: int) -> bool:
    return row.address <= address < row.address + row.words


def _clash(row: Row, other: Row) -> bool:
    if not any(_holds(other, row.address + place) for place in range(row.words)):
        return False
    bits = [one for one in (row, other) if one.encoding is Encoding.BIT]
    if len(bits) == 2:
        return row.bit == other.bit
    return not (len(bits) == 1 and row.words == other.encoding.words == 1)


def _reach(profile: Profile) -> Iterator[Complaint]:
    """Every value can be read in one request that touches nothing forbidden."""
    for index, row in enumerate(profile.rows):
        span = row.span
        if row.address + row.words - 1 > 0xFFFF:
            yield _key(index, row, "address"), "its last register lies beyond 0xFFFF"
        if span.last - span.first + 1 > profile.max_registers:
            message = f"needs {span.last - span.first + 1} registers at once, max_registers is less"
            yield _key(index, row), message
        for bad in profile.forbidden_reads:
            if bad.touches(row.space, span.first, span.last):
                yield _key(index, row, "address"), "lies in forbidden_reads"
    for name in ("forbidden_reads", "forbidden_writes", "single_reads", "allowed_writes"):
        for index, span in enumerate(getattr(profile, name)):
            if span.last < span.first:
                yield f"{name}[{index}].last", "must not be below first"
    for index, good in enumerate(profile.allowed_writes):
        for bad in profile.forbidden_writes:
            if bad.touches(good.space, good.first, good.last):
                yield f"allowed_writes[{index}]", "overlaps forbidden_writes"


def _word_order(profile: Profile) -> Iterator[Complaint]:
    """Word order is said, never assumed, where a value takes more than one register."""
    wide = any(row.words > 1 for row in profile.rows)
    if wide and "word_order" not in profile.model_fields_set:
        yield "word_order", 'say "high-first" or "low-first": some values take several registers'


def _groups(profile: Profile) -> Iterator[Complaint]:
    """The fast group has the power that the rules live on; extra rows come after the first."""
    if "power_w" not in profile.quantities(Group.FAST):
        yield "rows", "the fast group must have power_w"
    for index, mark in enumerate(profile.fingerprint):
        if mark.quantity not in profile.rows_of:
            yield f"fingerprint[{index}].quantity", "has no row in this profile"
        if not mark.range[0] < mark.range[1]:
            yield f"fingerprint[{index}].range", "must have the lower number first"


def _round_trip(profile: Profile) -> Iterator[Complaint]:
    """What the simulator would serve decodes to what was put in."""
    for index, row in enumerate(profile.rows):
        for value in sample_values(row):
            span = row.span
            words = [0] * (span.last - span.first + 1)
            own = encode_row(profile, row, value)
            words[row.address - span.first : row.address - span.first + len(own)] = own
            if row.scale_address is not None:
                words[row.scale_address - span.first] = encode_scale(row)[0]
            found, _ = decode_row(profile, row, words, -span.first)
            if found is None or abs(found - value) > tolerance(row, value):
                yield _key(index, row), f"encoded {value!r} comes back as {found!r}"


def sample_values(row: Row) -> list[float | int | bool]:
    """Return values of a row that its encoding and range can hold, to try encode and decode."""
    if row.encoding is Encoding.BIT:
        return [False, True]
    step = resolution(row)
    low, high = row.limits
    bits = 16 * row.words - (1 if row.encoding.signed else 0)
    top = (1 << min(bits, 31)) * step - step
    ceiling = top if high is None else min(high, top)
    floor = -ceiling if low is None else max(low, -ceiling)
    if row.whole:
        candidates: list[float | int | bool] = [math.ceil(floor), int(ceiling) // 3]
    else:
        candidates = [floor, floor + (ceiling - floor) / 3, ceiling - step]
    missing = [value for value in candidates if value == 0 and 0 in row.not_available]
    return [value for value in candidates if value not in missing]


def resolution(row: Row) -> float:
    """Return the smallest step of a row as a simulated meter serves it."""
    scale = 0 if row.scale_address is None else row.simulated_scale
    return float(abs(row.factor) * 10.0**scale)


def tolerance(row: Row, value: float) -> float:
    """Return how far a value may be off after encoding: half a step, or a float's precision."""
    if row.encoding is Encoding.BIT:
        return 0.0
    if row.encoding is Encoding.F32:
        whole = 1.0 if row.whole else 0.0
        return abs(value) * 2.0**-23 + whole
    return resolution(row) * 0.500001


CHECKS: tuple[Callable[[Profile], Iterator[Complaint]], ...] = (
    _source,
    _quantities,
    _bits,
    _scaling,
    _ranges,
    _overlaps,
    _reach,
    _word_order,
    _groups,
    relay_complaints,
    prepay_complaints,
)
