"""Faults on demand: what goes wrong, at which meter or bus, how often and for how long; seeded."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

MOST_FAULTS = 5_000


class FaultKind(StrEnum):
    """Everything that can be made to go wrong."""

    # On the wire, for one transaction each.
    DEAD = "dead"
    SLOW = "slow"
    LATE = "late"
    TRUNCATED = "truncated"
    BAD_CRC = "bad-crc"
    NOISE_BEFORE = "noise-before"
    NOISE_AFTER = "noise-after"
    ECHO = "echo"
    WRONG_UNIT = "wrong-unit"
    WRONG_FUNCTION = "wrong-function"
    WRONG_LENGTH = "wrong-length"
    DUPLICATE = "duplicate"
    EXCEPTION = "exception"
    HOLE = "hole"
    WRITE_LOST = "write-lost"
    WRITE_UNANSWERED = "write-unanswered"
    # In the values read.
    GLITCH = "glitch"
    REVERSE_POWER = "reverse-power"
    # In the meter, once.
    ENERGY_BACKWARD = "energy-backward"
    ROLLOVER = "rollover"
    METER_SWAP = "meter-swap"
    RELAY_ALONE = "relay-alone"
    # In the wiring, while it lasts.
    RELAY_STUCK = "relay-stuck"
    RELAY_BYPASSED = "relay-bypassed"
    METER_BYPASSED = "meter-bypassed"


ONCE = frozenset(
    {FaultKind.ENERGY_BACKWARD, FaultKind.ROLLOVER, FaultKind.METER_SWAP, FaultKind.RELAY_ALONE}
)
STANDING = frozenset(
    {
        FaultKind.REVERSE_POWER,
        FaultKind.RELAY_STUCK,
        FaultKind.RELAY_BYPASSED,
        FaultKind.METER_BYPASSED,
        FaultKind.HOLE,
    }
)
GLITCHES = frozenset({FaultKind.GLITCH})
WIRE = frozenset(FaultKind) - ONCE - STANDING - GLITCHES


class FaultSpec(BaseModel):
    """One fault: its kind, where it strikes, how often, and the particulars of its kind.

    No `meter` and no `bus` means everywhere. `functions` narrows it to requests of these Modbus
    functions. `count` is how often it strikes (null = no end; a fault in ONCE always 1 a meter),
    `probability` is drawn for each chance, `start_s` is campus time (null = at once), `duration_s`
    runs from there.

    - `delay_s`: SLOW adds it to the reply delay, LATE delivers the reply that long after the
      request while the line is free for others.
    - `code`: EXCEPTION. `first`, `last`: HOLE, addresses that answer exception 2.
    - `quantity`, `value`: GLITCH shows this value of it: a number, or "nan", "inf", "huge".
    - `energy_wh`: ENERGY_BACKWARD takes it off, METER_SWAP shows it as the new counter. ROLLOVER
      begins again at 0; to be taken for one the counter must stand near the end of its digits.
    - `closed`: RELAY_ALONE moves there. `size_bytes`: noise, or what TRUNCATED leaves of a frame.
    - `then_reply`: WRONG_UNIT is followed by the right reply.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    meter: str | None = None
    bus: str | None = None
    functions: tuple[int, ...] = ()
    count: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    start_s: float | None = None
    duration_s: Annotated[float, Field(gt=0)] | None = None
    delay_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    code: Annotated[int, Field(ge=1, le=255)] = 4
    first: Annotated[int, Field(ge=0, le=0xFFFF)] = 0
    last: Annotated[int, Field(ge=0, le=0xFFFF)] = 0xFFFF
    quantity: str = "power_w"
    value: FiniteFloat | Literal["nan", "inf", "huge"] = "nan"
    energy_wh: Annotated[float, Field(ge=0)] = 1000.0
    closed: bool = True
    size_bytes: Annotated[int, Field(ge=1, le=64)] = 3
    then_reply: bool = False


@dataclass(slots=True)
class StandingFault:
    """A fault in the book: its id, how often it struck, and since when it counts."""

    id: int
    spec: FaultSpec
    since_s: float | None
    struck: int = 0
    struck_meters: frozenset[str] = frozenset()

    def concerns(self, meter: str, bus: str) -> bool:
        """Say whether the fault is about this meter."""
        return self.spec.meter in (None, meter) and self.spec.bus in (None, bus)

    def is_due(self, at_s: float) -> bool:
        """Say whether it may strike now: begun, not over, not used up."""
        spec = self.spec
        if spec.start_s is not None and at_s < spec.start_s:
            return False
        if self.since_s is None:
            self.since_s = at_s if spec.start_s is None else spec.start_s
        if spec.duration_s is not None and at_s >= self.since_s + spec.duration_s:
            return False
        return spec.count is None or self.struck < spec.count


