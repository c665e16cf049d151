"""Registers in, quantities out: literal words, literal values."""

import pytest

from collector.decode import decode
from collector.encode import encode_row
from collector.plan import Block


def read(profile, name, *words, address=None, base=0):
    """Decode one quantity from literal words that begin at its own address."""
    row = profile.row(name)
    at = row.address if address is None else address
    block = Block(row.space, base + at, len(words))
    values, faults = decode(profile, {block: words}, [name], base)
    return values[name], [fault.message for fault in faults]


@pytest.mark.parametrize(
    ("model", "quantity", "words", "value"),
    [
        ("acrel-ddsy1352", "voltage_v", (2301,), 230.1),
        ("acrel-ddsy1352", "current_a", (655,), 6.55),
        ("acrel-ddsy1352", "power_w", (1507,), 1507.0),
        ("acrel-ddsy1352", "power_w", (0xFFFF,), -1.0),
        ("acrel-ddsy1352", "power_factor", (998,), 0.998),
        ("acrel-ddsy1352", "energy_wh", (0x0001, 0x0000), 655_360),
        ("acrel-ddsy1352", "balance_minor", (0xFFFF, 0xFF9C), -100),
        ("acrel-ddsy1352", "relay_closed", (0x2000,), True),
        ("acrel-ddsy1352", "relay_closed", (0xDFFF,), False),
        ("acrel-ddsy1352", "forced_control", (0x0008,), True),
        ("acrel-adf400l", "recovery_s", (6,), 60.0),
        ("acrel-adf400l", "forced_control", (0x0101,), True),
        ("hiking-dds238", "relay_closed", (1,), True),
        ("eastron-sdm120", "power_w", (0x44FA, 0x0000), 2000.0),
        ("eastron-sdm120", "energy_wh", (0x41A4, 0x0000), 20_500),
        ("eastron-sdm320c", "relay_closed", (0,), False),
        ("chint-ddsu666", "power_w", (0x3F00, 0x0000), 500.0),
        ("abb-b21", "voltage_v", (0x0000, 2300), 230.0),
        ("abb-b21", "energy_wh", (0, 0, 0, 123), 1230),
        ("schneider-iem3000", "energy_wh", (0, 0, 1, 1), 65_537),
        ("orno-we514", "current_a", (0, 1234), 1.234),
        ("pzem-016", "current_a", (1234, 0), 1.234),
        ("pzem-016", "power_w", (0, 1), 6553.6),
        ("pzem-016", "energy_wh", (5, 1), 65_541),
    ],
)
def test_words_become_values_in_the_quantitys_unit(shipped, model, quantity, words, value):
    assert read(shipped[model], quantity, *words) == (value, [])


def test_a_64_bit_counter_keeps_every_digit(shipped):
    words = (0x0001, 0x2345, 0x6789, 0xABCD)
    assert read(shipped["abb-b21"], "energy_wh", *words) == (0x123456789ABCD * 10, [])


@pytest.mark.parametrize(
    ("model", "quantity", "words"),
    [
        ("abb-b21", "voltage_v", (0xFFFF, 0xFFFF)),
        ("abb-b21", "power_w", (0x7FFF, 0xFFFF)),
        ("abb-b21", "power_factor", (0x7FFF,)),
        ("abb-b21", "energy_wh", (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF)),
        ("schneider-iem3000", "voltage_v", (0xFFC0, 0x0000)),
    ],
)
def test_not_available_is_null_and_no_fault(shipped, model, quantity, words):
    assert read(shipped[model], quantity, *words) == (None, [])


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0x7F80, 0), (0xFF80, 0)])
def test_nan_and_infinity_are_null_with_a_fault(shipped, words):
    value, faults = read(shipped["eastron-sdm120"], "power_w", *words)
    assert value is None
    assert faults[0].endswith("is not a number that can be used")


def test_a_value_out_of_range_is_null_with_a_fault_that_says_what_is_allowed(shipped):
    assert read(shipped["acrel-ddsy1352"], "voltage_v", 0xFFFF) == (
        None,
        ["6553.5 is out of range, 0 to 500 is allowed"],
    )


