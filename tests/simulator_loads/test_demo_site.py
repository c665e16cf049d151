"""The demonstration site and its policy."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.catalogue import load_profiles
from domain.causes import CauseKind, RuleMode
from domain.policy import SlotState
from domain.site import RoomKind
from rules.schedule import slot_now
from simulator.demo_site import LAUNDRY_GROUP, demo_site, with_ports

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_the_site_has_six_buildings_of_54_rooms_on_twelve_buses_of_27_meters() -> None:
    site, _ = demo_site()
    assert len(site.meters) == 324
    assert len({meter.name for meter in site.meters}) == 324
    assert [len(site.meters_on(bus.name)) for bus in site.buses] == [27] * 12
    for building in range(1, 7):
        assert sum(meter.building == f"B{building}" for meter in site.meters) == 54
    for bus in site.buses:
        assert [meter.unit_id for meter in site.meters_on(bus.name)] == list(range(1, 28))
        assert len({meter.building for meter in site.meters_on(bus.name)}) == 1


def test_every_group_of_the_roster_has_rules_and_every_profile_exists() -> None:
    site, policy = demo_site()
    assert {meter.policy_group for meter in site.meters} == set(policy.groups)
    profiles = {meter.profile for meter in site.meters}
    assert profiles <= set(load_profiles())
    # automatic trips need a relay whose polarity was verified
    assert profiles <= set(policy.control.polarity_verified)
    assert sum(meter.profile == "acrel-ddsy1352" for meter in site.meters) > 300


def test_ports_are_filled_in_by_name_or_in_order() -> None:
    site, _ = demo_site()
    by_order = with_ports(site, range(40_001, 40_013))
    assert [bus.tcp_port for bus in by_order.buses] == list(range(40_001, 40_013))
    by_name = with_ports(site, {bus.name: 50_000 + i for i, bus in enumerate(site.buses)})
    assert by_name.buses[11].tcp_port == 50_011
    assert by_name.meters == site.meters
    with pytest.raises(ValueError, match="shorter"):
        with_ports(site, [1, 2, 3])


@pytest.mark.parametrize(
    "start",
    [
        datetime(2026, 3, 10, 4, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 3, 14, 4, 0, tzinfo=UTC),  # a Saturday
        datetime(2026, 3, 10, 15, 59, 40, tzinfo=UTC),  # off begins after local midnight
        datetime(2026, 3, 10, 15, 59, 10, tzinfo=UTC),  # on again after local midnight
    ],
)
def test_the_laundry_goes_off_within_the_first_minute_whenever_the_demonstration_starts(
    start: datetime,
) -> None:
    _, policy = demo_site(start=start)
    schedule = policy.group(LAUNDRY_GROUP).schedule
    assert schedule.mode is RuleMode.TRIP
    states = {
        after_s: slot_now(schedule, start + timedelta(seconds=after_s), SHANGHAI).state
        for after_s in (0, 30, 40, 48, 100, 600)
    }
    assert states == {
        0: SlotState.CLOSED, 30: SlotState.CLOSED, 40: SlotState.OPEN, 48: SlotState.OPEN,
        100: SlotState.CLOSED, 600: SlotState.CLOSED,
    }  # fmt: skip


def test_without_a_start_the_laundry_is_off_at_night() -> None:
    _, policy = demo_site()
    schedule = policy.group(LAUNDRY_GROUP).schedule
    night = datetime(2026, 3, 10, 3, 0, tzinfo=SHANGHAI)
    assert slot_now(schedule, night.astimezone(UTC), SHANGHAI).state is SlotState.OPEN


def test_only_dormitories_trip_on_malignant_loads_and_hair_dryers_are_permitted_there() -> None:
    site, policy = demo_site()
    for meter in site.meters:
        rules = policy.group(meter.policy_group)
        assert (rules.malignant.mode is RuleMode.TRIP) == (meter.kind is RoomKind.DORM)
        assert rules.overpower.mode is RuleMode.TRIP
    (dryer,) = policy.group("dorm").malignant.white_list
    # a kettle's power factor of 1.00 is outside what the white list covers
    assert dryer.power_factor is not None
    assert dryer.power_factor + dryer.power_factor_tolerance < 0.999
    assert CauseKind.MALIGNANT in policy.control.keep_power_suspends
