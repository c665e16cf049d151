"""Facts about the shipped models, as literal numbers: a slip of the pen in a profile fails here."""

import pytest

from domain.site import Parity

# model: quantity, space, address, encoding, factor
FACTS = {
    "acrel-ddsy1352": [
        ("voltage_v", "holding", 0x000B, "u16", 0.1),
        ("current_a", "holding", 0x000C, "u16", 0.01),
        ("power_w", "holding", 0x000D, "i16", 1),
        ("apparent_va", "holding", 0x000F, "u16", 1),
        ("power_factor", "holding", 0x0010, "i16", 0.001),
        ("energy_wh", "holding", 0x0215, "u32", 10),
        ("energy_wh", "holding", 0x0000, "u32", 10),
        ("energy_tariff1_wh", "holding", 0x0002, "u32", 10),
        ("energy_tariff4_wh", "holding", 0x0008, "u32", 10),
        ("voltage_v", "holding", 0x0201, "u16", 0.1),
        ("current_a", "holding", 0x0204, "u16", 0.01),
        ("power_w", "holding", 0x020A, "i16", 1),
        ("balance_minor", "holding", 0x021F, "i32", 1),
        ("purchase_count", "holding", 0x0221, "u16", 1),
        ("load_trips", "holding", 0x0222, "u16", 1),
        ("status_word", "holding", 0x0224, "u16", 1),
        ("alarm_1_minor", "holding", 0x0046, "u32", 1),
        ("alarm_2_minor", "holding", 0x0048, "u32", 1),
        ("credit_limit_minor", "holding", 0x004A, "u32", 1),
        ("purchase_count", "holding", 0x004E, "u16", 1),
        ("remaining_minor", "holding", 0x004F, "u32", 1),
        ("load_control_enabled", "holding", 0x0480, "u16", 1),
        ("recovery_s", "holding", 0x0486, "u16", 10),
    ],
    "acrel-adf400l": [
        ("voltage_v", "holding", 0x0300, "u16", 0.1),
        ("current_a", "holding", 0x0301, "u16", 0.01),
        ("power_w", "holding", 0x0302, "i16", 1),
        ("frequency_hz", "holding", 0x0305, "u16", 0.01),
        ("energy_wh", "holding", 0x0306, "u32", 10),
        ("balance_minor", "holding", 0x030A, "i32", 1),
        ("status_word", "holding", 0x0311, "u16", 1),
        ("alarm_1_minor", "holding", 0x0509, "u32", 1),
        ("alarm_2_minor", "holding", 0x050B, "u32", 1),
        ("recovery_s", "holding", 0x0706, "u16", 10),
        ("undervoltage_v", "holding", 0x0707, "u16", 0.1),
    ],
    "hiking-dds238": [
        ("energy_wh", "holding", 0x0000, "u32", 10),
        ("energy_export_wh", "holding", 0x0008, "u32", 10),
        ("energy_import_wh", "holding", 0x000A, "u32", 10),
        ("voltage_v", "holding", 0x000C, "u16", 0.1),
        ("current_a", "holding", 0x000D, "u16", 0.01),
        ("power_w", "holding", 0x000E, "i16", 1),
        ("power_factor", "holding", 0x0010, "u16", 0.001),
        ("frequency_hz", "holding", 0x0011, "u16", 0.01),
        ("relay_closed", "holding", 0x001A, "bit", 1),
    ],
    "eastron-sdm120": [
        ("voltage_v", "input", 0x00, "f32", 1),
        ("current_a", "input", 0x06, "f32", 1),
        ("power_w", "input", 0x0C, "f32", 1),
        ("apparent_va", "input", 0x12, "f32", 1),
        ("reactive_var", "input", 0x18, "f32", 1),
        ("power_factor", "input", 0x1E, "f32", 1),
        ("frequency_hz", "input", 0x46, "f32", 1),
        ("energy_wh", "input", 0x48, "f32", 1000),
        ("energy_export_wh", "input", 0x4A, "f32", 1000),
        ("energy_total_wh", "input", 0x156, "f32", 1000),
    ],
    "eastron-sdm320c": [("relay_closed", "coil", 0, "bit", 1)],
    "chint-ddsu666": [
        ("voltage_v", "holding", 0x2000, "f32", 1),
        ("current_a", "holding", 0x2002, "f32", 1),
        ("power_w", "holding", 0x2004, "f32", 1000),
        ("frequency_hz", "holding", 0x200E, "f32", 1),
        ("energy_wh", "holding", 0x4000, "f32", 1000),
        ("energy_export_wh", "holding", 0x400A, "f32", 1000),
    ],
    "abb-b21": [
        ("voltage_v", "holding", 0x5B00, "u32", 0.1),
        ("current_a", "holding", 0x5B0C, "u32", 0.01),
        ("power_w", "holding", 0x5B14, "i32", 0.01),
        ("frequency_hz", "holding", 0x5B2C, "u16", 0.01),
        ("energy_wh", "holding", 0x5000, "u64", 10),
    ],
    "schneider-iem3000": [
        ("voltage_v", "holding", 0x0BD3, "f32", 1),
        ("current_a", "holding", 0x0BB7, "f32", 1),
        ("power_w", "holding", 0x0BF3, "f32", 1000),
        ("frequency_hz", "holding", 0x0C25, "f32", 1),
        ("energy_wh", "holding", 0x0C83, "i64", 1),
    ],
    "orno-we514": [
        ("frequency_hz", "holding", 0x0130, "u16", 0.01),
        ("voltage_v", "holding", 0x0131, "u16", 0.01),
        ("current_a", "holding", 0x0139, "u32", 0.001),
        ("power_w", "holding", 0x0140, "u32", 1),
        ("energy_wh", "holding", 0xA000, "u32", 10),
    ],
    "orno-we516": [("power_w", "holding", 0x001C, "f32", 1000)],
    "pzem-016": [
        ("voltage_v", "input", 0, "u16", 0.1),
        ("current_a", "input", 1, "u32", 0.001),
        ("power_w", "input", 3, "u32", 0.1),
        ("energy_wh", "input", 5, "u32", 1),
        ("frequency_hz", "input", 7, "u16", 0.1),
        ("power_factor", "input", 8, "u16", 0.01),
        ("alarm_word", "input", 9, "u16", 1),
    ],
    "sunspec-201": [
        ("current_a", "holding", 2, "i16", 1),
        ("voltage_v", "holding", 7, "i16", 1),
        ("frequency_hz", "holding", 16, "i16", 1),
        ("power_w", "holding", 18, "i16", 1),
        ("energy_export_wh", "holding", 38, "u32", 1),
        ("energy_wh", "holding", 46, "u32", 1),
    ],
}


