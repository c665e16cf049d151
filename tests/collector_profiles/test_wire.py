"""Wire time against the figures of the wire worked out by hand."""

import pytest

from collector.catalogue import load_profiles
from collector.plan import plan_blocks, plan_s
from collector.profile import Group
from collector.wire import WireTiming
from domain.site import Bus, Parity


@pytest.mark.parametrize(
    ("parity", "stop_bits", "bits"),
    [(Parity.EVEN, 1, 11), (Parity.ODD, 1, 11), (Parity.NONE, 2, 11), (Parity.NONE, 1, 10)],
)
def test_a_character_has_start_data_parity_and_stop_bits(parity, stop_bits, bits):
    assert WireTiming(9600, parity, stop_bits).character_s == pytest.approx(bits / 9600)


def test_silence_counts_characters_up_to_19200_baud_and_is_fixed_above():
    assert WireTiming(19_200).silence_s == pytest.approx(3.5 * 11 / 19_200)
    assert WireTiming(38_400).silence_s == 0.00175


@pytest.mark.parametrize(
    ("baud", "count", "reply_delay_s", "sweep_s"),
    [
        (9600, 20, 0.005, 1.88),
        (9600, 20, 0.020, 2.29),
        (9600, 20, 0.050, 3.10),
        (9600, 48, 0.005, 3.6),
        (9600, 48, 0.050, 4.8),
        (19_200, 20, 0.020, 1.41),
        (2400, 20, 0.005, 7.1),
        (115_200, 20, 0.005, 0.32),
        (115_200, 20, 0.050, 1.53),
    ],
)
def test_a_sweep_of_27_meters_takes_the_known_time(baud, count, reply_delay_s, sweep_s):
    line = WireTiming(baud, Parity.EVEN, 1, reply_delay_s)
    assert 27 * line.read_s(count) == pytest.approx(sweep_s, rel=0.02)


def test_a_fast_sweep_of_27_ddsy1352_takes_1_42_s():
    profile = load_profiles()["acrel-ddsy1352"]
    line = WireTiming(9600, Parity.EVEN, 1, 0.02)
    blocks = plan_blocks(profile, profile.quantities(Group.FAST), line)
    assert 27 * plan_s(profile, blocks, line) == pytest.approx(1.42, abs=0.005)


def test_coils_are_packed_eight_to_a_byte():
    line = WireTiming(9600, Parity.EVEN, 1, 0.0)
    assert line.read_s(1, "coil") == line.read_s(8, "coil")
    assert line.read_s(9, "coil") - line.read_s(8, "coil") == pytest.approx(line.character_s)


def test_writes_take_their_bytes():
    line = WireTiming(9600, Parity.EVEN, 1, 0.0)
    assert line.write_s(5) == line.write_s(6) == pytest.approx((16 + 3.5) * 11 / 9600)
    assert line.write_s(16, 2) == pytest.approx((9 + 4 + 8 + 3.5) * 11 / 9600)


def test_timing_of_a_bus_is_that_of_its_rs485_side():
    bus = Bus(name="b1", link="tcp", baud=4800, parity=Parity.NONE, stop_bits=2, reply_delay_s=0.05)
    assert WireTiming.of(bus) == WireTiming(4800, Parity.NONE, 2, 0.05)
