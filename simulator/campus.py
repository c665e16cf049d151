"""The campus: every metered room, the supply of every building, and the truth about their uses."""

import math
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from domain.errors import UnknownSubject
from domain.site import Site
from simulator.appliances import APPLIANCES, NOMINAL_V, RECORDED_AS
from simulator.household import Household
from simulator.model import Demand, LoadUse
from simulator.rooms import Room, furnish
from simulator.traces import TraceLibrary
from simulator.uses import PlannedUse, Use, World

FEEDER_OHM = 0.2  # from the building's bar to a room's meter and back
SUPPLY_LOWEST_V, SUPPLY_HIGHEST_V = 221.0, 238.0  # at the building's bar
USES_KEPT = 20_000


class Supply:
    """The voltage at one building's bar: it wanders slowly and sags with the evening load.

    A pure function of time, so a room's watts do not depend on who else is asked.
    """

    def __init__(self, seed: int, building: str, zone: ZoneInfo, day_shift_s: float) -> None:
        dice = random.Random(f"{seed}:{building}:supply")
        self._level_v = dice.uniform(228.5, 231.5)
        self._waves = tuple(
            (volts, period_s * dice.uniform(0.9, 1.1), dice.uniform(0, math.tau))
            for volts, period_s in ((2.5, 11_000.0), (1.2, 900.0), (0.4, 61.0))
        )
        self._day_shift_s = day_shift_s
        self._zone_offset_s = _offset_s(zone)
        self._second = -1
        self._volts = self._level_v

    def volts(self, at_s: float) -> float:
        """Return the voltage at that time, V; it moves once a second."""
        second = int(at_s)
        if second != self._second:
            self._second = second
            hour = (second + self._day_shift_s + self._zone_offset_s) / 3600 % 24
            volts = self._level_v - 4.0 * math.exp(-(((hour - 20.5) / 3.0) ** 2))
            for height_v, period_s, phase in self._waves:
                volts += height_v * math.sin(math.tau * second / period_s + phase)
            self._volts = min(SUPPLY_HIGHEST_V, max(SUPPLY_LOWEST_V, volts))
        return self._volts