@pytest.mark.parametrize("model", FACTS)
def test_rows_are_where_the_register_tables_have_them(shipped, model):
    rows = {
        (row.quantity, row.space, row.address, row.encoding.value, row.factor)
        for row in shipped[model].rows
    }
    assert set(FACTS[model]) - rows == set()


def test_the_eastron_meters_share_one_map(shipped):
    floats = {
        name: [row for row in shipped[f"eastron-{name}"].rows if row.space == "input"]
        for name in ("sdm120", "sdm220", "sdm230", "sdm320c")
    }
    assert floats["sdm120"] == floats["sdm220"] == floats["sdm230"] == floats["sdm320c"]
    assert shipped["eastron-sdm120"].pause_s == 0.1
    assert shipped["eastron-sdm120"].max_registers == 50


def test_status_bits_of_the_prepaid_meter(shipped):
    bits = {row.quantity: row.bit for row in shipped["acrel-ddsy1352"].rows if row.bit is not None}
    assert bits == {
        "forced_closed": 0,
        "forced_control": 3,
        "over_limit": 4,
        "in_arrears": 5,
        "low_balance_1": 6,
        "low_balance_2": 7,
        "meter_fault": 8,
        "relay_closed": 13,
    }


def writes(profile, action):
    """Return the writes of an action as (function, address, words)."""
    return [
        (write.function, write.address, write.words)
        for write in profile.relay_actions[action].writes
    ]


