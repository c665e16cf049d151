"""One room's meter, read by hand: rows of power and power factor in, verdicts out."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.causes import Verdict
from domain.frame import Quality, Sweep, sweep_frame
from domain.policy import GroupPolicy, MalignantPolicy, Policy
from domain.site import Meter, RoomKind
from rules.engine import RuleEngine

START = datetime(2024, 3, 1, 12, 0, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
# (power W, power factor or None) or (power, factor, voltage); None = no reply.
Reading = tuple[float | None, ...] | None


def meter(name: str = "room-1", number: int = 1, bus: str = "bus-1") -> Meter:
    return Meter(
        name=name, bus=bus, unit_id=number, profile="acrel-ddsy1352", building="A",
        room=name, kind=RoomKind.DORM, rated_current_a=20,
    )  # fmt: skip


def policy(**malignant: object) -> Policy:
    rules = MalignantPolicy.model_validate(malignant)
    return Policy(version=7, groups={"dorm": GroupPolicy(malignant=rules)})


def row(at: datetime, reading: Reading, name: str = "room-1") -> Mapping[str, object]:
    if reading is None:
        return {"time": at, "meter": name, "quality": Quality.TIMEOUT.value}
    power, factor = reading[0], reading[1]
    voltage = reading[2] if len(reading) > 2 else 220.0
    current = None
    if power is not None and factor and voltage:
        current = abs(power / factor) / voltage
    return {
        "time": at,
        "meter": name,
        "power_w": power,
        "power_factor": factor,
        "voltage_v": voltage,
        "current_a": current,
        "quality": Quality.GOOD.value,
    }


def sweep(at: datetime, rows: Iterable[Mapping[str, object]], **more: object) -> Sweep:
    kept = list(rows)
    return Sweep(
        id=f"{at.isoformat()}-{more}",
        bus="bus-1",
        started_at=at,
        ended_at=at,
        frame=sweep_frame(kept),
        confirming=bool(more.get("confirming")),
    )


class Room:
    """A meter read every `every_s`; `read` returns the malignant verdicts, None where none."""

    def __init__(self, rules: Policy, every_s: float = 1.0) -> None:
        self.engine = RuleEngine([meter()], rules, SHANGHAI)
        self.every_s = every_s
        self.now = START

    def read(self, *readings: Reading, relay_closed: bool | None = None) -> list[Verdict | None]:
        said: list[Verdict | None] = []
        for reading in readings:
            cells = {**row(self.now, reading), "relay_closed": relay_closed}
            verdicts = self.engine.judge_malignant(sweep(self.now, [cells]))
            said.append(verdicts[-1] if verdicts else None)
            self.now += timedelta(seconds=self.every_s)
        return said

    def words(self, *readings: Reading, relay_closed: bool | None = None) -> list[str]:
        """The verdicts as words: TRIP, fine, suspect, unknown, or - where nothing is said."""
        return [word(verdict) for verdict in self.read(*readings, relay_closed=relay_closed)]


def word(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    if verdict.suspect:
        return "suspect"
    return {True: "TRIP", False: "fine", None: "unknown"}[verdict.violated]


@pytest.fixture
def room() -> Callable[..., Room]:
    """A room under the default rule; keyword arguments change the rule, `every_s` the period."""

    def build(every_s: float = 1.0, **malignant: object) -> Room:
        return Room(policy(**malignant), every_s)

    return build


@pytest.fixture
def site() -> type:
    """The helpers of this file, for tests that build their own sweeps."""

    class Helpers:
        start, zone = START, SHANGHAI

    for helper in (meter, policy, row, sweep, word):
        setattr(Helpers, helper.__name__, staticmethod(helper))
    return Helpers
