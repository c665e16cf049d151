"""Rooms that draw what they are told to: a load source for tests and for scale."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace

from domain.errors import UnknownSubject
from simulator.model import Demand, LoadUse

HEATER_W = 1500.0


class ScriptedLoads:
    """A LoadSource without people: each room draws a set demand plus what was switched on.

    `moves` lists the relay moves the rooms were told of, as (meter, closed, campus seconds).
    """

    def __init__(self, demand: Demand | None = None) -> None:
        self._default = demand or Demand(230.0, 500.0, 100.0)
        self._demands: dict[str, Demand] = {}
        self._uses: dict[str, list[LoadUse]] = {}
        self.appliances: Mapping[str, float] = {"heater": HEATER_W}
        self.moves: list[tuple[str, bool, float]] = []

    @classmethod
    def seeded(cls, meters: Iterable[str], seed: int) -> "ScriptedLoads":
        """Return rooms that each draw their own constant 20-800 W."""
        loads = cls()
        for meter in meters:
            dice = random.Random(f"{seed}:{meter}:constant")
            power_w = dice.uniform(20, 800)
            loads.set(meter, power_w, power_w * dice.uniform(0, 0.5), dice.uniform(225, 235))
        return loads

    def set(
        self, meter: str, power_w: float, reactive_var: float = 0.0, voltage_v: float = 230.0
    ) -> None:
        """Let a room draw this from now on."""
        self._demands[meter] = Demand(voltage_v, power_w, reactive_var)

    def demand(self, meter: str, at_s: float) -> Demand:
        """Return what the room would draw with its relay closed."""
        demand = self._demands.get(meter, self._default)
        uses = self._uses.get(meter)
        if not uses:
            return demand
        extra_w = sum(use.power_w for use in uses if use.on_s <= at_s < (use.off_s or at_s + 1))
        return replace(demand, power_w=demand.power_w + extra_w)

    def relay_moved(self, meter: str, closed: bool, at_s: float) -> None:
        """Keep the move in `moves`."""
        self.moves.append((meter, closed, at_s))

    def switch_on(self, meter: str, appliance: str, at_s: float, for_s: float) -> LoadUse:
        """Switch on a resistive appliance. Raises UnknownSubject for one that isn't known."""
        if appliance not in self.appliances:
            raise UnknownSubject(f"no appliance {appliance!r}; known: {', '.join(self.appliances)}")
        power_w = self.appliances[appliance]
        use = LoadUse(meter, appliance, "forbidden", at_s, at_s + for_s, power_w, at_s)
        self._uses.setdefault(meter, []).append(use)
        return use

    def uses(self, since_s: float = 0.0) -> list[LoadUse]:
        """List the uses that still ran at or after a time."""
        return [
            use
            for uses in self._uses.values()
            for use in uses
            if use.off_s is None or use.off_s >= since_s
        ]
