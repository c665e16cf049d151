"""What must hold for a model's relay: harmless writes, readable proof, polarity in words."""

from collections.abc import Iterator

from collector.profile import Profile, RelayAction, Write
from domain.quantities import QUANTITIES, Kind

COIL_WORDS = (0x0000, 0xFF00)
# What each action must at least prove by read-back.
PROOF = {"trip": ("relay_closed", False), "close": ("relay_closed", True)}
FORCED = {"keep-power": ("forced_control", True), "release": ("forced_control", False)}


def relay_complaints(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the relay of a profile: key and what is allowed."""
    relay = profile.relay
    if relay is None:
        return
    if not relay.polarity.strip():
        yield "relay.polarity", "say in words which way round commands and status are"
    if (relay.keep_power is None) != (relay.release is None):
        yield "relay", "keep_power and release come together: forced control must end somehow"
    if relay.trip.writes == relay.close.writes:
        yield "relay.close.writes", "must differ from those of trip"
    for word, action in profile.relay_actions.items():
        key = f"relay.{word.replace('-', '_')}"
        yield from _writes(profile, key, action)
        yield from _proof(profile, key, action, (PROOF | FORCED)[word])


def _writes(profile: Profile, key: str, action: RelayAction) -> Iterator[tuple[str, str]]:
    if not action.writes:
        yield f"{key}.writes", "needs at least one write"
    for index, write in enumerate(action.writes):
        where = f"{key}.writes[{index}]"
        yield from ((where, complaint) for complaint in _write(profile, write))


def _write(profile: Profile, write: Write) -> Iterator[str]:
    if write.function in profile.forbidden_functions:
        yield f"function {write.function} is in forbidden_functions"
    if write.function != 16 and len(write.words) != 1:
        yield f"function {write.function} writes one word"
    if write.function == 5 and write.words[0] not in COIL_WORDS:
        yield "a coil is written as 0xFF00 or 0x0000"
    last = write.address + len(write.words) - 1
    if last > 0xFFFF:
        yield "its last register lies beyond 0xFFFF"
        return
    span = write.span
    for bad in profile.forbidden_writes:
        if bad.touches(span.space, span.first, span.last):
            yield "lies in forbidden_writes"


def _proof(
    profile: Profile, key: str, action: RelayAction, needed: tuple[str, bool]
) -> Iterator[tuple[str, str]]:
    expected = [(expect.quantity, expect.value) for expect in action.expect]
    if needed not in expected:
        yield f"{key}.expect", f"must prove {needed[0]} = {str(needed[1]).lower()}"
    for index, expect in enumerate(action.expect):
        quantity = QUANTITIES.get(expect.quantity)
        if expect.quantity not in profile.rows_of:
            yield f"{key}.expect[{index}].quantity", "has no row, so it can't be read back"
        elif quantity is not None and quantity.kind is not Kind.BOOLEAN:
            yield f"{key}.expect[{index}].quantity", "must be a boolean quantity"
