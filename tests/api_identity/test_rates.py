"""Floods get 429; the victim with the right password still gets in (fault 40)."""

import pytest
from api_station import NOON
from campus import PASSWORD, Campus, sign_in

from api.identity.rates import Limit, Rates
from api.identity.refusals import TooOften
from domain.clock import LeapClock
from domain.events import EventKind


@pytest.fixture
def sent() -> list[tuple[str, str, int]]:
    return []


@pytest.fixture
def campus(tmp_path, ready, sent):
    """A campus that can send codes to telephones."""
    opened = Campus(tmp_path, ready=ready, send_code=lambda *code: sent.append(code))
    yield opened
    opened.close()


async def attempt(campus, user, password=PASSWORD, address="10.6.6.6") -> int:
    async with campus.browser(address=address) as browser:
        return (await sign_in(browser, user, password)).status_code


async def test_a_flood_of_wrong_passwords_gets_429_and_the_victim_gets_in_from_elsewhere(campus):
    flood = [await attempt(campus, "wang", f"guess {n}") for n in range(50)]
    assert flood == [401] * 5 + [429] * 45
    # Even the right password does not get the attacker in now.
    assert await attempt(campus, "wang") == 429
    assert await attempt(campus, "wang", address="10.0.0.9") == 200


async def test_the_answer_says_when_to_try_again_and_the_wait_grows(campus):
    waits = []
    for _ in range(60):
        async with campus.browser(address="10.6.6.6") as browser:
            answer = await sign_in(browser, "wang", "wrong")
        if answer.status_code == 429:
            wait_s = int(answer.headers["Retry-After"])
            waits.append(wait_s)
            campus.clock.leap(wait_s)
        else:
            assert answer.status_code == 401
    assert waits[0] == 60
    assert max(waits) > 3600
    assert len(waits) < 20


async def test_after_the_wait_the_right_password_counts_again(campus):
    for _ in range(6):
        await attempt(campus, "wang", "wrong")
    campus.clock.leap(60)
    assert await attempt(campus, "wang") == 200


async def test_one_address_that_tries_many_names_is_stopped(campus):
    flood = [await attempt(campus, f"2023{n:03}", "password1") for n in range(40)]
    assert flood == [401] * 30 + [429] * 10
    assert await attempt(campus, "li", address="10.0.0.9") == 200


async def test_networks_of_ipv6_count_as_one_address(campus):
    flood = [await attempt(campus, "wang", "x", f"2001:db8:1:2::{n:x}") for n in range(10)]
    assert flood == [401] * 5 + [429] * 5
    assert await attempt(campus, "wang", address="2001:db8:1:3::1") == 200


async def test_a_flood_from_everywhere_is_told_and_a_new_address_still_gets_in(campus):
    for n in range(110):
        await attempt(campus, "wang", "wrong", f"10.7.{n}.1")
    assert [event.kind for event in campus.told] == [EventKind.SIGN_IN_FLOOD]
    # Every address has two tries left in an hour instead of five a minute.
    flood = [await attempt(campus, "wang", "wrong", "10.8.8.8") for _ in range(4)]
    assert flood == [401, 401, 429, 429]
    assert await attempt(campus, "wang", address="10.0.0.9") == 200


async def test_a_device_that_is_known_is_not_stopped_by_a_flood_from_its_own_address(campus):
    async with campus.browser(address="10.6.6.6") as own:
        await sign_in(own, "wang")
        await own.post("/me/sign-out", json={})
        for n in range(100):
            await attempt(campus, f"2023{n:03}", "password1")
        assert await attempt(campus, "li") == 429
        assert (await sign_in(own, "wang")).status_code == 200


async def test_a_known_device_is_limited_too_and_known_for_its_user_alone(campus):
    async with campus.browser(address="10.6.6.6") as own:
        await sign_in(own, "wang")
        guesses = [(await sign_in(own, "wang", "wrong")).status_code for _ in range(7)]
        assert guesses == [401] * 5 + [429] * 2
        guesses = [(await sign_in(own, "li", "wrong")).status_code for _ in range(7)]
        assert guesses == [401] * 5 + [429] * 2


async def test_right_passwords_are_not_counted(campus):
    assert [await attempt(campus, "wang") for _ in range(40)] == [200] * 40


async def test_a_flood_for_codes_gets_429_by_address_and_rings_a_telephone_three_times(
    campus, sent
):
    async def ask(user, address):
        async with campus.browser(address=address) as browser:
            return (await browser.post("/sign-in/code", json={"user": user})).status_code

    flood = [await ask("wang", "10.6.6.6") for _ in range(20)]
    assert flood == [200] * 5 + [429] * 15
    flood = [await ask("wang", f"10.7.0.{n}") for n in range(20)]
    assert flood == [200] * 20
    assert len(sent) == 3
    # The code that is on the victim's telephone counts all the same, and so does his password.
    assert {code for _, code, _ in sent} == {sent[0][1]}
    assert await attempt(campus, "wang", address="10.0.0.9") == 200
    async with campus.browser(address="10.0.0.9") as browser:
        body = {"user": "wang", "code": sent[0][1], "password": "another whale here"}
        assert (await browser.post("/sign-in/password", json=body)).status_code == 200
        assert (await browser.post("/sign-in/password", json=body)).status_code == 403
        assert (await sign_in(browser, "wang", "another whale here")).status_code == 200


async def test_asking_for_a_code_does_not_tell_who_is_a_user(campus, sent):
    async with campus.browser() as browser:
        known = await browser.post("/sign-in/code", json={"user": "wang"})
        unknown = await browser.post("/sign-in/code", json={"user": "nobody"})
        staff = await browser.post("/sign-in/code", json={"user": "ada"})
    assert known.json() == unknown.json() == staff.json()
    assert [person for person, _, _ in sent] == ["2023001"]


async def test_codes_are_not_found_by_trying(campus, sent):
    async with campus.browser() as browser:
        await browser.post("/sign-in/code", json={"user": "wang"})
        body = {"user": "wang", "password": "another whale here"}
        tries = [
            (await browser.post("/sign-in/password", json=body | {"code": f"{n:08}"})).status_code
            for n in range(10)
        ]
    assert tries == [403] * 5 + [429] * 5
    campus.clock.leap(600)
    async with campus.browser(address="10.0.0.9") as browser:
        answer = await browser.post("/sign-in/password", json=body | {"code": sent[0][1]})
    assert answer.status_code == 403


def test_the_memory_of_limits_is_bounded():
    clock = LeapClock(NOON)
    rates = Rates(clock, keys_most=100)
    limit = Limit.of("x", "1 per 1 minute")
    for n in range(1_000):
        rates.take(limit, f"name {n}")
    assert len(rates._memory._tries) == 100
    with pytest.raises(TooOften):
        rates.take(limit, "name 999")


def test_a_try_that_one_window_refuses_counts_in_none():
    clock = LeapClock(NOON)
    rates = Rates(clock)
    limit = Limit.of("x", "10 per 1 minute; 2 per 1 hour")
    for _ in range(2):
        rates.take(limit, "a")
    for _ in range(20):
        with pytest.raises(TooOften) as refused:
            rates.take(limit, "a")
        assert refused.value.retry_after_s == 3600
    assert rates._stats(limit.windows[0], limit, ("a",))[1] <= 2
    clock.leap(3600)
    rates.take(limit, "a")
