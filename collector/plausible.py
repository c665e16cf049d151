"""What can't be true is held: null in the row, kept in an event, never billed or judged."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.counter import CounterGuard
from collector.decode import Value
from collector.profile import Profile
from collector.settings import PollSettings
from domain.events import EventKind, Severity
from domain.faults import Fault
from domain.site import Meter

ENERGY = "energy_wh"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a check has to tell: the kind of event, how loud, and the particulars."""

    kind: EventKind
    severity: Severity
    message: str
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Checked:
    """A row after the check: its values (held ones null), what was held, what there is to tell."""

    values: dict[str, Value]
    held: frozenset[str]
    notices: tuple[Notice, ...]


class Plausibility:
    """One meter's check; remembers what is being held so that each hold is told once."""

    def __init__(self, meter: Meter, profile: Profile, settings: PollSettings) -> None:
        most_a = meter.rated_current_a * settings.current_factor
        self._most = {
            "current_a": most_a,
            "voltage_v": settings.voltage_most_v,
            "power_w": most_a * settings.voltage_most_v * meter.phases,
        }
        self._counter = CounterGuard(meter, profile.row(ENERGY))
        self._holding: set[str] = set()

    def seed(self, energy_wh: int, at_s: float) -> None:
        """Begin from an energy reading accepted before a restart, at that monotonic time."""
        self._counter.seed(energy_wh, at_s)

    def check(self, values: Mapping[str, Value], faults: Sequence[Fault], now_s: float) -> Checked:
        """Check one row's values; `faults` are those that decoding found, `now_s` monotonic."""
        kept = dict(values)
        held: dict[str, str] = {fault.source.rpartition(".")[2]: fault.message for fault in faults}
        for name, value in values.items():
            complaint = self._complaint(name, value)
            if complaint:
                kept[name] = None
                held[name] = complaint
        notices = self._check_counter(kept, held, now_s)
        notices += self._news(held, values)
        return Checked(kept, frozenset(held), tuple(notices))

    def _complaint(self, name: str, value: Value) -> str:
        if value is None or isinstance(value, bool):
            return ""
        if not math.isfinite(value):
            return f"{value} is not a number that can be used"
        most = self._most.get(name)
        if most is not None and abs(value) > most:
            return f"{value:g} is beyond {most:g}, what this meter's rating allows"
        return ""

    def _check_counter(
        self, kept: dict[str, Value], held: dict[str, str], now_s: float
    ) -> list[Notice]:
        """Ask the counter's guard; a reading it does not accept becomes null."""
        energy_wh = kept.get(ENERGY)
        if not isinstance(energy_wh, int):
            return []
        verdict = self._counter.judge(energy_wh, now_s)
        if not verdict.accepted:
            kept[ENERGY] = None
            held[ENERGY] = verdict.message
            return []
        if verdict.event is None:
            return []
        details = {"before_wh": verdict.before_wh, "after_wh": energy_wh}
        return [Notice(verdict.event, Severity.ALARM, verdict.message, details)]

    def _news(self, held: Mapping[str, str], raw: Mapping[str, Value]) -> list[Notice]:
        """Tell each hold once, when it begins; a good value ends it."""
        notices = [
            Notice(
                EventKind.VALUE_HELD,
                Severity.WARNING,
                f"{name}: {message}",
                {"quantity": name, "value": raw.get(name)},
            )
            for name, message in held.items()
            if name not in self._holding
        ]
        good = {name for name, value in raw.items() if value is not None and name not in held}
        self._holding = (self._holding - good) | set(held)
        return notices
