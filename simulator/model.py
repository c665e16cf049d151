"""What the two halves of the simulator say to each other: the loads and the meters on the wire."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Demand:
    """What a room would draw now if its relay were closed: supply voltage, P and Q at it."""

    voltage_v: float
    power_w: float
    reactive_var: float


@dataclass(frozen=True, slots=True)
class LoadUse:
    """One use of a high-power appliance, the truth that trips are held against.

    Times are campus seconds (see LoadSource); `off_s` is null while it runs. `forbidden` is the
    rule class; `limited` appliances are neither hit nor false trip. `cut` says the relay opened
    while it ran; `seen_s` is when it first drew power through a closed relay.
    """

    meter: str
    appliance: str
    rule_class: str
    on_s: float
    off_s: float | None
    power_w: float
    seen_s: float | None = None
    cut_s: float | None = None


class LoadSource(Protocol):
    """The rooms of the campus. Times are campus seconds: Unix time of the simulated campus.

    `demand` is asked with times that never fall for one meter. `relay_moved` tells a room that its
    supply went or came, so that its people react (unplug the heater, complain, go to bed).
    """

    def demand(self, meter: str, at_s: float) -> Demand: ...

    def relay_moved(self, meter: str, closed: bool, at_s: float) -> None: ...

    def switch_on(self, meter: str, appliance: str, at_s: float, for_s: float) -> LoadUse: ...

    def uses(self, since_s: float = 0.0) -> list[LoadUse]: ...
