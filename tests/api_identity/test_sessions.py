"""Signing in with a browser: cookies, expiry, forged writes, fixed sessions (fault 39)."""

import pytest
from campus import HOST, PASSWORD, sign_in

COOKIE = "__Host-wattwarden"
ORDER = {"meter": "B1-0101", "action": "trip", "reason": "smell"}


def cookies(answer) -> dict[str, str]:
    return {line.split("=")[0]: line for line in answer.headers.get_list("set-cookie")}


async def test_a_password_begins_a_session_whose_cookie_no_script_and_no_other_site_can_use(campus):
    async with campus.browser() as browser:
        answer = await sign_in(browser, "olga")
        assert (answer.status_code, answer.json()["roles"]) == (200, ["operator"])
        set_cookie = cookies(answer)[COOKIE]
        for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert part in set_cookie
        assert "Domain" not in set_cookie
        assert len(browser.cookies[COOKIE]) >= 43  # 256 bits
        assert (await browser.get("/me")).json()["user"] == "olga"


async def test_on_this_machine_the_cookie_needs_no_tls(campus):
    async with campus.browser(host="127.0.0.1") as browser:
        set_cookie = cookies(await sign_in(browser, "olga"))["wattwarden"]
        assert "Secure" not in set_cookie
        assert "HttpOnly" in set_cookie


async def test_the_ledger_keeps_no_cookie_and_no_password(campus, tmp_path):
    async with campus.browser() as browser:
        await sign_in(browser, "olga")
        secret = browser.cookies[COOKIE]
    campus.close()
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert secret.encode() not in everything
    assert PASSWORD.encode() not in everything
    assert b"$argon2id$" in everything


@pytest.mark.parametrize("given", ["", "wrong", PASSWORD.upper()])
async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(campus, given):
    async with campus.browser() as browser:
        known = await sign_in(browser, "olga", given or "x")
        unknown = await sign_in(browser, "nobody", given or "x")
    assert known.status_code == unknown.status_code == 401
    assert known.json() == unknown.json()
    assert "set-cookie" not in known.headers


async def test_an_unknown_name_costs_the_same_work_as_a_known_one(campus, monkeypatch):
    checked = []
    hasher = campus.identity.passwords._hash
    verify = hasher.verify
    monkeypatch.setattr(
        hasher, "verify", lambda given, known: checked.append(known) or verify(given, known)
    )
    async with campus.browser() as browser:
        await sign_in(browser, "olga", "wrong")
        await sign_in(browser, "nobody", "wrong")
    assert len(checked) == 2
    assert [known.split("$")[1:4] for known in checked] == [checked[0].split("$")[1:4]] * 2


async def test_a_session_id_from_outside_is_never_taken_over(campus):
    fixed = "A" * 43
    async with campus.browser({"Cookie": f"{COOKIE}={fixed}"}) as browser:
        assert (await browser.get("/me")).status_code == 401
        answer = await sign_in(browser, "olga")
        assert fixed not in cookies(answer)[COOKIE]
    async with campus.browser({"Cookie": f"{COOKIE}={fixed}"}) as thief:
        assert (await thief.get("/me")).status_code == 401


async def test_signing_in_again_ends_the_session_before(campus):
    async with campus.browser() as browser:
        await sign_in(browser, "wang")
        before = browser.cookies[COOKIE]
        await sign_in(browser, "olga")
        assert browser.cookies[COOKIE] != before
    async with campus.browser({"Cookie": f"{COOKIE}={before}"}) as thief:
        assert (await thief.get("/me")).status_code == 401


async def test_a_cookie_that_comes_twice_is_nobodys(campus):
    async with campus.browser() as browser:
        await sign_in(browser, "olga")
        good = browser.cookies[COOKIE]
    async with campus.browser({"Cookie": f"{COOKIE}={good}; {COOKIE}=other"}) as thief:
        assert (await thief.get("/me")).status_code == 401


async def test_the_name_for_this_machine_does_not_count_off_it(campus):
    async with campus.browser() as browser:
        await sign_in(browser, "olga")
        good = browser.cookies[COOKIE]
    async with campus.browser({"Cookie": f"wattwarden={good}"}) as other:
        assert (await other.get("/me")).status_code == 401


@pytest.mark.parametrize(("leaps", "status"), [([7199], 200), ([7200], 401), ([7000] * 6, 200)])
async def test_a_session_that_is_not_used_ends(campus, leaps, status):
    async with campus.browser() as browser:
        await sign_in(browser, "olga")
        for seconds in leaps:
            campus.clock.leap(seconds)
            answer = await browser.get("/me")
        assert answer.status_code == status


