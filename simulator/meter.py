"""A virtual meter: a room's demand through a relay, shown in the registers of its model."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from collector.profile import Profile
from domain.site import Meter
from simulator.faults import ONCE, STANDING, FaultBook, FaultKind, FaultSpec
from simulator.modbus import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    RESET_ENERGY,
    SPACE_OF_READ,
    WRITE_COIL,
    WRITE_REGISTER,
    WRITE_REGISTERS,
    Request,
    exception_reply,
    read_reply,
    write_reply,
)
from simulator.model import Demand, LoadSource
from simulator.packing import Value
from simulator.prepaid import MeterPurse
from simulator.registers import Effect, RegisterMap

DEMAND_KEPT_S = 0.1  # a meter measures over some cycles: reads closer than this see the same
INTEGRATION_STEP_S = 30.0
MOST_INTEGRATION_STEPS = 240
FREQUENCY_HZ = 50.0
NO_FAULTS = FaultBook()
_BYPASSES = frozenset({FaultKind.RELAY_BYPASSED, FaultKind.METER_BYPASSED})


@dataclass(frozen=True, slots=True)
class MeterState:
    """A meter as it truly is, whatever it shows: watts through it, energy counted, relay."""

    meter: str
    bus: str
    unit_id: int
    profile: str
    relay_closed: bool
    forced_control: bool
    voltage_v: float
    current_a: float
    power_w: float
    power_factor: float
    energy_wh: float

    def as_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON-able data."""
        return asdict(self)


