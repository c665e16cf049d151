"""Signing in at the campus's provider, by OpenID Connect and CAS, over real HTTP."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from campus import Campus
from providers import CasServer, OidcProvider
from pydantic import ValidationError

from api.identity.settings import CasSettings, OidcSettings, SignInSettings
from domain.identity import Role

PUBLIC = "https://power.example"


@pytest.fixture
def oidc(tmp_path, ready) -> Iterator[tuple[Campus, OidcProvider]]:
    """A campus with an OpenID Connect provider."""
    now: dict[str, Any] = {}
    provider = OidcProvider(lambda: int(now["clock"].now().timestamp()))
    settings = SignInSettings(
        public_url=PUBLIC,
        oidc=OidcSettings(
            issuer=provider.url,
            client_id=provider.CLIENT,
            client_secret=provider.SECRET,
            person_claim="student_number",
            roles=[{"claim": "groups", "value": "metering", "role": "facilities"}],
        ),
    )
    opened = Campus(tmp_path, settings, ready=ready)
    now["clock"] = opened.clock
    yield opened, provider
    opened.close()
    provider.close()


@pytest.fixture(params=[2, 3])
def cas(tmp_path, ready, request) -> Iterator[tuple[Campus, CasServer]]:
    """A campus with a CAS server."""
    server = CasServer()
    settings = SignInSettings(
        public_url=PUBLIC, cas=CasSettings(server=server.url, version=request.param)
    )
    opened = Campus(tmp_path, settings, ready=ready)
    yield opened, server
    opened.close()
    server.close()


async def begin(browser, kind: str, then: str = "/") -> str:
    answer = await browser.get(f"/sign-in/with/{kind}", params={"then": then})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def through_oidc(browser, provider, then: str = "/"):
    back = provider.authorize(await begin(browser, "oidc", then))
    assert back.startswith(f"{PUBLIC}/api/v1/sign-in/with/oidc/back?")
    return await browser.get(back)


async def test_a_student_signs_in_at_the_provider_and_is_his_person_here(oidc):
    campus, provider = oidc
    async with campus.browser() as browser:
        answer = await through_oidc(browser, provider, "/rooms")
        assert (answer.status_code, answer.headers["location"]) == (302, "/rooms")
        me = (await browser.get("/me")).json()
        assert (me["user"], me["person"]["id"]) == ("wang", "2023001")
        assert me["rooms"][0]["account"] == "b1-101"
        ways = (await browser.get("/sign-in/ways")).json()
    assert (ways["oidc"], ways["cas"]) == (True, False)


async def test_a_person_without_a_user_gets_one_and_keeps_it(oidc):
    campus, provider = oidc
    from billing.model import Person

    campus.accounts.add_person("add-x", Person("2023099", "Neu"), "li")
    provider.claims = {"sub": "s-9", "student_number": "2023099"}
    async with campus.browser() as browser:
        await through_oidc(browser, provider)
        assert (await browser.get("/me")).json()["user"] == "2023099"
    assert campus.user("2023099").roles == {Role.STUDENT}
    assert campus.user("2023099").password_hash is None
    campus.restart()
    provider.claims = {"sub": "s-9"}
    async with campus.browser() as browser:
        await through_oidc(browser, provider)
        assert (await browser.get("/me")).json()["user"] == "2023099"


async def test_roles_follow_the_providers_groups(oidc):
    campus, provider = oidc
    provider.claims = {"sub": "s-7", "preferred_username": "Karl", "groups": ["x", "metering"]}
    async with campus.browser() as browser:
        await through_oidc(browser, provider)
        assert (await browser.get("/buses")).status_code == 200
    assert campus.user("karl").roles == {Role.FACILITIES}
    provider.claims = {"sub": "s-1", "student_number": "2023001", "groups": ["metering"]}
    async with campus.browser() as browser:
        await through_oidc(browser, provider)
        assert (await browser.get("/me")).json()["roles"] == ["facilities", "student"]
        provider.claims["groups"] = []
        await through_oidc(browser, provider)
        assert (await browser.get("/me")).json()["roles"] == ["student"]


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "s-8"},
        {"sub": "s-8", "student_number": "9999999"},
        {"sub": "s-8", "preferred_username": "olga", "groups": ["metering"]},
        {"sub": "s-8", "preferred_username": "station", "groups": ["metering"]},
    ],
    ids=str,
)
async def test_whom_the_station_does_not_know_gets_no_session_and_nobody_elses_name(oidc, claims):
    campus, provider = oidc
    provider.claims = claims
    async with campus.browser() as browser:
        answer = await through_oidc(browser, provider)
        assert answer.status_code in (401, 422)
        assert (await browser.get("/me")).status_code == 401


async def test_a_provider_can_not_sign_an_admin_in(oidc):
    campus, provider = oidc
    campus.identity.users.change("wang", "ada", roles=frozenset({Role.ADMIN, Role.STUDENT}))
    async with campus.browser() as browser:
        assert (await through_oidc(browser, provider)).status_code == 401


async def test_a_disabled_user_stays_out(oidc):
    campus, provider = oidc
    campus.identity.users.change("wang", "ada", disabled=True)
    async with campus.browser() as browser:
        assert (await through_oidc(browser, provider)).status_code == 401


def other_key(claims: dict[str, Any]) -> str:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    key = generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "a"})


SPOILS = {
    "no signature": lambda claims: jwt.encode(claims, None, algorithm="none"),
    "the client's secret as key": lambda claims: jwt.encode(
        claims, "wattwarden-secret-as-an-hmac-key-32b", algorithm="HS256", headers={"kid": "a"}
    ),
    "another's key": other_key,
    "no token": lambda claims: "nothing",
}
CHANGES = {
    "another audience": {"aud": "another"},
    "several audiences, for another": {"aud": ["wattwarden", "another"], "azp": "another"},
    "another issuer": {"iss": "https://evil.example"},
    "another nonce": {"nonce": "x"},
    "no nonce": {"nonce": None},
    "over": {"exp": 1_000_000_000},
    "no end": {"exp": None},
    "no subject": {"sub": None},
    "not yet": {"nbf": 4_000_000_000},
}


@pytest.mark.parametrize("spoil", [*SPOILS, *CHANGES])
async def test_an_id_token_that_is_not_exactly_right_signs_nobody_in(oidc, spoil):
    campus, provider = oidc
    if spoil in SPOILS:
        provider.spoil = SPOILS[spoil]
    else:
        provider.spoil = lambda claims: provider.id_token(
            {n: v for n, v in (claims | CHANGES[spoil]).items() if v is not None}
        )
    async with campus.browser() as browser:
        answer = await through_oidc(browser, provider)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


async def test_a_state_counts_once_in_its_own_browser_and_for_ten_minutes(oidc):
    campus, provider = oidc
    async with campus.browser() as mine, campus.browser() as victim:
        back = provider.authorize(await begin(mine, "oidc"))
        # An attacker sends the victim the end of his own sign-in.
        assert (await victim.get(back)).status_code == 401
        assert (await mine.get(back)).status_code == 401
        back = provider.authorize(await begin(mine, "oidc"))
        assert (await mine.get(back)).status_code == 302
        assert (await mine.get(back)).status_code == 401
        back = provider.authorize(await begin(mine, "oidc"))
        campus.clock.leap(601)
        assert (await mine.get(back)).status_code == 401
        back = provider.authorize(await begin(mine, "oidc"))
        assert (await mine.get(back.replace("state=", "state=x"))).status_code == 401


async def test_a_code_of_another_sign_in_is_refused_by_pkce(oidc):
    campus, provider = oidc
    async with campus.browser() as mine, campus.browser() as other:
        stolen = parse_qs(urlsplit(provider.authorize(await begin(other, "oidc"))).query)["code"]
        back = provider.authorize(await begin(mine, "oidc"))
        own = parse_qs(urlsplit(back).query)["code"]
        assert (await mine.get(back.replace(own[0], stolen[0]))).status_code == 401


async def test_new_keys_of_the_provider_are_fetched_and_forgeries_fetch_no_more(oidc):
    campus, provider = oidc
    async with campus.browser() as browser:
        assert (await through_oidc(browser, provider)).status_code == 302
        provider.new_key("b")
        campus.clock.leap(61)
        assert (await through_oidc(browser, provider)).status_code == 302
        provider.spoil = other_key
        fetched = provider.asked.count("/keys")
        for _ in range(5):
            assert (await through_oidc(browser, provider)).status_code == 401
        assert provider.asked.count("/keys") == fetched


async def test_a_provider_that_is_down_is_a_503(oidc):
    campus, provider = oidc
    async with campus.browser() as browser:
        back = provider.authorize(await begin(browser, "oidc"))
        provider.close()
        assert (await browser.get(back)).status_code == 503
        campus.clock.leap(3601)
        assert (await browser.get("/sign-in/with/oidc")).status_code == 503


@pytest.mark.parametrize("then", ["//evil.example", "/\\evil.example", "https://evil.example", "x"])
async def test_nobody_is_led_elsewhere_afterwards(oidc, then):
    campus, _ = oidc
    async with campus.browser() as browser:
        answer = await browser.get("/sign-in/with/oidc", params={"then": then})
    assert answer.status_code == 422


async def test_what_the_provider_refuses_is_told(oidc):
    campus, _ = oidc
    async with campus.browser() as browser:
        url = await begin(browser, "oidc")
        state = parse_qs(urlsplit(url).query)["state"][0]
        answer = await browser.get(
            "/sign-in/with/oidc/back", params={"state": state, "error": "access_denied"}
        )
    assert (answer.status_code, "access_denied" in answer.json()["detail"]) == (401, True)


# -- CAS


async def test_a_student_signs_in_by_cas(cas):
    campus, server = cas
    async with campus.browser() as browser:
        back = server.login(await begin(browser, "cas", "/rooms"))
        assert back.startswith(f"{PUBLIC}/api/v1/sign-in/with/cas/back?state=")
        answer = await browser.get(back)
        assert (answer.status_code, answer.headers["location"]) == (302, "/rooms")
        assert (await browser.get("/me")).json()["user"] == "wang"
    version = campus.identity.settings.cas.version
    assert server.asked == [f"/cas/{'p3/' if version == 3 else ''}serviceValidate"]


async def test_a_ticket_counts_once_for_its_own_service_and_browser(cas):
    campus, server = cas
    async with campus.browser() as mine, campus.browser() as other:
        back = server.login(await begin(mine, "cas"))
        assert (await other.get(back)).status_code == 401
        back = server.login(await begin(mine, "cas"))
        assert (await mine.get(back.replace("ST-", "ST-x"))).status_code == 401
        one, two = server.login(await begin(mine, "cas")), server.login(await begin(mine, "cas"))
        ticket = parse_qs(urlsplit(one).query)["ticket"][0]
        other_ticket = parse_qs(urlsplit(two).query)["ticket"][0]
        assert (await mine.get(one.replace(ticket, other_ticket))).status_code == 401
        back = server.login(await begin(mine, "cas"))
        assert (await mine.get(back.replace("ticket=ST-", "ticket=PT-"))).status_code == 401


async def test_a_cas_server_that_is_down_is_a_503(cas):
    campus, server = cas
    async with campus.browser() as browser:
        back = server.login(await begin(browser, "cas"))
        server.close()
        assert (await browser.get(back)).status_code == 503


# -- settings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"oidc": {"issuer": "https://id.example", "client_id": "x"}}, "public_url is needed"),
        (
            {
                "public_url": PUBLIC,
                "oidc": {
                    "issuer": "https://id.example",
                    "client_id": "x",
                    "roles": [{"claim": "g", "value": "a", "role": "admin"}],
                },
            },
            "admin can't be given by a provider",
        ),
        ({"public_url": PUBLIC, "cas": {"server": "http://cas.example"}}, "must begin with https"),
        ({"session_idle_s": 90_000}, "can't be above session_most_s"),
        ({"token_s": 3600}, "less than or equal to 900"),
        ({"passwords": 3}, "Extra inputs"),
    ],
)
def test_settings_that_would_be_unsafe_are_refused(settings, told):
    with pytest.raises(ValidationError, match=told):
        SignInSettings(**settings)
