"""Tokens for programs: what is not exactly right is worth nothing (fault 39)."""

import base64
import json

import jwt
import pytest
from campus import OWN, TOKEN, sign_in
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from domain.events import EventKind
from domain.identity import Role


async def status(campus, token: str, path: str = "/me") -> int:
    async with campus.browser({"Authorization": f"Bearer {token}"}) as program:
        return (await program.get(path)).status_code


def a_token(campus, user: str = "olga") -> str:
    return campus.identity.bearer.begin(campus.user(user)).access_token


def key(campus) -> bytes:
    return campus.ledger.secret("access-token-1")


def again(campus, header: dict | None = None, sign_with=None, algorithm="HS256", **claims) -> str:
    """Return a good token with something changed, signed with the station's own key."""
    good = a_token(campus)
    content = jwt.decode(good, options={"verify_signature": False}) | claims
    content = {name: value for name, value in content.items() if value is not None}
    headers = {"kid": "k1"} | (header or {})
    signer = key(campus) if sign_with is None else sign_with
    return jwt.encode(content, signer, algorithm=algorithm, headers=headers)


async def test_a_good_token_is_its_user_until_it_ends(campus):
    token = a_token(campus)
    assert await status(campus, token) == 200
    campus.clock.leap(599)
    assert await status(campus, token) == 200
    campus.clock.leap(1)
    assert await status(campus, token) == 401


async def test_a_token_made_again_just_so_is_good(campus):
    assert await status(campus, again(campus)) == 200


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "somebody-else"},
        {"aud": None},
        {"iss": "somebody-else"},
        {"iss": None},
        {"exp": None},
        {"exp": 4_000_000_000},
        {"exp": 1_000_000_000},
        {"exp": "soon"},
        {"iat": None},
        {"sub": None},
        {"sub": "nobody"},
        {"sub": "ada"},
        {"sid": "another"},
        {"sid": None},
        {"ver": 99},
        {"ver": None},
        {"header": {"kid": "k9"}},
        {"header": {"kid": ""}},
        {"sign_with": b"another key of thirty-two bytes."},
        {"algorithm": "HS512"},
    ],
    ids=str,
)
async def test_a_token_with_anything_changed_is_refused(campus, change):
    assert await status(campus, again(campus, **change)) == 401


async def test_a_token_without_a_signature_is_refused(campus):
    good = a_token(campus)
    content = jwt.decode(good, options={"verify_signature": False})
    assert await status(campus, jwt.encode(content, None, algorithm="none")) == 401
    for name in ("none", "None", "NONE"):
        header = {"alg": name, "typ": "JWT", "kid": "k1"}
        parts = [json.dumps(header), json.dumps(content)]
        coded = [base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts]
        assert await status(campus, ".".join([*coded, ""])) == 401
    head, body, _ = good.split(".")
    assert await status(campus, f"{head}.{body}.") == 401


async def test_a_token_of_another_algorithm_is_refused(campus):
    private = generate_private_key(public_exponent=65537, key_size=2048)
    token = again(campus, sign_with=private, algorithm="RS256")
    assert await status(campus, token) == 401


async def test_a_change_of_role_or_password_counts_at_once(campus):
    token = a_token(campus)
    assert await status(campus, token, "/commands") == 200
    campus.identity.users.change("olga", "ada", roles=frozenset({Role.FINANCE}))
    assert await status(campus, token) == 401
    assert await status(campus, a_token(campus), "/commands") == 403
    token = a_token(campus)
    campus.identity.users.change("olga", "ada", disabled=True)
    assert await status(campus, token) == 401


async def test_a_refresh_token_counts_once_and_its_copy_ends_the_sign_in(campus):
    async with campus.browser() as program:
        body = {"user": "olga", "password": "a whale in the sea"}
        first = (await program.post("/sign-in/token", json=body)).json()
        body = {"refresh_token": first["refresh_token"]}
        second = (await program.post("/sign-in/refresh", json=body)).json()
        assert await status(campus, second["access_token"]) == 200
        # Somebody who has copied the first one tries it.
        assert (await program.post("/sign-in/refresh", json=body)).status_code == 403
        body = {"refresh_token": second["refresh_token"]}
        assert (await program.post("/sign-in/refresh", json=body)).status_code == 403
        assert await status(campus, second["access_token"]) == 401
    assert [event.kind for event in campus.told] == [EventKind.TOKEN_REUSED]


