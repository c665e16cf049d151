"""Commands over HTTP: once each, the same answer again, bounded, a receipt or a place to ask."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from api_station import Station, a_command, a_receipt, faults, get

from api.app import create_app
from api.deps import CommandRequest
from domain.commands import Action, ReceiptStatus
from domain.errors import CommandRefused, LinkDown, StoreUnavailable, StreamFull, UnknownSubject

TRIP = {"meter": "B1-0101", "action": "trip", "reason": "smell", "requested_by": "li.wei"}
ASKED = CommandRequest("k1", "B1-0101", Action.TRIP, "smell", "li.wei")


async def order(client, body=TRIP, key="k1"):
    return await client.post("/commands", json=body, headers={"Idempotency-Key": key})


def receipt(station, key="k1"):
    """Return the receipt that the ledger has of a command, None without one."""
    found = station.ledger.command(key)
    return found[1] if found else None


async def until(condition):
    """Let other tasks run until something holds; fails when it never does."""
    for _ in range(5_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")


async def test_a_command_answers_with_its_receipt():
    station = Station()
    async with station.client() as client:
        response = await order(client)
    assert response.status_code == 200
    assert response.headers["location"] == "/api/v1/commands/k1"
    assert response.json() == {
        "id": "k1", "meter": "B1-0101", "action": "trip", "reason": "smell",
        "requested_by": "li.wei", "issued_at": "2026-05-01T12:00:00Z",
        "expires_at": "2026-05-01T12:00:30Z", "cause_id": "cause-of-k1",
        "receipt": {
            "status": "confirmed", "reason": "read back", "relay_closed": False,
            "finished_at": "2026-05-01T12:00:00.400000Z", "writes": 1,
            "proof": {"relay_closed": False, "current_a": None},
        },
    }  # fmt: skip
    assert station.field.asked == [ASKED]


async def test_the_same_key_and_body_give_the_same_answer_and_one_order(ledger):
    station = Station(ledger=ledger)
    async with station.client() as client:
        first, second = await order(client), await order(client)
    assert (second.status_code, second.json()) == (200, first.json())
    assert len(station.field.asked) == 1


async def test_after_a_restart_the_same_key_still_gives_the_same_answer(ledger):
    station = Station(ledger=ledger)
    async with station.client() as client:
        first = await order(client)
    async with station.client() as client:  # a new application knows only the ledger
        second = await order(client)
    assert second.json() == first.json()
    assert len(station.field.asked) == 1


async def test_requests_at_the_same_time_are_one_order(ledger):
    station = Station(ledger=ledger)
    station.field.shut_gate()
    async with station.client() as client:
        both = asyncio.gather(order(client), order(client), order(client))
        await until(lambda: station.field.asked)
        station.field.open_gate()
        answers = await both
    assert len(station.field.asked) == 1
    assert [answer.json() for answer in answers] == [answers[0].json()] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"meter": "B1-0201"},
        {"action": "close"},
        {"reason": "another"},
        {"requested_by": "wang"},
    ],
)
async def test_the_same_key_with_another_body_is_409(ledger, change):
    station = Station(ledger=ledger)
    async with station.client() as client:
        await order(client)
        response = await order(client, {**TRIP, **change})
    assert response.status_code == 409
    assert "'k1' was used for another command (trip B1-0101" in response.json()["detail"]
    assert len(station.field.asked) == 1


async def test_another_body_is_409_while_the_first_is_on_its_way(ledger):
    station = Station(ledger=ledger)
    station.field.shut_gate()
    async with station.client() as client:
        first = asyncio.create_task(order(client))
        await until(lambda: station.field.asked)
        response = await order(client, {**TRIP, "action": "close"})
        station.field.open_gate()
        await first
    assert response.status_code == 409
    assert len(station.field.asked) == 1


async def test_a_command_without_a_receipt_in_time_is_202_and_goes_on(ledger):
    station = Station(ledger=ledger)
    station.limits(command_wait_s=0.02)
    station.field.shut_gate()
    async with station.client() as client:
        response = await order(client)
        assert response.status_code == 202
        assert response.json() == {
            "id": "k1", **TRIP, "issued_at": None, "expires_at": None, "cause_id": None,
            "receipt": None,
        }  # fmt: skip
        place = response.headers["location"].removeprefix("/api/v1")
        await until(lambda: station.ledger.command("k1"))
        waiting = await client.get(place)
        assert (waiting.status_code, waiting.json()["receipt"]) == (200, None)
        assert waiting.json()["issued_at"] == "2026-05-01T12:00:00Z"
        station.field.open_gate()
        await until(lambda: receipt(station))
        assert (await client.get(place)).json()["receipt"]["status"] == "confirmed"
    station.limits()
    async with station.client() as client:
        assert (await order(client)).status_code == 200
    assert len(station.field.asked) == 1


async def test_an_order_on_its_way_is_known_before_the_ledger_has_it(ledger):
    station = Station(ledger=ledger)
    station.limits(command_wait_s=0.02)
    gate = asyncio.Event()

    async def slow(_):
        await gate.wait()
        raise StoreUnavailable("the ledger database is locked")

    station.change(submit_command=slow)
    async with station.client() as client:
        assert (await order(client)).status_code == 202
        assert (await client.get("/commands/k1")).json()["receipt"] is None
        gate.set()

        async def gone():
            return (await client.get("/commands/k1")).status_code == 404

        # It was never written down, so there is no such command: nothing was done.
        while not await gone():
            await asyncio.sleep(0.001)


async def test_no_receipt_to_be_had_is_202_with_the_command():
    station = Station()

    async def submit(request):
        return a_command(request), None

    station.change(submit_command=submit)
    async with station.client() as client:
        response = await order(client)
    assert (response.status_code, response.json()["receipt"]) == (202, None)
    assert response.json()["issued_at"] == "2026-05-01T12:00:00Z"


async def test_a_refused_receipt_is_an_answer_and_tells_why():
    station = Station()
    station.field.status = ReceiptStatus.REFUSED
    async with station.client() as client:
        response = await order(client)
    assert (response.status_code, response.json()["receipt"]["status"]) == (200, "refused")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CommandRefused("an order needs the name of a person"), 409),
        (UnknownSubject("no meter"), 404),
        (StoreUnavailable("the ledger database is locked"), 503),
        (StreamFull("full"), 503),
        (LinkDown("bus b1 is down"), 503),
    ],
)
async def test_what_the_station_refuses_has_its_status(error, status):
    station = Station()
    station.field.error = error
    async with station.client() as client:
        response = await order(client)
    assert (response.status_code, response.json()["detail"]) == (status, str(error))
    assert ("retry-after" in response.headers) == (status == 503)


async def test_after_a_503_the_same_key_is_carried_out(ledger):
    station = Station(ledger=ledger)
    station.field.error = StoreUnavailable("the ledger database is locked")
    async with station.client() as client:
        assert (await order(client)).status_code == 503
        station.field.error = None
        assert (await order(client)).status_code == 200


async def test_a_ledger_that_is_down_carries_nothing_out():
    station = Station()
    station.ledger.down = True
    async with station.client() as client:
        assert (await order(client)).status_code == 503
    assert station.field.asked == []


async def test_a_meter_that_nobody_knows_gets_no_order():
    station = Station()
    async with station.client() as client:
        assert (await order(client, {**TRIP, "meter": "B9"})).status_code == 404
    assert station.field.asked == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({**TRIP, "force": True}, "body.force"),
        ({**TRIP, "action": "explode"}, "body.action"),
        ({**TRIP, "meter": 101}, "body.meter"),
        ({**TRIP, "reason": "  "}, "body.reason"),
        ({**TRIP, "reason": "x" * 501}, "body.reason"),
        ({**TRIP, "reason": "a\x00b"}, "body.reason"),
        ({**TRIP, "requested_by": "x" * 201}, "body.requested_by"),
        ({**TRIP, "requested_by": "Supervisor "}, "body.requested_by"),
        ({**TRIP, "requested_by": "system"}, "body.requested_by"),
        ({key: TRIP[key] for key in ("meter", "action", "reason")}, "body.requested_by"),
        ([TRIP], "body"),
        (None, "body"),
    ],
)
async def test_a_body_with_a_fault_is_422_and_orders_nothing(body, where):
    station = Station()
    async with station.client() as client:
        response = await order(client, body)
    assert response.status_code == 422
    assert set(faults(response)) == {where}
    assert station.field.asked == []


@pytest.mark.parametrize("key", ["", "a b", "a/b", "x" * 101, "schlüssel"])
async def test_a_key_that_can_not_be_an_id_is_422(key):
    station = Station()
    async with station.client() as client:
        headers = {"Idempotency-Key": key.encode()}
        response = await client.post("/commands", json=TRIP, headers=headers)
    assert set(faults(response)) == {"header.Idempotency-Key"}
    assert station.field.asked == []


async def test_a_command_without_a_key_is_422():
    station = Station()
    async with station.client() as client:
        response = await client.post("/commands", json=TRIP)
    assert faults(response) == {"header.Idempotency-Key": "is required"}
    assert station.field.asked == []


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b'{"meter": ', "application/json", "the body is not valid JSON"),
        (b'{"meter": "B1-0101"}', "text/plain", "Content-Type: application/json"),
    ],
)
async def test_a_body_that_is_not_json_is_422_in_words(content, kind, words):
    station = Station()
    headers = {"Idempotency-Key": "k1", "Content-Type": kind}
    async with station.client() as client:
        response = await client.post("/commands", content=content, headers=headers)
    assert words in faults(response)["body"]


async def test_only_so_many_commands_are_on_their_way_at_once():
    station = Station()
    station.limits(commands_in_flight=2)
    station.field.shut_gate()
    async with station.client() as client:
        two = asyncio.gather(order(client, key="k1"), order(client, key="k2"))
        await until(lambda: len(station.field.asked) == 2)
        third = await order(client, key="k3")
        again = await order(client, key="k1")  # nor may one command be waited for without end
        station.field.open_gate()
        assert [answer.status_code for answer in await two] == [200, 200]
        assert (await order(client, key="k3")).status_code == 200
    assert (third.status_code, again.status_code) == (503, 503)
    assert int(third.headers["retry-after"]) > 0
    assert len(station.field.asked) == 3


async def test_commands_left_behind_by_their_clients_count_as_on_their_way(ledger):
    station = Station(ledger=ledger)
    station.limits(commands_in_flight=1, command_wait_s=0.02)
    station.field.shut_gate()
    async with station.client() as client:
        assert (await order(client, key="k1")).status_code == 202
        assert (await order(client, key="k2")).status_code == 503
        station.field.open_gate()
        while (answer := await order(client, key="k2")).status_code == 503:
            await asyncio.sleep(0.001)
        assert answer.status_code in (200, 202)


async def test_a_client_that_goes_away_does_not_call_the_order_back(ledger):
    station = Station(ledger=ledger)
    station.field.shut_gate()
    async with station.client() as client:
        request = asyncio.create_task(order(client))
        await until(lambda: station.field.asked)
        request.cancel()
        await asyncio.wait({request})
        station.field.open_gate()
        await until(lambda: receipt(station))
    assert receipt(station).status is ReceiptStatus.CONFIRMED


async def test_a_stop_waits_for_the_orders_on_their_way(ledger):
    station = Station(ledger=ledger)
    station.limits(command_wait_s=0.02)
    station.field.shut_gate()
    app = create_app(station.deps)
    context = app.state.context
    async with running(app):
        assert await context.orders.carry(ASKED) is None
        asyncio.get_running_loop().call_later(0.02, station.field.open_gate)
    assert receipt(station) is not None


@asynccontextmanager
async def running(app):
    async with app.router.lifespan_context(app):
        yield


async def test_commands_are_listed_with_receipts_newest_first(ledger):
    station = Station(ledger=ledger)
    older = a_command(ASKED, station.clock.now())
    station.clock.leap(60)
    asked = CommandRequest("k2", "B1-0201", Action.CLOSE, "ok", "li.wei")
    newer = a_command(asked, station.clock.now())
    station.keep(older, newer, a_receipt(older))
    ask = get(station)

    async def ids(**filters) -> list[str]:
        answer = (await ask("/commands", params=filters)).json()
        return [row["id"] for row in answer["commands"]]

    assert await ids() == ["k2", "k1"]
    assert await ids(meter="B1-0101") == ["k1"]
    assert await ids(since="2026-05-01T12:00:30Z") == ["k2"]
    assert await ids(limit=1) == ["k2"]
    assert (await ask("/commands/k1")).json()["receipt"]["status"] == "confirmed"
    assert (await ask("/commands/k2")).json()["receipt"] is None
    assert (await ask("/commands/k3")).status_code == 404
    assert (await ask("/commands", params={"meter": "B9"})).status_code == 404


def approving(station: Station, answer) -> list[tuple[str, str, str]]:
    """Give a station approvals, of which each is answered by `answer`."""
    asked = []

    async def approve(approval_id, who, reason):
        asked.append((approval_id, who, reason))
        return await answer()

    waiting = {"id": "91be", "meters": ("B1-0101",), "asked_at": station.clock.now()}
    station.change(approvals=lambda: [waiting], approve=approve)
    return asked


async def test_a_second_person_approves_what_waits():
    async def granted():
        return {"id": "91be", "granted_by": "zhang"}

    station = Station()
    asked = approving(station, granted)
    async with station.client() as client:
        assert (await client.get("/approvals")).json() == {
            "count": 1,
            "approvals": [
                {"id": "91be", "meters": ["B1-0101"], "asked_at": "2026-05-01T12:00:00Z"}
            ],
        }
        body = {"approved_by": "zhang", "reason": "planned"}
        response = await client.post("/approvals/91be", json=body)
        assert response.json() == {"id": "91be", "granted_by": "zhang"}
        bad = await client.post("/approvals/91be", json={**body, "approved_by": "supervisor"})
        assert bad.status_code == 422
    assert asked == [("91be", "zhang", "planned")]


async def test_the_one_who_asked_can_not_approve():
    async def refused():
        raise CommandRefused("the person who asks can't be the one who approves")

    station = Station()
    approving(station, refused)
    body = {"approved_by": "li.wei", "reason": "mine"}
    async with station.client() as client:
        response = await client.post("/approvals/91be", json=body)
    assert response.status_code == 409


async def test_an_approval_that_gets_no_answer_is_503_and_not_a_yes():
    station = Station()
    station.limits(command_wait_s=0.02)
    gate = asyncio.Event()
    approving(station, gate.wait)
    body = {"approved_by": "zhang", "reason": "planned"}
    async with station.client() as client:
        response = await client.post("/approvals/91be", json=body)
        gate.set()
    assert response.status_code == 503


async def test_what_a_stop_cancels_is_503_and_not_a_hang():
    station = Station()
    gate = asyncio.get_running_loop().create_future()

    async def submit(_):
        return await gate

    station.change(submit_command=submit)
    async with station.client() as client:
        asyncio.get_running_loop().call_later(0.02, gate.cancel)
        response = await order(client)
    assert response.status_code == 503
    assert "stopping" in response.json()["detail"]


async def test_approvals_that_are_not_told_in_time_are_503():
    def late():
        raise TimeoutError

    station = Station()
    approving(station, asyncio.Event().wait)
    station.change(approvals=late)
    response = await get(station)("/approvals")
    assert response.status_code == 503
    assert "in time" in response.json()["detail"]


async def test_without_approvals_there_are_no_such_routes():
    assert (await get(Station())("/approvals")).status_code == 404
