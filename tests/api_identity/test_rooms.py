"""What an occupant sees of his room, says against a trip, and does to his relay."""

from dataclasses import replace

import pytest
from api_station import at
from campus import EVIDENCE, OTHER, OWN

from billing.board import BalanceBoard
from billing.model import BalanceMode
from domain.causes import CauseKind, RuleMode
from domain.commands import Action
from domain.events import EventKind


async def get(campus, user: str, path: str, **more):
    async with campus.program(user) as program:
        return await program.get(path, **more)


async def post(campus, user: str, path: str, body, **headers):
    async with campus.program(user) as program:
        return await program.post(path, json=body, headers=headers)


# -- balance


async def test_a_balance_is_what_the_ledger_holds_less_what_was_used_since(campus):
    campus.recharge(OWN, 50_000_000, "o1")
    campus.accrued[OWN] = 1_234_567
    answer = await get(campus, "wang", f"/rooms/{OWN}/balance")
    assert answer.json() == {
        "account": OWN, "held_by": "station", "currency": "CNY", "balance": "48.77",
        "balance_micro": 48_765_433, "booked_micro": 50_000_000, "accrued_micro": 1_234_567,
        "free_wh": 0, "level": None, "days_left": None,
    }  # fmt: skip


async def test_a_balance_is_true_after_every_posting_and_every_use(campus):
    async with campus.program("wang") as program:
        expected = 0
        for n in range(1, 6):
            campus.recharge(OWN, n * 1_000_000, f"o{n}")
            campus.accrued[OWN] = n * 7
            expected += n * 1_000_000
            told = (await program.get(f"/rooms/{OWN}/balance")).json()
            assert told["balance_micro"] == expected - n * 7


async def test_the_light_path_and_the_route_give_the_same_to_the_same_people(campus):
    campus.recharge(OWN, -5, "o1")
    for user in ("wang", "zhao", "olga", "anna", "fiona", "ada"):
        light = await get(campus, user, f"/rooms/{OWN}/balance")
        # Another spelling of the same path is not one for the light path.
        full = await get(campus, user, f"/rooms/{OWN.upper()}/balance")
        assert full.status_code == 404
        routed = await routed_balance(campus, user)
        assert (light.status_code, light.json()) == (routed.status_code, routed.json())


async def routed_balance(campus, user):
    """Ask with a HEAD-less detour: the router alone, without what stands in front of it."""
    import api.balance_path

    kept = api.balance_path.BEFORE
    api.balance_path.BEFORE = "/nowhere/"
    try:
        return await get(campus, user, f"/rooms/{OWN}/balance")
    finally:
        api.balance_path.BEFORE = kept


async def test_what_stands_in_front_of_the_router_answers_and_the_router_is_not_asked(
    campus, monkeypatch
):
    monkeypatch.setattr("api.routes.balance.balance_content", None)
    assert (await get(campus, "wang", f"/rooms/{OWN}/balance")).status_code == 200


async def test_below_zero_is_told_with_its_sign(campus):
    campus.accrued[OWN] = 10_005_000
    told = (await get(campus, "wang", f"/rooms/{OWN}/balance")).json()
    assert (told["balance"], told["balance_micro"]) == ("-10.00", -10_005_000)


def test_a_balance_that_a_prepaid_meter_holds_is_the_meters(campus):
    board = BalanceBoard(campus.books, campus.clock, meter_micro={OWN: 7_000_000}.get)
    account = replace(campus.account(OWN), mode=BalanceMode.METER)
    view = board.view(account)
    assert (view.held_by, view.balance_micro) == (BalanceMode.METER, 7_000_000)
    assert board.view(replace(account, id=OTHER)).balance_micro is None


def test_the_same_view_is_given_until_something_changes(campus):
    accrued, levels = {OWN: 0}, {OWN: "remind"}
    board = BalanceBoard(
        campus.books, campus.clock, accrued_micro=lambda a: accrued[a], level=levels.get
    )
    account = campus.account(OWN)
    first = board.view(account)
    assert board.view(account) is first
    accrued[OWN] = 1
    second = board.view(account)
    assert second is not first
    levels[OWN] = "warn"
    # A level that changes by time alone is looked at once a minute.
    assert board.view(account) is second
    campus.clock.leap(60)
    assert board.view(account).level == "warn"


# -- trips


async def test_trips_are_told_in_the_persons_language_with_their_numbers(campus):
    campus.trip("t1", cleared_at=at(-10))
    chinese = (await get(campus, "wang", f"/rooms/{OWN}/trips")).json()["trips"][0]
    english = (await get(campus, "li", f"/rooms/{OWN}/trips")).json()["trips"][0]
    assert chinese["why"] == "恶性负载：阻性功率突增 1480 W，功率因数不低于 0.999"
    assert english["why"] == (
        "forbidden load: resistive step of 1480 W, power factor 0.999 or more"
    )
    assert english["evidence"] == EVIDENCE.as_dict()
    assert (english["holds"], english["appeal"]) == (False, None)
    asked = await get(campus, "li", f"/rooms/{OWN}/trips?language=zh-CN")
    assert asked.json()["trips"][0]["why"] == chinese["why"]


