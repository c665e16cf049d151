"""The register map of a meter model, built from its profile backwards."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from collector.base_search import base_image
from collector.encode import encode_scale
from collector.profile import Profile, RelayAction, Row, Span, Write
from simulator.modbus import READ_COILS, SPACE_OF_READ, WRITE_COIL, WRITE_REGISTER, WRITE_REGISTERS
from simulator.packing import Packer, Value, encode_shown, packer

# Registers this close belong to one stretch of the map; a real table has more of them than a
# profile names, so a stretch reaches a little beyond what is named.
STRETCH_GAP = 64
STRETCH_MARGIN = 16
MOST_LAYOUTS = 4_096
SINGLE_READ_WORDS = 10  # 20 bytes at one address


@dataclass(frozen=True, slots=True)
class Effect:
    """What a write to a relay or forced-control register does.

    `closed` moves the relay (None: it stays), `forced` sets forced control (None: as it was),
    `automatic` hands the relay back to the meter's own judgement.
    """

    space: str
    address: int
    words: tuple[int, ...]
    closed: bool | None
    forced: bool | None
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one block is filled: rows (offset, quantity, row, packer), fixed, writable registers."""

    rows: tuple[tuple[int, str, Row, Packer], ...]
    fixed: tuple[tuple[int, int], ...]
    writable: tuple[tuple[int, int], ...]
    quantities: frozenset[str]


