"""A meter model is one file with one frozen table: quantities, addresses, encodings, relay."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.site import Parity

Address = Annotated[int, Field(ge=0, le=0xFFFF)]
Word = Annotated[int, Field(ge=0, le=0xFFFF)]
Space = Literal["holding", "input", "coil"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Encoding(StrEnum):
    """How a value lies in registers; 32- and 64-bit ones follow the profile's word order."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    F32 = "f32"
    BIT = "bit"

    @property
    def words(self) -> int:
        """Number of registers that one value takes."""
        if self in (Encoding.U16, Encoding.I16, Encoding.BIT):
            return 1
        return 4 if self in (Encoding.U64, Encoding.I64) else 2


class Group(StrEnum):
    """How often a quantity is read: every sweep, every few sweeps, or only when asked for."""

    FAST = "fast"
    SLOW = "slow"
    ON_DEMAND = "on-demand"


class Row(_Frozen):
    """One quantity of a model.

    `factor` turns the raw number into the quantity's unit (kWh x0.01 to Wh: 10). `bit` is the bit
    of a BIT row (0 = lowest) and `inverted` flips it. `not_available` lists raw values that mean
    "no value" (as unsigned integers). `scale_address` points at a SunSpec scale factor (i16, power
    of ten). `range` bounds the converted value; outside it is a fault, not a value.
    """

    quantity: str
    address: Address
    encoding: Encoding
    factor: float = 1.0
    space: Space = "holding"
    group: Group = Group.ON_DEMAND
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    inverted: bool = False
    not_available: tuple[int, ...] = ()
    scale_address: Address | None = None
    range: tuple[float, float] | None = None
    note: str = ""


class Span(_Frozen):
    """Registers from `first` to `last`, both included, in one space, and why they are named."""

    first: Address
    last: Address
    space: Space = "holding"
    note: str = ""


class Write(_Frozen):
    """One write: function 5 (coil), 6 (register) or 16 (registers), address and words."""

    function: Literal[5, 6, 16]
    address: Address
    words: Annotated[tuple[Word, ...], Field(min_length=1)]


class Expect(_Frozen):
    """A read-back that proves an action: this quantity shall have this value."""

    quantity: str
    value: bool


class RelayAction(_Frozen):
    """The writes of one action, in order, and the read-back that proves it."""

    writes: tuple[Write, ...]
    expect: tuple[Expect, ...]


class Relay(_Frozen):
    """How a model's relay is moved and proven.

    `close` leaves the meter's own protection in charge where the model can (forced close, then
    release). Models without forced control leave `keep_power` and `release` out: the station alone
    keeps power there. `settle_s` is the time a relay needs to move; `polarity` says in words which
    way round the model is, for commissioning.
    """

    trip: RelayAction
    close: RelayAction
    keep_power: RelayAction | None = None
    release: RelayAction | None = None
    settle_s: Annotated[float, Field(ge=0, le=10)] = 0.1
    polarity: str


class BaseSearch(_Frozen):
    """Addresses are offsets from a base found at run time (SunSpec): the marker words are looked
    for at each candidate; models are then walked until `model` is met."""

    candidates: tuple[Address, ...]
    marker: tuple[Word, ...]
    model: int


class Fingerprint(_Frozen):
    """Plausible readings that tell this model from others when a bus is scanned."""

    quantity: str
    range: tuple[float, float]


class Profile(_Frozen):
    """A meter model: what can be read and written, and how. Every fact comes from its manual.

    `max_registers` per read, `max_gap` registers worth reading over, `pause_s` the model wants
    between queries, `forbidden_reads` never touched nor read across, `single_reads` where one
    address holds more than one register's bytes, `forbidden_writes` never written,
    `forbidden_functions` never sent.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    source: str
    phases: Literal[1, 3] = 1
    word_order: Literal["high-first", "low-first"] = "high-first"
    baud: int = 9600
    parity: Parity = Parity.NONE
    stop_bits: Literal[1, 2] = 1
    max_registers: Annotated[int, Field(ge=1, le=125)] = 60
    max_gap: Annotated[int, Field(ge=0, le=124)] = 16
    pause_s: Annotated[float, Field(ge=0, le=2)] = 0.0
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]
    relay: Relay | None = None
    base: BaseSearch | None = None
    forbidden_reads: tuple[Span, ...] = ()
    forbidden_writes: tuple[Span, ...] = ()
    forbidden_functions: tuple[int, ...] = ()
    fingerprint: tuple[Fingerprint, ...] = ()

    def row(self, quantity: str) -> Row | None:
        """Return the preferred row of a quantity (the first one), or None."""
        return next((row for row in self.rows if row.quantity == quantity), None)