async def test_refresh_tokens_live_through_a_restart(campus):
    tokens = campus.identity.bearer.begin(campus.user("olga"))
    campus.restart()
    assert await status(campus, tokens.access_token) == 200
    renewed = campus.identity.bearer.renew(tokens.refresh_token)
    campus.restart()
    assert await status(campus, renewed.access_token) == 200
    async with campus.browser() as program:
        body = {"refresh_token": tokens.refresh_token}
        assert (await program.post("/sign-in/refresh", json=body)).status_code == 403


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "a.1", "a.x.y", "é.1.x"])
async def test_what_is_no_refresh_token_is_refused(campus, token):
    async with campus.browser() as program:
        answer = await program.post("/sign-in/refresh", json={"refresh_token": token})
    assert answer.status_code == (403 if token else 422)


async def test_a_refresh_token_ends_after_its_time(campus):
    tokens = campus.identity.bearer.begin(campus.user("olga"))
    campus.clock.leap(30 * 86_400)
    async with campus.browser() as program:
        body = {"refresh_token": tokens.refresh_token}
        assert (await program.post("/sign-in/refresh", json=body)).status_code == 403


async def test_after_a_change_of_the_signing_key_old_tokens_count_until_they_end(campus):
    token = a_token(campus)
    settings = campus.identity.settings.model_copy(update={"token_key": 2})
    campus.identity = campus.fresh_identity(settings)
    campus.station.change(identity=campus.identity)
    campus._app = None
    assert await status(campus, token) == 200
    assert jwt.get_unverified_header(a_token(campus))["kid"] == "k2"


async def test_an_analysts_personal_token_reads_and_nothing_else(campus):
    async with campus.browser() as browser:
        await sign_in(browser, "anna")
        body = {"label": "notebook", "roles": ["analyst"], "days": 30}
        made = (await browser.post("/me/tokens", json=body)).json()
        listed = (await browser.get("/me/tokens")).json()
        assert listed["tokens"] == [made | {"token": None}]
    token = made["token"]
    assert token.startswith("wwt_")
    assert await status(campus, token, "/meters") == 200
    assert await status(campus, token, "/commands") == 403
    assert await status(campus, token, "/me/tokens") == 403
    campus.restart()
    assert await status(campus, token, "/meters") == 200
    for wrong in (token[:-1], token + "x", "wwt_", "wwt__", "wwt_x_y", token.replace("_", "-")):
        assert await status(campus, wrong, "/meters") == 401
    campus.clock.leap(30 * 86_400)
    assert await status(campus, token, "/meters") == 401


async def test_a_personal_token_gives_no_more_than_its_user_still_has(campus):
    plain, token = campus.identity.api_tokens.make(
        campus.user("anna"), "x", frozenset({Role.ANALYST}), 30
    )
    campus.identity.users.change("anna", "ada", roles=frozenset({Role.FACILITIES}))
    assert await status(campus, plain, "/meters") == 401
    campus.identity.users.change("anna", "ada", roles=frozenset({Role.ANALYST}))
    assert await status(campus, plain, "/meters") == 200
    campus.identity.api_tokens.end("anna", token.id)
    assert await status(campus, plain, "/meters") == 401


async def test_a_personal_token_of_a_student_opens_no_room(campus):
    campus.identity.users.change("wang", "ada", roles=frozenset({Role.STUDENT, Role.ANALYST}))
    plain, _ = campus.identity.api_tokens.make(
        campus.user("wang"), "x", frozenset({Role.ANALYST}), 30
    )
    assert await status(campus, plain, f"/rooms/{OWN}/trips") == 404


@pytest.mark.parametrize(
    "header",
    [f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer \xe9", f"Bearer {TOKEN} x"],
)
async def test_the_stations_own_token_has_to_be_exact(campus, header):
    async with campus.browser({"Authorization": header.encode("latin-1")}) as program:
        assert (await program.get("/me")).status_code == 401


async def test_the_ledger_keeps_hashes_of_tokens_alone(campus, tmp_path):
    tokens = campus.identity.bearer.begin(campus.user("anna"))
    plain, _ = campus.identity.api_tokens.make(
        campus.user("anna"), "x", frozenset({Role.ANALYST}), 30
    )
    campus.close()
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (tokens.refresh_token.split(".")[2], plain.split("_", 2)[2]):
        assert secret.encode() not in everything
