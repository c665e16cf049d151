"""docs/api.md names every route and every metric, and its examples are what the API answers."""

import json
import re
from pathlib import Path

import pytest
from api_station import Station

from api import answers
from api.app import create_app
from api.metrics import registry_of

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


async def _approve(*_):
    return {}


def application():
    station = Station()
    station.change(approvals=list, approve=_approve)
    return create_app(station.deps)


def operations():
    for path, methods in application().openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def section(heading: str) -> str:
    """Return the text under a heading of a route."""
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    return found[1] if found else ""


def test_every_route_has_a_section_with_an_example():
    for method, path, _ in operations():
        assert "curl" in section(f"{method} {path}"), f"{method} {path} is not in docs/api.md"


def test_no_section_is_about_a_route_that_is_gone():
    routes = {f"{method} {path}" for method, path, _ in operations()}
    assert set(re.findall(r"^### ([A-Z]+ /.*)$", PAGE, re.M)) == routes


def test_every_parameter_is_named_in_its_section_or_in_the_one_it_points_to():
    shared = {"/api/v1/latest": "GET /api/v1/meters"}
    for method, path, operation in operations():
        text = section(f"{method} {path}") + section(shared.get(path, ""))
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                assert f"`{parameter['name']}" in text, f"{path}: {parameter['name']}"


def test_every_metric_is_in_the_table():
    for family in registry_of(Station().deps).collect():
        total = "_total" if family.type == "counter" else ""
        name = "wattwarden_info" if family.type == "info" else family.name + total
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize(
    ("heading", "shape"),
    [
        ("GET /api/v1/meters", answers.MeterList),
        ("GET /api/v1/meters/{meter}/latest", answers.LatestAnswer),
        ("GET /api/v1/meters/{meter}/readings", answers.ReadingsAnswer),
        ("GET /api/v1/causes", answers.CauseList),
        ("GET /api/v1/events", answers.EventList),
        ("POST /api/v1/commands", answers.CommandAnswer),
        ("GET /api/v1/buses", answers.BusList),
        ("GET /readyz", answers.ReadyAnswer),
    ],
)
def test_the_examples_have_the_shape_of_the_answers(heading, shape):
    text = re.search(r"```json\n(.*?)```", section(heading), re.S)[1]
    told = json.loads(text)
    given = shape.model_validate(told, extra="forbid").model_dump(mode="json")
    assert set(given) == set(told)
    for name, value in told.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            assert set(given[name][0]) == set(value[0])


def test_the_openapi_document_is_complete():
    document = application().openapi()
    names = set(document["components"]["schemas"])
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document))) <= names
    for method, path, operation in operations():
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"], where
        answers = operation["responses"]
        # A redirection and a deletion have nothing to say.
        assert {"200", "204", "302"} & set(answers), where
        content = answers.get("200", {}).get("content", {})
        assert "200" not in answers or any("schema" in kind for kind in content.values()), where
        if path != "/healthz":
            problem = operation["responses"]["401"]["content"]["application/problem+json"]
            assert problem["schema"]["$ref"].endswith("/Problem"), where


async def test_the_pages_for_people_and_programs_are_served():
    async with Station().client() as client:
        document = (await client.get("http://localhost/openapi.json")).json()
        assert document == create_app(Station().deps).openapi()
        assert "/openapi.json" in (await client.get("http://localhost/docs")).text
