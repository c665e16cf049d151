"""Every route, every role, one's own and others': what `matrix.py` says is what happens."""

import asyncio
from itertools import count
from typing import Any

import pytest
from api_station import a_command, a_receipt, at
from campus import OTHER, OWN, STAFF, TOKEN, Campus
from matrix import METER_TARGETS, ROLES, ROWS, TARGETS, Row
from paper import waiting_orders

from api.deps import CommandRequest
from domain.commands import Action
from domain.identity import Role
from domain.users import Appeal, User
from storage.duckdb_series import DuckDbSeries

WHO = {"student": "wang", **{role.value: name for name, role in STAFF.items()}}
_addresses = count(1)


@pytest.fixture(scope="module")
def campus(tmp_path_factory, ready):
    folder = tmp_path_factory.mktemp("matrix")
    opened = Campus(folder, ready=ready)
    series = DuckDbSeries(folder / "series.duckdb")
    hashed = opened.user("olga").password_hash
    for name in ("spare", "spare-2"):
        opened.identity.store.add(
            User(name, frozenset({Role.OPERATOR}), password_hash=hashed)
        ).result(10)
    opened.trip("trip-own", OWN)
    opened.trip("trip-other", OTHER)
    command = a_command(CommandRequest("command-1", "B1-0101", Action.TRIP, "x", "olga"))
    opened.station.keep(command, a_receipt(command))
    appeal = Appeal("appeal-1", "trip-old", "B1-0101", OWN, "2023001", "no", at(-5))
    opened.identity.store.file_appeal(appeal).result(10)

    payments = opened.station.deps.billing.payments
    waiting_orders(payments, {"own": OWN, "other": OTHER})

    async def approve(*_: Any) -> dict[str, Any]:
        return {}

    opened.station.change(series=series, approvals=list, approve=approve)
    opened.restart()
    yield opened
    series.close()
    opened.close()


def operations(campus: Campus) -> set[str]:
    """Return every route of the application, those that the OpenAPI document hides too."""
    found = set()
    for route in campus.app.routes:
        for method in getattr(route, "methods", None) or ():
            if method not in ("HEAD", "OPTIONS") and route.path not in PAGES:
                found.add(f"{method} {route.path}")
    for path, methods in campus.app.openapi()["paths"].items():
        found |= {f"{method.upper()} {path}" for method in methods}
    return found


# The documentation of the API, for whoever has signed in.
PAGES = {"/docs", "/openapi.json"}


def test_every_route_has_a_row_and_every_row_a_route(campus):
    assert set(ROWS) == operations(campus)


def made(value: Any, target: str) -> Any:
    """Return a row's value with its callables called."""
    if callable(value):
        return value(target)
    if isinstance(value, dict):
        return {name: made(item, target) for name, item in value.items()}
    return value


async def ask(campus: Campus, route: str, row: Row, who: str | None, target: str) -> int:
    method, path = route.split(" ")
    fill = {
        "account_id": TARGETS.get(target),
        "meter": METER_TARGETS.get(target),
        **made(dict(row.fill), target),
    }
    # From an address of its own, so that no case runs into the limits of another.
    number = next(_addresses)
    address = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
    headers = {}
    if who is not None:
        tokens = campus.identity.bearer.begin(campus.user(WHO[who]))
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
    async with campus.browser(headers, address=address) as browser:
        url = f"https://power.example{path.format(**fill)}"
        sent = made(dict(row.send), target)
        answer = await asyncio.wait_for(browser.request(method, url, **sent), 20)
    return answer.status_code


def targets(route: str) -> list[str]:
    return list(TARGETS) if "{account_id}" in route or "{meter}" in route else [""]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", ROWS)
async def test_a_role_gets_what_its_row_says(campus, route, role):
    row = ROWS[route]
    words, whose = getattr(row, role).split(), targets(route)
    told = dict(zip(whose, words if len(words) > 1 else words * len(whose), strict=True))
    got = {target: str(await ask(campus, route, row, role, target)) for target in told}
    assert got == told


@pytest.mark.parametrize("route", ROWS)
async def test_nobody_gets_nothing_but_what_is_open(campus, route):
    row = ROWS[route]
    told = row.student if row.open else "401"
    for target in targets(route):
        assert str(await ask(campus, route, row, None, target)) == told


async def test_the_pages_about_the_api_are_for_whoever_has_signed_in(campus):
    for page in PAGES:
        async with campus.browser() as browser:
            assert (await browser.get(f"https://power.example{page}")).status_code == 401
        async with campus.program("wang") as program:
            assert (await program.get(f"https://power.example{page}")).status_code == 200


async def test_the_stations_token_is_an_admin(campus):
    async with campus.browser({"Authorization": f"Bearer {TOKEN}"}) as station:
        answer = await station.get("/me")
        assert (answer.json()["user"], answer.json()["roles"]) == ("station", ["admin"])
        assert (await station.get("/users")).status_code == 200


async def test_one_who_has_moved_out_sees_the_room_no_more(campus):
    async with campus.program("chen") as program:
        for path in ("/rooms/b1-101/balance", "/rooms/b1-101/trips", "/meters/B1-0101"):
            assert (await program.get(path)).status_code == 404


async def test_another_students_room_looks_exactly_like_one_that_is_not_there(campus):
    async with campus.program("wang") as program:
        other = await program.get(f"/rooms/{OTHER}/balance")
        missing = await program.get("/rooms/b9-999/balance")
    assert other.json()["detail"].replace(OTHER, "b9-999") == missing.json()["detail"]
    assert {n: v for n, v in other.headers.items() if n != "content-length"} == {
        n: v for n, v in missing.headers.items() if n != "content-length"
    }
