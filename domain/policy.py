"""The site's policy: what is forbidden where and what is done about it. All limits are data."""

from datetime import date, time
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.causes import CauseKind, RuleMode


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Watts = Annotated[float, Field(ge=0, le=500_000)]
Factor = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Band(_Frozen):
    """A band of step power that is watched, W, with its own power-factor limit if it differs."""

    from_w: Watts
    to_w: Watts
    power_factor_min: Factor | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.to_w <= self.from_w:
            raise ValueError(f"to_w ({self.to_w:g}) must be above from_w ({self.from_w:g})")
        return self


class WhiteListEntry(_Frozen):
    """A permitted load: rated power and tolerance, power factor, longest run, hours, which meters.

    `meters` empty means every meter of the group. `learned` says it was recorded, not typed in.
    """

    name: Annotated[str, Field(min_length=1)]
    power_w: Annotated[float, Field(gt=0, le=500_000)]
    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    power_factor: Factor | None = None
    power_factor_tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.03
    longest_run_s: Seconds | None = None
    from_time: time | None = None
    to_time: time | None = None
    meters: tuple[str, ...] = ()
    learned: bool = False


class MalignantPolicy(_Frozen):
    """Forbidden resistive loads: a step up in power, the power factor of the step, its duration.

    `reactive_ratio_max` is |dQ|/dP of the step, used where reactive power can be told.
    Up to six bands (default: one from `step_w` up). Where the power factor of a step is measured,
    `quick_hold_s` is enough; without it the step must outlast a motor's start: steady for
    `hold_s`, or more than `inrush_j` of energy, or above the limit for `swing_hold_s`.
    A step across a silence longer than `longest_gap_s` can't be told from slow change.
    """

    mode: RuleMode = RuleMode.TRIP
    step_w: Watts = 250.0
    power_factor_min: Factor = 0.96
    reactive_ratio_max: Annotated[float, Field(gt=0, le=2)] = 0.04
    hold_s: Seconds = 3.0
    quick_hold_s: Seconds = 0.4
    swing_hold_s: Seconds = 6.0
    inrush_j: Annotated[float, Field(ge=0, le=1_000_000)] = 4000.0
    steady_tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    longest_gap_s: Seconds = 120.0
    power_factor_resolution: Annotated[float, Field(ge=0, le=0.05)] = 0.001
    nominal_voltage_v: Annotated[float, Field(ge=100, le=400)] = 220.0
    bands: Annotated[tuple[Band, ...], Field(max_length=6)] = ()
    white_list: tuple[WhiteListEntry, ...] = ()


class OverpowerPolicy(_Frozen):
    """A room's power limit with a delay, and a lower one at night (local time)."""

    mode: RuleMode = RuleMode.TRIP
    limit_w: Watts = 1100.0
    delay_s: Seconds = 5.0
    night_limit_w: Watts | None = None
    night_from: time = time(23, 0)
    night_to: time = time(6, 0)


class TamperPolicy(_Frozen):
    """Signs of bypass: current through an open relay, reverse power, a silent meter on a living
    bus, a bus total above the sum of its rooms by more than `head_tolerance` + `head_loss_w`.
    """

    mode: RuleMode = RuleMode.ALARM
    open_relay_current_a: Annotated[float, Field(ge=0, le=100)] = 0.1
    reverse_power_w: Watts = 20.0
    silent_after_s: Seconds = 300.0
    head_tolerance: Factor = 0.05
    head_loss_w: Watts = 50.0
    delay_s: Seconds = 5.0


class SlotState(StrEnum):
    """What a schedule slot asks for."""

    CLOSED = "closed"
    OPEN = "open"
    NIGHT_LIMIT = "night-limit"


class Slot(_Frozen):
    """From this local time on, this state, until the next slot of the day or midnight."""

    at: time
    state: SlotState


class SchedulePolicy(_Frozen):
    """Supply hours by day type: at most 8 slots a day; before the first slot the circuit is closed.

    `weekend` holds ISO weekdays (6 = Saturday); `holidays` and `working_days` (make-up days) are
    dates and come first.
    """

    mode: RuleMode = RuleMode.OFF
    workday: Annotated[tuple[Slot, ...], Field(max_length=8)] = ()
    weekend_day: Annotated[tuple[Slot, ...], Field(max_length=8)] = ()
    holiday: Annotated[tuple[Slot, ...], Field(max_length=8)] = ()
    weekend: tuple[Annotated[int, Field(ge=1, le=7)], ...] = (6, 7)
    holidays: tuple[date, ...] = ()
    working_days: tuple[date, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name in ("workday", "weekend_day", "holiday"):
            times = [slot.at for slot in getattr(self, name)]
            if times != sorted(set(times)):
                raise ValueError(f"{name}: slots must be in order of time, each time once")
        return self


class RestorePolicy(_Frozen):
    """After a load trip: close again after `delay_s`, so many times a day, then stay locked."""

    delay_s: Seconds = 60.0
    times_a_day: Annotated[int, Field(ge=0, le=100)] = 3


class GroupPolicy(_Frozen):
    """The rules of one group of rooms."""

    malignant: MalignantPolicy = MalignantPolicy()
    overpower: OverpowerPolicy = OverpowerPolicy()
    tamper: TamperPolicy = TamperPolicy()
    schedule: SchedulePolicy = SchedulePolicy()
    restore: RestorePolicy = RestorePolicy()


class ShedPolicy(_Frozen):
    """Selective limiting: shed by priority above the cap, restore in reverse once below
    `restore_below` of the cap for `restore_after_s`. No cap: no shedding."""

    cap_w: Annotated[float, Field(gt=0)] | None = None
    restore_below: Annotated[float, Field(gt=0, le=1)] = 0.9
    delay_s: Seconds = 10.0
    restore_after_s: Seconds = 60.0
    meters_a_step: Annotated[int, Field(ge=1, le=1000)] = 5


class ControlPolicy(_Frozen):
    """How relays may be moved: limits on automatic trips, expiry, retries, what keep-power stops.

    `polarity_verified` names the profiles whose relay polarity was checked on a real meter;
    automatic trips are refused on any other.
    """

    trips_per_min: Annotated[int, Field(ge=1, le=10_000)] = 20
    approval_expires_s: Seconds = 600.0
    command_expires_s: Seconds = 30.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    retry_after_s: Seconds = 2.0
    retry_after_most_s: Seconds = 300.0
    stale_after_s: Seconds = 30.0
    keep_power_suspends: tuple[CauseKind, ...] = (
        CauseKind.OVERPOWER,
        CauseKind.ARREARS,
        CauseKind.SCHEDULE,
        CauseKind.SHED,
        CauseKind.MALIGNANT,
    )
    polarity_verified: tuple[str, ...] = ()


class Policy(_Frozen):
    """The whole policy of a site; `version` counts its changes in the ledger.

    `groups` maps a group name (dorm, shop, public, or one used in the roster) to its rules;
    a group that is not named has every automatic rule in mode alarm.
    """

    version: Annotated[int, Field(ge=0)] = 0
    groups: dict[str, GroupPolicy] = {}
    shed: ShedPolicy = ShedPolicy()
    control: ControlPolicy = ControlPolicy()

    def group(self, name: str) -> GroupPolicy:
        """Return the rules of a group; an unnamed group only ever raises alarms."""
        return self.groups.get(name, ALARMS_ONLY)


ALARMS_ONLY = GroupPolicy(
    malignant=MalignantPolicy(mode=RuleMode.ALARM),
    overpower=OverpowerPolicy(mode=RuleMode.ALARM),
)
