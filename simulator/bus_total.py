"""What a head meter sees: everything that flows into its bus, through the room meters or past."""

from collections.abc import Sequence

from domain.errors import UnknownSubject
from simulator.meter import VirtualMeter
from simulator.model import Demand, LoadUse

NO_METERS = Demand(230.0, 0.0, 0.0)


class BusTotal:
    """The LoadSource of the head meter over these room meters; losses of the cable are nil."""

    def __init__(self, meters: Sequence[VirtualMeter]) -> None:
        self._meters = meters

    def demand(self, meter: str, at_s: float) -> Demand:
        """Return the voltage of the first room and the sum of what all rooms take."""
        draws = [room.draw(at_s) for room in self._meters]
        if not draws:
            return NO_METERS
        return Demand(
            draws[0].voltage_v,
            sum(draw.power_w for draw in draws),
            sum(draw.reactive_var for draw in draws),
        )

    def relay_moved(self, meter: str, closed: bool, at_s: float) -> None:
        """Do nothing: a head meter that opens its relay is not simulated."""

    def switch_on(self, meter: str, appliance: str, at_s: float, for_s: float) -> LoadUse:
        """Refuse: there is no room. Raises UnknownSubject."""
        raise UnknownSubject(f"{meter!r} is a head meter: it feeds no room")

    def uses(self, since_s: float = 0.0) -> list[LoadUse]:
        """Return nothing: uses belong to rooms."""
        return []
