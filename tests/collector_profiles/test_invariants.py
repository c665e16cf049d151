"""Each invariant catches the slip it is there for, and the shipped profiles pass them all."""

import pytest

from collector.invariants import profile_faults

VOLTAGE = {"quantity": "voltage_v", "address": 0, "encoding": "u16", "factor": 0.1, "group": "fast"}
POWER = {"quantity": "power_w", "address": 2, "encoding": "i32", "group": "fast"}
RELAY_BIT = {"quantity": "relay_closed", "address": 20, "encoding": "bit", "bit": 3}
FORCED_BIT = {"quantity": "forced_control", "address": 20, "encoding": "bit", "bit": 4}


def write(*words, address=30, function=16):
    """Return a write as data."""
    return {"function": function, "address": address, "words": list(words)}


def proof(**expected):
    """Return expectations as data."""
    return [{"quantity": name, "value": value} for name, value in expected.items()]


RELAY = {
    "polarity": "1 = closed",
    "trip": {"writes": [write(0)], "expect": proof(relay_closed=False)},
    "close": {"writes": [write(1)], "expect": proof(relay_closed=True)},
}


def found(profile):
    """Return the faults of a profile without its file name."""
    return [str(fault).split("small.toml: ")[1] for fault in profile_faults(profile)]


def test_the_small_profile_is_without_faults(small):
    assert found(small()) == []
    assert found(small(rows=[VOLTAGE, POWER, RELAY_BIT], relay=RELAY)) == []


def test_shipped_profiles_are_without_faults(shipped):
    assert [fault for profile in shipped.values() for fault in profile_faults(profile)] == []


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"quantity": "power_kw", "address": 9, "encoding": "u16"}, "(power_kw).quantity: is not"),
        ({"quantity": "meter_fault", "address": 9, "encoding": "u16"}, "allowed is bit"),
        ({"quantity": "current_a", "address": 9, "encoding": "bit", "bit": 0}, "anything but bit"),
        ({"quantity": "meter_fault", "address": 9, "encoding": "bit"}, "say which bit"),
        (
            {"quantity": "meter_fault", "address": 9, "encoding": "bit", "bit": 1, "factor": 2},
            "a bit has no factor",
        ),
        (
            {"quantity": "meter_fault", "address": 9, "encoding": "bit", "bit": 1, "space": "coil"},
            "a coil has no bits to choose from",
        ),
        (
            {"quantity": "current_a", "address": 9, "encoding": "u16", "space": "coil"},
            "a coil holds a bit and nothing else",
        ),
        (
            {"quantity": "current_a", "address": 9, "encoding": "u16", "bit": 1},
            "bit and inverted belong to the encoding bit only",
        ),
        (
            {"quantity": "current_a", "address": 9, "encoding": "u16", "factor": 0},
            "must be a finite number other than 0",
        ),
        (
            {"quantity": "current_a", "address": 9, "encoding": "u16", "factor": float("inf")},
            "must be a finite number other than 0",
        ),
        (
            {"quantity": "current_a", "address": 9, "encoding": "u16", "not_available": [65536]},
            "raw words as one unsigned number, 0 to 0xFFFF",
        ),
        (
            {"quantity": "current_a", "address": 9, "encoding": "f32", "scale_address": 12},
            "a float carries its own exponent",
        ),
        (
            {"quantity": "reactive_var", "address": 9, "encoding": "u16"},
            "u16 has no sign: give a range from 0, or a signed encoding",
        ),
        (
            {"quantity": "current_a", "address": 9, "encoding": "u16", "range": [5, 1]},
            "must be two finite numbers, the lower one first",
        ),
        (
            {"quantity": "current_a", "address": 9, "encoding": "u32", "range": [0, 5000]},
            "must lie within the quantity's own range, 0 to 1000",
        ),
        (
            {
                "quantity": "current_a", "address": 9, "encoding": "u16",
                "factor": 0.001, "range": [0, 100],
            },
            "u16 x 0.001 reaches 65.536 at most",
        ),
        ({"quantity": "current_a", "address": 0, "encoding": "u16"}, "overlaps current_a at 0"),
        ({"quantity": "current_a", "address": 3, "encoding": "u32"}, "overlaps current_a at 3"),
        (
            {"quantity": "current_a", "address": 9, "encoding": "i16", "scale_address": 2},
            "(current_a).scale_address: lies on power_w",
        ),
        (
            {"quantity": "energy_wh", "address": 65535, "encoding": "u32"},
            "its last register lies beyond 0xFFFF",
        ),
    ],
)  # fmt: skip
def test_a_slip_in_a_row_is_caught(small, row, complaint):
    faults = found(small(rows=[VOLTAGE, POWER, row]))
    assert any(complaint in fault for fault in faults), faults


