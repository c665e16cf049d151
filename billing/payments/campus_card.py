"""The campus card: our own HTTP contract, signed with HMAC-SHA256; docs/payments.md has it."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from billing.payments.channel import (
    ChannelRefused,
    Notice,
    NoticeAnswer,
    NoticeRefused,
    ProviderOrder,
    RefundReply,
    RefundStanding,
    Standing,
)
from billing.payments.http import ANSWER_BYTES_MOST, STATEMENT_BYTES_MOST, Http
from billing.payments.model import CURRENCY, Order, Payment, Refund, RowKind, StatementRow
from billing.payments.reading import Unreadable, json_object, minor_of, text_of, time_of, words_of
from billing.payments.settings import CampusCardSettings
from domain.clock import Clock
from domain.errors import LinkDown

NAME = "campus-card"
CARD_LENGTH_MOST = 32
_NOT_FOUND = 404


def signature(
    secret: bytes, method: str, path: str, timestamp: str, nonce: str, body: bytes
) -> str:
    """Return the signature of a message: HMAC-SHA256 over its five parts, a line each."""
    head = "\n".join((method, path, timestamp, nonce, "")).encode()
    return hmac.new(secret, head + body, hashlib.sha256).hexdigest()


class CampusCard:
    """A campus card's bridge as a payment channel. `secrets_by_key` maps key ids to secrets.

    The first key id of the settings signs; answers and notices may use any of them.
    """

    name = NAME
    app: str | None = None
    ways: tuple[str, ...] = ("qr", "page")

    def __init__(
        self,
        settings: CampusCardSettings,
        secrets_by_key: Mapping[str, bytes],
        notify_url: str,
        skew_s: int,
        clock: Clock,
    ) -> None:
        self.merchant = settings.merchant
        self._key_id, self._secrets = settings.key_id, dict(secrets_by_key)
        self._notify_url, self._skew_s, self._clock = notify_url, skew_s, clock
        self._notify_path = urlsplit(notify_url).path
        self._base_path = urlsplit(settings.base_url).path
        self._http = Http(NAME, settings.base_url, settings.timeout_s)

    def faults(self, way: str, payer: Mapping[str, str]) -> Sequence[str]:
        """Say what is wrong with a payer's particulars: a card number may be given."""
        wrong = [f"{name} is not needed" for name in payer if name != "card"]
        card = payer.get("card", "")
        if len(card) > CARD_LENGTH_MOST or not (card == "" or card.isalnum()):
            wrong.append(f"card must be {CARD_LENGTH_MOST} letters and digits at most")
        return wrong

    def create(self, order: Order) -> Mapping[str, str]:
        """Place the order; return `qr` or `url`."""
        request = {
            "order": order.id,
            "amount": order.amount_minor,
            "currency": CURRENCY,
            "account": order.account,
            "card": order.payer.get("card", ""),
            "notify_url": self._notify_url,
            "expires_at": order.expires_at.isoformat(),
        }
        reply = self._call("POST", "/v1/orders", request)
        try:
            name = "url" if order.way == "page" else "qr"
            return {name: text_of(reply, name)}
        except Unreadable as error:
            raise LinkDown(f"{NAME} answers what is not in its contract: {error}") from error

    def query(self, order: Order) -> ProviderOrder:
        """Ask what became of an order."""
        reply = self._ask(f"/v1/orders/{quote(order.id, safe='')}")
        if reply is None:
            return ProviderOrder(Standing.UNKNOWN_ORDER)
        try:
            status = text_of(reply, "status")
            if status in ("paid", "refunded"):
                return ProviderOrder(Standing.PAID, _payment(reply))
            return ProviderOrder(Standing.CLOSED if status == "closed" else Standing.UNPAID)
        except Unreadable as error:
            raise LinkDown(f"{NAME} answers what is not in its contract: {error}") from error

    def close(self, order: Order) -> None:
        """Close an unpaid order."""
        self._call("POST", f"/v1/orders/{quote(order.id, safe='')}/close", {})

    def refund(self, order: Order, refund: Refund) -> RefundReply:
        """Give money back to the card."""
        request = {
            "refund": refund.id,
            "amount": refund.amount_minor,
            "currency": CURRENCY,
            "reason": refund.reason,
            "notify_url": self._notify_url,
        }
        path = f"/v1/orders/{quote(order.id, safe='')}/refunds"
        try:
            return _refund_reply(self._call("POST", path, request))
        except ChannelRefused as error:
            return RefundReply(RefundStanding.REFUSED, reason=str(error))

    def query_refund(self, order: Order, refund: Refund) -> RefundReply:
        """Ask what became of a refund."""
        reply = self._ask(f"/v1/refunds/{quote(refund.id, safe='')}")
        if reply is None:
            return RefundReply(RefundStanding.UNKNOWN_REFUND)
        return _refund_reply(reply)

    def statement(self, day: date) -> Sequence[StatementRow]:
        """Fetch the movements of a day."""
        reply = self._call(
            "GET", f"/v1/statements/{day.isoformat()}", None, bytes_most=STATEMENT_BYTES_MOST
        )
        try:
            rows = reply.get("rows")
            if not isinstance(rows, list):
                raise Unreadable("rows is missing or no list")  # noqa: TRY301 - one place for both
            return [_statement_row(row) for row in rows]
        except Unreadable as error:
            raise LinkDown(f"{NAME} answers what is not in its contract: {error}") from error

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """Verify and read a notice. Raises NoticeRefused."""
        self._prove(headers, "POST", self._notify_path, body)
        try:
            fields = json_object(body)
            kind, order = text_of(fields, "type"), text_of(fields, "order")
            self._check_time(headers, now, order)
            if kind == "payment":
                return Notice(payment=_payment(fields))
            if kind == "refund":
                refund = text_of(fields, "refund")
                return Notice(refund=refund, refund_reply=_refund_reply(fields))
        except Unreadable as error:
            raise NoticeRefused(f"not as the contract has it: {error}", 400) from error
        return Notice(about=words_of("a notice of type", kind))

    def answer(self, taken: bool, reason: str, status: int) -> NoticeAnswer:
        """Say whether a notice was taken."""
        content = {"code": "ok"} if taken else {"code": "refused", "message": reason}
        return NoticeAnswer(status, json.dumps(content).encode())

    def _check_time(self, headers: Mapping[str, str], now: datetime, order: str) -> None:
        stamp = headers["x-campus-timestamp"]
        good = stamp.isascii() and stamp.isdigit() and len(stamp) <= 12
        if not good or abs(now.timestamp() - int(stamp)) > self._skew_s:
            raise NoticeRefused(f"its time is more than {self._skew_s} s off", 401, order)

    def _prove(self, headers: Mapping[str, str], method: str, path: str, body: bytes) -> None:
        """Check merchant, key id and signature. Raises NoticeRefused."""
        names = ("merchant", "key", "timestamp", "nonce", "signature")
        found = [headers.get(f"x-campus-{name}", "") for name in names]
        if not all(found):
            raise NoticeRefused("a header of the signature is missing")
        merchant, key_id, stamp, nonce, given = found
        secret = self._secrets.get(key_id)
        if secret is None or merchant != self.merchant:
            raise NoticeRefused("the key or the merchant is not known")
        right = signature(secret, method, path, stamp, nonce, body)
        if not hmac.compare_digest(right.encode(), given.encode("utf-8", "replace")):
            raise NoticeRefused("the signature is wrong")

    def _ask(self, path: str) -> dict[str, Any] | None:
        """Ask for something that may not be there."""
        status, reply = self._signed("GET", path, b"", ANSWER_BYTES_MOST)
        if status == _NOT_FOUND:
            return None
        return _good(status, reply)

    def _call(
        self,
        method: str,
        path: str,
        request: Mapping[str, Any] | None,
        bytes_most: int = ANSWER_BYTES_MOST,
    ) -> dict[str, Any]:
        body = b"" if request is None else json.dumps(request, ensure_ascii=False).encode()
        return _good(*self._signed(method, path, body, bytes_most))

    def _signed(
        self, method: str, path: str, body: bytes, bytes_most: int
    ) -> tuple[int, dict[str, Any]]:
        """Send a signed request; the answer must be signed over the request's own nonce."""
        stamp, nonce = str(int(self._clock.now().timestamp())), secrets.token_hex(16)
        whole = self._base_path + path
        headers = {
            "Content-Type": "application/json",
            "X-Campus-Merchant": self.merchant,
            "X-Campus-Key": self._key_id,
            "X-Campus-Timestamp": stamp,
            "X-Campus-Nonce": nonce,
            "X-Campus-Signature": signature(
                self._secrets[self._key_id], method, whole, stamp, nonce, body
            ),
        }
        answer = self._http.call(method, path, headers=headers, content=body, bytes_most=bytes_most)
        try:
            if answer.headers.get("x-campus-nonce") != nonce:
                raise NoticeRefused("the nonce is not the request's")  # noqa: TRY301
            self._prove(answer.headers, f"ANSWER {answer.status}", whole, answer.body)
            return answer.status, json_object(answer.body)
        except (NoticeRefused, Unreadable) as error:
            raise LinkDown(f"an answer of {NAME} is not to be believed: {error}") from error