def test_the_rows_own_range_comes_before_the_quantitys(small):
    row = {"quantity": "power_w", "address": 0, "encoding": "u16", "range": [0, 3000]}
    assert read(small(rows=[row]), "power_w", 3000) == (3000.0, [])
    assert read(small(rows=[row]), "power_w", 3001)[0] is None


def test_a_negative_counter_is_refused(shipped):
    assert read(shipped["schneider-iem3000"], "energy_wh", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF) == (
        None,
        ["-1 is out of range, 0 and above is allowed"],
    )


def test_an_inverted_bit_is_turned_round(small):
    row = {"quantity": "relay_closed", "address": 0, "encoding": "bit", "bit": 2, "inverted": True}
    assert read(small(rows=[row]), "relay_closed", 0b0100) == (False, [])
    assert read(small(rows=[row]), "relay_closed", 0b1011) == (True, [])


@pytest.mark.parametrize(
    ("scale", "raw", "current_a"),
    [(0xFFFE, 1234, 12.34), (0x0000, 7, 7.0), (0x0001, 7, 70.0), (0xFFFD, 0xFC18, None)],
)
def test_a_sunspec_value_follows_the_scale_factor_read_with_it(shipped, scale, raw, current_a):
    profile = shipped["sunspec-201"]
    value, faults = read(profile, "current_a", raw, 0, 0, 0, scale, base=40_070)
    assert value == current_a
    assert bool(faults) is (current_a is None)  # -1 A is below the range of a current


def test_a_missing_scale_factor_makes_the_value_missing(shipped):
    profile = shipped["sunspec-201"]
    assert read(profile, "current_a", 1234, 0, 0, 0, 0x8000) == (None, [])
    assert read(profile, "current_a", 0x8000, 0, 0, 0, 0) == (None, [])


def test_an_impossible_scale_factor_is_a_fault(shipped):
    value, faults = read(shipped["sunspec-201"], "current_a", 1, 0, 0, 0, 11)
    assert (value, faults) == (None, ["scale factor 11 is not between -10 and 10"])


def test_a_value_without_its_scale_factor_is_not_guessed(shipped):
    profile = shipped["sunspec-201"]
    values, faults = decode(profile, {Block("holding", 2, 1): [1234]}, ["current_a"])
    assert (values, faults) == ({"current_a": None}, [])


def test_what_was_not_read_or_is_not_held_is_null_and_never_zero(small):
    values, faults = decode(small(), {}, ["voltage_v", "balance_minor", "relay_closed"])
    assert values == {"voltage_v": None, "balance_minor": None, "relay_closed": None}
    assert faults == []


def test_a_reply_of_the_wrong_length_is_not_used(small):
    values, faults = decode(small(), {Block("holding", 0, 4): [2300, 0]}, ["voltage_v"])
    assert values == {"voltage_v": None}
    assert str(faults[0]) == "small.voltage_v: expected 4 words, got 2"


def test_a_counter_is_not_taken_from_its_second_place(shipped):
    profile = shipped["acrel-ddsy1352"]
    block = Block("holding", 0x0000, 2)
    assert decode(profile, {block: [0, 500]}, ["energy_wh"])[0] == {"energy_wh": None}


def test_a_measurement_is_taken_from_whichever_place_was_read(shipped):
    profile = shipped["acrel-ddsy1352"]
    block = Block("holding", 0x0201, 1)
    assert decode(profile, {block: [2299]}, ["voltage_v"])[0] == {"voltage_v": 229.9}


def test_low_word_first_is_the_mirror_of_high_word_first(small):
    row = {"quantity": "energy_wh", "address": 0, "encoding": "u32"}
    high = small(rows=[row])
    low = small(rows=[row], word_order="low-first")
    assert encode_row(high, high.rows[0], 65_541) == (1, 5)
    assert encode_row(low, low.rows[0], 65_541) == (5, 1)
    assert read(low, "energy_wh", 5, 1) == read(high, "energy_wh", 1, 5) == (65_541, [])
