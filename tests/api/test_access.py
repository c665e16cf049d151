"""Who may ask, and what a request may weigh."""

import pytest
from api_station import Station

from api.app import create_app

TRIP = {"meter": "B1-0101", "action": "trip", "reason": "smell", "requested_by": "li.wei"}
RIGHT = {"Authorization": "Bearer s3cret"}
PATHS = ["/api/v1/meters", "/api/v1/nothing", "/readyz", "/metrics", "/docs", "/openapi.json"]


def locked(**parts) -> Station:
    station = Station()
    station.change(access_token="s3cret", open_reads=False, open_writes=False)  # noqa: S106
    station.change(**parts)
    return station


async def ask(station, path, headers=None, host="station.example"):
    async with station.client(headers, host) as client:
        return await client.get(f"http://{host}{path}")


async def send(station, headers=None, host="station.example"):
    async with station.client(headers, host) as client:
        return await client.post("/commands", json=TRIP, headers={"Idempotency-Key": "k1"})


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_wants_the_token_even_those_that_are_not_there(path):
    response = await ask(locked(), path)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "Authorization: Bearer" in response.json()["detail"]


@pytest.mark.parametrize("path", PATHS)
async def test_with_the_token_every_path_answers(path):
    assert (await ask(locked(), path, RIGHT)).status_code == (404 if "nothing" in path else 200)


async def test_healthz_needs_no_token():
    response = await ask(locked(), "/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "version": "1.2.3"})


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer s3cre",
        "Bearer s3cret2",
        "Bearer ",
        "Basic s3cret",
        "s3cret",
        "Bearer S3CRET",
    ],
)
async def test_anything_but_the_token_is_401(header):
    assert (await ask(locked(), "/api/v1/meters", {"Authorization": header})).status_code == 401


async def test_the_scheme_is_known_in_any_case():
    headers = {"Authorization": "bearer s3cret"}
    assert (await ask(locked(), "/api/v1/meters", headers)).status_code == 200


async def test_without_token_and_open_door_the_answer_says_what_to_do():
    station = locked(access_token="")
    for headers in (None, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
        response = await ask(station, "/api/v1/meters", headers)
        assert response.status_code == 401
        assert "WATTWARDEN_ACCESS_TOKEN" in response.json()["detail"]


async def test_open_reads_let_reads_in_and_writes_out():
    station = locked(open_reads=True)
    assert (await ask(station, "/api/v1/meters", host="localhost")).status_code == 200
    assert (await send(station, host="localhost")).status_code == 401
    assert station.field.asked == []
    assert (await send(station, RIGHT, host="localhost")).status_code == 200


async def test_open_writes_let_writes_in():
    station = locked(open_reads=True, open_writes=True)
    assert (await send(station, host="127.0.0.1:8480")).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8480", "127.0.0.1:8480", "[::1]:8480"])
async def test_the_open_door_is_for_this_machine(host):
    station = locked(access_token="", open_reads=True)
    assert (await ask(station, "/api/v1/meters", host=host)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.7"])
async def test_a_page_elsewhere_can_not_lead_a_browser_through_the_open_door(host):
    station = locked(access_token="", open_reads=True, open_writes=True)
    response = await ask(station, "/api/v1/meters", host=host)
    assert response.status_code == 401
    assert "localhost" in response.json()["detail"]
    assert (await send(station, host=host)).status_code == 401
    assert station.field.asked == []


async def test_a_page_elsewhere_is_not_told_that_it_may_read_the_answers():
    response = await ask(
        locked(open_reads=True),
        "/api/v1/meters",
        {"Origin": "https://evil.example"},
        host="localhost",
    )
    assert "access-control-allow-origin" not in response.headers


async def test_a_body_that_says_it_is_too_big_is_413():
    station = Station()
    async with station.client() as client:
        response = await client.post("/commands", content=b"x" * 70_000)
    assert response.status_code == 413
    assert response.json()["detail"] == "a request's body may have 65536 bytes at most"


async def test_a_body_that_turns_out_too_big_is_413():
    async def parts():
        for _ in range(10):
            yield b" " * 10_000

    headers = {"Idempotency-Key": "k1", "Content-Type": "application/json"}
    async with Station().client() as client:
        response = await client.post("/commands", content=parts(), headers=headers)
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


async def test_who_may_not_ask_is_told_so_before_the_body_is_weighed():
    async with locked().client() as client:
        assert (await client.post("/commands", content=b"x" * 70_000)).status_code == 401


async def test_no_page_of_this_kind_and_no_such_method_are_problems():
    async with Station().client() as client:
        for response, status in (
            (await client.get("/nothing"), 404),
            (await client.delete("/meters"), 405),
        ):
            assert response.status_code == status
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["status"] == status


async def test_a_bug_is_a_problem_that_tells_nothing_of_the_inside():
    def broken():
        raise KeyError("the secret inside")

    station = Station()
    station.change(bus_stats=broken)
    async with station.client() as client:
        response = await client.get("/buses")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret" not in response.text


def test_every_error_class_has_its_status():
    import domain.errors as known
    from api.errors import Busy, status_of

    statuses = {
        known.UnknownSubject("x"): 404,
        known.InvalidInput([]): 422,
        known.CommandRefused("x"): 409,
        known.StoreUnavailable("x"): 503,
        known.StreamFull("x"): 503,
        known.LinkDown("x"): 503,
        Busy("x"): 503,
        known.Forbidden("x"): 403,
        known.RateLimited("x", 1.0): 429,
        known.WattwardenError("x"): 503,
    }
    assert {type(error): status_of(error)[0] for error in statuses} == {
        type(error): status for error, status in statuses.items()
    }
    classes = {kind for kind in vars(known).values() if isinstance(kind, type)}
    errors = {kind for kind in classes if issubclass(kind, known.WattwardenError)}
    assert errors <= {type(error) for error in statuses}


def test_an_application_is_made_without_a_running_loop():
    assert create_app(Station().deps).title == "Wattwarden"
