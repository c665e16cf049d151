"""The runbook answers every alarm there can be, and every rule."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from domain.events import EventKind

ROOT = Path(__file__).parents[2]
PACKAGES = ("collector", "rules", "control", "storage", "app", "api", "billing", "alerts")
RULE_MODULES = ("malignant", "overpower", "schedule", "shed", "tamper")
# These say that something was done or is over; nobody has to do anything about them.
NEVER_AN_ALARM = {
    EventKind.METER_BACK,
    EventKind.BUS_BACK,
    EventKind.STORE_BACK,
    EventKind.MESSAGES_BACK,
    EventKind.WORK_RESUMED,
    EventKind.CAUSE_CLEARED,
    EventKind.COMMAND_SENT,
    EventKind.COMMAND_DONE,
    EventKind.ROSTER_LOADED,
    EventKind.POLICY_CHANGED,
    EventKind.SERVICE_STARTED,
    EventKind.SERVICE_STOPPED,
}


def entries() -> set[str]:
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    return set(re.findall(r"^### (\S+)$", text, re.MULTILINE))


def rule_names() -> set[str]:
    names: set[str] = set()
    for name in RULE_MODULES:
        module = importlib.import_module(f"rules.{name}")
        names |= set(getattr(module, "RULES", ())) | {getattr(module, "RULE", "")}
    return names - {""}


def alarm_calls() -> set[EventKind]:
    """Kinds that a call of the code names together with Severity.ALARM."""
    found: set[EventKind] = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    words = ast.unparse(node)
                    if "Severity.ALARM" in words:
                        found |= {EventKind[k] for k in re.findall(r"EventKind\.([A-Z_]+)", words)}
    return found


def test_every_event_that_can_be_an_alarm_has_an_entry() -> None:
    assert {kind.value for kind in set(EventKind) - NEVER_AN_ALARM} <= entries()


def test_no_event_is_raised_as_an_alarm_that_the_runbook_leaves_out() -> None:
    alarms = alarm_calls()
    assert {EventKind.METER_SILENT, EventKind.COMMAND_UNPROVEN} <= alarms  # the search does find
    assert alarms & NEVER_AN_ALARM == set()


def test_every_rule_has_an_entry() -> None:
    assert {"malignant", "overpower", "tamper-head"} <= rule_names()
    assert rule_names() <= entries()


def test_no_entry_is_about_something_that_does_not_exist() -> None:
    assert entries() - {kind.value for kind in EventKind} - rule_names() == set()


@pytest.mark.parametrize("file", ["control.md", "runbook.md"])
def test_links_lead_to_files(file: str) -> None:
    text = (ROOT / "docs" / file).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link


def test_the_control_page_names_every_wait_and_every_limit() -> None:
    text = (ROOT / "docs" / "control.md").read_text(encoding="utf-8")
    standing = (ROOT / "control" / "standing.py").read_text(encoding="utf-8")
    (waits,) = re.findall(r"^Wait = Literal\[(.*?)\]", standing, re.MULTILINE | re.DOTALL)
    for wait in re.findall(r'"([a-z-]+)"', waits):
        assert f"`{wait}`" in text
    from domain.policy import ControlPolicy

    for name in ControlPolicy.model_fields:
        assert name in text, name
