"""Uses of appliances: as planned by a scenario, and as lived; and what all rooms share."""

from collections import deque
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from simulator.appliances import RuleClass
from simulator.model import LoadUse
from simulator.traces import RecordedUse, TraceLibrary


@dataclass(frozen=True, slots=True)
class PlannedUse:
    """A use that a scenario wants: a device of the table, or a recording of one, in a room.

    `number` tells two devices of a kind apart.
    """

    meter: str
    appliance: str
    on_s: float
    for_s: float
    recorded: RecordedUse | None = None
    number: int = 0


@dataclass(slots=True)
class Use:
    """A use of a high-power appliance while it is being lived; see LoadUse."""

    meter: str
    appliance: str
    rule_class: RuleClass
    on_s: float
    power_w: float
    off_s: float | None = None
    seen_s: float | None = None
    cut_s: float | None = None

    def told(self) -> LoadUse:
        """Return the use as the truth tells it."""
        return LoadUse(self.meter, self.appliance, self.rule_class, self.on_s, self.off_s,
                       self.power_w, self.seen_s, self.cut_s)  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """What all rooms share: seed, calendar, recordings, the list of uses, and people's manners.

    `day_shift_s` is added to campus time to get the time that people live by.
    """

    seed: int
    zone: ZoneInfo
    day_shift_s: float
    library: TraceLibrary | None
    log: "deque[Use]"
    retry_share: float = 0.25
    retries_a_day: int = 1
    recorded_share: float = 0.5
