"""What stands in each room: people and devices, drawn from a seed and tables of ownership."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from domain.site import Meter, RoomKind
from simulator.appliances import APPLIANCES, Appliance, RuleClass


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a room: the n-th of its kind there, with its own rated power."""

    appliance: str
    number: int
    rated_w: float
    salt: int

    @property
    def row(self) -> Appliance:
        """The kind's row in the appliance table."""
        return APPLIANCES[self.appliance]


@dataclass(frozen=True, slots=True)
class Room:
    """A metered room: who lives there and what they own.

    `use` picks the daily routine. `permits` says that heating appliances are allowed here (a shop,
    a water room): their uses are benign.
    """

    meter: str
    building: str
    use: str
    people: int
    devices: tuple[Device, ...]
    permits: bool = False

    def rule_class(self, appliance: str) -> RuleClass:
        """Return what the house rules say of an appliance in this room."""
        return "benign" if self.permits else APPLIANCES[appliance].rule_class

    def of(self, *appliances: str) -> tuple[Device, ...]:
        """Return the room's devices of these kinds, in order."""
        return tuple(device for device in self.devices if device.appliance in appliances)


@dataclass(frozen=True, slots=True)
class Ownership:
    """How likely a kind of device stands in a room: a chance per person, or a fixed count."""

    appliance: str
    count: int = 0
    chance_each: float = 0.0
    chance: float = 0.0
    most: int = 6


DORM = (
    Ownership("laptop", chance_each=0.85),
    Ownership("desktop", chance=0.25, most=1),
    Ownership("monitor", chance=0.3, most=1),
    Ownership("gaming-desktop", chance=0.15, most=1),
    Ownership("desk-lamp", chance_each=0.7),
    Ownership("room-light", count=2),
    Ownership("router", count=1),
    Ownership("phone-charger", chance_each=0.95),
    Ownership("fan", chance_each=0.5, most=4),
    Ownership("refrigerator", chance=0.08, most=1),
    Ownership("hair-dryer", chance=0.8, most=1),
)

ROOM_USES: Mapping[str, tuple[Ownership, ...]] = {
    "dorm": DORM,
    "shop": (
        Ownership("display-fridge", count=2),
        Ownership("till", count=1),
        Ownership("shop-light", count=2),
        Ownership("tv", chance=0.5, most=1),
        Ownership("shop-coffee-machine", chance=0.6, most=1),
        Ownership("induction-hob", chance=0.4, most=1),
        Ownership("microwave", chance=0.6, most=1),
        Ownership("router", count=1),
    ),
    "public": (
        Ownership("area-light", count=4),
        Ownership("night-light", count=2),
    ),
    "laundry": (
        Ownership("washing-machine", count=5),
        Ownership("area-light", count=1),
    ),
    "hall": (
        Ownership("ventilation", count=1),
        Ownership("area-light", count=3),
        Ownership("projector", chance=0.5, most=1),
        Ownership("laser-printer", count=1),
        Ownership("vacuum-cleaner", count=1),
        Ownership("air-conditioner", count=1),
    ),
    "water": (
        Ownership("water-boiler", count=1),
        Ownership("night-light", count=1),
    ),
}
PERMITTING = ("shop", "water", "hall")

# Which forbidden appliance an owner has, by weight.
FORBIDDEN_OWNED: Mapping[str, float] = {
    "kettle": 4.0,
    "immersion-heater": 2.0,
    "rice-cooker": 2.0,
    "electric-blanket": 2.0,
    "space-heater": 1.5,
    "hot-plate": 1.0,
    "toaster": 0.5,
    "coffee-maker": 0.5,
}


def furnish(
    meters: Iterable[Meter],
    *,
    seed: int,
    forbidden_share: float = 0.15,
    people: tuple[int, int] = (4, 6),
) -> list[Room]:
    """Furnish the rooms behind the meters; head meters measure a bus and feed no room.

    `forbidden_share` is the share of dormitory rooms that own a forbidden appliance. The same
    seed and meter name give the same room, whatever other meters there are.
    """
    return [
        _room(meter, random.Random(f"{seed}:{meter.name}:room"), forbidden_share, people)
        for meter in meters
        if not meter.head
    ]


def device(dice: random.Random, appliance: str, number: int = 0) -> Device:
    """Draw one device of a kind: its rated power within the kind's spread."""
    row = APPLIANCES[appliance]
    rated_w = row.power_w * (1.0 + row.spread * dice.uniform(-1.0, 1.0))
    return Device(appliance, number, rated_w, dice.randrange(4096))


def in_season(room: Room, day: date) -> tuple[Device, ...]:
    """Return the devices of a room that are used in that month."""
    return tuple(item for item in room.devices if item.row.in_season(day.month))


def _room(
    meter: Meter, dice: random.Random, forbidden_share: float, people: tuple[int, int]
) -> Room:
    use = meter.policy_group if meter.policy_group in ROOM_USES else meter.kind.value
    count = dice.randint(*people) if use == RoomKind.DORM else 0
    devices = [
        device(dice, owned.appliance, number)
        for owned in ROOM_USES[use]
        for number in range(_count(owned, count, dice))
    ]
    if use == RoomKind.DORM and dice.random() < forbidden_share:
        kinds, weights = list(FORBIDDEN_OWNED), list(FORBIDDEN_OWNED.values())
        chosen = dict.fromkeys(dice.choices(kinds, weights, k=dice.choice((1, 1, 2))))
        devices += [device(dice, kind) for kind in chosen]
    return Room(meter.name, meter.building, use, count, tuple(devices), use in PERMITTING)


def _count(owned: Ownership, people: int, dice: random.Random) -> int:
    if owned.count:
        return owned.count
    if owned.chance:
        return int(dice.random() < owned.chance)
    return min(owned.most, sum(dice.random() < owned.chance_each for _ in range(people)))
