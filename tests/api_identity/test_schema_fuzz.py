"""Random requests that the OpenAPI document allows: nothing breaks, nothing undocumented comes.

A bounded number of requests a route, drawn from a fixed seed, by the station's token and, for what
is about oneself and one's room, by a student; half of them about things that are there.
"""

import os
from typing import Any

import pytest
import schemathesis
from campus import OWN, TOKEN, Campus
from fastapi import HTTPException
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from matrix import ROWS
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from storage.duckdb_series import DuckDbSeries

# More of them for a longer look: WATTWARDEN_FUZZ_EXAMPLES=200.
EXAMPLES = int(os.environ.get("WATTWARDEN_FUZZ_EXAMPLES", "6"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# Path parameters that name something: half of the requests are about what is there.
THERE = {
    "account_id": OWN,
    "meter": "B1-0101",
    "cause_id": "trip-own",
    "name": "summary",
    "person_id": "2023001",
    "month": "2026-04",
}
OWN_ROUTES = [route for route in ROWS if "/rooms/" in route or "/me" in route.split("{")[0]]


@pytest.fixture(scope="module")
def campus(tmp_path_factory, ready):
    folder = tmp_path_factory.mktemp("fuzz")
    opened = Campus(folder, ready=ready)
    series = DuckDbSeries(folder / "series.duckdb")
    opened.trip("trip-own", OWN)

    async def approve(*_: Any) -> dict[str, Any]:
        return {}

    opened.station.change(series=series, approvals=list, approve=approve)
    yield opened
    series.close()
    opened.close()


@pytest.fixture(scope="module")
def operations(campus) -> dict[str, Any]:
    """Every operation of the OpenAPI document, by method and path."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", campus.app, headers=headers)
    found = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        found[f"{operation.method.upper()} {operation.path}"] = operation
    return found


def fuzz(operation: Any, headers: dict[str, str]) -> None:
    @seed(20_260_501)
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), is_there=st.booleans())
    def ask(case: Any, is_there: bool) -> None:
        for name in case.path_parameters or {}:
            if is_there and name in THERE:
                case.path_parameters[name] = THERE[name]
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)

    ask()


def test_the_document_has_every_route(operations):
    assert set(operations) == set(ROWS)


# Before the station's own requests, which close rooms and shut users out.
@pytest.mark.parametrize("route", OWN_ROUTES)
def test_what_a_student_asks_gets_an_answer_that_the_document_foretells(campus, operations, route):
    token = campus.identity.bearer.begin(campus.user("wang")).access_token
    fuzz(operations[route], {"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("route", ROWS)
def test_what_the_station_asks_gets_an_answer_that_the_document_foretells(operations, route):
    fuzz(operations[route], {"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.parametrize(
    ("error", "noticed", "told"),
    [
        # An error of the application itself comes through to the test.
        (KeyError("inside"), KeyError, "inside"),
        (HTTPException(503, "tea"), FailureGroup, "Server error"),
        (HTTPException(418, "tea"), FailureGroup, "Undocumented status code"),
    ],
)
def test_a_broken_promise_is_noticed(operations, monkeypatch, error, noticed, told):
    """A control: the same checks on a route that breaks its promise."""

    def broken(**_: Any) -> None:
        raise error

    monkeypatch.setattr("api.routes.health.HealthAnswer", broken)
    with pytest.raises(noticed) as failed:
        fuzz(operations["GET /healthz"], {})
    assert told in "\n".join(map(str, getattr(failed.value, "exceptions", [failed.value])))
