"""Which registers are asked for together."""

import pytest

from collector.plan import Block, plan_blocks, plan_s
from collector.profile import Group, Profile
from collector.wire import WireTiming
from domain.site import Parity

LINE = WireTiming(9600, Parity.EVEN, 1, 0.02)


def meter(*rows, **changes) -> Profile:
    """Build a model of one-register voltages; rows are (quantity, address) pairs or dicts."""
    full = [
        row
        if isinstance(row, dict)
        else {"quantity": row[0], "address": row[1], "encoding": "i16", "range": [0, 1]}
        for row in rows
    ]
    data = {"name": "m", "title": "M", "source": "s", "rows": full, "max_gap": 124, **changes}
    return Profile.model_validate(data)


def test_neighbours_are_read_in_one_request():
    profile = meter(("voltage_v", 10), ("current_a", 11), ("power_w", 12))
    blocks = plan_blocks(profile, ["voltage_v", "current_a", "power_w"], LINE)
    assert blocks == (Block("holding", 10, 3),)


def test_a_gap_is_read_over_while_that_is_cheaper_than_another_request():
    # Another request costs 8 + 5 characters, 3.5 of silence and 20 ms: as much as 17 registers.
    near = meter(("voltage_v", 0), ("current_a", 17))
    far = meter(("voltage_v", 0), ("current_a", 19))
    assert len(plan_blocks(near, ["voltage_v", "current_a"], LINE)) == 1
    assert len(plan_blocks(far, ["voltage_v", "current_a"], LINE)) == 2


def test_a_slow_meter_makes_wider_gaps_worth_reading_over():
    profile = meter(("voltage_v", 0), ("current_a", 19), pause_s=0.1)
    assert len(plan_blocks(profile, ["voltage_v", "current_a"], LINE)) == 1


def test_max_gap_and_max_registers_are_kept_even_if_it_costs():
    names = ["voltage_v", "current_a", "power_w"]
    rows = [("voltage_v", 0), ("current_a", 4), ("power_w", 8)]
    assert len(plan_blocks(meter(*rows), names, LINE)) == 1
    assert len(plan_blocks(meter(*rows, max_gap=3), names, LINE)) == 1
    assert len(plan_blocks(meter(*rows, max_gap=2), names, LINE)) == 3
    assert len(plan_blocks(meter(*rows, max_registers=8), names, LINE)) == 2


def test_nothing_is_read_across_a_forbidden_or_a_single_address():
    rows, names = [("voltage_v", 0), ("current_a", 4)], ["voltage_v", "current_a"]
    for key in ("forbidden_reads", "single_reads"):
        elsewhere = meter(*rows, **{key: [{"first": 2, "last": 2, "space": "input"}]})
        between = meter(*rows, **{key: [{"first": 2, "last": 2}]})
        assert len(plan_blocks(elsewhere, names, LINE)) == 1
        assert plan_blocks(between, names, LINE) == (
            Block("holding", 0, 1),
            Block("holding", 4, 1),
        )


def test_a_value_at_a_single_address_is_read_alone():
    profile = meter(("voltage_v", 0), ("current_a", 1), single_reads=[{"first": 1, "last": 1}])
    assert len(plan_blocks(profile, ["voltage_v", "current_a"], LINE)) == 2


def test_each_space_has_its_own_requests_and_function():
    profile = meter(
        ("voltage_v", 0),
        {"quantity": "current_a", "address": 0, "encoding": "u16", "space": "input"},
        {"quantity": "relay_closed", "address": 0, "encoding": "bit", "space": "coil"},
    )
    blocks = plan_blocks(profile, ["voltage_v", "current_a", "relay_closed"], LINE)
    assert [(block.space, block.function) for block in blocks] == [
        ("holding", 3),
        ("input", 4),
        ("coil", 1),
    ]


def test_of_two_places_for_a_measurement_the_cheaper_one_is_taken():
    profile = meter(("voltage_v", 0), ("voltage_v", 100), ("power_w", 101))
    assert plan_blocks(profile, ["voltage_v", "power_w"], LINE) == (Block("holding", 100, 2),)
    assert plan_blocks(profile, ["voltage_v"], LINE) == (Block("holding", 0, 1),)


def test_a_counter_is_always_read_at_the_same_place():
    counter = {"quantity": "energy_wh", "encoding": "u32"}
    profile = meter({**counter, "address": 0}, {**counter, "address": 100}, ("power_w", 102))
    assert plan_blocks(profile, ["energy_wh", "power_w"], LINE) == (
        Block("holding", 0, 2),
        Block("holding", 102, 1),
    )


