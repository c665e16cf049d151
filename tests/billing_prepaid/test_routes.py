"""Tokens and purchases over HTTP: who may do what, in which room, and what it answers."""

import asyncio
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from campus import Campus
from houses import guess

from billing.prepaid import PrepaidKeeper
from billing.prepaid_check import PrepaidCheck
from billing.prepaid_model import PrepaidDifference, PurchaseOrder, PurchaseState
from billing.tokens import SECRET, Tokens
from domain.books import BookAccount
from domain.events import Event
from storage.books.prepaid import SqlTokenStore
from storage.books.prepaid_orders import SqlPrepaidStore

OWN, OTHER = "/rooms/b1-101", "/rooms/b1-201"
FIFTY = {"count": 2, "amount_minor": 5000}


@dataclass
class House:
    """A campus that sells tokens and has one refused and one unknown purchase, one difference."""

    campus: Campus
    tokens: Tokens
    store: SqlPrepaidStore
    events: list[Event]

    async def ask(self, who: str, method: str, path: str, **more):
        async with self.campus.program(who) as client:
            return await client.request(method, path, **more)

    async def sold(self, name: str = "b1", **more) -> list[str]:
        """Make two tokens and sell them; return their digits."""
        body = FIFTY | more
        made = await self.ask(
            "olga", "POST", "/tokens/batches", json=body, headers={"Idempotency-Key": name}
        )
        assert made.status_code == 200, made.text
        sheet = (await self.ask("olga", "GET", f"/tokens/batches/{name}/sheet")).json()
        serials = [int(card["serial"]) for card in sheet["cards"]]
        sold = await self.ask(
            "fiona", "POST", "/tokens/sales", json={"serials": serials},
            headers={"Idempotency-Key": f"sale-{name}"},
        )  # fmt: skip
        assert sold.status_code == 200, sold.text
        return [card["digits"] for card in sheet["cards"]]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ledger of a campus, to start from a copy of."""
    folder = tmp_path_factory.mktemp("campus")
    Campus(folder).close()
    return folder


@pytest.fixture
def house(tmp_path: Path, ready: Path) -> Iterator[House]:
    campus = Campus(tmp_path, ready=ready)
    events: list[Event] = []
    tokens = Tokens(
        campus.directory, SqlTokenStore(campus.ledger, campus.books),
        campus.ledger.secret(SECRET), campus.clock, events.append,
    )  # fmt: skip
    store = SqlPrepaidStore(campus.ledger, campus.books)
    _fill(store, campus)
    keeper = PrepaidKeeper(
        campus.books, campus.directory, store, lambda _: None, lambda _: asyncio.Future(),
        campus.clock, on_event=events.append, seal_key=b"k",
    )  # type: ignore[arg-type, return-value]  # fmt: skip
    check = PrepaidCheck(
        campus.books, campus.directory, store, lambda _: 0, keeper.is_moving, campus.clock,
        on_event=events.append,
    )  # fmt: skip
    billing = campus.station.deps.billing
    assert billing is not None
    campus.station.change(
        billing=replace(billing, tokens=tokens, prepaid=keeper, prepaid_check=check)
    )
    campus._app = None
    yield House(campus, tokens, store, events)
    campus.close()


def _fill(store: SqlPrepaidStore, campus: Campus) -> None:
    now = campus.clock.now()
    campus.books.open(*(BookAccount(name) for name in ("transit:B1-0101", "meter:B1-0101"))).result(
        10
    )
    order = PurchaseOrder("p1", "b1-101", "B1-0101", 5000, PurchaseState.REFUSED, now, now, now)
    store.put(order, None).result(10)
    store.put(replace(order, id="p2", account="b1-201", meter="B1-0201"), None).result(10)
    evidence = {"remaining_minor": 2500}
    store.differ(
        PrepaidDifference("d1", "B1-0101", "b1-101", "amount", now, now, -10_000_000, evidence)
    ).result(10)


async def test_from_the_batch_to_the_room(house) -> None:
    digits, other = await house.sold()
    answer = await house.ask("wang", "POST", f"{OWN}/tokens", json={"token": digits, "x": 1})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["amount_minor"], found["account"], found["repeated"]) == (5000, "b1-101", False)
    again = await house.ask("li", "POST", f"{OWN}/tokens", json={"token": digits})
    assert again.json() == found | {"repeated": True}
    elsewhere = await house.ask("zhao", "POST", f"{OTHER}/tokens", json={"token": digits})
    assert elsewhere.status_code == 409
    assert elsewhere.json()["detail"] == "该充值码已使用"
    assert house.campus.books.balance("room:b1-101") == 50_000_000
    token = (await house.ask("olga", "GET", f"/tokens/{found['serial']}")).json()
    assert (token["state"], token["used_for"], token["redeemed_by"]) == (
        "redeemed", "b1-101", "wang",
    )  # fmt: skip
    sold = (await house.ask("fiona", "GET", "/tokens?state=sold")).json()
    assert sold["count"] == 1 and other not in str(sold), "no digits in lists"


async def test_a_kiosk_types_in_for_any_room_and_a_student_for_his_own_alone(house) -> None:
    one, two = await house.sold()
    for who, room in (("wang", OTHER), ("wang", "/rooms/none"), ("chen", OWN), ("anna", OWN)):
        answer = await house.ask(who, "POST", f"{room}/tokens", json={"token": one})
        assert answer.status_code == 404, (who, room)
    assert (await house.ask("olga", "POST", f"{OTHER}/tokens", json={"token": two})).json()[
        "account"
    ] == "b1-201"


async def test_wrong_tokens_are_refused_in_the_students_language_and_then_locked(house) -> None:
    (digits, _) = await house.sold()
    slip = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    answer = await house.ask("li", "POST", f"{OWN}/tokens", json={"token": slip})
    assert answer.status_code == 422 and "mistyped" in answer.text
    answer = await house.ask("wang", "POST", f"{OWN}/tokens", json={"token": "12"})
    assert answer.status_code == 422 and "20 位" in answer.text
    for by in range(1, 6):
        answer = await house.ask("wang", "POST", f"{OWN}/tokens", json={"token": guess(digits, by)})
        assert (answer.status_code, answer.json()["detail"]) == (409, "充值码无效")
    locked = await house.ask("wang", "POST", f"{OWN}/tokens", json={"token": digits})
    assert locked.status_code == 429 and int(locked.headers["Retry-After"]) > 3_000
    assert "请稍后再试" in locked.json()["detail"]
    assert (await house.ask("li", "POST", f"{OWN}/tokens", json={"token": digits})).is_success


async def test_wrong_tokens_at_a_kiosk_lock_it_for_that_room_and_no_other(house) -> None:
    (digits, _) = await house.sold()
    for by in range(1, 7):
        answer = await house.ask("olga", "POST", f"{OWN}/tokens", json={"token": guess(digits, by)})
    assert answer.status_code == 429
    assert (await house.ask("olga", "POST", f"{OTHER}/tokens", json={"token": digits})).is_success


OFFICE_ONLY = [
    ("POST", "/tokens/batches", {"json": FIFTY, "headers": {"Idempotency-Key": "k"}}),
    ("GET", "/tokens/batches", {}),
    ("GET", "/tokens/batches/b9/sheet", {}),
    ("POST", "/tokens/sales", {"json": {"serials": [1]}, "headers": {"Idempotency-Key": "k"}}),
    ("GET", "/tokens", {}),
    ("GET", "/tokens/1", {}),
    ("POST", "/tokens/1/void", {"json": {"reason": "torn"}}),
    ("GET", "/purchases", {}),
    ("GET", "/purchases/p1", {}),
    ("GET", "/prepaid-differences", {}),
]
FINANCE_ONLY = [
    ("POST", "/purchases/none/release", {"json": {"reason": "mended"}}),
    ("POST", "/purchases/none/settle", {"json": {"reason": "display", "taken": True}}),
    ("POST", "/prepaid-differences/none/propose", {"json": {"reason": "display"}}),
    ("POST", "/prepaid-differences/none/approve", {"json": {}}),
    ("POST", "/prepaid-meters/none/take-out", {"json": {"reason": "changed"}}),
]


async def test_the_office_alone_makes_sells_and_settles(house) -> None:
    for row in OFFICE_ONLY + FINANCE_ONLY:
        method, path, send = row
        for who in ("wang", "fred", "anna", "olga", "fiona", "ada"):
            answer = await house.ask(who, method, path, **send)
            allowed = who in ("fiona", "ada") or (who == "olga" and row not in FINANCE_ONLY)
            assert (answer.status_code == 403) is not allowed, (who, path, answer.text)
            assert answer.status_code in (200, 403, 404, 409)
        async with house.campus.browser() as nobody:
            assert (await nobody.request(method, path, **send)).status_code == 401


async def test_a_sheet_is_printed_as_csv_and_as_data_and_who_saw_it_is_known(house) -> None:
    digits = await house.sold(account="b1-101")
    answer = await house.ask("olga", "GET", "/tokens/batches/b1/sheet.csv?language=zh-CN")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.startswith("\ufeff序号,编号,充值码,金额（元）,房间,有效期至")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["充值码"] for row in rows] == digits
    assert rows[0]["金额（元）"] == "50.00" and rows[0]["房间"] == "b1-101"
    sheet = (await house.ask("olga", "GET", "/tokens/batches/b1/sheet")).json()
    assert sheet["title"] == "Electricity recharge tokens" and sheet["batch"]["count"] == 2
    assert {(event.kind, event.actor) for event in house.events} == {("tokens-printed", "olga")}


async def test_the_same_key_makes_one_batch_and_one_sale(house) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await house.ask("olga", "POST", "/tokens/batches", json=FIFTY, headers=key)
    again = await house.ask("olga", "POST", "/tokens/batches", json=FIFTY, headers=key)
    other = await house.ask(
        "olga", "POST", "/tokens/batches", json=FIFTY | {"count": 3}, headers=key
    )
    assert (first.json(), other.status_code) == (again.json(), 409)


async def test_row_22_amounts_that_can_not_be_are_refused(house) -> None:
    for amount in (0, -5000, 2500, 50.5, "5000", 100_000_000):
        answer = await house.ask(
            "olga", "POST", "/tokens/batches", json={"count": 1, "amount_minor": amount},
            headers={"Idempotency-Key": "k"},
        )  # fmt: skip
        assert answer.status_code == 422, amount


async def test_a_sold_token_is_refunded_from_the_drawer_of_who_takes_it_back(house) -> None:
    await house.sold()
    serial = (await house.ask("olga", "GET", "/tokens")).json()["tokens"][0]["serial"]
    path = f"/tokens/{serial}/void"
    kept = await house.ask("fiona", "POST", path, json={"reason": "torn"})
    assert kept.status_code == 422 and "cashier" in kept.text
    gone = await house.ask("fiona", "POST", path, json={"reason": "torn", "refund": True})
    assert gone.json()["state"] == "void"
    assert house.campus.books.balance("cash:fiona") == -50_000_000
    assert house.campus.books.balance("clearing:token") == 50_000_000
    named = {"reason": "torn", "refund": True, "cashier": "olga"}
    assert (await house.ask("fiona", "POST", path, json=named)).status_code == 403


async def test_occupants_see_what_became_of_their_money_and_no_wire(house) -> None:
    own = (await house.ask("wang", "GET", f"{OWN}/purchases")).json()
    assert [(one["id"], one["state"]) for one in own["purchases"]] == [("p1", "refused")]
    assert "proof" not in own["purchases"][0]
    assert (await house.ask("wang", "GET", f"{OTHER}/purchases")).status_code == 404
    whole = (await house.ask("olga", "GET", "/purchases?state=refused")).json()
    assert whole["count"] == 2 and "proof" in whole["purchases"][0]


async def test_a_refused_purchase_is_released_once(house) -> None:
    answer = await house.ask("fiona", "POST", "/purchases/p1/release", json={"reason": "mended"})
    assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    again = await house.ask("fiona", "POST", "/purchases/p1/release", json={"reason": "mended"})
    assert again.status_code == 409
    unknown = await house.ask(
        "fiona", "POST", "/purchases/p2/settle", json={"reason": "seen", "taken": True}
    )
    assert unknown.status_code == 409


async def test_a_difference_is_proposed_by_one_and_approved_by_another(house) -> None:
    (found,) = (await house.ask("olga", "GET", "/prepaid-differences")).json()["differences"]
    assert found["evidence"] == {"remaining_minor": 2500}
    path = "/prepaid-differences/d1"
    early = await house.ask("ada", "POST", f"{path}/approve", json={})
    assert early.status_code == 409
    made = await house.ask("fiona", "POST", f"{path}/propose", json={"reason": "meter was reset"})
    assert made.json()["proposed_by"] == "fiona"
    assert (await house.ask("fiona", "POST", f"{path}/approve", json={})).status_code == 403
    unread = await house.ask("ada", "POST", f"{path}/approve", json={})
    assert unread.status_code == 409 and "not read lately" in unread.text


async def test_a_station_without_prepaid_meters_says_so(house) -> None:
    billing = house.campus.station.deps.billing
    assert billing is not None
    house.campus.station.change(
        billing=replace(billing, tokens=None, prepaid=None, prepaid_check=None)
    )
    house.campus._app = None
    for path in ("/tokens", "/purchases", "/prepaid-differences"):
        answer = await house.ask("olga", "GET", path)
        assert answer.status_code == 404 and "this station" in answer.text
