"""The whole benchmark, small: on a made-up folder, and on the real one where it lies."""

import json

import pytest

from bench.detect import data_folder, run
from domain.errors import InvalidInput


def test_a_folder_with_few_classes_is_enough_and_bars_are_what_was_measured(folder, tmp_path):
    report = run(data=folder, quick=True, workers=1)
    bars = {bar.name: bar for bar in report.bars}
    assert bars["power only: recall, uses >= 30 s"].value == 1.0
    assert bars["power only: false trips, refrigerator"].value == 0.0
    assert bars["power and power factor: trips, VacuumCleaner"].value == 0.0
    assert not any("Printer" in name for name in bars)
    report.write_json(tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["figures"]["a 5 s instant"]["product"]["recall"] == 1.0


@pytest.mark.slow
def test_the_real_recordings_hold_the_bars():
    try:
        folder = data_folder()
    except InvalidInput as missing:
        pytest.skip(str(missing))
    report = run(data=folder, quick=True, workers=1)
    missed = {bar.name for bar in report.bars if not bar.holds}
    # A flick of a few seconds before the real switch-on looks like a motor's start.
    assert missed <= {"power only: latency p99, first switch-on"}
