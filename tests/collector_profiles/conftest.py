"""Profiles for the tests: the shipped ones, and a small one to bend."""

from collections.abc import Callable
from typing import Any

import pytest

from collector.catalogue import load_profiles
from collector.profile import Profile

Maker = Callable[..., Profile]

SMALL: dict[str, Any] = {
    "name": "small",
    "title": "Small meter",
    "source": "made up for tests",
    "word_order": "high-first",
    "rows": [
        {"quantity": "voltage_v", "address": 0, "encoding": "u16", "factor": 0.1, "group": "fast"},
        {"quantity": "power_w", "address": 2, "encoding": "i32", "group": "fast"},
        {"quantity": "energy_wh", "address": 10, "encoding": "u32", "factor": 10, "group": "slow"},
        {"quantity": "relay_closed", "address": 20, "encoding": "bit", "bit": 3, "group": "slow"},
    ],
}


@pytest.fixture(scope="session")
def shipped() -> dict[str, Profile]:
    """Return every shipped profile by name."""
    return load_profiles()


@pytest.fixture
def small() -> Maker:
    """Return a maker of the small profile with some keys replaced."""

    def make(**changes: Any) -> Profile:
        return Profile.model_validate({**SMALL, **changes})

    return make