async def test_nobody_sees_what_happened_before_he_moved_in(campus):
    campus.trip("before", since_s=-86_400 * 20)
    campus.trip("since", since_s=-60)
    # li moved in today at midnight of the site, wang a month ago.
    assert [t["id"] for t in await trips(campus, "li")] == ["since"]
    assert [t["id"] for t in await trips(campus, "wang")] == ["since", "before"]
    assert [t["id"] for t in await trips(campus, "olga")] == ["since", "before"]


async def trips(campus, user):
    return (await get(campus, user, f"/rooms/{OWN}/trips")).json()["trips"]


async def test_alarms_trials_and_other_rooms_are_no_trips_of_the_room(campus):
    campus.trip("alarm", mode=RuleMode.ALARM)
    campus.trip("trial", shadow=True)
    campus.trip("other", account=OTHER)
    assert await trips(campus, "wang") == []


# -- appeals


async def test_an_appeal_is_filed_once_answered_once_and_seen_with_its_trip(campus):
    campus.trip("t1")
    path = f"/rooms/{OWN}/trips/t1/appeal"
    body = {"text": "it was a rice cooker\nof my neighbour"}
    filed = await post(campus, "wang", path, body)
    assert (filed.status_code, filed.json()["person"]) == (200, "2023001")
    assert (await post(campus, "li", path, body)).status_code == 409
    appeals = (await get(campus, "olga", "/appeals?status=open")).json()["appeals"]
    assert [one["text"] for one in appeals] == [body["text"]]
    path = f"/appeals/{appeals[0]['id']}"
    reply = {"status": "accepted", "answer": "the meter was wired wrong"}
    assert (await post(campus, "olga", path, reply)).status_code == 200
    assert (await post(campus, "olga", path, reply)).status_code == 200
    other = reply | {"status": "rejected"}
    assert (await post(campus, "olga", path, other)).status_code == 409
    seen = (await trips(campus, "wang"))[0]["appeal"]
    assert (seen["status_in_words"], seen["answer"], seen["answered_by"]) == (
        "申诉成立", reply["answer"], "olga",
    )  # fmt: skip
    kinds = [event.kind for event in campus.told]
    assert kinds == [EventKind.APPEAL_FILED, EventKind.APPEAL_ANSWERED]


@pytest.mark.parametrize("cause", ["other", "before", "alarm", "nothing"])
async def test_only_trips_of_ones_own_time_in_ones_own_room_can_be_appealed(campus, cause):
    campus.trip("other", account=OTHER)
    campus.trip("before", since_s=-86_400 * 100)
    campus.trip("alarm", mode=RuleMode.ALARM)
    answer = await post(campus, "li", f"/rooms/{OWN}/trips/{cause}/appeal", {"text": "no"})
    assert answer.status_code == 404


async def test_what_a_student_sends_beside_the_text_is_not_looked_at(campus):
    campus.trip("t1")
    body = {"text": "no", "status": "accepted", "person": "2023003", "answer": "yes", "id": "x"}
    told = (await post(campus, "wang", f"/rooms/{OWN}/trips/t1/appeal", body)).json()
    assert (told["status"], told["person"], told["answer"]) == ("open", "2023001", "")


# -- the relay


async def test_an_occupant_opens_his_relay_with_proof_under_his_own_name(campus):
    body = {"action": "open", "meter": "B1-0101", "requested_by": "ada", "reason": "x"}
    answer = await post(campus, "wang", f"/rooms/{OWN}/relay", body)
    assert (answer.status_code, answer.json()["receipt"]["status"]) == (200, "confirmed")
    (asked,) = campus.station.field.asked
    assert (asked.meter, asked.action, asked.requested_by) == (
        "B1-0101", Action.TRIP, "occupant wang",
    )  # fmt: skip


async def test_the_same_key_is_one_order(campus):
    for _ in range(2):
        answer = await post(
            campus, "wang", f"/rooms/{OWN}/relay", {"action": "open"}, **{"Idempotency-Key": "k"}
        )
        assert answer.status_code == 200
    assert len(campus.station.field.asked) == 1


