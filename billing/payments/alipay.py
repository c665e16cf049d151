"""Alipay: a QR code (precreate), a page on a computer, a page on a phone (wap)."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from billing.payments.alipay_bill import fetch_bill
from billing.payments.alipay_sdk import NAME, AlipaySdk
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
from billing.payments.model import CURRENCY, Order, Payment, Refund, StatementRow
from billing.payments.reading import (
    BEIJING,
    Unreadable,
    beijing_time,
    form_fields,
    text_of,
    words_of,
    yuan_of,
)
from billing.payments.settings import AlipaySettings
from domain.clock import Clock
from domain.errors import LinkDown
from domain.texts import text

WAYS = {
    "qr": ("precreate", "QR_CODE_OFFLINE"),
    "page": ("page", "FAST_INSTANT_TRADE_PAY"),
    "wap": ("wap", "QUICK_WAP_WAY"),
}
_GOOD, _SYSTEM = "10000", "20000"
_NOT_THERE = "ACQ.TRADE_NOT_EXIST"
_PAID = frozenset({"TRADE_SUCCESS", "TRADE_FINISHED"})
# Nothing was and nothing will be paid out after these; any other refusal is asked again.
_FINAL = frozenset(
    {
        _NOT_THERE,
        "ACQ.TRADE_STATUS_ERROR",
        "ACQ.TRADE_HAS_FINISHED",
        "ACQ.TRADE_HAS_CLOSE",
        "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
        "ACQ.REASON_TRADE_REFUND_FEE_ERR",
        "ACQ.REFUND_FEE_ERROR",
        "ACQ.INVALID_PARAMETER",
    }
)


@dataclass(frozen=True, slots=True)
class AlipayKeys:
    """What the key files hold: the merchant's key as the SDK wants it, the provider's twice."""

    private_key: str
    alipay_public_key: str
    verifying_key: rsa.RSAPublicKey


class Alipay:
    """Alipay as a payment channel, signed with RSA2 (RSA with SHA-256) both ways."""

    name = NAME
    ways: tuple[str, ...] = tuple(WAYS)

    def __init__(
        self,
        settings: AlipaySettings,
        keys: AlipayKeys,
        notify_url: str,
        skew_s: int,
        clock: Clock,
    ) -> None:
        self.merchant = settings.seller
        self.app: str | None = settings.app_id
        self._key, self._skew_s, self._clock = keys.verifying_key, skew_s, clock
        self._timeout_s = settings.timeout_s
        self._urls = {"notify_url": notify_url}
        if settings.return_url is not None:
            self._urls["return_url"] = settings.return_url
        self._sdk = AlipaySdk(
            settings.base_url,
            settings.app_id,
            keys.private_key,
            keys.alipay_public_key,
            settings.timeout_s,
        )

    def faults(self, way: str, payer: Mapping[str, str]) -> Sequence[str]:
        """Say what is wrong with a payer's particulars: none are needed."""
        return [f"{name} is not needed" for name in payer]

    def create(self, order: Order) -> Mapping[str, str]:
        """Place the order; return `qr`, or the `url` where it is placed by going there."""
        kind, product = WAYS[order.way]
        content = {
            "out_trade_no": order.id,
            "total_amount": _yuan(order.amount_minor),
            "subject": text("payments.goods", "zh-CN", account=order.account),
            "product_code": product,
            "time_expire": f"{order.expires_at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
        }
        now = self._clock.now()
        if order.way != "qr":
            return {"url": self._sdk.link(kind, content, now, **self._urls)}
        reply = self._sdk.ask(kind, content, now, notify_url=self._urls["notify_url"])
        return {"qr": _read(_good(reply), "qr_code")}

    def query(self, order: Order) -> ProviderOrder:
        """Ask what became of an order."""
        reply = self._sdk.ask("query", {"out_trade_no": order.id}, self._clock.now())
        if reply.get("sub_code") == _NOT_THERE:
            return ProviderOrder(Standing.UNKNOWN_ORDER)
        state = _read(_good(reply), "trade_status")
        if state in _PAID:
            try:
                return ProviderOrder(Standing.PAID, _payment(reply, "send_pay_date", None, None))
            except Unreadable as error:
                raise LinkDown(f"{NAME} answers what is not documented: {error}") from error
        return ProviderOrder(Standing.UNPAID if state == "WAIT_BUYER_PAY" else Standing.CLOSED)

    def close(self, order: Order) -> None:
        """Close an unpaid order; one that nobody scanned is not there and ends by its time."""
        reply = self._sdk.ask("close", {"out_trade_no": order.id}, self._clock.now())
        if reply.get("sub_code") != _NOT_THERE:
            _good(reply)

    def refund(self, order: Order, refund: Refund) -> RefundReply:
        """Give money back to where the payer took it from."""
        content = {
            "out_trade_no": order.id,
            "out_request_no": refund.id,
            "refund_amount": _yuan(refund.amount_minor),
            "refund_reason": text("payments.refund-reason", "zh-CN", reason=refund.reason),
        }
        reply = self._sdk.ask("refund", content, self._clock.now())
        if reply.get("code") == _SYSTEM:
            raise LinkDown(f"{NAME} is not available: {_words(reply)}")
        if reply.get("code") != _GOOD:
            final = reply.get("sub_code") in _FINAL
            standing = RefundStanding.REFUSED if final else RefundStanding.PENDING
            return RefundReply(standing, reason=_words(reply))
        # N says that this call moved no money: an earlier one may have, the query tells.
        done = reply.get("fund_change") == "Y"
        standing = RefundStanding.DONE if done else RefundStanding.PENDING
        return RefundReply(standing, words_of(reply.get("trade_no")))

    def query_refund(self, order: Order, refund: Refund) -> RefundReply:
        """Ask what became of a refund."""
        content = {"out_trade_no": order.id, "out_request_no": refund.id}
        reply = self._sdk.ask("refund-query", content, self._clock.now())
        if reply.get("sub_code") == _NOT_THERE:
            return RefundReply(RefundStanding.UNKNOWN_REFUND)
        _good(reply)
        if reply.get("refund_status") == "REFUND_SUCCESS":
            return RefundReply(RefundStanding.DONE, words_of(reply.get("trade_no")))
        return RefundReply(RefundStanding.UNKNOWN_REFUND)

    def statement(self, day: date) -> Sequence[StatementRow]:
        """Fetch the trade bill of a day."""
        content = {"bill_type": "trade", "bill_date": day.isoformat()}
        reply = self._sdk.ask("bill", content, self._clock.now())
        if reply.get("sub_code") == "isp.bill_not_exist":
            return []
        try:
            return fetch_bill(_read(_good(reply), "bill_download_url"), self._timeout_s)
        except Unreadable as error:
            raise LinkDown(f"{NAME} gives a bill that is not as documented: {error}") from error

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """Verify and read a notice. Raises NoticeRefused."""
        try:
            fields = form_fields(body)
        except Unreadable as error:
            raise NoticeRefused(str(error), 400) from error
        self._prove(fields)
        try:
            order = text_of(fields, "out_trade_no")
            sent = _moment(fields.get("notify_time", ""))
            if sent is None or abs((now - sent).total_seconds()) > self._skew_s:
                raise NoticeRefused(f"its time is more than {self._skew_s} s off", 401, order)
            state = text_of(fields, "trade_status")
            if state not in _PAID:
                return Notice(about=words_of("order", order, "is", state))
            seller, app = fields.get("seller_id", ""), fields.get("app_id", "")
            return Notice(payment=_payment(fields, "gmt_payment", seller, app))
        except Unreadable as error:
            raise NoticeRefused(f"not as documented: {error}", 400) from error

    def answer(self, taken: bool, reason: str, status: int) -> NoticeAnswer:
        """Say whether a notice was taken: the bare word that Alipay looks for."""
        return NoticeAnswer(status, b"success" if taken else b"fail", "text/plain; charset=utf-8")

    def _prove(self, fields: Mapping[str, str]) -> None:
        """Check the signature: over all fields but two, sorted, with SHA-256 and nothing less.

        The SDK's own function would take a signature made with SHA-1 or MD5 as well.
        """
        if fields.get("sign_type") != "RSA2" or fields.get("charset", "utf-8").lower() != "utf-8":
            raise NoticeRefused("it is not signed with RSA2 in UTF-8")
        signed = "&".join(
            f"{name}={fields[name]}" for name in sorted(fields) if name not in ("sign", "sign_type")
        )
        try:
            given = base64.b64decode(fields.get("sign", ""), validate=True)
            self._key.verify(given, signed.encode(), padding.PKCS1v15(), SHA256())
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise NoticeRefused("the signature is missing or wrong") from error


