"""How a day goes in a room: who is in and awake, and when each device is switched on and off.

A plan is made a day at a time from its own dice, so it does not depend on how often anybody looks.
Hours are local hours of the day; past 24 is the night after it.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from simulator.rooms import Device, Room, in_season

Hours = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One planned run of a device: from and to in local hours of the day."""

    device: Device
    from_h: float
    to_h: float


@dataclass(frozen=True, slots=True)
class Habit:
    """When an appliance is used if somebody is in and awake: windows with a chance each, and for
    how many minutes. `each` counts per person instead of per room."""

    windows: tuple[tuple[float, float, float], ...]
    minutes: tuple[float, float]
    each: bool = False


ALWAYS_ON = frozenset({"router", "refrigerator", "display-fridge", "night-light", "water-boiler"})

HABITS: Mapping[str, Habit] = {
    "kettle": Habit(((6.8, 8.2, 0.5), (12.2, 13.6, 0.3), (18.0, 20.5, 0.6), (20.5, 22.8, 0.6)),
                    (2.5, 5.0)),
    "immersion-heater": Habit(((6.8, 8.0, 0.3), (20.5, 22.5, 0.7)), (5.0, 12.0)),
    "rice-cooker": Habit(((11.6, 12.6, 0.3), (17.6, 19.0, 0.6)), (30.0, 45.0)),
    "electric-blanket": Habit(((21.6, 22.8, 0.9),), (40.0, 180.0)),
    "space-heater": Habit(((18.5, 20.0, 0.6), (20.5, 22.0, 0.6)), (20.0, 70.0)),
    "hot-plate": Habit(((12.0, 13.0, 0.25), (17.8, 20.5, 0.6)), (12.0, 30.0)),
    "toaster": Habit(((6.9, 8.2, 0.5),), (1.5, 3.0)),
    "coffee-maker": Habit(((6.9, 8.4, 0.6), (13.0, 14.0, 0.2), (19.0, 20.5, 0.3)), (2.0, 6.0)),
    "hair-dryer": Habit(((20.4, 22.6, 0.4),), (2.5, 6.0), each=True),
    "iron": Habit(((20.0, 22.0, 0.05),), (3.0, 8.0)),
}  # fmt: skip


def day_plan(room: Room, day: date, *, dice: random.Random) -> list[Run]:
    """Plan one day of a room; the runs are in no particular order and may pass midnight."""
    devices = tuple(item for item in in_season(room, day) if item.appliance not in ALWAYS_ON)
    planner = _PLANNERS.get(room.use, _public)
    return [run for run in planner(room, devices, day, dice) if run.to_h > run.from_h]


def _is_weekend(day: date) -> bool:
    return day.isoweekday() >= 6


def _awake(day: date, bed_h: float, dice: random.Random) -> list[Hours]:
    """The hours one student is in the room and awake."""
    if _is_weekend(day):
        wake_h = dice.uniform(8.3, 11.0)
        if dice.random() < 0.35:
            return [(wake_h, bed_h)]
        return [(wake_h, dice.uniform(12.5, 14.0)), (dice.uniform(17.0, 20.5), bed_h)]
    leave_h = dice.uniform(7.5, 9.5)
    hours = [(leave_h - dice.uniform(0.5, 0.9), leave_h)]
    if dice.random() < 0.6:
        hours.append((dice.uniform(12.0, 12.5), dice.uniform(13.3, 14.1)))
    late = dice.random() < 0.3  # studies in the library until it closes
    hours.append((dice.uniform(20.4, 21.8) if late else dice.uniform(17.3, 19.2), bed_h))
    return hours


def _dorm(room: Room, devices: tuple[Device, ...], day: date, dice: random.Random) -> Iterator[Run]:
    lights_out_h = 24.0 if _is_weekend(day) else 23.2
    bed_h = lights_out_h + dice.uniform(-0.3, 0.4)
    people = [_awake(day, bed_h, dice) for _ in range(max(1, room.people))]
    presence = _union(hours for person in people for hours in person)
    for item in devices:
        person = people[item.number % len(people)]
        match item.appliance:
            case "room-light":
                yield from (Run(item, max(a, 18.0), b) for a, b in presence if b > 18.0)
                yield from (Run(item, a, min(b, 7.6)) for a, b in presence if a < 7.6)
            case "laptop" | "desktop" | "monitor" | "gaming-desktop" | "fan":
                yield from _at_times(item, person, 0.8, dice)
            case "desk-lamp":
                evening = [(max(a, 18.3), b) for a, b in person if b > 18.5]
                yield from _at_times(item, evening, 0.7, dice)
            case "phone-charger":
                yield Run(item, bed_h - dice.uniform(0.2, 1.5), 30.5 + dice.random())
    yield from _habits(devices, presence, max(1, room.people), dice)


