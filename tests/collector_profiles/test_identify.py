"""Guessing a model from what a unit answers."""

import pytest

from collector.encode import read_image, register_image
from collector.identify import guess_profile, rank, scan_plan

LIVE = {
    "voltage_v": 231.4,
    "current_a": 4.0,
    "power_w": 900.0,
    "power_factor": 0.97,
    "frequency_hz": 50.02,
    "apparent_va": 926.0,
    "energy_wh": 1_234_560,
    "energy_import_wh": 1_234_560,
    "energy_total_wh": 1_234_560,
    "relay_closed": True,
}
# These have one and the same register map: which it is, only the label on the meter tells.
TWINS = {"eastron-sdm120", "eastron-sdm220", "eastron-sdm230", "eastron-sdm320c"}


def answers_of(profile, probes, values=None):
    """Return what a meter of this model answers: words where it has registers, else None."""
    image = register_image(profile, LIVE if values is None else values)
    served = {space: range(min(regs), max(regs) + 1) for space, regs in image.items()}
    return {
        block: read_image(image, block)
        if block.space in served
        and block.address in served[block.space]
        and block.last in served[block.space]
        else None
        for block in probes
    }


@pytest.mark.parametrize(
    "model",
    [
        "acrel-ddsy1352", "acrel-adf400l", "hiking-dds238", "chint-ddsu666", "abb-b21",
        "schneider-iem3000", "orno-we514", "orno-we516", "pzem-016",
    ],
)  # fmt: skip
def test_a_model_is_told_by_its_answers(shipped, model):
    profiles = list(shipped.values())
    answers = answers_of(shipped[model], scan_plan(profiles))
    assert guess_profile(profiles, answers) == model


def test_twins_come_out_on_top_together_and_no_guess_is_made(shipped):
    profiles = list(shipped.values())
    answers = answers_of(shipped["eastron-sdm120"], scan_plan(profiles))
    ranking = rank(profiles, answers)
    assert {name for name, _ in ranking[:4]} == TWINS
    assert ranking[0][1] == ranking[3][1] > 0.5
    assert guess_profile(profiles, answers) is None


def test_a_sunspec_meter_is_told_by_its_marker(shipped):
    profiles = list(shipped.values())
    probes = scan_plan(profiles)
    answers = dict.fromkeys(probes, None)
    marker = next(block for block in probes if block.address == 50_000)
    answers[marker] = [0x5375, 0x6E53]
    assert guess_profile(profiles, answers) == "sunspec-201"


def test_silence_zeros_and_noise_fit_nothing(shipped):
    profiles = list(shipped.values())
    probes = scan_plan(profiles)
    for word in (0, 0xFFFF):
        answers = {block: [word] * block.count for block in probes}
        assert guess_profile(profiles, answers) is None
    assert rank(profiles, dict.fromkeys(probes, None)) == []
    assert rank(profiles, {}) == []


def test_power_that_does_not_fit_voltage_and_current_speaks_against_a_model(shipped):
    profile = shipped["hiking-dds238"]
    probes = scan_plan([profile])
    right = rank([profile], answers_of(profile, probes))
    wrong = rank([profile], answers_of(profile, probes, {**LIVE, "power_w": 30.0}))
    assert wrong[0][1] < right[0][1]


def test_each_read_of_a_scan_is_tried_once_and_shared_ones_first(shipped):
    probes = scan_plan(shipped.values())
    assert len(probes) == len(set(probes))
    assert probes[0].space == "input"  # four Eastron models ask for the same block
    assert scan_plan([]) == ()
