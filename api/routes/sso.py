"""For everybody: signing in at the campus's own provider, by OpenID Connect or CAS."""

from enum import StrEnum
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse

from api.context import Deps
from api.deps import ApiDeps
from api.identity.asker import cookie_name
from api.identity.service import Identity
from api.identity.sso import PENDING_S, SingleSignOn
from api.limited import limited
from api.routes.sign_in import Agent, asker_of, set_cookies
from domain.errors import UnknownSubject

router = APIRouter(
    tags=["sign-in"],
    dependencies=[Depends(limited("single sign-on", address="60 per 1 minute; 600 per 1 hour"))],
)
WAY_COOKIE = "wattwarden-way"
# A path of this station and nothing else: `//host` and `/\host` would leave it.
Then = Annotated[str, Query(max_length=300, pattern=r"^/([A-Za-z0-9._~-][A-Za-z0-9._~/?=&%-]*)?$")]
Brought = Annotated[str | None, Query(max_length=4096)]


class ProviderName(StrEnum):
    """The kinds of providers."""

    OIDC = "oidc"
    CAS = "cas"


@router.get(
    "/sign-in/with/{provider}",
    summary="Go to the campus's sign-in page",
    response_class=RedirectResponse,
    status_code=302,
    responses={302: {"description": "To the provider"}},
)
async def get_provider(
    provider: ProviderName, request: Request, deps: Deps, then: Then = "/"
) -> RedirectResponse:
    """Send the browser to the provider; it comes back to `/back` below and then to `then`."""
    identity, sso = _sso(deps, provider)
    url, browser = await anyio.to_thread.run_sync(sso.begin, provider.value, then)
    response = RedirectResponse(url, 302, headers={"Cache-Control": "no-store"})
    secure = identity.is_secure(asker_of(request))
    response.set_cookie(
        cookie_name(WAY_COOKIE, secure=secure), browser, max_age=int(PENDING_S), path="/",
        secure=secure, httponly=True, samesite="lax",
    )  # fmt: skip
    return response


@router.get(
    "/sign-in/with/{provider}/back",
    summary="Come back from the campus's sign-in page",
    response_class=RedirectResponse,
    status_code=302,
    responses={302: {"description": "Signed in, and on to where the browser came from"}},
)
async def get_back(
    provider: ProviderName,
    request: Request,
    deps: Deps,
    state: Annotated[str, Query(max_length=200)],
    code: Brought = None,
    ticket: Brought = None,
    error: Brought = None,
    agent: Agent = "",
) -> RedirectResponse:
    """Check what the provider says of the browser and begin its session."""
    identity, sso = _sso(deps, provider)
    asker = asker_of(request)
    browser = asker.cookie(WAY_COOKIE, secure=identity.is_secure(asker))
    brought = {"code": code, "ticket": ticket, "error": error}
    given = {name: value for name, value in brought.items() if value is not None}

    def is_known(person: str) -> bool:
        return deps.billing is not None and deps.directory().person(person) is not None

    user, then = await anyio.to_thread.run_sync(
        sso.end, provider.value, state, browser, given, is_known
    )
    response = RedirectResponse(then, 302)
    set_cookies(
        response, identity, asker, await identity.sign_in(user, provider.value, asker, agent)
    )
    return response


def _sso(deps: ApiDeps, provider: ProviderName) -> tuple[Identity, SingleSignOn]:
    identity = deps.people()
    if provider.value not in identity.sso.providers:
        raise UnknownSubject(f"this station has no sign-in by {provider.value}")
    return identity, identity.sso
