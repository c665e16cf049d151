"""Texts stand in one catalogue, in every language, with the same values to fill in."""

import string

import pytest

from domain.causes import CauseKind
from domain.texts import LANGUAGES, TEXTS, rule_text, text


@pytest.mark.parametrize("key", TEXTS)
def test_every_text_stands_in_every_language_with_the_same_values(key: str) -> None:
    fields = [
        {name for _, name, _, _ in string.Formatter().parse(TEXTS[key][language]) if name}
        for language in LANGUAGES
    ]
    assert set(TEXTS[key]) == set(LANGUAGES)
    assert all(each == fields[0] for each in fields)


@pytest.mark.parametrize("kind", CauseKind)
def test_every_kind_of_cause_has_a_name(kind: CauseKind) -> None:
    assert text(f"kind.{kind.value}", "zh-CN")


def test_a_verdict_is_told_in_both_languages() -> None:
    matched = {"power_w": 3301.0, "held_s": 6.55}
    limits = {"limit_w": 2500.0, "limit": "night"}
    assert rule_text("overpower", matched, limits) == (
        "3301 W drawn for 7 s, the night limit is 2500 W"
    )
    assert "3301 W" in rule_text("overpower", matched, limits, "zh-CN")


def test_a_missing_number_is_never_shown_as_one() -> None:
    assert "not known" in rule_text("malignant", {"step_w": 900.0, "power_factor_least": None}, {})
    assert "未知" in rule_text("malignant", {"step_w": 900.0}, {}, "zh-CN")


def test_a_rule_without_a_template_is_told_by_its_numbers() -> None:
    assert rule_text("new-rule", {"power_w": 5}, {"limit_w": 3}) == "new-rule: limit_w 3, power_w 5"
