"""docs/messages.md and docs/arrears.md name every setting, state, template and reason."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from alerts.model import MessageState
from alerts.settings import (
    AliyunSettings,
    AppriseSettings,
    MessageSettings,
    QuietHours,
    SmsTemplate,
    TencentSettings,
)
from billing import forecast
from billing.arrears_ports import HELD_BACK
from billing.levels import Level, LevelPolicy, Threshold
from billing.nocut import NoCutCalendar
from domain.texts import TEXTS

DOCS = Path(__file__).parents[2] / "docs"
MESSAGES = (DOCS / "messages.md").read_text(encoding="utf-8")
ARREARS = (DOCS / "arrears.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "model"),
    [
        (MESSAGES, MessageSettings),
        (MESSAGES, QuietHours),
        (MESSAGES, AppriseSettings),
        (MESSAGES, AliyunSettings),
        (MESSAGES, TencentSettings),
        (MESSAGES, SmsTemplate),
        (ARREARS + MESSAGES, LevelPolicy),
        (ARREARS, NoCutCalendar),
        (ARREARS, Threshold),
    ],
)
def test_every_setting_is_named(page: str, model: type[BaseModel]) -> None:
    assert [name for name in model.model_fields if name not in page] == []


def test_every_state_level_and_reason_is_explained() -> None:
    assert [state for state in MessageState if f"`{state.value}`" not in MESSAGES] == []
    levels = [level for level in Level if level is not Level.ENOUGH]
    assert [level for level in levels if f"`{level.value}`" not in ARREARS] == []
    assert [reason for reason in HELD_BACK if f"| `{reason}` |" not in ARREARS] == []


def test_every_template_is_named() -> None:
    templates = set(re.findall(r"message\.([a-z-]+)\.title", "\n".join(TEXTS)))
    assert "level-last" in templates
    assert [name for name in templates if f"`{name}`" not in MESSAGES] == []


def test_the_figures_of_the_forecast_are_those_of_the_code() -> None:
    for figure in (forecast.LOOK_BACK_DAYS, forecast.KNOWN_DAYS_LEAST, forecast.DAYS_MOST):
        assert f" {figure}" in ARREARS


@pytest.mark.parametrize("name", ["messages.md", "arrears.md"])
def test_links_lead_to_files(name: str) -> None:
    for link in re.findall(r"\]\(([^):#]+)\)", (DOCS / name).read_text(encoding="utf-8")):
        assert (DOCS / link).exists(), link