def _at_times(
    item: Device, hours: Iterable[Hours], chance: float, dice: random.Random
) -> Iterator[Run]:
    for begins, ends in hours:
        if dice.random() < chance:
            yield Run(item, begins + dice.uniform(0.02, 0.4), ends - dice.uniform(0.0, 0.3))


def _habits(
    devices: tuple[Device, ...], presence: list[Hours], people: int, dice: random.Random
) -> Iterator[Run]:
    """Uses that take minutes: a device serves one person at a time."""
    for item in devices:
        habit = HABITS.get(item.appliance)
        free_h = 0.0
        for from_h, to_h, chance in habit.windows if habit else ():
            times = sum(
                dice.random() < chance for _ in range(people if habit and habit.each else 1)
            )
            starts = sorted(dice.uniform(from_h, to_h) for _ in range(times))
            lengths = [dice.uniform(*habit.minutes) / 60 for _ in starts] if habit else []
            for wanted_h, length_h in zip(starts, lengths, strict=True):
                start_h = max(wanted_h, free_h)
                if any(a <= start_h < b for a, b in presence):
                    free_h = start_h + length_h + 0.02
                    yield Run(item, start_h, start_h + length_h)


def _union(hours: Iterable[Hours]) -> list[Hours]:
    joined: list[Hours] = []
    for begins, ends in sorted(hours):
        if joined and begins <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ends))
        else:
            joined.append((begins, ends))
    return joined


def _shop(room: Room, devices: tuple[Device, ...], day: date, dice: random.Random) -> Iterator[Run]:
    opens_h, closes_h = dice.uniform(6.8, 7.4), dice.uniform(22.6, 23.1)
    for item in devices:
        match item.appliance:
            case "induction-hob":
                yield from (Run(item, h, h + dice.uniform(0.5, 1.4)) for h in (7.0, 11.4, 17.2))
            case "microwave":
                yield from _short_runs(item, (opens_h, closes_h), 14, (1.0, 3.0), dice)
            case _:
                yield Run(item, opens_h, closes_h)


def _laundry(
    room: Room, devices: tuple[Device, ...], day: date, dice: random.Random
) -> Iterator[Run]:
    for item in devices:
        if item.appliance != "washing-machine":
            yield Run(item, 6.0, 23.8)
            continue
        at_h = dice.uniform(7.5, 9.0)
        while at_h < 22.8:
            length_h = dice.uniform(0.5, 0.8)
            yield Run(item, at_h, at_h + length_h)
            # the evening is when everybody washes
            at_h += length_h + dice.uniform(0.05, 0.2 if at_h > 17 else 1.2)


def _hall(room: Room, devices: tuple[Device, ...], day: date, dice: random.Random) -> Iterator[Run]:
    opens_h, closes_h = 7.0 + dice.uniform(-0.2, 0.2), 23.0 + dice.uniform(-0.3, 0.3)
    for item in devices:
        match item.appliance:
            case "vacuum-cleaner":
                yield Run(item, opens_h - 0.6, opens_h - 0.3)
            case "laser-printer":
                yield from _short_runs(item, (opens_h, closes_h), 25, (0.4, 2.0), dice)
            case "projector":
                yield Run(item, 19.0, 21.0)
            case "air-conditioner":
                yield Run(item, 12.0 + dice.random(), closes_h - 0.5)
            case _:
                yield Run(item, opens_h, closes_h)


def _public(
    room: Room, devices: tuple[Device, ...], day: date, dice: random.Random
) -> Iterator[Run]:
    for item in devices:
        if item.appliance == "area-light":
            yield Run(item, 5.8, 7.5)
            yield Run(item, 17.5 + dice.uniform(0, 0.5), 23.6 + dice.uniform(0, 0.2))


def _short_runs(
    item: Device, hours: Hours, times: int, minutes: Hours, dice: random.Random
) -> Iterator[Run]:
    slot_h = (hours[1] - hours[0]) / times
    for number in range(times):
        length_h = min(dice.uniform(*minutes) / 60, 0.8 * slot_h)
        start_h = hours[0] + slot_h * number + dice.uniform(0, 0.95 * slot_h - length_h)
        yield Run(item, start_h, start_h + length_h)


_PLANNERS: Mapping[
    str, Callable[[Room, tuple[Device, ...], date, random.Random], Iterator[Run]]
] = {"dorm": _dorm, "shop": _shop, "laundry": _laundry, "hall": _hall, "water": _public}
