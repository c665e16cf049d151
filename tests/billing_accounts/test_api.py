"""The office over HTTP: what is asked is done once, by who may, and told in one shape."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from office import TODAY, Office

sys.path.insert(0, str(Path(__file__).parent.parent / "api"))

from api_station import Station

from api.access import principal
from api.app import create_app
from api.billing_deps import BillingDeps
from domain.identity import Principal, Role
from domain.site import RoomKind

Ask = Callable[..., Any]


@pytest.fixture
def ask(office: Office) -> Ask:
    """Return a coroutine function that asks as somebody and gives status and JSON."""
    station = Station(ledger=office.ledger)
    station.change(
        clock=office.clock,
        billing=BillingDeps(
            books=office.books,
            directory=office.directory,
            accounts=office.accounts,
            tariff_of_kind={RoomKind.DORM: "dorm"},
        ),
    )
    app = create_app(station.deps)
    office.app = app

    async def send(
        verb: str, path: str, who: str = "li", roles: tuple[Role, ...] = (Role.ADMIN,),
        key: str | None = None, person: str | None = None, **more: Any,
    ) -> httpx.Response:  # fmt: skip
        user = Principal(who, frozenset(roles), person)
        app.dependency_overrides[principal] = lambda: user
        headers = {"Idempotency-Key": key} if key else {}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(verb, f"/api/v1{path}", headers=headers, **more)

    return send


A_ROOM = {"building": "B1", "room": "305", "kind": "dorm", "tariff": "dorm"}


async def test_an_account_is_opened_listed_and_shown(office: Office, ask: Ask) -> None:
    body = {**A_ROOM, "registers": {"m1": 100}, "opening_minor": 1234}
    opened = await ask("POST", "/accounts", key="k1", json=body)
    assert opened.status_code == 200
    assert opened.json() == {
        "id": "k1", "kind": "open", "subject": "B1/305", "repeated": False,
        "result": {"account": "b1-305"},
    }  # fmt: skip
    assert (await ask("POST", "/accounts", key="k1", json=body)).json()["repeated"] is True
    other = await ask("POST", "/accounts", key="k1", json={**body, "room": "306"})
    assert other.status_code == 409
    listed = (await ask("GET", "/accounts?building=B1&kind=dorm")).json()
    assert listed["count"] == 1
    assert listed["accounts"][0]["balance_micro"] == 12_340_000
    assert listed["accounts"][0]["balance"] == "12.34"
    room = (await ask("GET", "/rooms/b1-305")).json()
    assert room["registers"] == [
        {"meter": "m1", "serial": "", "since": "2026-11-22T04:00:00Z", "first_wh": 100,
         "until": None, "last_wh": None}
    ]  # fmt: skip


async def test_accounts_are_found_by_person_by_debt_and_in_pages(office: Office, ask: Ask) -> None:
    for room in ("305", "306", "307"):
        office.room(room, opening_micro=-5 if room == "306" else 0)
    office.people("b1-307", "s1")
    for query, ids in (
        ("person=s1", ["b1-307"]),
        ("owing=true", ["b1-306"]),
        ("room=305", ["b1-305"]),
        ("tariff=none", []),
        ("limit=1&offset=1", ["b1-306"]),
    ):
        found = (await ask("GET", f"/accounts?{query}")).json()
        assert [one["id"] for one in found["accounts"]] == ids, query
    assert (await ask("GET", "/accounts?limit=0")).status_code == 422
    assert (await ask("GET", "/accounts?colour=red")).status_code == 422


async def test_the_roster_is_opened_in_one_call(office: Office, ask: Ask) -> None:
    answer = await ask("POST", "/accounts/open-all")
    assert answer.json() == {"opened": ["b1-101", "b1-201"], "waiting": ["B1-0101", "B1-0201"]}


async def test_people_live_over_http(office: Office, ask: Ask) -> None:
    office.room("305")
    person = {"id": "s1", "name": "张三", "phone": "+86 138 0013 8000"}
    assert (await ask("POST", "/people", key="p1", json=person)).status_code == 200
    stay = {"person": "s1", "since": "2026-09-01"}
    assert (await ask("POST", "/rooms/b1-305/occupants", key="i", json=stay)).status_code == 200
    again = await ask("POST", "/rooms/b1-305/occupants", key="i2", json=stay)
    assert (again.status_code, again.json()["title"]) == (409, "The books refuse this")
    shown = (await ask("GET", "/people/s1")).json()
    assert shown == {
        "id": "s1", "name": "张三", "phone": "13800138000", "email": "", "language": "zh-CN",
        "occupancies": [
            {"person": "s1", "account": "b1-305", "since": "2026-09-01", "until": None}
        ],
    }  # fmt: skip
    assert (await ask("GET", "/people?account=b1-305")).json()["count"] == 1
    assert (await ask("GET", "/people?name=李")).json()["count"] == 0
    change = {"name": "张三", "email": "no address"}
    bad = await ask("PUT", "/people/s1", key="c1", json=change)
    assert (bad.status_code, bad.json()["errors"][0]["where"]) == (422, "email")
    leave = {"until": TODAY.isoformat()}
    left = await ask("POST", "/rooms/b1-305/occupants/s1/leave", key="o", json=leave)
    assert left.status_code == 200
    stays = (await ask("GET", "/rooms/b1-305/occupants")).json()["occupancies"]
    assert stays[0]["until"] == TODAY.isoformat()
    gone = await ask("DELETE", "/people/s1?reason=left", key="d")
    assert gone.json()["result"]["outcome"] == "blanked"
    for path in ("/people/s9", "/rooms/b1-999/occupants", "/rooms/b1-999"):
        assert (await ask("GET", path)).status_code == 404


async def test_a_room_changes_moves_and_closes_over_http(office: Office, ask: Ask) -> None:
    office.room("305", registers={"m1": 0}, opening_micro=50_000_000)
    office.room("306")
    office.people("b1-305", "s1")
    office.clock.leap(3600)
    terms = {"credit_limit_micro": 1_000_000, "reason": "asked"}
    assert (await ask("PATCH", "/rooms/b1-305", key="c", json=terms)).status_code == 200
    swap = {"meter": "m1", "final_wh": 10, "first_wh": 0, "new_meter": "m2", "reason": "broken"}
    assert (await ask("POST", "/rooms/b1-305/meter-change", key="m", json=swap)).status_code == 200
    wrong = {**swap, "meter": "m2", "final_wh": 10**12, "new_meter": "m3"}
    assert (
        await ask("POST", "/rooms/b1-305/meter-change", key="m2", json=wrong)
    ).status_code == 409
    move = {"to_account": "b1-306", "reason": "swap"}
    moved = (await ask("POST", "/rooms/b1-305/move", key="v", json=move)).json()
    assert moved["result"]["amount_micro"] == 50_000_000
    attach = {"meter": "m6", "first_wh": 7, "reason": "new"}
    assert (await ask("POST", "/rooms/b1-306/meters", key="a", json=attach)).status_code == 200
    close = {"reason": "left", "cashier": "till", "force_reason": "m6 has no reading"}
    closed = (await ask("POST", "/rooms/b1-306/close", key="x", json=close)).json()
    assert closed["result"]["paid_out_minor"] == 5000
    assert (await ask("GET", "/rooms/b1-306")).json()["open"] is False
    assert (await ask("GET", "/accounts")).json()["count"] == 1
    assert (await ask("GET", "/accounts?closed=true")).json()["count"] == 2


async def test_a_transfer_takes_two_people_over_http(office: Office, ask: Ask) -> None:
    office.room("305")
    office.room("306")
    office.recharge("b1-305", 5000, "o1")
    body = {
        "from_account": "b1-305", "to_account": "b1-306", "recharge": "recharge:o1",
        "amount_minor": 5000, "reason": "wrong room",
    }  # fmt: skip
    asked = (await ask("POST", "/transfers", key="t1", json=body)).json()
    assert (asked["state"], asked["amount"], asked["requested_by"]) == ("waiting", "50.00", "li")
    waiting = (await ask("GET", "/money-requests?waiting=true&account=b1-306")).json()
    assert [one["id"] for one in waiting["requests"]] == ["t1"]
    yes = {"reason": "seen"}
    own = await ask("POST", "/money-requests/t1/approve", json=yes)
    assert own.status_code == 403
    done = (await ask("POST", "/money-requests/t1/approve", who="wang", json=yes)).json()
    assert (done["state"], done["entry"]) == ("approved", "transfer:t1")
    assert office.balance("b1-306") == 50_000_000
    assert (await ask("GET", "/money-requests/t1")).json() == done
    more = await ask("POST", "/transfers", key="t2", json=body)
    assert more.status_code == 409
    for amount in (0, -1, 1.5, 10**9):
        bad = await ask("POST", "/transfers", key="t3", json={**body, "amount_minor": amount})
        assert bad.status_code == 422, amount


async def test_adjustments_and_write_offs_over_http(office: Office, ask: Ask) -> None:
    office.room("305", opening_micro=-7_000_000)
    fix = {"account": "b1-305", "amount_minor": 200, "reason": "billed twice"}
    assert (await ask("POST", "/adjustments", key="a1", json=fix)).status_code == 200
    no = await ask("POST", "/money-requests/a1/refuse", who="wang", json={"reason": "no"})
    assert no.json()["state"] == "refused"
    off = {"account": "b1-305", "reason": "gone"}
    assert (await ask("POST", "/write-offs", key="w1", json=off)).json()["amount"] == "7.00"
    clerk = (Role.OPERATOR,)
    stop = {"who": "chen", "roles": clerk, "json": {"reason": "no"}}
    assert (await ask("POST", "/money-requests/w1/refuse", **stop)).status_code == 403


OFFICE_ONLY = [
    ("GET", "/accounts"), ("POST", "/accounts"), ("POST", "/accounts/open-all"),
    ("PATCH", "/rooms/b1-305"), ("POST", "/rooms/b1-305/move"),
    ("POST", "/rooms/b1-305/meter-change"), ("POST", "/rooms/b1-305/meters"),
    ("POST", "/rooms/b1-305/close"), ("GET", "/people"), ("POST", "/people"),
    ("GET", "/people/s1"), ("PUT", "/people/s1"), ("DELETE", "/people/s1?reason=x"),
    ("GET", "/rooms/b1-305/occupants"), ("POST", "/rooms/b1-305/occupants"),
    ("POST", "/rooms/b1-305/occupants/s1/leave"), ("POST", "/transfers"),
    ("POST", "/adjustments"), ("POST", "/write-offs"), ("GET", "/money-requests"),
    ("GET", "/money-requests/t1"), ("POST", "/money-requests/t1/approve"),
    ("POST", "/money-requests/t1/refuse"), ("POST", "/accounts/import"),
    ("GET", "/accounts/export"), ("POST", "/people/import"), ("GET", "/people/export"),
]  # fmt: skip


async def test_students_may_do_none_of_it_even_for_their_own_room(office: Office, ask: Ask) -> None:
    office.room("305")
    office.people("b1-305", "s1")
    student = {"roles": (Role.STUDENT,), "person": "s1"}
    for verb, path in OFFICE_ONLY:
        answer = await ask(verb, path, key="k", json={}, **student)
        assert answer.status_code == 403, f"{verb} {path}"


async def test_a_student_sees_his_own_account_and_no_other(office: Office, ask: Ask) -> None:
    office.room("305")
    office.room("306")
    office.people("b1-305", "s1")
    student = {"roles": (Role.STUDENT,), "person": "s1"}
    assert (await ask("GET", "/rooms/b1-305", **student)).status_code == 200
    other = await ask("GET", "/rooms/b1-306", **student)
    missing = await ask("GET", "/rooms/b1-999", **student)
    assert (other.status_code, missing.status_code) == (404, 404)
    assert other.json()["detail"].replace("306", "999") == missing.json()["detail"]


@pytest.mark.parametrize(
    ("role", "verb", "path"),
    [
        (Role.OPERATOR, "PATCH", "/rooms/b1-305"),
        (Role.OPERATOR, "POST", "/rooms/b1-305/close"),
        (Role.OPERATOR, "POST", "/adjustments"),
        (Role.OPERATOR, "POST", "/money-requests/t1/approve"),
        (Role.FINANCE, "POST", "/people"),
        (Role.FINANCE, "GET", "/people/export"),
        (Role.FINANCE, "POST", "/rooms/b1-305/meter-change"),
        (Role.FACILITIES, "GET", "/people"),
        (Role.FACILITIES, "POST", "/rooms/b1-305/move"),
        (Role.ANALYST, "POST", "/accounts"),
        (Role.ANALYST, "GET", "/people"),
    ],
)
async def test_each_role_does_its_own_part(ask: Ask, role: Role, verb: str, path: str) -> None:
    answer = await ask(verb, path, roles=(role,), key="k", json={})
    assert answer.status_code == 403


async def test_files_are_shown_first_and_done_as_shown(office: Office, ask: Ask) -> None:
    rooms = "楼栋,房间,类型,电价\nB1,305,宿舍,dorm\n".encode("gb18030")
    dry = (await ask("POST", "/accounts/import?file=rooms.csv", content=rooms)).json()
    assert (dry["applied"], dry["counts"]["added"], dry["items"][0]["subject"]) == (
        False, 1, "B1 305",
    )  # fmt: skip
    assert office.directory.accounts() == []
    path = f"/accounts/import?file=rooms.csv&apply={dry['digest']}"
    keyless = await ask("POST", path, content=rooms)
    assert keyless.status_code == 422
    done = (await ask("POST", path, key="i1", content=rooms)).json()
    assert (done["applied"], done["digest"]) == (True, dry["digest"])
    people = "person,name,account,since\ns1,=A,b1-305,2026-09-01\n"
    dry = (await ask("POST", "/people/import", content=people)).json()
    assert dry["items"][1]["fields"]["since"] == [None, "2026-09-01"]
    other = people.replace("=A", "B")
    late = await ask("POST", f"/people/import?apply={dry['digest']}", key="i2", content=other)
    assert late.status_code == 409
    await ask("POST", f"/people/import?apply={dry['digest']}", key="i2", content=people)
    assert [one.id for one in office.directory.occupants("b1-305", TODAY)] == ["s1"]
    out = await ask("GET", "/people/export?format=csv&language=zh-CN")
    assert out.headers["content-disposition"] == 'attachment; filename="people.csv"'
    assert out.content.decode("utf-8-sig").splitlines()[1].startswith("s1,'=A,")
    sheet = await ask("GET", "/accounts/export?format=xlsx")
    again = (await ask("POST", "/accounts/import", content=sheet.content)).json()
    assert again["counts"]["unchanged"] == 1


async def test_faults_of_a_file_are_told_one_by_one(office: Office, ask: Ask) -> None:
    bad = "person,name,phone\n?,A,12\ns2,,\n"
    answer = await ask("POST", "/people/import?file=new.csv", content=bad)
    assert answer.status_code == 422
    assert [error["where"] for error in answer.json()["errors"]] == [
        "new.csv:2 person", "new.csv:2 phone", "new.csv:3 name",
    ]  # fmt: skip


async def test_a_file_may_be_large_and_other_bodies_may_not(office: Office, ask: Ask) -> None:
    rows = "person,name\n" + "".join(f"s{number},Name {number}\n" for number in range(8_000))
    assert len(rows) > 100_000
    dry = await ask("POST", "/people/import", content=rows)
    assert dry.json()["counts"]["added"] == 8_000
    assert (len(dry.json()["items"]), dry.json()["items_left_off"]) == (1_000, 7_000)
    assert (await ask("POST", "/people/import", content=b"x" * 6_000_001)).status_code == 413
    assert (await ask("POST", "/accounts", key="k", content=b"x" * 70_000)).status_code == 413


async def test_a_station_that_changes_no_accounts_says_so(office: Office) -> None:
    station = Station(ledger=office.ledger)
    money = BillingDeps(books=office.books, directory=office.directory)
    station.deps = replace(station.deps, billing=money)
    async with station.client() as client:
        answer = await client.post("/accounts/open-all")
    assert (answer.status_code, answer.json()["detail"]) == (
        404, "this station changes no accounts",
    )  # fmt: skip
