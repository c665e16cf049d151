"""Tariffs, bills, use and held energy over HTTP: what is asked for comes as the services say it."""

from types import SimpleNamespace

import httpx
import pytest
from charging_station import micro

from api.app import create_app
from api.billing_deps import BillingDeps
from api.deps import ApiDeps, StationStats
from domain.ports import StreamStats

ROOM = "b1-101"


@pytest.fixture
def station(make_station):
    made = make_station()
    made.room()
    return made


@pytest.fixture
def ask(station):
    """Return a coroutine function that asks the station's API one thing."""
    deps = ApiDeps(
        site=lambda: SimpleNamespace(currency="CNY", time_zone="Asia/Shanghai", meters=()),
        series=SimpleNamespace(is_ready=lambda: True),
        ledger=station.ledger,
        clock=station.clock,
        latest=lambda _: [],
        stream_stats=lambda: StreamStats(0, 0, 0, 0, 0, 0, 0, 0),
        bus_stats=list,
        station_stats=StationStats,
        submit_command=lambda _: None,
        field_alive=lambda: True,
        open_reads=True,
        open_writes=True,
        billing=BillingDeps(
            books=station.books, directory=station.directory, charger=station.charger
        ),
    )
    application = create_app(deps)

    async def ask(method, path, status=200, **more):
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        base = "http://localhost/api/v1"
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            response = await client.request(method, path, **more)
        assert response.status_code == status, response.text
        return response.json()

    return ask


async def test_a_bill_tells_its_lines_with_the_rate_applied(station, ask):
    station.read((1, 2000), (1.5, 2400))
    station.charger.settle(ROOM)
    station.read((2, 2500))
    station.charger.accrued_micro(ROOM)
    bill = await ask("GET", f"/rooms/{ROOM}/bills/2026-11")
    assert bill == {
        "account": ROOM, "month": "2026-11", "final": False, "currency": "CNY",
        "lines": [{"tariff": "t", "version": 1, "band": "all", "tier": 1, "energy_wh": 1400,
                   "free_wh": 0, "rate": "0.55", "amount_micro": 770_000, "amount": "0.77"}],
        "fees_micro": {}, "energy_wh": 1400, "energy_micro": 770_000, "total_micro": 770_000,
        "total": "0.77", "accrued_micro": 55_000, "free_granted_wh": 0, "free_used_wh": 0,
        "free_expired_wh": 0,
    }  # fmt: skip
    listed = await ask("GET", f"/rooms/{ROOM}/bills")
    assert listed == {"count": 1, "bills": [bill]}
    await ask("GET", f"/rooms/{ROOM}/bills/2026-00", 422)
    await ask("GET", "/rooms/b9-9/bills/2026-11", 404)


async def test_use_is_told_by_the_hour_with_its_cost(station, ask):
    station.read((1, 1100), (2, 1300))
    told = await ask("GET", f"/rooms/{ROOM}/usage", params={"start": "2026-11-01T00:00:00Z"})
    assert (told["resolution"], told["currency"], told["count"]) == ("hour", "CNY", 2)
    assert told["rows"][1] == {
        "start": "2026-11-01T01:00:00Z", "end": "2026-11-01T02:00:00Z", "energy_wh": 200,
        "cost_micro": 110_000, "cost": "0.11",
    }  # fmt: skip
    wrong = {"start": "2026-11-02T00:00:00Z", "end": "2026-11-01T00:00:00Z"}
    await ask("GET", f"/rooms/{ROOM}/usage", 422, params=wrong)
    await ask("GET", f"/rooms/{ROOM}/usage", 422, params={"resolution": "week"})


async def test_a_held_jump_is_listed_decided_once_and_billed(station, ask):
    station.read((1, 1500), (1.5, 100), (1.6, 120))
    (held,) = (await ask("GET", "/reviews"))["reviews"]
    assert (held["state"], held["difference_wh"], held["counted_wh"]) == ("open", -1400, 0)
    assert held["suggestion"]["ruling"] == "swap"
    path = f"/reviews/{held['id']}"
    body = {"ruling": "swap", "final_wh": 1520, "first_wh": 90, "reason": "slip 12"}
    refused = await ask("POST", f"{path}/decision", 422, json={"ruling": "swap", "reason": "x"})
    assert {error["where"] for error in refused["errors"]} == {"final_wh", "first_wh"}
    for _ in range(2):
        done = await ask("POST", f"{path}/decision", json=body)
    assert (done["state"], done["counted_wh"], done["decided_by"]) == ("decided", 30, "station")
    assert await ask("GET", path) == done
    assert (await ask("GET", "/reviews"))["count"] == 0
    assert (await ask("GET", "/reviews", params={"open": "false"}))["count"] == 1
    await ask("POST", f"{path}/decision", 422, json={"ruling": "drop", "reason": "no"})
    await ask("GET", "/reviews/none", 404)
    check = await ask("GET", "/energy-check")
    assert check["difference_wh"] == 0
    assert check["registers"][0]["billed_wh"] == 500 + 30 + 20
    assert station.charged_micro() == 550 * 550


async def test_a_version_to_come_is_saved_and_one_that_has_begun_refused(ask):
    body = {"version": {"valid_from": "2027-01-01", "rate": "0.62"}, "reason": "dearer"}
    told = await ask("POST", "/tariffs/t/versions", json=body)
    assert [one["rate"] for one in told["versions"]] == ["0.55", "0.62"]
    begun = {"version": {"valid_from": "2026-11-01", "rate": "0.62"}, "reason": "late"}
    refused = await ask("POST", "/tariffs/t/versions", 422, json=begun)
    assert refused["errors"][0]["where"] == "valid_from"
    floats = {"version": {"valid_from": "2027-02-01", "rate": 0.62}, "reason": "x"}
    refused = await ask("POST", "/tariffs/t/versions", 422, json=floats)
    assert "write it as text" in refused["errors"][0]["message"]
    listed = await ask("GET", "/tariffs")
    assert [one["name"] for one in listed["tariffs"]] == ["t"]
    versions = await ask("GET", "/tariffs/t/versions")
    assert [one["reason"] for one in versions["versions"]] == ["site file", "dearer"]
    await ask("GET", "/tariffs/none/versions", 404)


async def test_a_preview_prices_a_month_or_given_energy_and_books_nothing(station, ask):
    station.read((1, 2000))
    station.charger.settle(ROOM)
    tariff = {"versions": [{"valid_from": "2026-01-01", "rate": "2"}]}
    by_month = {"tariff": tariff, "account_id": ROOM, "month": "2026-11"}
    told = await ask("POST", "/tariffs/preview", json=by_month)
    assert (told["total_micro"], told["total"]) == (micro("2"), "2")
    row = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-01T03:00:00Z", "energy_wh": 1500}
    told = await ask("POST", "/tariffs/preview", json={"tariff": tariff, "usage": [row]})
    assert told["total"] == "3"
    await ask("POST", "/tariffs/preview", 422, json={"tariff": tariff})
    await ask("POST", "/tariffs/preview", 422, json=by_month | {"usage": [row]})
    assert len(station.entries()) == 1