class FaultBook:
    """All faults now in force.

    >>> book = FaultBook(seed=1)
    >>> fault = book.add(FaultSpec(kind=FaultKind.LATE, meter="r101", count=1, delay_s=0.8))
    >>> book.remove(fault)  # or book.clear(meter="r101"), book.clear()
    """

    def __init__(self, seed: int = 0, specs: Iterable[FaultSpec] = ()) -> None:
        self._random = random.Random(seed)
        self._faults: dict[int, StandingFault] = {}
        self._index: dict[tuple[frozenset[FaultKind], str, str], list[StandingFault]] = {}
        self._next = 1
        for spec in specs:
            self.add(spec)

    def add(self, spec: FaultSpec) -> int:
        """Put a fault in force and return its id. Raises ValueError when the book is full."""
        if len(self._faults) >= MOST_FAULTS:
            raise ValueError(f"the fault book is full ({MOST_FAULTS})")
        fault = StandingFault(self._next, spec, None)
        self._faults[fault.id] = fault
        self._next += 1
        self._index.clear()
        return fault.id

    @property
    def busy(self) -> bool:
        """Say whether any fault is in the book."""
        return bool(self._faults)

    def remove(self, fault_id: int) -> bool:
        """Take one fault out; False if there is none of that id."""
        self._index.clear()
        return self._faults.pop(fault_id, None) is not None

    def clear(
        self, meter: str | None = None, bus: str | None = None, kind: FaultKind | None = None
    ) -> int:
        """Take out all faults that name this meter, bus and kind (null = any); return how many."""
        gone = [
            fault.id
            for fault in self._faults.values()
            if (meter is None or fault.spec.meter == meter)
            and (bus is None or fault.spec.bus == bus)
            and (kind is None or fault.spec.kind is kind)
        ]
        for fault_id in gone:
            self.remove(fault_id)
        return len(gone)

    def entries(self) -> list[StandingFault]:
        """Return all faults in the book."""
        return list(self._faults.values())

    def on_meter(self, meter: str, bus: str) -> list[StandingFault]:
        """Return the faults that concern a meter."""
        return [fault for fault in self._faults.values() if fault.concerns(meter, bus)]

    def strike(
        self, kinds: frozenset[FaultKind], meter: str, bus: str, at_s: float, function: int = 0
    ) -> tuple[FaultSpec, ...]:
        """Return the faults of these kinds that strike now, and count them as having struck.

        `function` is the request's; faults narrowed to functions strike no other.
        """
        if not self._faults:
            return ()
        struck = []
        for fault in self._matching(kinds, meter, bus):
            if self._strikes(fault, meter, at_s, function):
                fault.struck += 1
                struck.append(fault.spec)
        return tuple(struck)

    def strike_values(
        self, quantities: frozenset[str], meter: str, bus: str, at_s: float
    ) -> tuple[FaultSpec, ...]:
        """Return the glitches of these quantities that strike now, and count them."""
        struck = []
        for fault in self._matching(GLITCHES, meter, bus):
            if fault.spec.quantity in quantities and self._strikes(fault, meter, at_s, 0):
                fault.struck += 1
                struck.append(fault.spec)
        return tuple(struck)

    def random_bytes(self, size: int) -> bytes:
        """Return seeded noise."""
        return self._random.randbytes(size)

    def _matching(self, kinds: frozenset[FaultKind], meter: str, bus: str) -> list[StandingFault]:
        key = (kinds, meter, bus)
        found = self._index.get(key)
        if found is None:
            found = [
                fault
                for fault in self._faults.values()
                if fault.spec.kind in kinds and fault.concerns(meter, bus)
            ]
            self._index[key] = found
        return found

    def _strikes(self, fault: StandingFault, meter: str, at_s: float, function: int) -> bool:
        spec = fault.spec
        if spec.functions and function not in spec.functions:
            return False
        if not fault.is_due(at_s):
            return False
        if spec.kind in ONCE:
            # One bus-wide swap is one swap of each meter, not one for the first that is read.
            if meter in fault.struck_meters:
                return False
            fault.struck_meters |= {meter}
            return True
        return spec.probability >= 1 or self._random.random() < spec.probability