class Campus:
    """All rooms of a site as a LoadSource.

    Times are Unix seconds; `day_shift_s` is added to them to get the time of day that people live
    by, so a demonstration at noon can show an evening. `planned` are uses that a scenario wants.
    Uses are kept in a ring of `uses_kept`. Raises UnknownSubject for a meter without a room and
    for an appliance that is in neither the table nor the recordings.
    """

    def __init__(
        self,
        rooms: Iterable[Room],
        *,
        seed: int,
        start_s: float,
        time_zone: str = "Asia/Shanghai",
        traces: TraceLibrary | None = None,
        day_shift_s: float = 0.0,
        planned: Sequence[PlannedUse] = (),
        uses_kept: int = USES_KEPT,
        retry_share: float = 0.25,
    ) -> None:
        zone = ZoneInfo(time_zone)
        self._log: deque[Use] = deque(maxlen=uses_kept)
        world = World(seed, zone, day_shift_s, traces, self._log, retry_share=retry_share)
        wanted: dict[str, list[PlannedUse]] = {}
        for use in planned:
            wanted.setdefault(use.meter, []).append(use)
        if traces is not None:
            traces.preload(use.recorded for use in planned if use.recorded is not None)
        self._households = {
            room.meter: Household(room, world, start_s, tuple(wanted.get(room.meter, ())))
            for room in rooms
        }
        unknown = sorted(set(wanted) - set(self._households))
        if unknown:
            raise UnknownSubject(f"planned uses for meters without a room: {', '.join(unknown)}")
        buildings = {household.room.building for household in self._households.values()}
        supplies = {name: Supply(seed, name, zone, day_shift_s) for name in sorted(buildings)}
        self._supply = {
            meter: supplies[household.room.building]
            for meter, household in self._households.items()
        }
        self._latest_s = start_s

    @classmethod
    def of_site(
        cls,
        site: Site,
        *,
        seed: int,
        start_s: float,
        traces: TraceLibrary | None = None,
        day_shift_s: float = 0.0,
        planned: Sequence[PlannedUse] = (),
        forbidden_share: float = 0.15,
    ) -> "Campus":
        """Furnish the rooms of a site and let them live from `start_s` on."""
        return cls(
            furnish(site.meters, seed=seed, forbidden_share=forbidden_share),
            seed=seed,
            start_s=start_s,
            time_zone=site.time_zone,
            traces=traces,
            day_shift_s=day_shift_s,
            planned=planned,
        )

    @property
    def meters(self) -> tuple[str, ...]:
        """The meters that feed a room."""
        return tuple(self._households)

    def room(self, meter: str) -> Room:
        """Return the room behind a meter."""
        return self._household(meter).room

    def demand(self, meter: str, at_s: float) -> Demand:
        """Return the supply voltage and what the room would draw with its relay closed."""
        household = self._households.get(meter) or self._household(meter)
        self._latest_s = max(self._latest_s, at_s)
        resistive_w, resistive_var, constant_w, constant_var = household.draw(at_s)
        bar_v = self._supply[meter].volts(at_s)
        square = (bar_v / NOMINAL_V) ** 2
        if not household.closed:
            return Demand(bar_v, resistive_w * square + constant_w,
                          resistive_var * square + constant_var)  # fmt: skip
        # one step of the fixed point: the feeder's drop is about 1 %, its error 1e-4
        volts = bar_v - FEEDER_OHM * (resistive_w * square + constant_w) / bar_v
        square = (volts / NOMINAL_V) ** 2
        return Demand(volts, resistive_w * square + constant_w,
                      resistive_var * square + constant_var)  # fmt: skip

    def loads(self, meter: str, at_s: float) -> list[tuple[str, float, float]]:
        """Return what is on in a room: (appliance, W, var) at the voltage of `demand`."""
        demand = self.demand(meter, at_s)
        square = (demand.voltage_v / NOMINAL_V) ** 2
        return [
            (name, power_w * (square if resistive else 1.0), var * (square if resistive else 1.0))
            for name, power_w, var, resistive in self._household(meter).loads()
        ]

    def relay_moved(self, meter: str, closed: bool, at_s: float) -> None:
        """Tell a room that its supply went or came."""
        self._household(meter).relay_moved(closed, at_s)

    def switch_on(self, meter: str, appliance: str, at_s: float, for_s: float) -> LoadUse:
        """Switch an appliance on: a name of the table, or a class of recordings."""
        if appliance not in APPLIANCES and appliance not in RECORDED_AS:
            known = ", ".join(sorted((*APPLIANCES, *RECORDED_AS)))
            raise UnknownSubject(f"no appliance {appliance!r}; known: {known}")
        return self._household(meter).switch_on(appliance, at_s, for_s).told()

    def uses(self, since_s: float = 0.0) -> list[LoadUse]:
        """List the uses that began, or still ran, at or after a time, in order of beginning."""
        for household in self._households.values():
            household.advance(self._latest_s)
        told = [
            use.told()
            for use in self._log
            if use.off_s is None or use.off_s >= since_s or use.on_s >= since_s
        ]
        return sorted(told, key=lambda use: (use.on_s, use.meter))

    def total_w(self, at_s: float) -> float:
        """Return what the whole campus draws, W."""
        return sum(self.demand(meter, at_s).power_w for meter in self._households)

    def _household(self, meter: str) -> Household:
        household = self._households.get(meter)
        if household is None:
            raise UnknownSubject(f"no room behind meter {meter!r}")
        return household


def _offset_s(zone: ZoneInfo) -> float:
    # The evening sag may be an hour out in summer time: it is weather, not a clock.
    offset = datetime(2026, 1, 1, tzinfo=zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def appliances_by_class() -> Mapping[str, list[str]]:
    """Return the names of the table by rule class, for help texts."""
    classes: dict[str, list[str]] = {}
    for row in APPLIANCES.values():
        classes.setdefault(row.rule_class, []).append(row.name)
    return classes
