"""Users: added by an admin, their passwords set, changed and reset; the rules of passwords."""

import pytest
from campus import PASSWORD, TOKEN, sign_in

from api.identity.passwords import password_faults
from domain.events import EventKind
from domain.identity import Role

NEW = "another whale in the sea"


async def admin(campus, method: str, path: str, body=None):
    async with campus.browser({"Authorization": f"Bearer {TOKEN}"}) as station:
        return await station.request(method, path, json=body)


async def status(campus, user: str, password: str) -> int:
    async with campus.browser() as browser:
        return (await sign_in(browser, user, password)).status_code


async def test_a_new_user_sets_his_password_with_the_code_once(campus):
    made = await admin(campus, "POST", "/users", {"name": " Boss ", "roles": ["admin"]})
    assert (made.status_code, made.json()["user"]["name"]) == (200, "boss")
    assert made.json()["user"]["has_password"] is False
    assert await status(campus, "boss", "") == 422
    code = made.json()["code"]
    async with campus.browser() as browser:
        body = {"user": "BOSS", "code": code.lower().replace("-", " "), "password": "short"}
        weak = await browser.post("/sign-in/password", json=body)
        assert weak.json()["errors"][0]["where"] == "body.password"
        assert (await browser.post("/sign-in/password", json=body | {"password": NEW})).is_success
        again = await browser.post("/sign-in/password", json=body | {"password": PASSWORD})
        assert again.status_code == 403
    assert await status(campus, "Boss", NEW) == 200
    campus.restart()
    assert await status(campus, "boss", NEW) == 200


async def test_a_code_ends_after_three_days(campus):
    code = (await admin(campus, "POST", "/users/olga/reset")).json()["code"]
    campus.clock.leap(3 * 86_400)
    async with campus.browser() as browser:
        body = {"user": "olga", "code": code, "password": NEW}
        assert (await browser.post("/sign-in/password", json=body)).status_code == 403


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"name": "a b", "roles": ["admin"]}, "body.name"),
        ({"name": "station", "roles": ["admin"]}, "body.name"),
        ({"name": "system", "roles": ["admin"]}, "body.name"),
        ({"name": "x", "roles": []}, "body.roles"),
        ({"name": "x", "roles": ["king"]}, "body.roles.0"),
        ({"name": "x", "roles": ["student"]}, "body.person"),
        ({"name": "x", "roles": ["student"], "person": "nobody"}, "body.person"),
        ({"name": "x", "roles": ["admin"], "password": "y"}, "body.password"),
    ],
    ids=str,
)
async def test_users_that_can_not_be_are_refused(campus, body, where):
    answer = await admin(campus, "POST", "/users", body)
    assert answer.status_code == 422
    assert where in [error["where"] for error in answer.json()["errors"]]


async def test_a_name_and_a_person_are_one_users_alone(campus):
    body = {"name": "OLGA", "roles": ["finance"]}
    assert (await admin(campus, "POST", "/users", body)).status_code == 409
    body = {"name": "wang2", "roles": ["student"], "person": "2023001"}
    assert (await admin(campus, "POST", "/users", body)).status_code == 409
    body = {"person": "2023001"}
    assert (await admin(campus, "PUT", "/users/li", body)).status_code == 409


async def test_a_disabled_user_is_out_at_once_and_comes_back_without_his_tokens(campus):
    plain, _ = campus.identity.api_tokens.make(
        campus.user("anna"), "x", frozenset({Role.ANALYST}), 30
    )
    async with campus.browser() as browser:
        await sign_in(browser, "anna")
        assert (await admin(campus, "PUT", "/users/anna", {"disabled": True})).is_success
        assert (await browser.get("/me")).status_code == 401
    assert await status(campus, "anna", PASSWORD) == 401
    assert (await admin(campus, "PUT", "/users/anna", {"disabled": False})).is_success
    assert await status(campus, "anna", PASSWORD) == 200
    async with campus.browser({"Authorization": f"Bearer {plain}"}) as program:
        assert (await program.get("/meters")).status_code == 401


async def test_the_last_admin_can_not_shut_himself_out(campus):
    for body in ({"disabled": True}, {"roles": ["operator"]}):
        assert (await admin(campus, "PUT", "/users/ada", body)).status_code == 403
    await admin(campus, "POST", "/users", {"name": "second", "roles": ["admin"]})
    assert (await admin(campus, "PUT", "/users/ada", {"disabled": True})).is_success


async def test_a_changed_password_ends_every_other_sign_in(campus):
    async with campus.browser() as one, campus.browser() as two:
        await sign_in(one, "olga")
        await sign_in(two, "olga")
        wrong = await one.post("/me/password", json={"old": "wrong", "new": NEW})
        assert wrong.status_code == 401
        weak = await one.post("/me/password", json={"old": PASSWORD, "new": "olga olga olga"})
        assert weak.status_code == 422
        done = await one.post("/me/password", json={"old": PASSWORD, "new": NEW})
        assert done.status_code == 200
        assert (await one.get("/me")).status_code == 200
        assert (await two.get("/me")).status_code == 401
    assert [await status(campus, "olga", p) for p in (PASSWORD, NEW)] == [401, 200]


async def test_every_change_of_a_user_is_in_the_audit_trail(campus):
    await admin(campus, "POST", "/users", {"name": "new", "roles": ["finance"]})
    await admin(campus, "PUT", "/users/new", {"roles": ["operator"]})
    await admin(campus, "POST", "/users/new/reset")
    told = [(e.kind, e.subject, e.actor, e.details["what"]) for e in campus.told]
    assert told == [
        (EventKind.USER_CHANGED, "new", "station", what)
        for what in ("added", "changed", "password reset")
    ]


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("short", "10 characters"),
        ("x" * 129, "128 characters"),
        ("aaaaaaaaaaaa", "four different"),
        ("password123", "tried first"),
        ("Password2026!", "tried first"),
        ("1234567890", "tried first"),
        ("0987654321", "tried first"),
        ("abcdefghijkl", "tried first"),
        ("qwertyuiop", "tried first"),
        ("woaini1314520", "tried first"),
        ("woaini520520", "tried first"),
        ("wattwarden1", "tried first"),
        ("i am 2023001", "your own name"),
        ("ｐａｓｓｗｏｒｄ１２３", "tried first"),
    ],
)
def test_passwords_that_are_guessed_first_are_refused(password, told):
    faults = password_faults(password, 10, ("2023001", "Wang"))
    assert told in faults[0].message


@pytest.mark.parametrize(
    "password", [PASSWORD, "correct horse battery", "三只鲸鱼在大海里游泳吧", "P4$$ wOrd zebra"]
)
def test_long_passwords_of_any_kind_are_taken(password):
    assert password_faults(password, 10, ("2023001", "Wang")) == []


async def test_a_password_typed_on_another_keyboard_is_the_same(campus):
    campus.identity.users.set_password("olga", "ｗｈａｌｅ in the ｓｅａ", ())
    assert await status(campus, "olga", "whale in the sea") == 200


async def test_a_hash_of_older_settings_is_renewed_at_the_next_sign_in(campus):
    before = campus.user("olga").password_hash
    from pwdlib.hashers.argon2 import Argon2Hasher

    from api.identity.passwords import Passwords

    stronger = Passwords(10, Argon2Hasher(time_cost=2, memory_cost=128, parallelism=1))
    campus.identity.passwords = campus.identity.users._passwords = stronger
    assert await status(campus, "olga", PASSWORD) == 200
    after = campus.user("olga").password_hash
    assert (before != after, "m=128" in after) == (True, True)
    assert await status(campus, "olga", PASSWORD) == 200
