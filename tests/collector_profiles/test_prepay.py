"""A profile's prepayment: what proves a purchase can be read, one write carries all of it."""

from pathlib import Path
from typing import Any

import pytest

import simulator
from collector.catalogue import read_profile
from collector.invariants import profile_faults
from collector.profile import Profile, Write

ROWS = [
    {"quantity": "power_w", "address": 2, "encoding": "i32", "group": "fast"},
    {"quantity": "balance_minor", "address": 6, "encoding": "i32", "group": "slow"},
    {"quantity": "relay_closed", "address": 20, "encoding": "bit", "bit": 3, "group": "slow"},
    {"quantity": "purchase_count", "address": 21, "encoding": "u16"},
    {"quantity": "remaining_minor", "address": 22, "encoding": "u32", "group": "slow"},
]
WRITE: dict[str, Any] = {
    "function": 16,
    "sequence": {"address": 48, "encoding": "u16"},
    "amount": {"address": 49, "encoding": "u32"},
    "amount_most_minor": 1000,
    "remaining_most_minor": 5000,
}


def made(small, prepay: dict[str, Any] | None = None, **write: Any) -> Profile:
    whole = {"remaining": "balance_minor", "count": "purchase_count", "write": {**WRITE, **write}}
    return small(rows=ROWS, prepay={**whole, **(prepay or {})})


def keys(profile: Profile) -> list[str]:
    return [fault.source.partition(": ")[2] for fault in profile_faults(profile)]


def test_a_whole_one_has_no_faults(small):
    assert keys(made(small)) == []


@pytest.mark.parametrize(
    ("prepay", "key"),
    [
        ({"remaining": "energy_wh"}, "prepay.remaining"),
        ({"remaining": "purchase_count"}, "prepay.remaining"),
        ({"count": "load_trips"}, "prepay.count"),
        ({"count": "balance_minor"}, "prepay.count"),
    ],
)
def test_what_proves_a_purchase_must_be_readable(small, prepay, key):
    assert key in keys(made(small, prepay))


@pytest.mark.parametrize(
    ("write", "key"),
    [
        ({"sequence": {"address": 48, "encoding": "f32"}}, "prepay.write.sequence.encoding"),
        ({"sequence": {"address": 47, "encoding": "u16"}}, "prepay.write"),
        ({"sequence": {"address": 49, "encoding": "u16"}}, "prepay.write"),
        ({"amount": {"address": 65535, "encoding": "u32"}}, "prepay.write.amount.address"),
        (
            {"sequence": {"address": 48, "encoding": "u16", "factor": 10}},
            "prepay.write.sequence.factor",
        ),
        (
            {
                "amount": {"address": 49, "encoding": "u16"},
                "amount_most_minor": 70_000,
                "remaining_most_minor": 70_000,
            },
            "prepay.write.amount_most_minor",
        ),
        ({"remaining_most_minor": 999}, "prepay.write.amount_most_minor"),
        (
            {
                "sequence": {"address": 21, "encoding": "u16"},
                "amount": {"address": 22, "encoding": "u32"},
            },
            "prepay.write",
        ),
    ],
)
def test_a_write_that_could_go_wrong_is_refused(small, write, key):
    assert key in keys(made(small, **write))


def test_money_is_written_by_the_purchase_alone(small):
    clash = {"first": 49, "last": 60}
    for name in ("allowed_writes", "forbidden_writes"):
        profile = made(small).model_copy(update={name: ()})
        data = profile.model_dump(mode="json") | {name: [clash]}
        assert keys(Profile.model_validate(data)) == ["prepay.write"], name


def test_a_profile_with_a_purchase_may_write_exactly_that(small):
    profile = made(small)
    assert profile.may_write(Write(function=16, address=48, words=(1, 0, 500)))
    assert not profile.may_write(Write(function=16, address=49, words=(0, 500)))
    assert not profile.may_write(Write(function=6, address=48, words=(1,)))
    assert not profile.may_write(Write(function=16, address=48, words=(1, 0, 500, 1)))


def test_shipped_models_that_hold_a_balance_are_read_only(shipped):
    prepaid = {name: profile.prepay for name, profile in shipped.items() if profile.prepay}
    assert sorted(prepaid) == ["acrel-adf400l", "acrel-ddsy1352"]
    assert [prepay.write for prepay in prepaid.values() if prepay] == [None, None]


def test_the_simulated_model_keeps_every_rule():
    folder = Path(simulator.__file__).parent / "profiles"
    profile, faults = read_profile(folder / "simulated-prepaid.toml")
    assert faults == [] and profile is not None and profile.prepay is not None
