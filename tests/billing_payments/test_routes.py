"""Recharges, the till, refunds and statements over HTTP."""

import re
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from api_station import SITE, Station
from pwdlib.hashers.argon2 import Argon2Hasher

from api.app import create_app
from api.billing_deps import BillingDeps
from api.identity.passwords import Passwords
from api.identity.service import Identity
from api.identity.settings import SignInSettings
from billing.model import Occupancy, Person
from domain.identity import Role
from domain.users import User
from simulator.payments.provider import Tamper
from storage.books.users import SqlUserStore

USERS = {
    "li": ("20260001", Role.STUDENT),
    "zhao": ("20260002", Role.STUDENT),
    "wang": (None, Role.OPERATOR),
    "fin": (None, Role.FINANCE),
}


@pytest.fixture
def campus(office):
    """The office behind the API; li lives in 101 since April, zhao in 102."""
    office.rooms.people = {"20260001": Person("20260001", "Li", language="en")}
    office.rooms.stays = [
        Occupancy("20260001", "b1-101", date(2026, 4, 1)),
        Occupancy("20260002", "b1-102", date(2026, 5, 1)),
    ]
    quick = Passwords(8, Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1))
    store = SqlUserStore(office.ledger)
    for name, (person, role) in USERS.items():
        store.add(User(name, frozenset({role}), person=person)).result(10)
    identity = Identity(
        store, office.clock, SignInSettings(), office.ledger.secret, office.events.append, quick
    )
    station = Station(ledger=office.ledger)
    station.change(
        identity=identity,
        clock=office.clock,
        billing=BillingDeps(office.books, office.rooms, payments=office.payments),
        open_reads=False,
        open_writes=False,
    )
    app = create_app(station.deps)

    def program(name):
        headers = {}
        if name:
            user = identity.users.find(name)
            headers = {"Authorization": f"Bearer {identity.bearer.begin(user).access_token}"}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("10.0.0.7", 1))
        return httpx.AsyncClient(
            transport=transport, base_url="https://power.example/api/v1", headers=headers
        )

    return program


def keyed(key="k1"):
    return {"Idempotency-Key": key}


ORDER = {"channel": "campus-card", "amount_minor": 5000}


async def test_a_student_recharges_his_room(office, card, campus):
    async with campus("li") as li:
        made = await li.post("/rooms/b1-101/orders", json=ORDER, headers=keyed())
        assert made.status_code == 200
        told = made.json()
        assert (told["state"], told["state_in_words"]) == ("pending", "waits to be paid")
        code = await li.get(f"/rooms/b1-101/orders/{told['id']}/qr.svg")
        assert code.headers["content-type"] == "image/svg+xml"
        assert b"<svg" in code.content
        card.pay(told["id"])
        office.power = "closing the relay"
        paid = (await li.get(f"/rooms/b1-101/orders/{told['id']}")).json()
        assert (paid["state"], paid["power"], paid["pay"]) == ("credited", "closing the relay", {})
        gone = await li.get(f"/rooms/b1-101/orders/{told['id']}/qr.svg")
        assert gone.status_code == 404


async def test_the_same_key_gives_the_same_order_and_with_another_body_409(campus):
    async with campus("li") as li:
        first = await li.post("/rooms/b1-101/orders", json=ORDER, headers=keyed())
        again = await li.post("/rooms/b1-101/orders", json=ORDER, headers=keyed())
        other = await li.post(
            "/rooms/b1-101/orders", json=ORDER | {"amount_minor": 6000}, headers=keyed()
        )
    assert (again.json(), other.status_code) == (first.json(), 409)


@pytest.mark.parametrize("amount", [0, -100, 99, 50.5, 1e3, 10**9, "5000", None])
async def test_an_amount_that_can_not_be_is_422(campus, amount):
    async with campus("li") as li:
        answer = await li.post(
            "/rooms/b1-101/orders", json=ORDER | {"amount_minor": amount}, headers=keyed()
        )
    assert answer.status_code == 422
    assert "amount_minor" in answer.text