class RegisterMap:
    """All registers of one meter model; shared by all its meters.

    `read` gives the words of a block, `base` is where a model with a floating map (SunSpec) lies.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.base = 0
        self._packers = {id(row): packer(profile, row) for row in profile.rows}
        self._fixed: dict[tuple[str, int], int] = {}
        if profile.base is not None:
            self.base, image = base_image(profile)
            for space, registers in image.items():
                self._fixed |= {(space, address): word for address, word in registers.items()}
        for row in profile.rows:
            if row.scale_address is not None:
                self._fixed[row.space, self.base + row.scale_address] = encode_scale(row)[0]
        self.effects = tuple(_effects(profile))
        self._writable = _writable(profile, self.effects)
        self._erasers = _erasers(profile)
        self._stretches = self._find_stretches()
        self._layouts: dict[tuple[str, int, int], _Layout | None] = {}
        self.functions = self._known_functions()

    def read(
        self,
        space: str,
        address: int,
        count: int,
        values: Mapping[str, Value],
        stored: Mapping[tuple[str, int], int],
        shown: Mapping[str, float | str] | None = None,
    ) -> list[int] | None:
        """Return the words of a block, or None where the map has no such block.

        `values` are the meter's quantities, `stored` what was written to it, `shown` replaces
        quantities by false values (a number, "nan", "inf", "huge"). Holes hold zeros.
        """
        layout = self._layout(space, address, count)
        if layout is None:
            return None
        size = SINGLE_READ_WORDS if self._is_single(space, address, count) else count
        words = [0] * size
        for offset, word in layout.fixed:
            words[offset] = word
        for offset, register in layout.writable:
            words[offset] = stored.get((space, register), 0)
        for offset, name, row, pack in layout.rows:
            value: Value | str = values.get(name)
            if shown and name in shown:
                value = shown[name]
            if value is None:
                continue
            parts = (
                encode_shown(self.profile, row, value) if isinstance(value, str) else pack(value)
            )
            if len(parts) == 1:
                words[offset] |= parts[0]
                continue
            for place, word in enumerate(parts, offset):
                if 0 <= place < size:  # a value may lie across the edge of the block
                    words[place] |= word
        return words

    def allows_write(self, space: str, address: int, count: int) -> bool:
        """Say whether all these registers can be written."""
        return all((space, address + place) in self._writable for place in range(count))

    def erases(self, address: int, words: tuple[int, ...]) -> bool:
        """Say whether this write erases the energy counters: zero, where the profile warns."""
        return words[0] == 0 and address in self._erasers

    def struck_effects(
        self, space: str, address: int, count: int, stored: Mapping[tuple[str, int], int]
    ) -> Iterator[Effect]:
        """Yield what a write to these registers brought about, given what they hold now.

        Where no effect's words fit whole, the first word decides (acrel: {0, x} releases).
        """
        touched = [
            effect
            for effect in self.effects
            if effect.space == space
            and address < effect.address + len(effect.words)
            and effect.address < address + count
        ]
        for whole in (True, False):
            for effect in touched:
                held = tuple(
                    stored.get((space, effect.address + place), 0)
                    for place in range(len(effect.words))
                )
                alike = [other for other in touched if other.words[0] == effect.words[0]]
                if held == effect.words or (
                    not whole and len(alike) == 1 and held[0] == effect.words[0]
                ):
                    yield effect
                    return

    def quantities(self, space: str, address: int, count: int) -> frozenset[str]:
        """Return the quantities that a block tells, wholly or in part."""
        layout = self._layout(space, address, count)
        return layout.quantities if layout is not None else frozenset()

    def _layout(self, space: str, address: int, count: int) -> _Layout | None:
        """Return how a block is filled, worked out once."""
        key = (space, address, count)
        if key in self._layouts:
            return self._layouts[key]
        layout = self._lay_out(space, address, count)
        if len(self._layouts) < MOST_LAYOUTS:
            self._layouts[key] = layout
        return layout

    def _lay_out(self, space: str, address: int, count: int) -> _Layout | None:
        last = address + count - 1
        if not any(
            first <= address and last <= end for first, end in self._stretches.get(space, ())
        ):
            return None
        if self._refuses(space, address, last):
            return None
        rows = tuple(
            (self.base + row.address - address, row.quantity, row, self._packers[id(row)])
            for row in self.profile.rows
            if row.space == space
            and self.base + row.address <= last
            and self.base + row.address + row.encoding.words > address
        )
        covered = {offset + place for offset, _, row, _ in rows for place in range(row.words)}
        return _Layout(
            rows,
            tuple(
                (register - address, word)
                for (where, register), word in self._fixed.items()
                if where == space and address <= register <= last
            ),
            tuple(
                (register - address, register)
                for where, register in self._writable
                if where == space
                and address <= register <= last
                and (register - address not in covered or self._is_setting(register))
            ),
            frozenset(name for _, name, _, _ in rows),
        )

    def _is_setting(self, register: int) -> bool:
        return any(span.first <= register <= span.last for span in self.profile.allowed_writes)

    def _refuses(self, space: str, first: int, last: int) -> bool:
        """Say whether a forbidden register is read, or a single one together with others."""
        profile = self.profile
        if any(_touches(span, space, self.base, first, last) for span in profile.forbidden_reads):
            return True
        return last > first and any(
            _touches(span, space, self.base, first, last) for span in profile.single_reads
        )

    def _is_single(self, space: str, address: int, count: int) -> bool:
        return (
            count == 1
            and space != "coil"
            and any(
                _touches(span, space, self.base, address, address)
                for span in self.profile.single_reads
            )
        )

    def _find_stretches(self) -> dict[str, list[tuple[int, int]]]:
        spans: list[tuple[str, int, int]] = [
            (row.space, self.base + row.span.first, self.base + row.span.last)
            for row in self.profile.rows
        ]
        spans += [(space, address, address) for space, address in self._fixed]
        spans += [(space, address, address) for space, address in self._writable]
        spans += [
            (span.space, self.base + span.first, self.base + span.last)
            for span in self.profile.single_reads
        ]
        stretches: dict[str, list[tuple[int, int]]] = {}
        for space, first, last in sorted(spans):
            found = stretches.setdefault(space, [])
            # A coil map is as long as it is; registers come in tables.
            margin = 0 if space == "coil" else STRETCH_MARGIN
            low, high = max(0, first - margin), min(0xFFFF, last + margin)
            if found and low <= found[-1][1] + STRETCH_GAP:
                found[-1] = (found[-1][0], max(found[-1][1], high))
            else:
                found.append((low, high))
        return stretches

    def _known_functions(self) -> frozenset[int]:
        spaces = set(self._stretches)
        known = {function for function, space in SPACE_OF_READ.items() if space in spaces}
        if "holding" in spaces:
            known |= {WRITE_REGISTER, WRITE_REGISTERS}
        if READ_COILS in known:
            known.add(WRITE_COIL)
        known |= {write.function for write in _writes(self.profile)}
        return frozenset(known) - set(self.profile.forbidden_functions)


def _touches(span: Span, space: str, base: int, first: int, last: int) -> bool:
    return span.space == space and first <= base + span.last and last >= base + span.first


def _writes(profile: Profile) -> Iterator[Write]:
    for action in _actions(profile).values():
        yield from action.writes


def _actions(profile: Profile) -> dict[str, RelayAction]:
    relay = profile.relay
    if relay is None:
        return {}
    named = {
        "trip": relay.trip,
        "keep_power": relay.keep_power,
        "release": relay.release,
        "close": relay.close,
    }
    return {name: action for name, action in named.items() if action is not None}


def _effects(profile: Profile) -> Iterator[Effect]:
    """Tell what each relay write does, from the read-backs that the profile expects of it.

    An action of one write tells plainly; of a longer one (close = forced close, then release) only
    the writes not known by then count, and what they do is what the whole action does.
    """
    has_forced_control = profile.relay is not None and profile.relay.release is not None
    seen: set[tuple[str, int, tuple[int, ...]]] = set()
    for name, action in sorted(_actions(profile).items(), key=lambda item: len(item[1].writes)):
        expected = {expect.quantity: expect.value for expect in action.expect}
        forced = expected.get("forced_control")
        if forced is None and has_forced_control:
            forced = name in ("trip", "keep_power")
        for write in action.writes:
            key = (_space(write), write.address, write.words)
            if key in seen:
                continue
            seen.add(key)
            closed = expected.get("relay_closed")
            yield Effect(*key, closed, forced, automatic=name == "release")


def _space(write: Write) -> str:
    return "coil" if write.function == WRITE_COIL else "holding"


def _writable(profile: Profile, effects: Iterable[Effect]) -> frozenset[tuple[str, int]]:
    registers = {
        (effect.space, effect.address + place)
        for effect in effects
        for place in range(len(effect.words))
    }
    for span in profile.allowed_writes:
        registers |= {(span.space, address) for address in range(span.first, span.last + 1)}
    return frozenset(registers)


def _erasers(profile: Profile) -> frozenset[int]:
    """Return the addresses of energy counters that the profile forbids to write."""
    return frozenset(
        row.address
        for row in profile.rows
        if row.quantity == "energy_wh"
        and row.space == "holding"
        and any(
            span.space == "holding" and span.first <= row.address <= span.last
            for span in profile.forbidden_writes
        )
    )
