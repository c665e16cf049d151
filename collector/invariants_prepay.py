"""What must hold for a model that keeps its own balance: a readable count, one guarded write."""

from collections.abc import Iterator

from collector.profile import Encoding, Prepay, Profile, PurchaseField, PurchaseWrite
from domain.quantities import QUANTITIES, Kind

FIELD_ENCODINGS = (Encoding.U16, Encoding.U32)


def prepay_complaints(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the prepayment of a profile: key and what is allowed."""
    prepay = profile.prepay
    if prepay is None:
        return
    yield from _quantities(profile, prepay)
    if prepay.write is not None:
        yield from _write(profile, prepay, prepay.write)


def _quantities(profile: Profile, prepay: Prepay) -> Iterator[tuple[str, str]]:
    """What proves a purchase can be read, and an amount is told from a number of times."""
    for key, name, unit in (
        ("prepay.remaining", prepay.remaining, "minor"),
        ("prepay.count", prepay.count, ""),
    ):
        quantity = QUANTITIES.get(name)
        if name not in profile.rows_of:
            yield key, f"{name!r} has no row, so it can't be read back"
        elif quantity is not None and (quantity.kind, quantity.unit) != (Kind.INTEGER, unit):
            yield key, f"{name} is not {'an amount in minor units' if unit else 'a count'}"


def _write(profile: Profile, prepay: Prepay, write: PurchaseWrite) -> Iterator[tuple[str, str]]:
    key = "prepay.write"
    fields = (("amount", write.amount), ("sequence", write.sequence))
    for name, field in fields:
        if field.encoding not in FIELD_ENCODINGS:
            yield f"{key}.{name}.encoding", f"is {field.encoding.value}, allowed is u16 or u32"
        if field.address + field.encoding.words - 1 > 0xFFFF:
            yield f"{key}.{name}.address", "its last register lies beyond 0xFFFF"
    if write.sequence.factor != 1:
        yield f"{key}.sequence.factor", "a count has none"
    if write.amount.factor * top_of(write.amount) < write.amount_most_minor:
        yield f"{key}.amount_most_minor", "is more than the amount's registers can hold"
    if write.amount_most_minor > write.remaining_most_minor:
        yield f"{key}.amount_most_minor", "is more than the meter can hold"
    # One write must carry all of it: half a purchase would be one that nobody can tell.
    span = write.span
    if span.last - span.first + 1 != sum(field.encoding.words for _, field in fields):
        yield key, "amount and sequence must lie side by side, without gap or overlap"
    yield from _reach(profile, prepay, write)


def _reach(profile: Profile, prepay: Prepay, write: PurchaseWrite) -> Iterator[tuple[str, str]]:
    key, span = "prepay.write", write.span
    if write.function in profile.forbidden_functions:
        yield f"{key}.function", f"function {write.function} is in forbidden_functions"
    for bad in profile.forbidden_writes:
        if bad.touches(span.space, span.first, span.last):
            yield key, "lies in forbidden_writes"
    for good in profile.allowed_writes:
        if good.touches(span.space, span.first, span.last):
            yield key, "lies in allowed_writes: money must not be written by any other way"
    for action in profile.relay_actions.values():
        for other in action.writes:
            if other.span.touches(span.space, span.first, span.last):
                yield key, "lies on a register of the relay"
    for row in profile.sources(prepay.remaining) + profile.sources(prepay.count):
        if row.space == span.space and span.touches(
            row.space, row.address, row.address + row.words - 1
        ):
            yield key, f"lies on {row.quantity}, which must prove it"
    counter = profile.row(prepay.count)
    if counter is not None and top_of(write.sequence) < (1 << 16 * counter.words) - 1:
        yield f"{key}.sequence.encoding", f"holds less than {prepay.count} can count to"


def top_of(field: PurchaseField) -> int:
    """Return the largest raw number of a field."""
    return (1 << 16 * field.encoding.words) - 1
