"""A limit on what a request may send, told as a problem like every other fault."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Middleware that stops reading a body above `most` bytes, whatever it said of its length.

    `wider` names the paths that take more, and how much.
    """

    def __init__(self, app: ASGIApp, most: int, wider: Mapping[str, int] | None = None) -> None:
        self._app, self._most, self._wider = app, most, dict(wider or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through; reading too much of its body raises 413."""
        got = 0
        most = self._wider.get(scope.get("path", ""), self._most)

        async def take() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > most:
                words = f"a request's body may have {most} bytes at most"
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words)
            return message

        await self._app(scope, take, send)
