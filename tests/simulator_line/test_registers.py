"""The register map of every profile, read back by the collector's own decoder."""

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.base_search import walk_base
from collector.catalogue import load_profiles
from collector.decode import decode
from collector.encode import encode_row
from collector.plan import plan_blocks
from collector.profile import Encoding, Profile
from domain.quantities import QUANTITIES
from simulator.packing import encode_shown, packer
from simulator.registers import RegisterMap

PROFILES = load_profiles()
ROWS = [
    (profile, row)
    for profile in PROFILES.values()
    for row in profile.rows
    if row.encoding is not Encoding.BIT
]
VALUES: dict[str, float | int | bool] = {
    "voltage_v": 231.4,
    "current_a": 6.51,
    "power_w": 1498.0,
    "power_factor": 0.99,
    "frequency_hz": 50.0,
    "energy_wh": 1_234_560,
    "apparent_va": 1506.0,
    "reactive_var": 150.0,
    "balance_minor": -1205,
    "relay_closed": True,
    "forced_control": False,
}
TOLERANCE = {"power_factor": 0.006, "current_a": 0.006, "frequency_hz": 0.06, "voltage_v": 0.06}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_what_a_meter_holds_is_what_the_collector_decodes(profile: Profile) -> None:
    registers = RegisterMap(profile)
    wanted = [name for name in VALUES if profile.row(name)]
    blocks = plan_blocks(profile, wanted, base=registers.base)
    words = {
        block: registers.read(block.space, block.address, block.count, VALUES, {})
        for block in blocks
    }
    assert all(part is not None for part in words.values())
    values, faults = decode(profile, words, wanted, registers.base)  # type: ignore[arg-type]
    assert faults == []
    for name in wanted:
        expected = VALUES[name]
        if isinstance(expected, float):
            assert values[name] == pytest.approx(expected, abs=TOLERANCE.get(name, 1.0)), name
        elif name == "energy_wh":
            assert abs(int(values[name] or 0) - int(expected)) <= 10
        else:
            assert values[name] == expected, name


@given(st.sampled_from(ROWS), st.floats(-70_000, 70_000))
def test_the_quick_packer_agrees_with_the_encoder(
    case: tuple[Profile, object], value: float
) -> None:
    profile, row = case
    assert tuple(packer(profile, row)(value)) == encode_shown(profile, row, value)  # type: ignore[arg-type]


@given(st.sampled_from(ROWS), st.floats(0, 300))
def test_a_value_that_fits_is_encoded_as_the_collector_encodes_it(
    case: tuple[Profile, object], value: float
) -> None:
    profile, row = case
    whole = QUANTITIES[row.quantity].unit == "Wh"  # type: ignore[attr-defined]
    try:
        expected = encode_row(profile, row, math.floor(value) if whole else value)  # type: ignore[arg-type]
    except ValueError:
        return
    assert tuple(packer(profile, row)(value)) == expected  # type: ignore[arg-type]


def test_holes_inside_the_map_hold_zeros(profiles: Mapping[str, Profile]) -> None:
    registers = RegisterMap(profiles["acrel-ddsy1352"])
    words = registers.read("holding", 0x000D, 4, {"power_w": 40.0, "apparent_va": 41.0}, {})
    assert words == [40, 0, 41, 0]


def test_the_poll_block_of_the_acrel_meter_is_readable_as_a_whole(
    profiles: Mapping[str, Profile],
) -> None:
    registers = RegisterMap(profiles["acrel-ddsy1352"])
    words = registers.read("holding", 0x0200, 48, {"voltage_v": 230.0, "relay_closed": True}, {})
    assert words is not None
    assert (words[1], words[0x24]) == (2300, 0x2000)


def test_addresses_far_from_the_map_do_not_exist(profiles: Mapping[str, Profile]) -> None:
    registers = RegisterMap(profiles["acrel-ddsy1352"])
    assert registers.read("holding", 0x3000, 1, {}, {}) is None
    assert registers.read("input", 0x000B, 1, {}, {}) is None


def test_an_address_that_holds_20_bytes_can_only_be_read_alone(
    profiles: Mapping[str, Profile],
) -> None:
    registers = RegisterMap(profiles["acrel-adf400l"])
    assert registers.read("holding", 0x1A00, 1, {}, {}) == [0] * 10
    assert registers.read("holding", 0x1A00, 2, {}, {}) is None


def test_a_block_may_begin_in_the_middle_of_a_value(profiles: Mapping[str, Profile]) -> None:
    registers = RegisterMap(profiles["acrel-ddsy1352"])
    values = {"energy_wh": 7_000_000 * 10}
    whole = registers.read("holding", 0x0215, 2, values, {})
    assert whole == [7_000_000 >> 16, 7_000_000 & 0xFFFF]
    assert registers.read("holding", 0x0216, 1, values, {}) == [7_000_000 & 0xFFFF]
    assert registers.read("holding", 0x0214, 2, values, {}) == [0, 7_000_000 >> 16]


def test_a_counter_rolls_over_at_the_end_of_its_registers(
    profiles: Mapping[str, Profile],
) -> None:
    registers = RegisterMap(profiles["acrel-ddsy1352"])
    full = 2**32 * 10
    assert registers.read("holding", 0, 2, {"energy_wh": full - 10}, {}) == [0xFFFF, 0xFFFF]
    assert registers.read("holding", 0, 2, {"energy_wh": full + 20}, {}) == [0, 2]


def test_a_value_too_large_stays_at_the_end_of_the_range(profiles: Mapping[str, Profile]) -> None:
    registers = RegisterMap(profiles["acrel-ddsy1352"])
    assert registers.read("holding", 0x0D, 1, {"power_w": 50_000.0}, {}) == [0x7FFF]
    assert registers.read("holding", 0x0D, 1, {"power_w": -50_000.0}, {}) == [0x8000]
    assert registers.read("holding", 0x0C, 1, {"current_a": -3.0}, {}) == [0]


def test_false_values_replace_true_ones(profiles: Mapping[str, Profile]) -> None:
    registers = RegisterMap(profiles["eastron-sdm120"])
    values = {"power_w": 100.0}
    assert registers.read("input", 0x0C, 2, values, {}) == [0x42C8, 0]
    assert registers.read("input", 0x0C, 2, values, {}, {"power_w": "nan"}) == [0x7FC0, 0]
    assert registers.read("input", 0x0C, 2, values, {}, {"power_w": "inf"}) == [0x7F80, 0]
    assert registers.read("input", 0x0C, 2, values, {}, {"power_w": -100.0}) == [0xC2C8, 0]


def test_a_sunspec_meter_can_be_found_by_walking_its_models(
    profiles: Mapping[str, Profile],
) -> None:
    profile = profiles["sunspec-201"]
    registers = RegisterMap(profile)
    assert profile.base is not None
    walk = walk_base(profile.base)
    block = next(walk)
    with pytest.raises(StopIteration) as found:
        while True:
            block = walk.send(registers.read(block.space, block.address, block.count, {}, {}))
    assert found.value.value == registers.base


def test_low_word_first_models_are_served_low_word_first(
    profiles: Mapping[str, Profile],
) -> None:
    registers = RegisterMap(profiles["pzem-016"])
    assert registers.read("input", 5, 2, {"energy_wh": 0x12345}, {}) == [0x2345, 1]