class VirtualMeter:
    """One meter on a simulated bus.

    `energy_wh` is what the counter shows at first, `balance_minor` the balance held in the meter
    (`price_minor_per_kwh` is what it takes for energy by itself), `relay_travel_s` how long the
    contacts take (default: half of the profile's settling time).
    Times are campus seconds and never fall; one that does is taken as the latest so far.
    """

    def __init__(
        self,
        meter: Meter,
        profile: Profile,
        source: LoadSource,
        *,
        energy_wh: float = 0.0,
        balance_minor: int | None = None,
        price_minor_per_kwh: float = 0.0,
        relay_closed: bool = True,
        relay_travel_s: float | None = None,
        registers: RegisterMap | None = None,
    ) -> None:
        self.name, self.bus, self.unit_id = meter.name, meter.bus, meter.unit_id
        self.profile = profile
        self.requests = 0
        self.relay_writes = 0
        self.relay_moves = 0
        self._map = registers or RegisterMap(profile)
        self.source = source
        self._faults = NO_FAULTS
        self._energy_wh, self._export_wh = float(energy_wh), 0.0
        self.purse = MeterPurse(profile, balance_minor, price_minor_per_kwh=price_minor_per_kwh)
        self._closed, self._forced = relay_closed, False
        self._forced_closed = False
        self._told = True
        settle_s = profile.relay.settle_s if profile.relay else 0.0
        self._travel_s = settle_s / 2 if relay_travel_s is None else relay_travel_s
        self._moving: tuple[float, bool] | None = None
        self._stored: dict[tuple[str, int], int] = {}
        self._at_s = -math.inf
        self._demand = Demand(0.0, 0.0, 0.0)
        self._standing: frozenset[FaultKind] = frozenset()
        self._holes: list[FaultSpec] = []
        self._values: dict[str, Value] = {}

    def attach(self, faults: FaultBook) -> None:
        """Let the faults of this book befall the meter."""
        self._faults = faults

    def answer(self, request: Request, at_s: float) -> bytes:
        """Carry out a request and return the reply's PDU, an exception's where it can't be."""
        self.requests += 1
        self._refresh(at_s)
        if request.function not in self._map.functions and not self._resets(request):
            return exception_reply(request, ILLEGAL_FUNCTION)
        if request.malformed:
            return exception_reply(request, ILLEGAL_VALUE)
        if request.is_write:
            return self._write(request, max(at_s, self._at_s))
        return self._read(request, at_s)

    def state(self, at_s: float) -> MeterState:
        """Return the meter as it truly is."""
        self._refresh(at_s)
        volts, power_w, var = self._flow()
        apparent_va = math.hypot(power_w, var)
        return MeterState(
            self.name, self.bus, self.unit_id, self.profile.name, self._closed, self._forced,
            volts, apparent_va / volts if volts else 0.0, power_w,
            power_w / apparent_va if apparent_va else 1.0, self._energy_wh,
        )  # fmt: skip

    def draw(self, at_s: float) -> Demand:
        """Return what the room takes from the bus, through the meter or past it."""
        self._refresh(at_s)
        demand = self._demand
        return demand if self._supplied else Demand(demand.voltage_v, 0.0, 0.0)

    def move_relay(self, closed: bool, at_s: float) -> None:
        """Move the relay as a hand or a failing coil would, past every command."""
        self._refresh(at_s)
        self._set_relay(closed, max(at_s, self._at_s))
        self._renew_values()

    def _resets(self, request: Request) -> bool:
        return request.function == RESET_ENERGY and RESET_ENERGY in self.profile.forbidden_functions

    def _read(self, request: Request, at_s: float) -> bytes:
        limit = 2000 if request.function == 1 else 125
        if not 1 <= request.size <= limit:
            return exception_reply(request, ILLEGAL_VALUE)
        if request.function != 1 and request.size > self.profile.max_registers:
            return exception_reply(request, ILLEGAL_ADDRESS)
        if any(
            request.address <= hole.last and request.address + request.size > hole.first
            for hole in self._holes
        ):
            return exception_reply(request, ILLEGAL_ADDRESS)
        space = SPACE_OF_READ[request.function]
        words = self._map.read(
            space,
            request.address,
            request.size,
            self._values,
            self._stored,
            self._shown(space, request, at_s),
        )
        if words is None:
            return exception_reply(request, ILLEGAL_ADDRESS)
        return read_reply(request, words)

    def _shown(self, space: str, request: Request, at_s: float) -> Mapping[str, float | str] | None:
        if not self._faults.busy:
            return None
        told = self._map.quantities(space, request.address, request.size)
        glitches = self._faults.strike_values(told, self.name, self.bus, at_s)
        return {glitch.quantity: glitch.value for glitch in glitches} if glitches else None

    def _write(self, request: Request, at_s: float) -> bytes:
        if request.function == RESET_ENERGY or (
            request.function in (WRITE_REGISTER, WRITE_REGISTERS)
            and self._map.erases(request.address, request.words)
        ):
            self._energy_wh = self._export_wh = 0.0
            self._renew_values()
            return write_reply(request)
        if self.purse.is_purchase(request):
            return self._take_purchase(request)
        space = "coil" if request.function == WRITE_COIL else "holding"
        count = len(request.words)
        if not self._map.allows_write(space, request.address, count):
            return exception_reply(request, ILLEGAL_ADDRESS)
        if request.function == WRITE_COIL and request.words[0] not in (0, 0xFF00):
            return exception_reply(request, ILLEGAL_VALUE)
        for place, word in enumerate(request.words):
            self._stored[space, request.address + place] = word
        for effect in self._map.struck_effects(space, request.address, count, self._stored):
            self.relay_writes += 1
            self._take_effect(effect, at_s)
        self._renew_values()
        return write_reply(request)

    def _take_purchase(self, request: Request) -> bytes:
        code = self.purse.take(request)
        self._renew_values()
        return exception_reply(request, code) if code else write_reply(request)

    def _take_effect(self, effect: Effect, at_s: float) -> None:
        if effect.forced is not None:
            self._forced = effect.forced
            self._forced_closed = effect.forced and bool(effect.closed)
        # In automatic the meter's own protection decides; it knows of no reason to stay open.
        closed = True if effect.automatic else effect.closed
        if closed is None or FaultKind.RELAY_STUCK in self._standing:
            return
        if self._travel_s > 0:
            self._moving = (at_s + self._travel_s, closed)
        else:
            self._moving = None
            self._set_relay(closed, at_s)

    def _set_relay(self, closed: bool, at_s: float) -> None:
        self._moving = None
        if closed == self._closed:
            return
        self._closed = closed
        self.relay_moves += 1
        self._tell_room(at_s)

    @property
    def _supplied(self) -> bool:
        return self._closed or not self._standing.isdisjoint(_BYPASSES)

    def _tell_room(self, at_s: float) -> None:
        """Tell the room when its supply has come or gone since it was told last."""
        if self._supplied != self._told:
            self._told = self._supplied
            self.source.relay_moved(self.name, self._told, at_s)

    def _refresh(self, at_s: float) -> None:
        """Bring the meter up to a time: relay moves that are due, energy, demand, values."""
        if at_s < self._at_s + DEMAND_KEPT_S and self._moving is None and not self._faults.busy:
            return
        at_s = max(at_s, self._at_s)
        if self._moving is not None and self._moving[0] <= at_s:
            moved_s, closed = max(self._moving[0], self._at_s), self._moving[1]
            self._advance(moved_s)
            self._set_relay(closed, moved_s)
        self._advance(at_s)
        self._strike(at_s)
        self._tell_room(at_s)
        self._renew_values()

    def _advance(self, at_s: float) -> None:
        """Integrate energy up to a time, in steps where nobody has asked for long."""
        if self._at_s == -math.inf:
            self._at_s = at_s
            self._demand = self.source.demand(self.name, at_s)
            return
        gap_s = at_s - self._at_s
        steps = min(MOST_INTEGRATION_STEPS, max(1, math.ceil(gap_s / INTEGRATION_STEP_S)))
        start_s = self._at_s
        for step in range(1, steps + 1):
            before_w = self._flow()[1]
            now_s = start_s + gap_s * step / steps
            self._demand = self.source.demand(self.name, now_s)
            energy_wh = (before_w + self._flow()[1]) / 2 * (now_s - self._at_s) / 3600
            self._at_s = now_s
            if energy_wh >= 0:
                self._energy_wh += energy_wh
                self.purse.use(energy_wh)
            else:
                self._export_wh -= energy_wh

    def _flow(self) -> tuple[float, float, float]:
        """Return voltage, power and reactive power through the meter now."""
        demand = self._demand
        if not self._supplied or FaultKind.METER_BYPASSED in self._standing:
            return demand.voltage_v, 0.0, 0.0
        if FaultKind.REVERSE_POWER in self._standing:
            return demand.voltage_v, -demand.power_w, demand.reactive_var
        return demand.voltage_v, demand.power_w, demand.reactive_var

    def _strike(self, at_s: float) -> None:
        """Let faults of the meter itself befall it."""
        if not self._faults.busy:
            self._standing, self._holes = frozenset(), []
            return
        standing = self._faults.strike(STANDING, self.name, self.bus, at_s)
        self._standing = frozenset(spec.kind for spec in standing)
        self._holes = [spec for spec in standing if spec.kind is FaultKind.HOLE]
        for spec in self._faults.strike(ONCE, self.name, self.bus, at_s):
            if spec.kind is FaultKind.ENERGY_BACKWARD:
                self._energy_wh = max(0.0, self._energy_wh - spec.energy_wh)
            elif spec.kind is FaultKind.METER_SWAP:
                self._energy_wh = spec.energy_wh
            elif spec.kind is FaultKind.ROLLOVER:
                self._energy_wh = 0.0
            else:
                self._set_relay(spec.closed, at_s)

    def _renew_values(self) -> None:
        volts, power_w, var = self._flow()
        apparent_va = math.hypot(power_w, var)
        energy_wh = math.floor(self._energy_wh)
        balance = self.purse.balance_minor
        self._values = {
            "voltage_v": volts,
            "current_a": apparent_va / volts if volts else 0.0,
            "power_w": power_w,
            "power_factor": power_w / apparent_va if apparent_va else 1.0,
            "frequency_hz": FREQUENCY_HZ,
            "apparent_va": apparent_va,
            "reactive_var": var,
            "energy_wh": energy_wh,
            "energy_import_wh": energy_wh,
            "energy_total_wh": energy_wh + math.floor(self._export_wh),
            "energy_tariff1_wh": energy_wh,
            "energy_export_wh": math.floor(self._export_wh),
            "balance_minor": balance,
            "remaining_minor": balance,
            "purchase_count": self.purse.purchases,
            "in_arrears": balance is not None and balance <= 0,
            "relay_closed": self._closed,
            "forced_control": self._forced,
            "forced_closed": self._forced_closed,
        }
