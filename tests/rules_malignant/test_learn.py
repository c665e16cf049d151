"""Recording an appliance once defines it."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from domain.errors import InvalidInput
from rules.learn import learn_entry
from rules.whitelist import Step, fits


def recording(power: list[float], factor: list[float] | None = None, volts: float = 220.0):
    start = datetime(2024, 3, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "time": [start + timedelta(seconds=2 * i) for i in range(len(power))],
            "power_w": power,
            "power_factor": factor or [None] * len(power),
            "voltage_v": [volts] * len(power),
        },
        schema_overrides={"power_factor": pl.Float64},
    )


def test_a_clean_use_gives_power_factor_and_tolerance():
    power = [60.0] * 5 + [700.0] + [1260.0, 1255.0, 1262.0, 1258.0] * 5 + [300.0, 60.0]
    factor = [0.9] * 5 + [0.95] + [0.999] * 20 + [0.95, 0.9]
    entry = learn_entry(recording(power, factor), "hair dryer", longest_run_s=900)
    assert entry.power_w == pytest.approx(1198.5, abs=2)
    assert entry.tolerance == 0.05
    assert entry.power_factor == pytest.approx(1.0, abs=0.002)
    assert (entry.learned, entry.longest_run_s) == (True, 900)
    assert fits(entry, "any", Step(1210))
    assert not fits(entry, "any", Step(1400))


def test_a_reactive_load_keeps_its_power_factor():
    power = [0.0] * 5 + [1200.0] * 12
    entry = learn_entry(recording(power, [1.0] * 5 + [0.84] * 12), "microwave")
    assert entry.power_factor == pytest.approx(0.84, abs=0.005)


def test_power_is_put_at_nominal_voltage():
    entry = learn_entry(recording([0.0] * 5 + [1000.0] * 12, volts=200.0), "dryer")
    assert entry.power_w == pytest.approx(1210)
    assert entry.power_factor is None


def test_a_load_that_swings_gets_a_wider_tolerance():
    entry = learn_entry(recording([0.0] * 5 + [900.0, 1000.0, 1100.0] * 5), "fan heater")
    assert 0.1 <= entry.tolerance <= 0.15


@pytest.mark.parametrize(
    ("power", "message"),
    [
        ([0.0] * 3, "samples"),
        ([60.0] * 30, "comes on"),
        ([1000.0] * 30, "comes on"),
        ([0.0] * 5 + [1000.0, 1000.0, 1000.0, 2000.0] * 6, "swings"),
        ([0.0] * 5 + [200.0, 2000.0] * 10, "was on for"),
    ],
)
def test_a_recording_that_defines_nothing_is_refused(power, message):
    with pytest.raises(InvalidInput, match=message):
        learn_entry(recording(power), "thing")
