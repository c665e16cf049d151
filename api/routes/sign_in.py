"""For everybody: signing in with a password or a code, and tokens for programs."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.context import Deps
from api.deps import ApiDeps
from api.identity.asker import CSRF_COOKIE, DEVICE_COOKIE, SESSION_COOKIE, Asker, cookie_name
from api.identity.bearer import Tokens
from api.identity.devices import DEVICE_DAYS
from api.identity.service import Identity, SignedIn
from api.identity.users import plain_name
from domain.errors import UnknownSubject
from domain.identity import Role

router = APIRouter(tags=["sign-in"])

Name = Annotated[str, Field(min_length=1, max_length=200)]
Secret = Annotated[str, Field(min_length=1, max_length=1000)]
Agent = Annotated[str, Header(alias="User-Agent")]


class _Body(BaseModel):
    # A student's program may send more than is asked for: it is not looked at.
    model_config = ConfigDict(frozen=True, extra="ignore")


class SignInBody(_Body):
    """A name and its password."""

    user: Name
    password: Secret


class CodeBody(_Body):
    """A name, the code that was given for it, and the new password."""

    user: Name
    code: Annotated[str, Field(min_length=4, max_length=100)]
    password: Secret


class NameBody(_Body):
    """Whom to send a code."""

    user: Name


class RefreshBody(_Body):
    """A refresh token."""

    refresh_token: Secret


class SignInAnswer(BaseModel):
    """Who has signed in; writes need `csrf_token` in the header X-CSRF-Token."""

    user: str
    roles: list[Role]
    person: str | None
    csrf_token: str
    idle_s: int
    most_s: int


class TokenAnswer(BaseModel):
    """Tokens for a program: the access token for `expires_s`, and what renews it, once."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme, not a secret
    expires_s: int
    refresh_token: str


class Done(BaseModel):
    """What was asked for is done."""

    done: bool = True


class WaysAnswer(BaseModel):
    """How one can sign in at this station."""

    password: bool
    code_by_message: bool
    oidc: bool
    cas: bool


@router.get("/sign-in/ways", summary="How one can sign in")
async def get_ways(deps: Deps) -> WaysAnswer:
    """Tell which ways to sign in there are."""
    identity = deps.identity
    settings = identity.settings if identity is not None else None
    return WaysAnswer(
        password=identity is not None,
        code_by_message=identity is not None and identity.sends_codes,
        oidc=bool(settings and settings.oidc),
        cas=bool(settings and settings.cas),
    )


@router.post("/sign-in", summary="Sign a browser in")
async def post_sign_in(
    body: SignInBody, request: Request, response: Response, deps: Deps, agent: Agent = ""
) -> SignInAnswer:
    """Check name and password, begin a session of a fresh id, and set its cookies."""
    identity, asker = deps.people(), asker_of(request)
    user = await identity.check(body.user, body.password, asker)
    signed = await identity.sign_in(user, "password", asker, agent)
    set_cookies(response, identity, asker, signed)
    return signed_in_answer(identity, signed)


@router.post("/sign-in/token", summary="Sign a program in")
async def post_token(body: SignInBody, request: Request, deps: Deps) -> TokenAnswer:
    """Check name and password and give an access token and a refresh token."""
    identity = deps.people()
    user = await identity.check(body.user, body.password, asker_of(request))
    return _tokens(await anyio.to_thread.run_sync(identity.bearer.begin, user))


@router.post("/sign-in/refresh", summary="Renew a program's tokens")
async def post_refresh(body: RefreshBody, deps: Deps) -> TokenAnswer:
    """Give new tokens for a refresh token; one that was used before ends that sign-in."""
    return _tokens(await anyio.to_thread.run_sync(deps.people().bearer.renew, body.refresh_token))


@router.post("/sign-in/password", summary="Set a password with a code")
async def post_password(body: CodeBody, request: Request, deps: Deps) -> Done:
    """Set the password with the code that was given for it; the code counts once."""
    identity = deps.people()
    words = own_words(deps, identity, body.user)
    await identity.set_by_code(body.user, body.code, body.password, words, asker_of(request))
    return Done()


@router.post("/sign-in/code", summary="Have a code sent to one's telephone")
def post_code(body: NameBody, request: Request, deps: Deps) -> Done:
    """Send the user's person a code that sets a new password; the answer is the same for all."""
    identity = deps.people()
    if not identity.sends_codes:
        raise UnknownSubject("this station sends no codes; the office gives one")
    identity.send_code(body.user, asker_of(request))
    return Done()


def asker_of(request: Request) -> Asker:
    """Return where a request comes from."""
    asker: Asker = request.scope["asker"]
    return asker


def own_words(deps: ApiDeps, identity: Identity, name: str) -> tuple[str, ...]:
    """Return the words about a user that a password must not be made of."""
    user = identity.users.find(plain_name(name))
    if user is None or user.person is None or deps.billing is None:
        return ()
    person = deps.directory().person(user.person)
    return (person.id, person.name, person.phone, person.email) if person else (user.person,)


def set_cookies(response: Response, identity: Identity, asker: Asker, signed: SignedIn) -> None:
    """Set the session's cookie, the device's, and the one that the page reads the token from."""
    secure = identity.is_secure(asker)
    for name, value, age_s, hidden in (
        (SESSION_COOKIE, signed.cookie, identity.settings.session_most_s, True),
        (CSRF_COOKIE, signed.session.csrf, identity.settings.session_most_s, False),
        (DEVICE_COOKIE, signed.device, DEVICE_DAYS * 86_400, True),
    ):
        response.set_cookie(
            cookie_name(name, secure=secure), value, max_age=age_s, path="/", secure=secure,
            httponly=hidden, samesite="lax",
        )  # fmt: skip
    response.headers["Cache-Control"] = "no-store"


def drop_cookies(response: Response, identity: Identity, asker: Asker) -> None:
    """Take the session's cookies away; the device stays known."""
    secure = identity.is_secure(asker)
    for name in (SESSION_COOKIE, CSRF_COOKIE):
        response.delete_cookie(
            cookie_name(name, secure=secure), path="/", secure=secure, httponly=True,
            samesite="lax",
        )  # fmt: skip


def signed_in_answer(identity: Identity, signed: SignedIn) -> SignInAnswer:
    """Tell a browser who has signed in."""
    return SignInAnswer(
        user=signed.user.name,
        roles=sorted(signed.user.roles),
        person=signed.user.person,
        csrf_token=signed.session.csrf,
        idle_s=identity.settings.session_idle_s,
        most_s=identity.settings.session_most_s,
    )


def _tokens(tokens: Tokens) -> TokenAnswer:
    return TokenAnswer(
        access_token=tokens.access_token,
        expires_s=tokens.expires_s,
        refresh_token=tokens.refresh_token,
    )
