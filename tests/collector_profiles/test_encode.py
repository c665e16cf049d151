"""Quantities in, registers out: what a simulated meter serves."""

import pytest

from collector.base_search import base_image, walk_base
from collector.decode import decode
from collector.encode import encode_row, read_image, register_image
from collector.plan import plan_blocks


def test_bits_of_one_word_are_merged(shipped):
    profile = shipped["acrel-ddsy1352"]
    image = register_image(profile, {"relay_closed": True, "forced_control": True})
    assert image["holding"][0x0224] == 0x2008


def test_every_row_of_a_quantity_is_served(shipped):
    image = register_image(shipped["acrel-ddsy1352"], {"voltage_v": 230.1})
    assert image["holding"][0x000B] == image["holding"][0x0201] == 2301


def test_a_coil_is_one_or_zero(shipped):
    profile = shipped["eastron-sdm320c"]
    assert register_image(profile, {"relay_closed": True})["coil"] == {0: 1}
    assert register_image(profile, {"relay_closed": False})["coil"] == {0: 0}


def test_missing_is_told_as_the_model_tells_it(shipped):
    abb, sdm = shipped["abb-b21"], shipped["eastron-sdm120"]
    assert encode_row(abb, abb.row("voltage_v"), None) == (0xFFFF, 0xFFFF)
    values, faults = decode(
        sdm,
        {block: [0x7FC0, 0] for block in plan_blocks(sdm, ["voltage_v"])},
        ["voltage_v"],
    )
    assert encode_row(sdm, sdm.row("voltage_v"), None) == (0x7FC0, 0)
    assert values == {"voltage_v": None}
    assert len(faults) == 1


def test_a_model_that_can_not_say_missing_refuses_to(small):
    profile = small()
    with pytest.raises(ValueError, match="no way to say that it is missing"):
        encode_row(profile, profile.row("voltage_v"), None)
    with pytest.raises(ValueError, match="a bit can't say"):
        encode_row(profile, profile.row("relay_closed"), None)


def test_what_does_not_fit_is_refused_unless_a_counter_may_roll_over(small):
    profile = small()
    row = profile.row("energy_wh")
    full = (1 << 32) * 10
    with pytest.raises(ValueError, match="does not fit u32 x 10"):
        encode_row(profile, row, full)
    assert encode_row(profile, row, full + 120, wrap=True) == (0, 12)
    assert encode_row(profile, row, full - 10) == (0xFFFF, 0xFFFF)


def test_negative_numbers_are_twos_complement(shipped):
    profile = shipped["acrel-ddsy1352"]
    assert encode_row(profile, profile.row("power_w"), -2.0) == (0xFFFE,)
    assert encode_row(profile, profile.row("balance_minor"), -100) == (0xFFFF, 0xFF9C)


def test_a_scaled_meter_serves_its_scale_factors_at_its_base(shipped):
    profile = shipped["sunspec-201"]
    image = register_image(profile, {"current_a": 12.34, "voltage_v": 230.1}, 40_070)
    assert image["holding"][40_072] == 1234
    assert image["holding"][40_076] == 0xFFFE
    assert image["holding"][40_077] == 2301
    blocks = plan_blocks(profile, ["current_a", "voltage_v"], base=40_070)
    words = {block: read_image(image, block) for block in blocks}
    values, faults = decode(profile, words, ["current_a", "voltage_v"], 40_070)
    assert (values, faults) == ({"current_a": 12.34, "voltage_v": 230.1}, [])


def walk(profile, image):
    """Walk to the base on a register image; return it and the number of reads it took."""
    steps = walk_base(profile.base)
    block = next(steps)
    for reads in range(1, 200):
        registers = image.get(block.space, {})
        known = all(at in registers for at in range(block.address, block.last + 1))
        try:
            block = steps.send(read_image(image, block) if known else None)
        except StopIteration as stop:
            return stop.value, reads
    raise AssertionError("the walk does not end")


def test_the_base_is_found_behind_the_common_model(shipped):
    profile = shipped["sunspec-201"]
    base, image = base_image(profile)
    assert walk(profile, image) == (base, 3)
    assert image["holding"][base] == 201


def test_no_marker_or_another_model_means_no_base(shipped):
    profile = shipped["sunspec-201"]
    base, image = base_image(profile)
    assert walk(profile, {}) == (None, 3)
    image["holding"][base] = 203
    assert walk(profile, image)[0] is None


def test_a_walk_in_circles_ends(shipped):
    profile = shipped["sunspec-201"]
    _, image = base_image(profile)
    registers = image["holding"]
    registers |= dict.fromkeys(range(40_002, 40_500), 0)  # a chain of empty models with id 0
    assert walk(profile, image)[0] is None


def test_a_model_with_fixed_addresses_has_no_base_to_serve(shipped):
    with pytest.raises(ValueError, match="need no base"):
        base_image(shipped["abb-b21"])