def _payment(
    fields: Mapping[str, Any], paid_at: str, seller: str | None, app: str | None
) -> Payment:
    currency = words_of(fields.get("trans_currency") or CURRENCY)
    return Payment(
        order=text_of(fields, "out_trade_no"),
        provider_ref=text_of(fields, "trade_no"),
        amount_minor=yuan_of(fields, "total_amount"),
        currency=currency,
        merchant=seller,
        app=app,
        paid_at=_moment(str(fields.get(paid_at, ""))),
    )


def _good(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    if reply.get("code") == _GOOD:
        return reply
    if reply.get("code") == _SYSTEM or reply.get("sub_code") == "ACQ.SYSTEM_ERROR":
        raise LinkDown(f"{NAME} is not available: {_words(reply)}")
    raise ChannelRefused(f"{NAME} refuses: {_words(reply)}")


def _read(reply: Mapping[str, Any], name: str) -> str:
    value = reply.get(name)
    if not isinstance(value, str) or not value:
        raise LinkDown(f"{NAME} answers what is not documented: {name} is missing")
    return value


def _words(reply: Mapping[str, Any]) -> str:
    return words_of(reply.get("sub_code"), reply.get("sub_msg") or reply.get("msg"))


def _yuan(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def _moment(value: str) -> datetime | None:
    """Read a time; None where there is none. Raises Unreadable."""
    return beijing_time(value[:19]) if value else None
