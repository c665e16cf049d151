"""Who may ask: a bearer token for everything but /healthz, unless a demo opened the door."""

import hmac
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import ApiDeps
from api.errors import problem
from domain.identity import Principal, Role

OPEN_PATHS = frozenset({"/healthz"})
READS = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# Whoever holds the station's own token, or sits at a demo's machine, may do everything.
STATION = Principal("station", frozenset({Role.ADMIN}))
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="wattwarden"'}


class AccessGuard:
    """Middleware around the whole application, so that no page is forgotten.

    The token is compared in constant time. What is open without one is open only to requests
    that name this machine as their host: a web page elsewhere can't lead a browser to it.
    """

    def __init__(self, app: ASGIApp, deps: ApiDeps) -> None:
        self._app = app
        self._token = deps.access_token.encode()
        self._open_reads, self._open_writes = deps.open_reads, deps.open_writes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer 401 with what to do."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._may_pass(scope):
            scope["principal"] = STATION
            await self._app(scope, receive, send)
            return
        await self._refusal(scope)(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        if self._token and hmac.compare_digest(_bearer(scope), self._token):
            return True
        is_open = self._open_reads if scope["method"] in READS else self._open_writes
        return is_open and _host(scope) in LOCAL_HOSTS

    def _refusal(self, scope: Scope) -> Response:
        if self._token:
            words = "send the header Authorization: Bearer <access token>"
            if _bearer(scope):
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


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


def _bearer(scope: Scope) -> bytes:
    kind, _, token = _header(scope, b"authorization").partition(b" ")
    return token.strip() if kind.lower() == b"bearer" else b""


def _host(scope: Scope) -> str:
    host = _header(scope, b"host").decode("latin-1").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
