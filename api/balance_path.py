"""The balance of a room, answered in front of the router: the question that is asked most.

What it answers is what the route of the same path answers, to the same people; whatever is not a
plain good question is left to that route.
"""

import json
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from api.access import room_of
from api.deps import ApiDeps
from billing.board import BalanceBoard, BalanceView
from billing.model import Account
from domain.errors import UnknownSubject
from domain.identity import Role
from domain.money import decimal_of

BEFORE, AFTER = "/api/v1/rooms/", "/balance"
BALANCE_ROLES = (Role.OPERATOR, Role.FINANCE)


class BalanceText:
    """Balances as JSON text, made once for as long as the board's view stays the same."""

    def __init__(self, board: BalanceBoard, currency: str) -> None:
        self._board, self._currency = board, currency
        self._texts: dict[str, tuple[BalanceView, bytes]] = {}

    def of(self, account: Account) -> bytes:
        """Return what an account has, as JSON."""
        view = self._board.view(account)
        known = self._texts.get(account.id)
        if known is not None and known[0] is view:
            return known[1]
        text = json.dumps(balance_content(view, self._currency), ensure_ascii=False).encode()
        self._texts[account.id] = view, text
        return text


def balance_content(view: BalanceView, currency: str) -> dict[str, object]:
    """Return a balance as JSON data."""
    amount = view.balance_micro
    return {
        "account": view.account,
        "held_by": view.held_by.value,
        "currency": currency,
        "balance": None if amount is None else f"{decimal_of(amount):.2f}",
        "balance_micro": amount,
        "booked_micro": view.booked_micro,
        "accrued_micro": view.accrued_micro,
        "free_wh": view.free_wh,
        "level": view.level,
        "days_left": view.days_left,
    }


class BalancePath:
    """Middleware inside the guard that answers `GET /api/v1/rooms/{account_id}/balance`."""

    def __init__(self, app: ASGIApp, deps: ApiDeps) -> None:
        self._app, self._deps = app, deps
        board = deps.billing.board if deps.billing is not None else None
        self._texts = BalanceText(board, deps.site().currency) if board is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on what is not a plain good question."""
        text = self._text(scope) if self._texts is not None else None
        if text is None:
            await self._app(scope, receive, send)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(text)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    def _text(self, scope: Scope) -> bytes | None:
        if scope["type"] != "http" or scope["method"] != "GET" or self._texts is None:
            return None
        path: str = scope["path"]
        if not (path.startswith(BEFORE) and path.endswith(AFTER)):
            return None
        try:
            account = room_of(
                self._deps, scope["principal"], path[len(BEFORE) : -len(AFTER)], *BALANCE_ROLES
            )
        except UnknownSubject:
            return None
        return self._texts.of(account)
