"""From one meter's readout to its row of a sweep: checked, held, told."""

from collections.abc import Callable

from collector.meter_port import MeterPort, Readout
from collector.plausible import Plausibility
from collector.profile import Group
from domain.events import Event
from domain.frame import Quality
from domain.quantities import SWEEP_QUANTITIES

Row = dict[str, object]


class MeterRows:
    """Makes the rows of one meter; keeps what its plausibility check remembers."""

    def __init__(self, port: MeterPort, check: Plausibility, on_event: Callable[[Event], None]):
        self.port = port
        self._check = check
        self._on_event = on_event
        sweep = set(SWEEP_QUANTITIES)
        self.fast = tuple(q for q in port.profile.quantities(Group.FAST) if q in sweep)
        self.slow = tuple(q for q in port.profile.quantities(Group.SLOW) if q in sweep)

    def row(self, readout: Readout) -> Row:
        """Return the row of a readout. It is good once every fast quantity came; a slow one that
        did not is null. A row that is not good has no values."""
        if readout.quality is not Quality.GOOD and not self._has_fast(readout):
            return self._empty(readout.quality, readout)
        checked = self._check.check(readout.values, readout.faults, readout.ended_s)
        for notice in checked.notices:
            self._on_event(
                Event(
                    readout.time, notice.kind, readout.meter, notice.message, notice.severity,
                    group=self.port.owner.bus.name, details=notice.details,
                )
            )  # fmt: skip
        row: Row = {name: checked.values.get(name) for name in SWEEP_QUANTITIES}
        quality = Quality.HELD if checked.held else Quality.GOOD
        return row | {"time": readout.time, "meter": readout.meter, "quality": quality.value}

    def skipped(self) -> Row:
        """Return the row of a meter that was not asked."""
        return self._empty(Quality.SKIPPED, None)

    def _has_fast(self, readout: Readout) -> bool:
        return bool(readout.words) and not readout.unread.intersection(self.fast)

    def _empty(self, quality: Quality, readout: Readout | None) -> Row:
        time = self.port.owner.clock.now() if readout is None else readout.time
        return {"time": time, "meter": self.port.meter.name, "quality": quality.value}
