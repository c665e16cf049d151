"""The demonstration site: six buildings, 324 meters on twelve buses, and a policy for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from domain.causes import RuleMode
from domain.policy import (
    ControlPolicy,
    GroupPolicy,
    MalignantPolicy,
    OverpowerPolicy,
    Policy,
    RestorePolicy,
    SchedulePolicy,
    ShedPolicy,
    Slot,
    SlotState,
    TamperPolicy,
    WhiteListEntry,
)
from domain.site import Bus, Meter, Parity, RoomKind, Site

BUILDINGS = 6
ROOMS_EACH = 54
BUSES_EACH = 2
DORM_FLOORS = 4
DORM_ROOMS_A_FLOOR = 12
PLACEHOLDER_PORT = 502
PROFILE = "acrel-ddsy1352"
SHOP_PROFILE = "hiking-dds238"
# Room, kind, policy group, rated A, shedding priority (lower first), profile.
GROUND_FLOOR: tuple[tuple[str, RoomKind, str, float, int | None, str], ...] = (
    ("lighting", RoomKind.PUBLIC, "public", 20.0, None, PROFILE),
    ("hall", RoomKind.PUBLIC, "hall", 40.0, 1, PROFILE),
    ("laundry", RoomKind.PUBLIC, "laundry", 20.0, 2, PROFILE),
    ("water", RoomKind.PUBLIC, "water", 40.0, None, PROFILE),
    ("shop-1", RoomKind.SHOP, "shop", 40.0, None, PROFILE),
    ("shop-2", RoomKind.SHOP, "shop", 40.0, None, SHOP_PROFILE),
)
LAUNDRY_GROUP = "laundry"

# A dormitory hair dryer: 1250 W at 220 V, power factor 0.99. The band of power factor is narrow, so
# that it can't hide a kettle (1.00).
HAIR_DRYER = WhiteListEntry(
    name="hair dryer", power_w=1250, tolerance=0.12, power_factor=0.99,
    power_factor_tolerance=0.006, longest_run_s=900,
)  # fmt: skip


def demo_site(
    seed: int = 1, time_zone: str = "Asia/Shanghai", *, start: datetime | None = None
) -> tuple[Site, Policy]:
    """Return the site and its policy.

    `seed` names the site (the same buildings, other people: rooms are furnished from the same
    seed). With `start` (UTC) the laundry circuits are off for a minute from 35 s after it; without
    it they are off at night. Ports are placeholders: see `with_ports`.
    """
    buses = tuple(
        Bus(
            name=f"bus-{number:02d}", link="rtu-over-tcp", host="127.0.0.1",
            tcp_port=PLACEHOLDER_PORT, baud=9600, parity=Parity.EVEN, stop_bits=1,
        )
        for number in range(1, BUILDINGS * BUSES_EACH + 1)
    )  # fmt: skip
    meters = [meter for number in range(1, BUILDINGS + 1) for meter in _building(number)]
    site = Site(
        name=f"demo-{seed}", title="Demonstration campus", time_zone=time_zone, currency="CNY",
        buses=buses, meters=tuple(meters),
    )  # fmt: skip
    return site, demo_policy(time_zone, start=start)


def with_ports(site: Site, ports: Mapping[str, int] | Sequence[int]) -> Site:
    """Return the site with real TCP ports: by bus name, or in the order of the buses."""
    by_name = (
        ports
        if isinstance(ports, Mapping)
        else dict(zip((bus.name for bus in site.buses), ports, strict=True))
    )
    buses = tuple(bus.model_copy(update={"tcp_port": by_name[bus.name]}) for bus in site.buses)
    return site.model_copy(update={"buses": buses})


def demo_policy(time_zone: str = "Asia/Shanghai", *, start: datetime | None = None) -> Policy:
    """Return the policy of the demonstration site; see `demo_site` for `start`."""
    alarms = TamperPolicy(mode=RuleMode.ALARM)
    calm = MalignantPolicy(mode=RuleMode.OFF)
    restore = RestorePolicy(delay_s=30, times_a_day=3)

    def place(limit_w: float, schedule: SchedulePolicy | None = None) -> GroupPolicy:
        return GroupPolicy(
            malignant=calm, overpower=OverpowerPolicy(limit_w=limit_w, delay_s=10), tamper=alarms,
            schedule=schedule or SchedulePolicy(), restore=restore,
        )  # fmt: skip

    dorm = GroupPolicy(
        malignant=MalignantPolicy(
            mode=RuleMode.TRIP, step_w=250, power_factor_min=0.96, hold_s=3,
            white_list=(HAIR_DRYER,),
        ),
        overpower=OverpowerPolicy(limit_w=2600, delay_s=5, night_limit_w=2500),
        tamper=alarms,
        restore=restore,
    )  # fmt: skip
    groups = {
        "dorm": dorm,
        "shop": place(8000),
        "public": place(4000),
        "hall": place(7500),
        "water": place(5000),
        LAUNDRY_GROUP: place(6000, laundry_hours(time_zone, start)),
    }
    control = ControlPolicy(trips_per_min=60, polarity_verified=(PROFILE, SHOP_PROFILE))
    return Policy(groups=groups, shed=ShedPolicy(cap_w=None), control=control)


OFF_AFTER_S, OFF_FOR_S = 35, 60


def laundry_hours(time_zone: str, start: datetime | None) -> SchedulePolicy:
    """Return the laundry's hours: off at night, or for a minute shortly after `start`."""
    slots: tuple[Slot, ...]
    if start is None:
        slots = (
            Slot(at=time(0, 0), state=SlotState.OPEN),
            Slot(at=time(6, 0), state=SlotState.CLOSED),
        )
    else:
        off = start.astimezone(ZoneInfo(time_zone)) + timedelta(seconds=OFF_AFTER_S)
        times = (
            (_of_day(off), SlotState.OPEN),
            (_of_day(off + timedelta(seconds=OFF_FOR_S)), SlotState.CLOSED),
        )
        slots = tuple(Slot(at=at, state=state) for at, state in sorted(times))
    return SchedulePolicy(mode=RuleMode.TRIP, workday=slots, weekend_day=slots, holiday=slots)


def _of_day(moment: datetime) -> time:
    return moment.time().replace(microsecond=0)


def _building(number: int) -> list[Meter]:
    rooms: list[tuple[str, str, RoomKind, str, float, int | None, str]] = [
        ("1", room, kind, group, rated_a, priority, profile)
        for room, kind, group, rated_a, priority, profile in GROUND_FLOOR
    ]
    rooms += [
        (str(floor), f"{floor}{place:02d}", RoomKind.DORM, "", 40.0, None, PROFILE)
        for floor in range(2, 2 + DORM_FLOORS)
        for place in range(1, DORM_ROOMS_A_FLOOR + 1)
    ]
    each = ROOMS_EACH // BUSES_EACH
    first_bus = (number - 1) * BUSES_EACH + 1
    return [
        Meter(
            name=f"b{number}-{room}", bus=f"bus-{first_bus + place // each:02d}",
            unit_id=place % each + 1, profile=profile, building=f"B{number}", floor=floor,
            room=room, kind=kind, rated_current_a=rated_a, group=group, shed_priority=priority,
        )
        for place, (floor, room, kind, group, rated_a, priority, profile) in enumerate(rooms)
    ]  # fmt: skip
