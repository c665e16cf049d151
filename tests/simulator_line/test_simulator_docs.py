"""The simulator's page names everything that the simulator has."""

from pathlib import Path

import pytest

from domain.site import Site
from simulator.config import SimulatorConfig
from simulator.control_api import control_app
from simulator.faults import FaultKind, FaultSpec
from simulator.field import SimulatedField
from simulator.scripted import ScriptedLoads

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_is_described(kind: FaultKind) -> None:
    assert f"`{kind.value}`" in PAGE


@pytest.mark.parametrize("key", [*SimulatorConfig.model_fields, *FaultSpec.model_fields])
def test_every_key_is_described(key: str) -> None:
    assert f"`{key}`" in PAGE


def test_every_route_of_the_control_api_is_described() -> None:
    site = Site(name="empty", time_zone="UTC", buses=())
    field = SimulatedField(site, {}, ScriptedLoads(), campus_now=lambda: 0.0)
    paths = control_app(field).openapi()["paths"]
    named = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert len(named) == 10
    assert [route for route in sorted(named) if f"`{route}" not in PAGE] == []