async def test_fields_that_nobody_asked_for_change_nothing(office, card, campus):
    extra = {"state": "credited", "account": "b1-102", "refunded_minor": -1, "book": "suspense"}
    async with campus("li") as li:
        answer = await li.post("/rooms/b1-101/orders", json=ORDER | extra, headers=keyed())
    assert (answer.json()["state"], answer.json()["account"]) == ("pending", "b1-101")


async def test_another_room_is_not_there(campus):
    async with campus("zhao") as zhao, campus("li") as li:
        mine = (await li.post("/rooms/b1-101/orders", json=ORDER, headers=keyed())).json()
        for path in ("/rooms/b1-101/orders", f"/rooms/b1-101/orders/{mine['id']}"):
            assert (await zhao.get(path)).status_code == 404
        assert (await zhao.get(f"/rooms/b1-102/orders/{mine['id']}")).status_code == 404
        done = await zhao.post("/rooms/b1-101/orders", json=ORDER, headers=keyed())
        assert done.status_code == 404


async def test_who_moves_in_does_not_see_who_paid_before(office, campus):
    before = office.request(key="old", account="b1-102")
    office.clock.jump(datetime(2026, 4, 20, tzinfo=UTC))
    old = office.payments.create_order(before, "chen", "20250009")
    office.clock.jump(datetime(2026, 5, 1, 4, tzinfo=UTC))
    async with campus("zhao") as zhao, campus("wang") as wang:
        assert (await zhao.get("/rooms/b1-102/orders")).json()["count"] == 0
        assert (await zhao.get(f"/rooms/b1-102/orders/{old.id}")).status_code == 404
        assert (await wang.get("/rooms/b1-102/orders")).json()["count"] == 1


