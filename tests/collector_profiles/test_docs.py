"""docs/profiles.md knows every profile and every key, and its example works."""

import tomllib
from pathlib import Path

import pytest

from collector.invariants import profile_faults
from collector.profile import (
    BaseSearch,
    Encoding,
    Prepay,
    Profile,
    PurchaseField,
    PurchaseWrite,
    Relay,
    RelayAction,
    Row,
)

MODELS = [Profile, Row, Relay, RelayAction, Prepay, PurchaseWrite, PurchaseField, BaseSearch]

PAGE = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")


def test_every_shipped_profile_is_listed_with_its_line(shipped):
    for name, profile in shipped.items():
        line = f"{profile.baud} 8{profile.parity.value}{profile.stop_bits}"
        actions = [word.replace("-", " ") for word in profile.relay_actions]
        relay = ", ".join(actions) or "none"
        row = next(text for text in PAGE.splitlines() if text.startswith(f"| `{name}` |"))
        assert row.endswith(f"| {profile.phases} | {line} | {relay} |")


@pytest.mark.parametrize("model", MODELS)
def test_every_key_is_explained(model):
    assert [name for name in model.model_fields if f"`{name}`" not in PAGE] == []


def test_every_encoding_is_named():
    assert f"`{' '.join(encoding.value for encoding in Encoding)}`" in PAGE


def test_the_example_is_a_profile_without_faults():
    example = PAGE.split("```toml\n")[1].split("```")[0]
    profile = Profile.model_validate(tomllib.loads(example))
    assert profile_faults(profile) == []
    assert set(profile.relay_actions) == {"trip", "close"}
