"""For whoever has signed in: who he is, his rooms, his sign-ins, his password, his tokens."""

import asyncio
from datetime import datetime
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import Who
from api.context import Deps
from api.deps import ApiDeps
from api.identity.service import Identity
from api.params import Words
from api.routes.sign_in import (
    Done,
    Secret,
    asker_of,
    drop_cookies,
    own_words,
    set_cookies,
)
from domain.errors import Forbidden
from domain.identity import Principal, Role
from domain.users import ApiToken, User

router = APIRouter(tags=["me"])


class _Body(BaseModel):
    # A student's program may send more than is asked for: it is not looked at.
    model_config = ConfigDict(frozen=True, extra="ignore")


class RoomAnswer(BaseModel):
    """A room that somebody lives in."""

    account: str
    building: str
    room: str
    since: str


class PersonAnswer(BaseModel):
    """Who somebody is in the directory."""

    id: str
    name: str
    language: str


class MeAnswer(BaseModel):
    """Who asks, and what he may do; `csrf_token` only to a browser that has signed in."""

    user: str
    roles: list[Role]
    person: PersonAnswer | None
    rooms: list[RoomAnswer]
    csrf_token: str | None


class SignOutBody(_Body):
    """Which sign-ins to end."""

    everywhere: bool = False


class PasswordBody(_Body):
    """The password now, and the new one."""

    old: Secret
    new: Secret


class SessionAnswer(BaseModel):
    """A browser's sign-in."""

    since: datetime
    seen_at: datetime
    method: str
    address: str
    agent: str
    this: bool


class SessionList(BaseModel):
    """The browsers in which one is signed in."""

    count: int
    sessions: list[SessionAnswer]


class TokenBody(_Body):
    """What a personal token is for, its roles, and for how many days it counts."""

    label: Words
    roles: Annotated[frozenset[Role], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=1_000)] = 90


class ApiTokenAnswer(BaseModel):
    """A personal token; the token itself is told once, when it is made."""

    id: str
    label: str
    roles: list[Role]
    created_at: datetime
    expires_at: datetime
    token: str | None = None

    @classmethod
    def of(cls, token: ApiToken, plain: str | None = None) -> "ApiTokenAnswer":
        """Tell a token."""
        return cls(
            id=token.id,
            label=token.label,
            roles=sorted(token.roles),
            created_at=token.created_at,
            expires_at=token.expires_at,
            token=plain,
        )


class ApiTokenList(BaseModel):
    """One's personal tokens."""

    count: int
    tokens: list[ApiTokenAnswer]


@router.get("/me", summary="Who am I")
def get_me(request: Request, who: Who, deps: Deps) -> MeAnswer:
    """Tell who asks: user, roles, the person of the directory and the rooms he lives in today."""
    csrf = None
    if deps.identity is not None:
        found = deps.identity.by_cookie(asker_of(request))
        csrf = found[1].csrf if found is not None and found[1].id == who.session else None
    return MeAnswer(
        user=who.user,
        roles=sorted(who.roles),
        person=_person(deps, who),
        rooms=_rooms(deps, who),
        csrf_token=csrf,
    )


@router.post("/me/sign-out", summary="Sign out")
def post_sign_out(
    body: SignOutBody, request: Request, response: Response, who: Who, deps: Deps
) -> Done:
    """End this sign-in, or all of them in every browser and program."""
    identity = deps.people()
    _signed_in(identity, who)
    if body.everywhere:
        identity.users.sign_out(who.user)
    elif who.session is not None:
        identity.sessions.end(who.session)
        identity.bearer.end(who.session)
    drop_cookies(response, identity, asker_of(request))
    return Done()


@router.post("/me/password", summary="Change one's password")
async def post_my_password(
    body: PasswordBody, request: Request, response: Response, who: Who, deps: Deps,
    agent: Annotated[str, Header(alias="User-Agent")] = "",
) -> Done:  # fmt: skip
    """Change the password; every other sign-in of the user ends, and this one begins anew."""
    identity, asker = deps.people(), asker_of(request)
    _signed_in(identity, who)
    await identity.check(who.user, body.old, asker)
    words = own_words(deps, identity, who.user)
    is_browser = await asyncio.to_thread(identity.by_cookie, asker) is not None
    user = await anyio.to_thread.run_sync(identity.users.set_password, who.user, body.new, words)
    if is_browser and not asker.bearer:
        set_cookies(
            response, identity, asker, await identity.sign_in(user, "password", asker, agent)
        )
    return Done()


@router.get("/me/sessions", summary="Where one is signed in")
def list_my_sessions(who: Who, deps: Deps) -> SessionList:
    """Give the browsers in which one is signed in."""
    identity = deps.people()
    _signed_in(identity, who)
    rows = [
        SessionAnswer(
            since=one.created_at, seen_at=one.seen_at, method=one.method, address=one.address,
            agent=one.agent, this=one.id == who.session,
        )
        for one in identity.sessions.of_user(who.user)
    ]  # fmt: skip
    return SessionList(count=len(rows), sessions=rows)


@router.get("/me/tokens", summary="One's personal tokens")
def list_my_tokens(who: Who, deps: Deps) -> ApiTokenList:
    """Give one's personal tokens, without what is secret of them."""
    identity = deps.people()
    _signed_in(identity, who)
    rows = [ApiTokenAnswer.of(one) for one in identity.api_tokens.of_user(who.user)]
    return ApiTokenList(count=len(rows), tokens=rows)


@router.post("/me/tokens", summary="Make a personal token")
def post_my_token(body: TokenBody, who: Who, deps: Deps) -> ApiTokenAnswer:
    """Make a token for a program that reads, of roles one holds; it is told this once."""
    identity = deps.people()
    user = _signed_in(identity, who)
    plain, token = identity.api_tokens.make(user, body.label, body.roles, body.days)
    return ApiTokenAnswer.of(token, plain)


@router.delete("/me/tokens/{token_id}", summary="End a personal token")
def delete_my_token(token_id: str, who: Who, deps: Deps) -> Done:
    """End one of one's personal tokens."""
    identity = deps.people()
    _signed_in(identity, who)
    identity.api_tokens.end(who.user, token_id)
    return Done()


def _signed_in(identity: Identity, who: Principal) -> User:
    """Return the user behind a sign-in; personal tokens and the station's are none."""
    user = identity.users.find(who.user)
    if user is None or who.session is None:
        raise Forbidden("sign in for this; a token that was made for a program will not do")
    return user


def _person(deps: ApiDeps, who: Principal) -> PersonAnswer | None:
    if who.person is None or deps.billing is None:
        return None
    person = deps.directory().person(who.person)
    if person is None:
        return None
    return PersonAnswer(id=person.id, name=person.name, language=person.language)


def _rooms(deps: ApiDeps, who: Principal) -> list[RoomAnswer]:
    if who.person is None or deps.billing is None:
        return []
    directory, today = deps.directory(), deps.today()
    rooms = []
    for one in directory.occupancies(person_id=who.person):
        account = directory.account(one.account)
        if account is None or one.since > today or (one.until is not None and one.until <= today):
            continue
        rooms.append(
            RoomAnswer(
                account=account.id, building=account.building, room=account.room,
                since=one.since.isoformat(),
            )
        )  # fmt: skip
    return rooms
