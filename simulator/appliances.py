"""The appliances of the virtual campus: one table of data, and the load that a row becomes.

Powers are at 220 V. Resistive rows follow the supply (P ~ V^2), electronic ones hold their power.
Power factor is P/S; everything that is not active power is carried as Q >= 0, so sums of loads
compose in P and Q. Sources of the numbers: the dormitory loads of the domain notes (immersion
heater 0.8-2 kW, blanket 60-150 W, hot plate 0.8-2 kW), the step power factors of the detection
notes (resistive 1.00, hair dryer 0.99, vacuum cleaner 0.98, microwave 0.84, induction hob 0.71)
and nameplates; they are typical values, not measurements of one device.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NOMINAL_V = 220.0
RuleClass = Literal["forbidden", "limited", "benign"]
WINTER: tuple[int, ...] = (11, 12, 1, 2, 3)
SUMMER: tuple[int, ...] = (5, 6, 7, 8, 9)
TRACKED_W = 300.0  # benign appliances from here up are listed as uses too: they can confuse a rule


@dataclass(frozen=True, slots=True)
class Appliance:
    """One kind of appliance.

    `rule_class` is what a dormitory's house rules say. `spread` is the share by which devices of
    a kind differ; `flicker` the share by which one device wanders every `flicker_s`. `inrush` is
    (times the running power, seconds). `ramp_s` is a soft start. `duty` is (on s, off s) of a
    thermostat or program with `idle_w` while off. `months` is the season of use (empty: all
    year). `restarts` says whether it comes back by itself when the supply returns.
    """

    name: str
    rule_class: RuleClass
    power_w: float
    power_factor: float
    resistive: bool = False
    spread: float = 0.1
    flicker: float = 0.0
    flicker_s: float = 20.0
    inrush: tuple[float, float] = (1.0, 0.0)
    ramp_s: float = 0.0
    duty: tuple[float, float] | None = None
    idle_w: float = 0.0
    months: tuple[int, ...] = ()
    restarts: bool = True

    @property
    def reactive_ratio(self) -> float:
        """Q per watt of active power."""
        return reactive_ratio(self.power_factor)

    @property
    def tracked(self) -> bool:
        """Whether a use of it is worth listing in the truth."""
        return self.rule_class != "benign" or self.power_w >= TRACKED_W

    def in_season(self, month: int) -> bool:
        """Say whether it is used in that month (1-12)."""
        return not self.months or month in self.months


def reactive_ratio(power_factor: float) -> float:
    """Return Q/P of a power factor above 0 and up to 1."""
    return math.sqrt(max(0.0, 1.0 / (power_factor * power_factor) - 1.0))


def _rows() -> tuple[Appliance, ...]:
    a = Appliance
    return (
        # heat from a resistive element: what dormitory rules forbid
        a("kettle", "forbidden", 1800, 1.0, resistive=True),
        a("immersion-heater", "forbidden", 1000, 1.0, resistive=True, spread=0.3),
        a("hot-plate", "forbidden", 1200, 1.0, resistive=True, spread=0.25, duty=(45, 15)),
        a("electric-stove", "forbidden", 900, 1.0, resistive=True),
        a("rice-cooker", "forbidden", 600, 1.0, resistive=True, duty=(1500, 6000), idle_w=40),
        a("electric-blanket", "forbidden", 100, 1.0, resistive=True, spread=0.3,
          duty=(120, 60), months=WINTER),
        a("space-heater", "forbidden", 1500, 1.0, resistive=True, duty=(600, 90), months=WINTER),
        a("toaster", "forbidden", 800, 1.0, resistive=True),
        a("coffee-maker", "forbidden", 950, 1.0, resistive=True),
        a("water-heater", "forbidden", 1200, 1.0, resistive=True),
        a("oven", "forbidden", 2000, 1.0, resistive=True, duty=(240, 60)),
        # permitted under conditions: white lists, hours, a watt limit
        a("hair-dryer", "limited", 1250, 0.99, resistive=True, spread=0.04, inrush=(1.15, 0.3),
          restarts=False),
        a("iron", "limited", 1300, 1.0, resistive=True, duty=(25, 35), restarts=False),
        a("microwave", "limited", 1250, 0.84, spread=0.05, inrush=(1.5, 0.2), restarts=False),
        a("induction-hob", "limited", 1700, 0.71, spread=0.05, ramp_s=3, restarts=False),
        # what a room lives with
        a("laptop", "benign", 45, 0.60, spread=0.35, flicker=0.20, flicker_s=15),
        a("desktop", "benign", 110, 0.70, spread=0.2, flicker=0.12, flicker_s=10, restarts=False),
        a("gaming-desktop", "benign", 240, 0.92, flicker=0.15, flicker_s=8, restarts=False),
        a("monitor", "benign", 25, 0.60, spread=0.3),
        a("desk-lamp", "benign", 9, 0.55, spread=0.3),
        a("filament-lamp", "benign", 60, 1.0, resistive=True, spread=0.3),
        a("room-light", "benign", 36, 0.90),
        a("router", "benign", 8, 0.50, flicker=0.05),
        a("phone-charger", "benign", 8, 0.50, spread=0.5, flicker=0.1, flicker_s=60),
        a("fan", "benign", 45, 0.90, spread=0.2, inrush=(2.0, 0.5), months=SUMMER),
        a("refrigerator", "benign", 75, 0.65, spread=0.2, inrush=(8.0, 0.6), duty=(600, 1100),
          idle_w=1),
        a("air-conditioner", "benign", 850, 0.988, inrush=(0.3, 1.0), ramp_s=90, flicker=0.03,
          months=(6, 7, 8, 9, 12, 1, 2), restarts=False),
        a("tv", "benign", 90, 0.85, spread=0.3, flicker=0.08, flicker_s=5, restarts=False),
        a("vacuum-cleaner", "benign", 1200, 0.98, inrush=(2.5, 0.4), flicker=0.02, flicker_s=2,
          restarts=False),
        a("laser-printer", "benign", 700, 0.99, duty=(3, 14), idle_w=15, restarts=False),
        a("washing-machine", "benign", 320, 0.60, inrush=(2.2, 0.3), duty=(12, 4), idle_w=8,
          flicker=0.1, flicker_s=16, restarts=False),
        # shops and public rooms
        a("display-fridge", "benign", 350, 0.68, inrush=(6.0, 0.8), duty=(480, 420), idle_w=45),
        a("till", "benign", 60, 0.60, flicker=0.05),
        a("shop-light", "benign", 220, 0.92),
        a("shop-coffee-machine", "forbidden", 1350, 1.0, resistive=True, duty=(35, 110),
          idle_w=40),
        a("area-light", "benign", 260, 0.92),
        a("night-light", "benign", 60, 0.90),
        a("ventilation", "benign", 1500, 0.86, spread=0.05, inrush=(4.0, 0.8)),
        a("projector", "benign", 240, 0.95, restarts=False),
        a("water-boiler", "forbidden", 3000, 1.0, resistive=True, duty=(420, 300), idle_w=5),
    )  # fmt: skip


APPLIANCES: Mapping[str, Appliance] = {row.name: row for row in _rows()}

# What stands for a class of recordings where a recording lacks something: power factor, manners.
RECORDED_AS: Mapping[str, str] = {
    "WaterKettle": "kettle",
    "Cookingstove": "electric-stove",
    "Toaster": "toaster",
    "Coffeemaker": "coffee-maker",
    "BeanToCupCoffeemaker": "coffee-maker",
    "ElectricOven": "oven",
    "SpaceHeater": "space-heater",
    "WaterHeater": "water-heater",
    "HairDryer": "hair-dryer",
    "Iron": "iron",
    "MicrowaveOven": "microwave",
    "VacuumCleaner": "vacuum-cleaner",
    "Printer": "laser-printer",
    "PC-Laptop": "laptop",
    "PC-Desktop": "desktop",
    "Monitor-TFT": "monitor",
    "Lamp": "desk-lamp",
    "Refrigerator": "refrigerator",
    "Router": "router",
    "TV-LCD": "tv",
}

_WANDER_LENGTH = 4096
_WANDER_MEMORY = 0.9


def _wander() -> tuple[float, ...]:
    """A slow random walk around 0 with deviation 1: what a device draws now is near what it drew a
    moment ago."""
    dice = random.Random(20_260_301)
    fresh = (1.0 - _WANDER_MEMORY**2) ** 0.5
    at, walk = 0.0, []
    for _ in range(_WANDER_LENGTH):
        at = _WANDER_MEMORY * at + fresh * dice.gauss(0.0, 1.0)
        walk.append(max(-2.0, min(2.0, at)))
    return tuple(walk)


# One fixed walk for everybody: a load picks its place in it by its salt, so a reading after a
# gap of hours costs no more than the next one, and the same seed gives the same watts.
_WANDER = _wander()


class Load:
    """A device of the table, switched on: active and reactive power that hold until `until_s`.

    `power_w` and `reactive_var` are at 220 V; `resistive` loads scale with (V/220)^2.
    """

    __slots__ = (
        "on_s", "power_w", "rated_w", "reactive_var", "resistive", "row", "salt", "until_s",
    )  # fmt: skip

    def __init__(self, row: Appliance, rated_w: float, on_s: float, salt: int) -> None:
        self.row = row
        self.rated_w = rated_w
        self.on_s = on_s
        self.salt = salt
        self.resistive = row.resistive
        self.power_w = 0.0
        self.reactive_var = 0.0
        self.until_s = on_s

    def settle(self, at_s: float) -> None:
        """Work out the power at a time not before the last one asked for."""
        row = self.row
        started_s, ends_s, running = self._phase(at_s)
        if not running:
            power_w = row.idle_w
        else:
            power_w = self.rated_w
            if row.flicker:
                step = int((at_s - self.on_s) // row.flicker_s)
                power_w *= 1.0 + row.flicker * _WANDER[(step + self.salt) % _WANDER_LENGTH]
                ends_s = min(ends_s, self.on_s + (step + 1) * row.flicker_s)
            power_w, ends_s = self._start(power_w, at_s, started_s, ends_s)
        self.power_w = power_w
        self.reactive_var = power_w * row.reactive_ratio
        # float rounding must never make a load that is due for ever
        self.until_s = ends_s if ends_s > at_s else at_s + 0.001

    def _phase(self, at_s: float) -> tuple[float, float, bool]:
        """When the present phase began and ends, and whether it is an on-phase."""
        if self.row.duty is None:
            return self.on_s, math.inf, True
        on_s, off_s = self.row.duty
        cycle = (at_s - self.on_s) // (on_s + off_s)
        began_s = self.on_s + cycle * (on_s + off_s)
        if at_s < began_s + on_s:
            return began_s, began_s + on_s, True
        return began_s + on_s, began_s + on_s + off_s, False

    def _start(
        self, power_w: float, at_s: float, started_s: float, ends_s: float
    ) -> tuple[float, float]:
        """Apply inrush and soft start to the running power."""
        times, inrush_s = self.row.inrush
        age_s = at_s - started_s
        if age_s < inrush_s:
            return power_w * times, min(ends_s, started_s + inrush_s)
        if age_s < self.row.ramp_s:
            whole_s = math.floor(age_s) + 1
            return power_w * whole_s / self.row.ramp_s, min(ends_s, started_s + whole_s)
        return power_w, ends_s
