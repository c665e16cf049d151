"""A campus card's bridge on loopback, after the contract in docs/payments.md."""

import hashlib
import hmac
import json
import secrets
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response

from domain.clock import Clock
from simulator.payments.provider import (
    GivenBack,
    LocalProvider,
    SignedNotice,
    Tamper,
    Trade,
    write_keys,
)

SKEW_S = 300
BEIJING = timezone(timedelta(hours=8))


class CampusCardProvider(LocalProvider):
    """Checks and signs with one shared secret. `key_id` and `secret` are what a station needs."""

    name = "campus-card"

    def __init__(self, clock: Clock | None = None, *, merchant: str = "POWER01") -> None:
        super().__init__(clock)
        self.merchant, self.key_id = merchant, "K1"
        self.secret = secrets.token_hex(32).encode()

    def app(self) -> FastAPI:
        """Build the bridge."""
        app = FastAPI(openapi_url=None)

        @app.api_route("/{path:path}", methods=["GET", "POST"])
        async def anything(path: str, request: Request) -> Response:
            body = await request.body()
            return self._answer(request, body)

        return app

    def table(self, folder: Path) -> dict[str, str]:
        """Write the secret into a folder; return the table of the site file."""
        write_keys(folder, {"campus-card.key": self.secret.decode()})
        return {
            "base_url": self.url,
            "merchant": self.merchant,
            "key_id": self.key_id,
            "secret_file": "campus-card.key",
        }

    def notice(self, trade: Trade, tamper: Tamper | None = None) -> SignedNotice:
        """Sign the notice of a paid order."""
        content = {"type": "payment", **self._of(trade)}
        if tamper is Tamper.AMOUNT:
            content["amount"] = trade.amount_minor + 1
        if tamper is Tamper.CURRENCY:
            content["currency"] = "USD"
        if tamper is Tamper.MERCHANT:
            content["merchant"] = "SOMEBODY"
        if tamper is Tamper.ORDER:
            content["order"] = "W000000000000NOTTHERE000"
        return self._notice(trade.notify_url, content, tamper)

    def refund_notice(self, trade: Trade, refund: GivenBack) -> SignedNotice | None:
        """Sign the notice of a refund."""
        return self._notice(trade.notify_url, {"type": "refund", **_refund(refund)}, None)

    def _notice(self, url: str, content: dict[str, Any], tamper: Tamper | None) -> SignedNotice:
        body = json.dumps(content).encode()
        moment = self.now() - timedelta(seconds=SKEW_S * 2 if tamper is Tamper.TIME else 0)
        headers = self._headers("POST", urlsplit(url).path, secrets.token_hex(16), body, moment)
        if tamper is Tamper.SIGNATURE:
            del headers["X-Campus-Signature"]
        if tamper is Tamper.SERIAL:
            headers["X-Campus-Key"] = "K999"
        if tamper is Tamper.BODY:
            body = body.replace(b'"CNY"', b'"CNY" ')
        return SignedNotice(url, {**headers, "Content-Type": "application/json"}, body)

    def _headers(
        self, method: str, path: str, nonce: str, body: bytes, moment: datetime | None = None
    ) -> dict[str, str]:
        stamp = str(int((moment or self.now()).timestamp()))
        return {
            "X-Campus-Merchant": self.merchant,
            "X-Campus-Key": self.key_id,
            "X-Campus-Timestamp": stamp,
            "X-Campus-Nonce": nonce,
            "X-Campus-Signature": self._mac(method, path, stamp, nonce, body),
        }

    def _mac(self, method: str, path: str, stamp: str, nonce: str, body: bytes) -> str:
        mac = hmac.new(self.secret, digestmod=hashlib.sha256)
        for part in (method, path, stamp, nonce):
            mac.update(part.encode() + b"\n")
        mac.update(body)
        return mac.hexdigest()

    def _answer(self, request: Request, body: bytes) -> Response:
        self.requests += 1
        if self.down:
            return Response(status_code=503)
        path, given = request.url.path, request.headers
        query = f"?{request.url.query}" if request.url.query else ""
        nonce, stamp = given.get("x-campus-nonce", ""), given.get("x-campus-timestamp", "0")
        right = self._mac(request.method, path + query, stamp, nonce, body)
        known = (given.get("x-campus-merchant"), given.get("x-campus-key"))
        late = abs(self.now().timestamp() - int(stamp)) > SKEW_S
        signed = hmac.compare_digest(right, given.get("x-campus-signature", ""))
        if not signed or late or known != (self.merchant, self.key_id):
            status, content = 401, {"message": "signature, key or time is wrong"}
        else:
            with self.lock:
                status, content = self._serve(request.method, path, body)
        made = json.dumps(content, ensure_ascii=False).encode()
        headers = self._headers(f"ANSWER {status}", path + query, nonce, made)
        return Response(made, status, headers, media_type="application/json")

    def _serve(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        match [method, *path.strip("/").split("/")]:
            case ["POST", "v1", "orders"]:
                return self._create(json.loads(body))
            case ["GET", "v1", "orders", order] if order in self.trades:
                return 200, self._of(self.trades[order])
            case ["POST", "v1", "orders", order, "close"] if order in self.trades:
                return self._close(self.trades[order])
            case ["POST", "v1", "orders", order, "refunds"]:
                asked = json.loads(body)
                given = self.take_back(order, asked["refund"], asked["amount"])
                return (200, _refund(given)) if given else (409, {"message": "can't be refunded"})
            case ["GET", "v1", "refunds", refund]:
                found = self.refund_of(refund)
                return (200, _refund(found)) if found else (404, {"message": "not known"})
            case ["GET", "v1", "statements", day]:
                return 200, {"rows": self._rows(date.fromisoformat(day))}
        return 404, {"message": "not known"}

    def _create(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        order = asked["order"]
        known = self.trades.get(order)
        if known is None:
            known = self.trades[order] = Trade(
                order,
                asked["amount"],
                asked["notify_url"],
                self.now(),
                datetime.fromisoformat(asked["expires_at"]),
            )
        if known.amount_minor != asked["amount"]:
            return 409, {"message": "the order is there with another amount"}
        link = f"{self.url}/pay/{order}"
        return 200, {"order": order, "status": known.status, "qr": link, "url": link}

    def _close(self, trade: Trade) -> tuple[int, dict[str, Any]]:
        if trade.status not in ("open", "closed"):
            return 409, {"message": "it was paid"}
        trade.status = "closed"
        return 200, {"order": trade.order, "status": "closed"}

    def _of(self, trade: Trade) -> dict[str, Any]:
        return {
            "order": trade.order,
            "status": trade.status,
            "trade": trade.trade,
            "amount": trade.amount_minor,
            "currency": "CNY",
            "merchant": self.merchant,
            "paid_at": trade.paid_at.isoformat() if trade.paid_at else "",
        }

    def _rows(self, day: date) -> list[dict[str, Any]]:
        rows = []
        for trade in self.trades.values():
            if trade.paid_at and trade.paid_at.astimezone(BEIJING).date() == day:
                rows.append(
                    {"type": "payment", **self._of(trade), "time": trade.paid_at.isoformat()}
                )
            for refund in trade.refunds.values():
                done = refund.status == "done"
                if done and refund.time.astimezone(BEIJING).date() == day:
                    rows.append({"type": "refund", **_refund(refund)})
        return rows


def _refund(refund: GivenBack) -> dict[str, Any]:
    return {
        "refund": refund.id,
        "order": refund.order,
        "status": refund.status,
        "trade": refund.trade,
        "amount": refund.amount_minor,
        "time": refund.time.isoformat(),
    }