async def test_a_session_ends_after_half_a_day_however_it_is_used(campus):
    async with campus.browser() as browser:
        await sign_in(browser, "olga")
        for _ in range(11):
            campus.clock.leap(3600)
            assert (await browser.get("/me")).status_code == 200
        campus.clock.leap(3600)
        assert (await browser.get("/me")).status_code == 401


async def test_sessions_live_through_a_restart_and_so_does_their_end(campus):
    async with campus.browser() as first, campus.browser() as second:
        await sign_in(first, "olga")
        await sign_in(second, "olga")
        await second.post("/me/sign-out", json={})
        campus.restart()
        async with campus.browser(dict(first.headers), host=HOST) as again:
            again.cookies = first.cookies
            assert (await again.get("/me")).status_code == 200
        async with campus.browser(host=HOST) as again:
            again.cookies = second.cookies
            assert (await again.get("/me")).status_code == 401


async def test_signing_out_everywhere_ends_every_browser_and_program(campus):
    async with campus.browser() as one, campus.browser() as two, campus.program("olga") as three:
        for browser in (one, two):
            await sign_in(browser, "olga")
        assert (await three.get("/me")).status_code == 200
        assert (await one.post("/me/sign-out", json={"everywhere": True})).status_code == 200
        assert [(await b.get("/me")).status_code for b in (one, two, three)] == [401, 401, 401]


async def test_the_eleventh_browser_ends_the_first(campus):
    browsers = [campus.browser() for _ in range(11)]
    for browser in browsers:
        await sign_in(browser, "olga")
        campus.clock.leap(1)
    states = [(await browser.get("/me")).status_code for browser in browsers]
    assert states == [401] + [200] * 10


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "wrong"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://{HOST}.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_write_from_another_sites_page_is_refused(campus, headers):
    async with campus.browser() as browser:
        await sign_in(browser, "olga")
        more = {"Idempotency-Key": "k1"}
        answer = await browser.post("/commands", json=ORDER, headers=more | headers)
        assert answer.status_code == 403
        assert campus.station.field.asked == []
        good = {"Origin": f"https://{HOST}", "Sec-Fetch-Site": "same-origin"}
        answer = await browser.post("/commands", json=ORDER, headers=more | good)
        assert (answer.status_code, answer.json()["requested_by"]) == (200, "olga")


async def test_the_csrf_token_of_another_session_does_not_count(campus):
    async with campus.browser() as mine, campus.browser() as theirs:
        await sign_in(mine, "olga")
        await sign_in(theirs, "ada")
        headers = {"Idempotency-Key": "k1", "X-CSRF-Token": theirs.headers["X-CSRF-Token"]}
        assert (await mine.post("/commands", json=ORDER, headers=headers)).status_code == 403


async def test_another_site_can_not_sign_a_browser_in(campus):
    async with campus.browser({"Origin": "https://evil.example"}) as browser:
        answer = await sign_in(browser, "olga")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_reads_and_programs_need_no_csrf_token(campus):
    async with campus.browser() as browser:
        await sign_in(browser, "olga")
        del browser.headers["X-CSRF-Token"]
        assert (await browser.get("/meters")).status_code == 200
    async with campus.program("olga") as program:
        headers = {"Idempotency-Key": "k1"}
        assert (await program.post("/commands", json=ORDER, headers=headers)).status_code == 200


async def test_what_a_user_does_is_recorded_under_his_own_name(campus):
    async with campus.program("olga") as program:
        order = ORDER | {"requested_by": "ada"}
        answer = await program.post("/commands", json=order, headers={"Idempotency-Key": "k1"})
        assert answer.status_code == 403
    headers = {"Authorization": "Bearer the-stations-own-token", "Idempotency-Key": "k2"}
    async with campus.browser(headers) as station:
        answer = await station.post("/commands", json=ORDER)
        assert answer.json()["errors"] == [
            {"where": "body.requested_by", "message": "is required", "subject": ""}
        ]
        answer = await station.post("/commands", json=ORDER | {"requested_by": "li.wei"})
        assert answer.json()["requested_by"] == "li.wei"
        order = ORDER | {"requested_by": "occupant wang"}
        assert (await station.post("/commands", json=order)).status_code == 422


async def test_a_sign_in_beside_a_session_without_its_token_still_works(campus):
    async with campus.browser() as browser:
        await sign_in(browser, "wang")
        del browser.headers["X-CSRF-Token"]
        assert (await sign_in(browser, "olga")).status_code == 200