def test_two_quantities_can_not_be_the_same_bit_but_may_share_a_word(small):
    same = {**FORCED_BIT, "bit": 3}
    word = {"quantity": "status_word", "address": 20, "encoding": "u16"}
    assert found(small(rows=[VOLTAGE, POWER, RELAY_BIT, FORCED_BIT, word])) == []
    assert "overlaps forced_control" in found(small(rows=[VOLTAGE, POWER, RELAY_BIT, same]))[0]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"source": " "}, "source: name the manual"),
        ({"title": ""}, "title: name the model"),
        ({"forbidden_reads": [{"first": 3, "last": 3}]}, "lies in forbidden_reads"),
        ({"forbidden_reads": [{"first": 9, "last": 8}]}, "forbidden_reads[0].last: must not be"),
        ({"max_registers": 1}, "needs 2 registers at once"),
        ({"rows": [VOLTAGE]}, "rows: the fast group must have power_w"),
        (
            {"fingerprint": [{"quantity": "frequency_hz", "range": [45, 65]}]},
            "fingerprint[0].quantity: has no row",
        ),
        (
            {"fingerprint": [{"quantity": "voltage_v", "range": [300, 80]}]},
            "fingerprint[0].range: must have the lower number first",
        ),
        (
            {
                "allowed_writes": [{"first": 5, "last": 9}],
                "forbidden_writes": [{"first": 9, "last": 9}],
            },
            "allowed_writes[0]: overlaps forbidden_writes",
        ),
    ],
)
def test_a_slip_in_a_profile_is_caught(small, changes, complaint):
    faults = found(small(**changes))
    assert any(complaint in fault for fault in faults), faults


def test_word_order_is_said_where_it_matters(small):
    unsaid = small().model_dump(exclude={"word_order"})
    assert "word_order: say" in found(type(small()).model_validate(unsaid))[0]
    narrow = {**unsaid, "rows": [VOLTAGE, {**POWER, "encoding": "i16"}]}
    assert found(type(small()).model_validate(narrow)) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"polarity": " "}, "relay.polarity: say in words"),
        (
            {"trip": {"writes": [], "expect": proof(relay_closed=False)}},
            "relay.trip.writes: needs at least one write",
        ),
        (
            {"trip": {"writes": [write(0)], "expect": []}},
            "relay.trip.expect: must prove relay_closed = false",
        ),
        (
            {"trip": {"writes": [write(0)], "expect": proof(relay_closed=True)}},
            "relay.trip.expect: must prove relay_closed = false",
        ),
        (
            {"close": {"writes": [write(1)], "expect": proof(relay_closed=True, in_arrears=False)}},
            "relay.close.expect[1].quantity: has no row, so it can't be read back",
        ),
        (
            {"close": {"writes": [write(1)], "expect": proof(relay_closed=True, power_w=True)}},
            "relay.close.expect[1].quantity: must be a boolean quantity",
        ),
        (
            {"close": {"writes": [write(0)], "expect": proof(relay_closed=True)}},
            "relay.close.writes: must differ from those of trip",
        ),
        (
            {"close": {"writes": [write(1, address=40)], "expect": proof(relay_closed=True)}},
            "relay.close.writes[0]: lies in forbidden_writes",
        ),
        (
            {"close": {"writes": [write(1, function=6)], "expect": proof(relay_closed=True)}},
            "relay.close.writes[0]: function 6 is in forbidden_functions",
        ),
        (
            {"close": {"writes": [write(1, function=5)], "expect": proof(relay_closed=True)}},
            "relay.close.writes[0]: a coil is written as 0xFF00 or 0x0000",
        ),
        (
            {"close": {"writes": [write(1, 2, address=65535)], "expect": proof(relay_closed=True)}},
            "relay.close.writes[0]: its last register lies beyond 0xFFFF",
        ),
        (
            {"keep_power": {"writes": [write(2)], "expect": proof(forced_control=True)}},
            "relay: keep_power and release come together",
        ),
    ],
)
def test_a_slip_in_a_relay_is_caught(small, changes, complaint):
    profile = small(
        rows=[VOLTAGE, POWER, RELAY_BIT, FORCED_BIT],
        relay={**RELAY, **changes},
        forbidden_writes=[{"first": 40, "last": 41}],
        forbidden_functions=[6],
    )
    faults = found(profile)
    assert any(complaint in fault for fault in faults), faults


def test_a_value_that_would_not_come_back_is_caught(small):
    row = {
        "quantity": "current_a", "address": 9, "encoding": "i16",
        "not_available": [0], "scale_address": 12, "simulated_scale": 3,
    }  # fmt: skip
    assert found(small(rows=[VOLTAGE, POWER, {**row, "not_available": []}])) == []
    # The marker for "missing" is a value that the meter has to tell.
    full = {**VOLTAGE, "not_available": [0]}
    lowest = {**VOLTAGE, "not_available": [1667]}
    assert found(small(rows=[full, POWER])) == []
    assert "comes back as None" in found(small(rows=[{**lowest, "range": [0, 500]}, POWER]))[0]
