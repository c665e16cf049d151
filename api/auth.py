"""Who asks: the guard around the application finds out and tells it, or answers 401.

Credentials are looked for in this order: the station's own token, a bearer token of a user, the
cookie of a session, and last the open door of a demo on this machine.
"""

import hmac
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import ApiDeps
from api.errors import problem
from api.identity.asker import LOCAL_HOSTS, Asker
from domain.identity import STATION_USER, Principal, Role

# Open to everybody: what answers here asks for a proof of its own (a password, a provider's
# signature) or tells nothing.
OPEN_PATHS = frozenset({"/healthz", "/api/v1/sign-in"})
OPEN_BELOW = ("/api/v1/sign-in/", "/api/v1/payments/notices/")
READS = frozenset({"GET", "HEAD", "OPTIONS"})
# Whoever holds the station's own token, or sits at a demo's machine, may do everything.
STATION = Principal(STATION_USER, frozenset({Role.ADMIN}))
NOBODY = Principal("", frozenset())
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="wattwarden"'}

__all__ = ["LOCAL_HOSTS", "NOBODY", "STATION", "AccessGuard", "is_open"]


def is_open(path: str) -> bool:
    """Say whether a path is answered to everybody."""
    return path in OPEN_PATHS or path.startswith(OPEN_BELOW)


class AccessGuard:
    """Middleware around the whole application, so that no page is forgotten.

    The token is compared in constant time. What is open without one is open only to requests
    that name this machine as their host: a web page elsewhere can't lead a browser to it. A write
    that comes with a session's cookie must bring the session's CSRF token too.
    """

    def __init__(self, app: ASGIApp, deps: ApiDeps) -> None:
        self._app, self._identity = app, deps.identity
        self._token = deps.access_token.encode()
        self._open_reads, self._open_writes = deps.open_reads, deps.open_writes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through with its principal, or answer 401 or 403 with what to do."""
        if scope["type"] != "http":
            scope["principal"] = NOBODY
            await self._app(scope, receive, send)
            return
        asker = Asker.of(scope)
        scope["asker"] = asker
        refusal = self._judge(scope, asker)
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _judge(self, scope: Scope, asker: Asker) -> Response | None:
        """Put the principal into the scope; return the answer where there is none."""
        found = self._by_token(asker)
        reads = scope["method"] in READS
        if found is None and self._identity is not None and not asker.bearer and asker.cookies:
            by_cookie = self._identity.by_cookie(asker)
            if by_cookie is not None:
                found, session = by_cookie
                if not reads and not self._identity.has_csrf_token(asker, session):
                    # Signing in again must not fail because of a session that is still there.
                    if not is_open(scope["path"]):
                        return _forged()
                    found = None
        if found is None and (self._open_reads if reads else self._open_writes) and asker.is_local:
            found = STATION
        if is_open(scope["path"]):
            if not reads and asker.is_elsewhere(self._public_netloc()):
                return _forged()
            scope["principal"] = found or NOBODY
            return None
        scope["principal"] = found
        return self._refusal(asker) if found is None else None

    def _by_token(self, asker: Asker) -> Principal | None:
        token = asker.bearer
        if not token:
            return None
        if self._token and hmac.compare_digest(token.encode("latin-1"), self._token):
            return STATION
        return self._identity.by_bearer(token) if self._identity is not None else None

    def _public_netloc(self) -> str:
        return self._identity.public_netloc if self._identity is not None else ""

    def _refusal(self, asker: Asker) -> Response:
        if self._token or self._identity is not None:
            words = "send the header Authorization: Bearer <access token>"
            if self._identity is not None:
                words = f"sign in (POST /api/v1/sign-in), or {words}"
            if asker.bearer:
                words = f"the access token is not the right one; {words}"
        else:
            words = (
                "this station has no access token: set WATTWARDEN_ACCESS_TOKEN (or access_token"
                " under [settings] of the site file), start it again, and send the header"
                " Authorization: Bearer <access token>"
            )
        if self._open_reads or self._open_writes:
            words += "; without a token only what is asked of localhost is answered"
        return problem(HTTPStatus.UNAUTHORIZED, "Access token needed", words, headers=CHALLENGE)


def _forged() -> Response:
    words = (
        "a write by a browser needs the header X-CSRF-Token with the session's token"
        " (GET /api/v1/me tells it), sent from this station's own pages"
    )
    return problem(HTTPStatus.FORBIDDEN, "CSRF token needed", words)