async def test_what_occupants_opened_any_of_them_may_close(campus):
    campus.trip("own", kind=CauseKind.MANUAL, raised_by="occupant wang", evidence=None)
    answer = await post(campus, "li", f"/rooms/{OWN}/relay", {"action": "close"})
    assert answer.status_code == 200
    assert campus.station.field.asked[0].action is Action.CLOSE


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ({"kind": CauseKind.MALIGNANT}, "恶性负载：阻性功率突增 1480 W，功率因数不低于 0.999"),
        ({"kind": CauseKind.ARREARS, "evidence": None, "reason": "owed"}, "欠费：owed"),
        ({"kind": CauseKind.MANUAL, "raised_by": "olga", "evidence": None}, "人工操作：a step"),
        ({"kind": CauseKind.MANUAL, "raised_by": "wang", "evidence": None}, "人工操作：a step"),
        ({"kind": CauseKind.SHED, "evidence": None}, "限电：a step"),
    ],
    ids=str,
)
async def test_a_relay_stays_open_while_anything_else_holds_it(campus, cause, told):
    campus.trip("own", kind=CauseKind.MANUAL, raised_by="occupant wang", evidence=None)
    campus.trip("more", **cause)
    answer = await post(campus, "wang", f"/rooms/{OWN}/relay", {"action": "close"})
    assert answer.status_code == 409
    assert answer.json()["detail"] == f"继电器保持断开：{told}"
    assert campus.station.field.asked == []


@pytest.mark.parametrize(
    "over",
    [
        {"cleared_at": at(-5)},
        {"until": at(-5)},
        {"shadow": True},
        {"mode": RuleMode.ALARM},
    ],
    ids=str,
)
async def test_causes_that_hold_no_longer_do_not_hinder(campus, over):
    campus.trip("over", **over)
    answer = await post(campus, "wang", f"/rooms/{OWN}/relay", {"action": "close"})
    assert answer.status_code == 200


async def test_a_station_can_keep_its_relays_to_itself(campus):
    settings = campus.identity.settings.model_copy(update={"relay_by_occupants": False})
    campus.identity = campus.fresh_identity(settings)
    campus.station.change(identity=campus.identity)
    campus._app = None
    answer = await post(campus, "wang", f"/rooms/{OWN}/relay", {"action": "open"})
    assert (answer.status_code, answer.json()["detail"]) == (409, "本站不支持住户自行操作继电器")


async def test_another_rooms_meter_can_not_be_named(campus):
    body = {"action": "open", "meter": "B1-0201"}
    answer = await post(campus, "wang", f"/rooms/{OWN}/relay", body)
    assert answer.status_code == 422
    assert campus.station.field.asked == []


async def test_relay_orders_are_few_and_most_of_the_stations_are_the_offices(campus):
    path = f"/rooms/{OWN}/relay"
    own = [(await post(campus, "wang", path, {"action": "open"})).status_code for _ in range(6)]
    assert own == [200] * 4 + [429] * 2
    mate = [(await post(campus, "li", path, {"action": "open"})).status_code for _ in range(3)]
    # Of twenty orders a minute five are for occupants.
    assert mate == [200, 429, 429]
    campus.clock.leap(60)
    assert (await post(campus, "li", path, {"action": "open"})).status_code == 200


# -- use


@pytest.mark.parametrize(
    ("user", "asked", "told"),
    [
        ("li", "2026-04-20", "2026-04-30T16:00:00+00:00"),
        ("li", "2026-05-01", "2026-05-01T00:00:00+00:00"),
        ("wang", "2026-04-20", "2026-04-20T00:00:00+00:00"),
        ("olga", "2025-04-20", "2025-04-20T00:00:00+00:00"),
    ],
)
async def test_use_is_told_from_the_day_one_moved_in(campus, monkeypatch, user, asked, told):
    seen = []
    charger = campus.station.deps.billing.charger
    monkeypatch.setattr(
        type(charger),
        "usage",
        lambda _, account, since, *more: seen.append(since.isoformat()) or [],
    )
    answer = await get(campus, user, f"/rooms/{OWN}/usage?start={asked}&resolution=month")
    assert (answer.status_code, seen) == (200, [told])


async def test_of_the_time_before_nothing_is_told(campus):
    path = f"/rooms/{OWN}/usage?start=2026-04-01&end=2026-04-02"
    assert (await get(campus, "li", path)).json()["rows"] == []
    path = f"/rooms/{OWN}/usage?start=2026-04-02&end=2026-04-01"
    assert (await get(campus, "li", path)).status_code == 422


# -- me


async def test_me_tells_the_person_and_the_rooms_of_today(campus):
    told = (await get(campus, "wang", "/me")).json()
    assert told["person"] == {"id": "2023001", "name": "Wang", "language": "zh-CN"}
    assert told["rooms"] == [
        {"account": OWN, "building": "B1", "room": "101", "since": "2026-04-01"}
    ]
    assert (await get(campus, "chen", "/me")).json()["rooms"] == []
    assert (await get(campus, "olga", "/me")).json()["person"] is None
