"""A meter model is one file with one frozen table: quantities, addresses, encodings, relay."""

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from domain.quantities import QUANTITIES, Kind
from domain.site import Parity

# Strict: a TOML `true` or "11" is a slip of the pen, not an address.
Address = Annotated[int, Field(strict=True, ge=0, le=0xFFFF)]
Word = Annotated[int, Field(strict=True, ge=0, le=0xFFFF)]
Space = Literal["holding", "input", "coil"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with changes; what was worked out from the old fields is not carried along."""
        copied = super().model_copy(update=update, deep=deep)
        for name in set(copied.__dict__) - set(type(self).model_fields):
            del copied.__dict__[name]
        return copied


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

    @property
    def signed(self) -> bool:
        """Say whether a value below zero can be held."""
        return self in (Encoding.I16, Encoding.I32, Encoding.I64, Encoding.F32)


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
    of ten); a simulated meter puts `simulated_scale` there. `range` bounds the converted value;
    outside it is a fault, not a value.
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
    simulated_scale: Annotated[int, Field(ge=-10, le=10)] = 0
    range: tuple[float, float] | None = None
    note: str = ""

    @cached_property
    def words(self) -> int:
        """Number of registers that the value takes."""
        return self.encoding.words

    @cached_property
    def whole(self) -> bool:
        """Say whether the quantity is counted in whole numbers."""
        known = QUANTITIES.get(self.quantity)
        return known is not None and known.kind is Kind.INTEGER

    @cached_property
    def limits(self) -> tuple[float | None, float | None]:
        """The plausible range: the row's own, else the quantity's; None is no bound."""
        known = QUANTITIES.get(self.quantity)
        if self.range is not None or known is None:
            return self.range or (None, None)
        return known.lowest, known.highest

    @cached_property
    def ratio(self) -> tuple[int, int]:
        """The factor as an exact fraction, so that 0.1 V steps do not grow binary tails."""
        return Fraction(str(self.factor)).as_integer_ratio()

    @cached_property
    def span(self) -> "Span":
        """The registers that must come in one request: the value and its scale factor."""
        first, last = self.address, self.address + self.words - 1
        if self.scale_address is not None:
            first, last = min(first, self.scale_address), max(last, self.scale_address)
        return Span(first=first, last=min(last, 0xFFFF), space=self.space)


class Span(_Frozen):
    """Registers from `first` to `last`, both included, in one space, and why they are named."""

    first: Address
    last: Address
    space: Space = "holding"
    note: str = ""

    def touches(self, space: str, first: int, last: int) -> bool:
        """Say whether any register from `first` to `last` of that space lies in the span."""
        return self.space == space and first <= self.last and last >= self.first


class Write(_Frozen):
    """One write: function 5 (coil), 6 (register) or 16 (registers), address and words."""

    function: Literal[5, 6, 16]
    address: Address
    words: Annotated[tuple[Word, ...], Field(min_length=1)]

    @property
    def span(self) -> Span:
        """The coil or registers that the write changes."""
        space: Space = "coil" if self.function == 5 else "holding"
        return Span(first=self.address, last=self.address + len(self.words) - 1, space=space)


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


class PurchaseField(_Frozen):
    """A number of a purchase as it lies in the registers written; `factor` as of a row."""

    address: Address
    encoding: Encoding
    factor: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 1


class PurchaseWrite(_Frozen):
    """How a purchase is written: one write of `function` that carries the amount and the purchase
    count the meter shall have afterwards. The meter must refuse any other count, so that the same
    purchase written twice is added once; a model that does not can't be described here.

    `amount.factor` is the number of minor units in one step of the raw number. `settle_s` is the
    time the meter takes to book it.
    """

    function: Literal[16]
    amount: PurchaseField
    sequence: PurchaseField
    amount_most_minor: Annotated[int, Field(strict=True, ge=1)]
    remaining_most_minor: Annotated[int, Field(strict=True, ge=1)]
    settle_s: Annotated[float, Field(ge=0, le=10)] = 0.2

    @cached_property
    def span(self) -> "Span":
        """The registers that the write covers."""
        fields = (self.amount, self.sequence)
        return Span(
            first=min(field.address for field in fields),
            last=min(max(field.address + field.encoding.words - 1 for field in fields), 0xFFFF),
        )


class Prepay(_Frozen):
    """A meter that holds its balance itself: the quantities that tell what is left and how many
    purchases it has counted, and how one is written. Without `write` it is read only."""

    remaining: str
    count: str
    write: PurchaseWrite | None = None


class BaseSearch(_Frozen):
    """Addresses are offsets from a base found at run time (SunSpec): the marker words are looked
    for at each candidate; models (id, length, registers) are then walked until `model` is met,
    at most `max_models` of them. The base is the address of the model's id."""

    candidates: Annotated[tuple[Address, ...], Field(min_length=1)]
    marker: Annotated[tuple[Word, ...], Field(min_length=1)]
    model: Word
    space: Space = "holding"
    max_models: Annotated[int, Field(ge=1, le=200)] = 40


class Fingerprint(_Frozen):
    """Plausible readings that tell this model from others when a bus is scanned."""

    quantity: str
    range: tuple[float, float]


class Profile(_Frozen):
    """A meter model: what can be read and written, and how. Every fact comes from its manual.

    `max_registers` per read, `max_gap` registers worth reading over, `pause_s` the model wants
    between queries, `forbidden_reads` never touched nor read across, `single_reads` where one
    address holds more than one register's bytes (a value there is asked for alone, nothing is read
    across), `allowed_writes` what may be written besides the relay's own writes,
    `forbidden_writes` never written, `forbidden_functions` never sent. `unverified` says in words
    what rests on analogy and is to be checked at commissioning.
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
    prepay: Prepay | None = None
    base: BaseSearch | None = None
    forbidden_reads: tuple[Span, ...] = ()
    single_reads: tuple[Span, ...] = ()
    allowed_writes: tuple[Span, ...] = ()
    forbidden_writes: tuple[Span, ...] = ()
    unverified: tuple[str, ...] = ()
    forbidden_functions: tuple[Annotated[int, Field(strict=True, ge=1, le=127)], ...] = ()
    fingerprint: tuple[Fingerprint, ...] = ()

    def row(self, quantity: str) -> Row | None:
        """Return the preferred row of a quantity (the first one), or None."""
        rows = self.rows_of.get(quantity)
        return rows[0] if rows else None

    @cached_property
    def rows_of(self) -> Mapping[str, tuple[Row, ...]]:
        """All rows of each quantity, the preferred one first."""
        table: dict[str, tuple[Row, ...]] = {}
        for row in self.rows:
            table[row.quantity] = (*table.get(row.quantity, ()), row)
        return table

    def sources(self, quantity: str) -> tuple[Row, ...]:
        """Return the rows a quantity may be read from, empty where the model lacks it."""
        return self._sources.get(quantity, ())

    @cached_property
    def _sources(self) -> Mapping[str, tuple[Row, ...]]:
        """A counter has one source only: two registers of one counter may be a step apart, and a
        counter that steps back is held as a fault."""
        return {name: rows[:1] if rows[0].whole else rows for name, rows in self.rows_of.items()}

    def quantities(self, *groups: Group) -> tuple[str, ...]:
        """Return the quantities of these groups (none named: all), each once, in file order."""
        return tuple(
            name for name, rows in self.rows_of.items() if not groups or rows[0].group in groups
        )

    @property
    def relay_actions(self) -> Mapping[str, RelayAction]:
        """The relay's actions by their command word; empty without a relay."""
        if self.relay is None:
            return {}
        actions = {
            "trip": self.relay.trip,
            "close": self.relay.close,
            "keep-power": self.relay.keep_power,
            "release": self.relay.release,
        }
        return {word: action for word, action in actions.items() if action is not None}

    def may_write(self, write: Write) -> bool:
        """Say whether a write is allowed: the relay's own, a purchase, or inside `allowed_writes`,
        and never a forbidden function nor a forbidden register."""
        span = write.span
        if write.function in self.forbidden_functions:
            return False
        if any(bad.touches(span.space, span.first, span.last) for bad in self.forbidden_writes):
            return False
        if any(write in action.writes for action in self.relay_actions.values()):
            return True
        if self.prepay is not None and self.prepay.write is not None:
            purchase = self.prepay.write
            if (write.function, span) == (purchase.function, purchase.span):
                return True
        return any(
            good.space == span.space and good.first <= span.first and span.last <= good.last
            for good in self.allowed_writes
        )