def test_relay_commands_of_the_prepaid_meter_are_the_reverse_of_its_status(shipped):
    profile = shipped["acrel-ddsy1352"]
    assert writes(profile, "trip") == [(16, 0x0057, (1, 1))]
    assert writes(profile, "close") == [(16, 0x0057, (1, 0)), (16, 0x0057, (0, 0))]
    assert writes(profile, "keep-power") == [(16, 0x0057, (1, 0))]
    assert writes(profile, "release") == [(16, 0x0057, (0, 0))]


def test_a_plain_close_is_proven_closed_and_free_of_forced_control(shipped):
    for model in ("acrel-ddsy1352", "acrel-adf400l"):
        close = shipped[model].relay_actions["close"]
        proven = {expect.quantity: expect.value for expect in close.expect}
        assert proven == {"relay_closed": True, "forced_control": False}


def test_other_relays(shipped):
    hiking, sdm = shipped["hiking-dds238"], shipped["eastron-sdm320c"]
    assert (writes(hiking, "trip"), writes(hiking, "close")) == (
        [(16, 0x001A, (0,))],
        [(16, 0x001A, (1,))],
    )
    assert (writes(sdm, "trip"), writes(sdm, "close")) == (
        [(5, 0, (0x0000,))],
        [(5, 0, (0xFF00,))],
    )
    assert set(hiking.relay_actions) == set(sdm.relay_actions) == {"trip", "close"}


def test_meters_without_a_relay_have_no_actions(shipped):
    with_relay = {name for name, profile in shipped.items() if profile.relay_actions}
    assert with_relay == {"acrel-ddsy1352", "acrel-adf400l", "hiking-dds238", "eastron-sdm320c"}


@pytest.mark.parametrize(
    ("model", "function", "address", "words", "allowed"),
    [
        ("hiking-dds238", 16, 0x001A, (0,), True),
        ("hiking-dds238", 6, 0x001A, (0,), False),
        ("hiking-dds238", 16, 0x0000, (0,), False),
        ("hiking-dds238", 16, 0x0015, (0,), False),
        ("acrel-ddsy1352", 16, 0x0057, (1, 1), True),
        ("acrel-ddsy1352", 16, 0x0057, (7, 7), False),
        ("acrel-ddsy1352", 16, 0x004F, (0, 0), False),
        ("acrel-adf400l", 16, 0x0509, (0, 1000), True),
        ("acrel-adf400l", 16, 0x050C, (0, 0), False),
        ("acrel-adf400l", 16, 0x0900, (2,), False),
        ("eastron-sdm120", 16, 0x001C, (0, 0), False),
    ],
)
def test_only_what_a_profile_allows_can_be_written(
    shipped, model, function, address, words, allowed
):
    profile = shipped[model]
    write = {"function": function, "address": address, "words": words}
    relay_write = type(shipped["hiking-dds238"].relay.trip.writes[0])
    assert profile.may_write(relay_write.model_validate(write)) is allowed


def test_dangerous_registers_and_functions_are_named(shipped):
    assert 0x42 in shipped["pzem-016"].forbidden_functions
    erasing = shipped["hiking-dds238"].forbidden_writes[0]
    assert erasing.touches("holding", 0x0000, 0x0000)
    assert [(span.first, span.last) for span in shipped["acrel-adf400l"].single_reads] == [
        (0x1A00, 0x1A0B),
        (0x1B00, 0x1B13),
    ]


def test_line_settings(shipped):
    assert shipped["orno-we516"].parity is Parity.ODD
    assert {name for name, profile in shipped.items() if profile.parity is Parity.ODD} == {
        "orno-we516"
    }
    assert {name for name, p in shipped.items() if p.word_order == "low-first"} == {"pzem-016"}


def test_sunspec_scale_factors_and_base(shipped):
    profile = shipped["sunspec-201"]
    scales = {row.quantity: row.scale_address for row in profile.rows}
    assert scales["current_a"] == 6
    assert scales["voltage_v"] == 15
    assert scales["frequency_hz"] == 17
    assert scales["power_w"] == 22
    assert scales["energy_export_wh"] == scales["energy_wh"] == 54
    assert profile.base.model == 201
    assert (
        bytes(byte for word in profile.base.marker for byte in word.to_bytes(2, "big")) == b"SunS"
    )


def test_every_profile_can_be_recognised_on_a_bus(shipped):
    assert all(profile.fingerprint for profile in shipped.values())