async def test_too_many_waiting_orders_are_429_with_a_time(campus):
    async with campus("li") as li:
        for number in range(5):
            await li.post("/rooms/b1-101/orders", json=ORDER, headers=keyed(f"k{number}"))
        answer = await li.post("/rooms/b1-101/orders", json=ORDER, headers=keyed("k5"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "900")


async def test_a_provider_that_is_down_is_503(card, campus):
    card.down = True
    async with campus("li") as li:
        answer = await li.post("/rooms/b1-101/orders", json=ORDER, headers=keyed())
    assert answer.status_code == 503


async def test_a_notice_needs_no_token_and_a_bad_one_is_401(office, card, campus):
    order = office.order(5000)
    card.mark_paid(order.id)
    trade = card.trades[order.id]
    async with campus("") as provider:
        for tamper, status in ((Tamper.BODY, 401), (None, 200)):
            notice = card.notice(trade, tamper)
            answer = await provider.post(
                "/payments/notices/campus-card", headers=notice.headers, content=notice.body
            )
            assert answer.status_code == status
        assert (await provider.post("/payments/notices/paypal", content=b"x")).status_code == 404
        long = await provider.post("/payments/notices/campus-card", content=b"x" * 100_000)
        assert long.status_code == 413
    assert office.balance() == 5000


async def test_a_day_at_the_till(office, campus):
    async with campus("wang") as wang, campus("li") as li:
        closed = await wang.post(
            "/payments/cash", json={"account": "b1-101", "amount_minor": 5000}, headers=keyed()
        )
        assert closed.status_code == 409
        opened = await wang.post("/payments/shifts", json={"opening_minor": 20_000})
        assert opened.json()["closed_at"] is None
        taken = await wang.post(
            "/payments/cash?language=zh-CN",
            json={"account": "b1-101", "amount_minor": 5000, "person": "20260001"},
            headers=keyed(),
        )
        receipt = taken.json()
        assert (receipt["number"], receipt["cashier"]) == (1, "wang")
        assert "金额大写: 伍拾元整" in receipt["printed"]
        page = await wang.get("/payments/receipts/1/page?language=en")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "CNY 50.00" in page.text
        slip = await wang.get("/payments/receipts/1/slip.pdf")
        assert slip.content.startswith(b"%PDF")
        mine = (await li.get("/rooms/b1-101/receipts")).json()
        assert [one["number"] for one in mine["receipts"]] == [1]
        void = await wang.post("/payments/receipts/1/void", json={"reason": "wrong room"})
        assert (void.json()["voids"], void.json()["amount_minor"]) == (1, -5000)
        done = await wang.post("/payments/shifts/close", json={"counted_minor": 20_100})
        assert done.json()["difference_minor"] == 100
        assert (await wang.get("/payments/shifts")).json()["count"] == 1
        assert (await wang.get("/payments/receipts?account=b1-101")).json()["count"] == 2
    assert office.balance() == 0


async def test_a_refund_above_the_limit_is_approved_by_a_second_person(office, card, campus):
    order = office.order(20_000)
    card.pay(order.id)
    body = {"order": order.id, "amount_minor": 15_000, "reason": "paid twice"}
    async with campus("wang") as wang, campus("fin") as fin:
        asked = (await wang.post("/payments/refunds", json=body, headers=keyed())).json()
        assert asked["state"] == "requested"
        path = f"/payments/refunds/{asked['id']}"
        assert (await wang.post(f"{path}/approve")).status_code == 403
        assert (await fin.post(f"{path}/approve")).json()["state"] == "done"
        more = body | {"amount_minor": 5_001}
        answer = await fin.post("/payments/refunds", json=more, headers=keyed("k2"))
        assert answer.status_code == 409
        own = (await fin.post("/payments/refunds", json=body | {"amount_minor": 5_000},
                              headers=keyed("k3"))).json()  # fmt: skip
        assert own["state"] == "done"
        assert (await wang.get(f"/payments/refunds?order={order.id}")).json()["count"] == 2
    assert office.balance() == 0


async def test_cash_goes_back_at_the_till(office, campus):
    office.payments.cashier.open_shift("wang", 0)
    receipt = office.cash(5000)
    body = {"order": receipt.order, "amount_minor": 2_000, "reason": "moves out"}
    async with campus("wang") as wang:
        asked = (await wang.post("/payments/refunds", json=body, headers=keyed())).json()
        paid = await wang.post(f"/payments/refunds/{asked['id']}/pay-out")
        assert paid.json()["amount_minor"] == -2_000


async def test_finance_sees_what_does_not_fit_and_says_what_was_done(office, card, campus):
    order = office.order(5000)
    card.pay(order.id, tamper=Tamper.AMOUNT)
    async with campus("fin") as fin:
        (review,) = (await fin.get("/payments/reviews")).json()["reviews"]
        assert (review["order"], review["amount_minor"]) == (order.id, 5001)
        done = await fin.post(f"/payments/reviews/{review['id']}/resolve", json={"note": "back"})
        assert done.json()["resolved_by"] == "fin"
        assert (await fin.get("/payments/reviews?open=false")).json()["count"] == 1
        log = (await fin.get("/payments/notice-log?outcome=held")).json()["notices"]
        assert re.fullmatch("[0-9a-f]{64}", log[0]["body_digest"])


async def test_finance_imports_and_fetches_statements(office, card, campus, clock):
    order = office.order(5000)
    card.pay(order.id)
    clock.leap(timedelta(days=1).total_seconds())
    async with campus("fin") as fin:
        fetched = await fin.post("/payments/statements/campus-card/2026-05-01/fetch")
        assert (fetched.json()["clean"], fetched.json()["counts"]["matched"]) == (True, 1)
        early = await fin.post("/payments/statements/campus-card/2026-05-02/fetch")
        assert early.status_code == 422
        body = {"channel": "campus-card", "day": "2026-05-01", "rows": []}
        imported = (await fin.post("/payments/statements", json=body)).json()
        assert imported["differences"][0]["result"] == "missing-there"
        again = await fin.get("/payments/statements/campus-card/2026-05-01")
        assert again.json() == imported


async def test_the_ways_to_pay_are_told_in_the_persons_language(campus):
    async with campus("li") as li, campus("wang") as wang:
        told = (await li.get("/payments/channels")).json()
        assert told["channels"] == [
            {"name": "campus-card", "in_words": "campus card", "ways": ["qr", "page"]}
        ]
        chinese = (await wang.get("/payments/channels?language=zh-CN")).json()
        assert chinese["channels"][0]["in_words"] == "校园一卡通"
    assert SITE.time_zone == "Asia/Shanghai"