def _good(status: int, reply: dict[str, Any]) -> dict[str, Any]:
    if 200 <= status < 300:
        return reply
    raise ChannelRefused(f"{NAME} refuses: {words_of(reply.get('message', status))}")


def _payment(fields: Mapping[str, Any]) -> Payment:
    return Payment(
        order=text_of(fields, "order"),
        provider_ref=text_of(fields, "trade"),
        amount_minor=minor_of(fields, "amount"),
        currency=text_of(fields, "currency"),
        merchant=text_of(fields, "merchant"),
        app=None,
        paid_at=time_of(fields, "paid_at"),
    )


def _refund_reply(fields: Mapping[str, Any]) -> RefundReply:
    words = {
        "done": RefundStanding.DONE,
        "pending": RefundStanding.PENDING,
        "refused": RefundStanding.REFUSED,
    }
    standing = words.get(str(fields.get("status")))
    if standing is None:
        raise LinkDown(f"{NAME} tells a state of a refund that is not in its contract")
    return RefundReply(standing, words_of(fields.get("trade")), words_of(fields.get("message")))


def _statement_row(row: object) -> StatementRow:
    if not isinstance(row, dict):
        raise Unreadable("a row is no object")
    is_refund = text_of(row, "type") == "refund"
    return StatementRow(
        kind=RowKind.REFUND if is_refund else RowKind.PAYMENT,
        provider_ref=text_of(row, "trade"),
        order=text_of(row, "order"),
        amount_minor=minor_of(row, "amount"),
        time=time_of(row, "time"),
        refund=text_of(row, "refund") if is_refund else "",
    )