def test_with_very_many_alternatives_the_plan_still_beats_the_preferred_rows():
    names = [
        "voltage_v", "current_a", "power_w", "power_factor", "frequency_hz",
        "apparent_va", "reactive_var", "load_limit_w", "step_limit_w", "undervoltage_v",
    ]  # fmt: skip
    scattered = [(name, 100 * place) for place, name in enumerate(names)]
    together = [(name, 5000 + place) for place, name in enumerate(names)]
    profile = meter(*scattered, *together)
    blocks = plan_blocks(profile, names, LINE)
    assert plan_s(profile, blocks, LINE) < 3 * LINE.read_s(10)


def test_quantities_that_the_model_lacks_are_left_out():
    profile = meter(("voltage_v", 0))
    assert plan_blocks(profile, ["balance_minor"], LINE) == ()
    assert plan_blocks(profile, ["balance_minor", "voltage_v"], LINE) == (Block("holding", 0, 1),)


def test_after_exception_2_the_block_is_halved_and_never_asked_for_whole_again():
    names = ["voltage_v", "current_a", "power_w", "power_factor"]
    profile = meter(*[(name, place) for place, name in enumerate(names)])
    whole = Block("holding", 0, 4)
    assert plan_blocks(profile, names, LINE) == (whole,)
    halves = plan_blocks(profile, names, LINE, frozenset({whole}))
    assert halves == (Block("holding", 0, 2), Block("holding", 2, 2))
    quarter = plan_blocks(profile, names, LINE, frozenset({whole, halves[0]}))
    assert quarter == (Block("holding", 0, 1), Block("holding", 1, 1), Block("holding", 2, 2))


def test_a_split_forbids_every_read_that_contains_it():
    profile = meter(("voltage_v", 0), ("current_a", 3), ("power_w", 6))
    split = Block("holding", 0, 4)
    blocks = plan_blocks(profile, ["voltage_v", "power_w"], LINE, frozenset({split}))
    assert blocks == (Block("holding", 0, 1), Block("holding", 6, 1))


def test_splits_end_at_single_values_which_are_still_asked_for():
    profile = meter(("voltage_v", 0), ("current_a", 1))
    names = ["voltage_v", "current_a"]
    known: frozenset[Block] = frozenset()
    for _ in range(10):
        known |= frozenset(plan_blocks(profile, names, LINE, known))
    assert plan_blocks(profile, names, LINE, known) == (
        Block("holding", 0, 1),
        Block("holding", 1, 1),
    )


def test_a_base_moves_every_address():
    profile = meter(("voltage_v", 5), ("current_a", 6))
    assert plan_blocks(profile, ["voltage_v", "current_a"], LINE, base=40_070) == (
        Block("holding", 40_075, 2),
    )


def test_a_value_and_its_scale_factor_come_in_one_request(shipped):
    blocks = plan_blocks(shipped["sunspec-201"], ["current_a"], LINE, base=40_070)
    assert blocks == (Block("holding", 40_072, 5),)


def test_what_can_not_be_read_at_all_is_a_bug_and_said_so():
    profile = meter(("voltage_v", 5), forbidden_reads=[{"first": 5, "last": 5}])
    with pytest.raises(ValueError, match="no allowed read covers holding registers"):
        plan_blocks(profile, ["voltage_v"], LINE)


def test_the_prepaid_meter_is_swept_in_one_block_a_group(shipped):
    profile = shipped["acrel-ddsy1352"]
    assert plan_blocks(profile, profile.quantities(Group.FAST), LINE) == (
        Block("holding", 0x000B, 6),
    )
    assert plan_blocks(profile, profile.quantities(Group.SLOW), LINE) == (
        Block("holding", 0x0215, 16),
    )


def test_a_split_is_cut_at_the_widest_gap_that_was_read_over():
    names = ["voltage_v", "current_a", "power_w", "power_factor"]
    profile = meter(("voltage_v", 0), ("current_a", 2), ("power_w", 6), ("power_factor", 7))
    whole = plan_blocks(profile, names, LINE)
    assert whole == (Block("holding", 0, 8),)
    assert plan_blocks(profile, names, LINE, frozenset(whole)) == (
        Block("holding", 0, 3),
        Block("holding", 6, 2),
    )


def test_a_value_refused_at_one_place_is_read_at_the_other():
    profile = meter(("voltage_v", 0), ("voltage_v", 100))
    refused = frozenset({Block("holding", 0, 1)})
    assert plan_blocks(profile, ["voltage_v"], LINE, refused) == (Block("holding", 100, 1),)
    both = refused | {Block("holding", 100, 1)}
    assert plan_blocks(profile, ["voltage_v"], LINE, both) == (Block("holding", 0, 1),)
