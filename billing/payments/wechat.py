"""WeChat Pay v3 by its SDK: Native (a QR code), JSAPI (inside WeChat), H5 (a phone's browser)."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import requests
from wechatpayv3 import WeChatPay, WeChatPayType

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
    json_object,
    minor_of,
    text_of,
    time_of,
    words_of,
)
from billing.payments.settings import WeChatSettings, is_local
from billing.payments.wechat_bill import bill_rows, checked_bill
from domain.clock import Clock
from domain.errors import LinkDown
from domain.texts import text

NAME = "wechat"
WAYS = {
    "native": WeChatPayType.NATIVE,
    "jsapi": WeChatPayType.JSAPI,
    "h5": WeChatPayType.H5,
}
NEEDED = {"native": "", "jsapi": "openid", "h5": "client_ip"}
_PAID = frozenset({"SUCCESS", "REFUND"})
_UNPAID = frozenset({"NOTPAY", "USERPAYING", "PAYERROR"})
_REFUNDS = {
    "SUCCESS": RefundStanding.DONE,
    "PROCESSING": RefundStanding.PENDING,
    # The bank did not take it: the merchant's page ends it by hand, so the hold stands.
    "ABNORMAL": RefundStanding.PENDING,
    "CLOSED": RefundStanding.REFUSED,
}
# Nothing was and nothing will be paid out after these; any other refusal is asked again.
_FINAL = frozenset(
    {
        "PARAM_ERROR",
        "INVALID_REQUEST",
        "RESOURCE_NOT_EXISTS",
        "USER_ACCOUNT_ABNORMAL",
        "NO_AUTH",
        "MCH_NOT_EXISTS",
    }
)
_PAYER_LENGTH_MOST = 128


@dataclass(frozen=True, slots=True)
class WeChatKeys:
    """What the key files hold, PEM as text; `serials` are those that notices may be signed with."""

    private_key: str
    api_v3_key: str
    serials: frozenset[str]
    public_key: str | None = None
    certificate_dir: str | None = None


class WeChat:
    """WeChat Pay as a payment channel.

    Notices must name a serial that is known from the settings: the SDK would otherwise fetch
    certificates on the word of anybody.
    """

    name = NAME
    ways: tuple[str, ...] = tuple(WAYS)

    def __init__(
        self,
        settings: WeChatSettings,
        keys: WeChatKeys,
        notify_url: str,
        skew_s: int,
        clock: Clock,
    ) -> None:
        self.merchant = settings.merchant
        self.app: str | None = settings.app_id
        self._app_id = settings.app_id
        self._serials, self._skew_s, self._clock = keys.serials, skew_s, clock
        # A proxy of the environment leads out to the provider, never to this machine.
        direct = {"http": None, "https": None} if is_local(settings.base_url) else None
        self._sdk = WeChatPay(
            wechatpay_type=WeChatPayType.NATIVE,
            mchid=settings.merchant,
            private_key=keys.private_key,
            cert_serial_no=settings.certificate_serial.upper(),
            appid=settings.app_id,
            apiv3_key=keys.api_v3_key,
            notify_url=notify_url,
            cert_dir=keys.certificate_dir,
            proxy=direct,
            timeout=(settings.timeout_s, settings.timeout_s),
            public_key=keys.public_key,
            public_key_id=settings.public_key_id,
        )
        # The SDK has no setting for it.
        self._sdk._core._gate_way = settings.base_url

    def faults(self, way: str, payer: Mapping[str, str]) -> Sequence[str]:
        """Say what is wrong with a payer's particulars."""
        needed = NEEDED[way]
        wrong = [f"{name} is not needed" for name in payer if name != needed]
        if needed and not 0 < len(payer.get(needed, "")) <= _PAYER_LENGTH_MOST:
            wrong.append(f"{needed} is needed to pay by {way}")
        return wrong

    def create(self, order: Order) -> Mapping[str, str]:
        """Place the order; return `qr`, `url`, or the parameters of WeixinJSBridge."""
        more: dict[str, Any] = {}
        if order.way == "jsapi":
            more["payer"] = {"openid": order.payer["openid"]}
        if order.way == "h5":
            address = order.payer["client_ip"]
            more["scene_info"] = {"payer_client_ip": address, "h5_info": {"type": "Wap"}}
        reply = self._good(
            *self._call(
                self._sdk.pay,
                description=text("payments.goods", "zh-CN", account=order.account),
                out_trade_no=order.id,
                amount={"total": order.amount_minor, "currency": CURRENCY},
                time_expire=order.expires_at.astimezone(BEIJING).isoformat(timespec="seconds"),
                pay_type=WAYS[order.way],
                **more,
            )
        )
        with _as_documented():
            if order.way == "native":
                return {"qr": text_of(reply, "code_url")}
            if order.way == "h5":
                return {"url": text_of(reply, "h5_url")}
            return self._bridge(text_of(reply, "prepay_id"))

    def query(self, order: Order) -> ProviderOrder:
        """Ask what became of an order."""
        code, content = self._call(self._sdk.query, out_trade_no=order.id)
        if code == 404:
            return ProviderOrder(Standing.UNKNOWN_ORDER)
        reply = self._good(code, content)
        with _as_documented():
            state = text_of(reply, "trade_state")
            if state in _PAID:
                return ProviderOrder(Standing.PAID, _payment(reply))
            return ProviderOrder(Standing.UNPAID if state in _UNPAID else Standing.CLOSED)

    def close(self, order: Order) -> None:
        """Close an unpaid order."""
        code, content = self._call(self._sdk.close, out_trade_no=order.id)
        if code != 204:
            self._good(code, content)

    def refund(self, order: Order, refund: Refund) -> RefundReply:
        """Give money back to where the payer took it from."""
        code, content = self._call(
            self._sdk.refund,
            out_refund_no=refund.id,
            out_trade_no=order.id,
            amount={
                "refund": refund.amount_minor,
                "total": order.amount_minor,
                "currency": CURRENCY,
            },
            reason=text("payments.refund-reason", "zh-CN", reason=refund.reason)[:40],
        )
        return self._refund_reply(code, content)

    def query_refund(self, order: Order, refund: Refund) -> RefundReply:
        """Ask what became of a refund."""
        code, content = self._call(self._sdk.query_refund, out_refund_no=refund.id)
        if code == 404:
            return RefundReply(RefundStanding.UNKNOWN_REFUND)
        return self._refund_reply(code, content)

    def statement(self, day: date) -> Sequence[StatementRow]:
        """Fetch the trade bill of a day; its digest must fit."""
        code, content = self._call(self._sdk.trade_bill, bill_date=day.isoformat())
        if code == 400 and _code(content) == "NO_STATEMENT_EXIST":
            return []
        reply = self._good(code, content)
        with _as_documented():
            url, digest = text_of(reply, "download_url"), text_of(reply, "hash_value")
        code, packed = self._call(self._sdk.download_bill, url)
        if code != 200:
            raise LinkDown(f"{NAME} does not give the bill out: status {code}")
        with _as_documented():
            return bill_rows(checked_bill(packed, digest))

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """Verify, decrypt and read a notice. Raises NoticeRefused."""
        if headers.get("wechatpay-serial") not in self._serials:
            raise NoticeRefused("the serial of the signature is missing or not known")
        try:
            content = self._sdk.callback(dict(headers), body)
        except Exception as error:
            # The SDK raises whatever its parts do on malformed input.
            raise NoticeRefused(f"can't be verified: {type(error).__name__}") from error
        if content is None:
            raise NoticeRefused("the signature is wrong, or it can't be decrypted")
        try:
            return self._notice(content, headers.get("wechatpay-timestamp", ""), now)
        except Unreadable as error:
            raise NoticeRefused(f"not as documented: {error}", 400) from error

    def answer(self, taken: bool, reason: str, status: int) -> NoticeAnswer:
        """Say whether a notice was taken."""
        content = {"code": "SUCCESS"} if taken else {"code": "FAIL", "message": reason}
        return NoticeAnswer(status, json.dumps(content).encode())

    def _notice(self, content: Mapping[str, Any], stamp: str, now: datetime) -> Notice:
        kind, resource = text_of(content, "event_type"), content["resource"]
        if not isinstance(resource, dict):
            raise Unreadable("the resource is no object")
        order = text_of(resource, "out_trade_no")
        good = stamp.isascii() and stamp.isdigit() and len(stamp) <= 12
        if not good or abs(now.timestamp() - int(stamp)) > self._skew_s:
            raise NoticeRefused(f"its time is more than {self._skew_s} s off", 401, order)
        if kind == "TRANSACTION.SUCCESS" and text_of(resource, "trade_state") == "SUCCESS":
            return Notice(payment=_payment(resource))
        if kind.startswith("REFUND."):
            if text_of(resource, "mchid") != self.merchant:
                raise NoticeRefused("a refund of another merchant", 403)
            standing = _REFUNDS.get(text_of(resource, "refund_status"), RefundStanding.PENDING)
            reply = RefundReply(standing, text_of(resource, "refund_id"), kind)
            return Notice(refund=text_of(resource, "out_refund_no"), refund_reply=reply)
        return Notice(about=words_of("a notice of type", kind))

    def _bridge(self, prepay_id: str) -> dict[str, str]:
        """Return what WeixinJSBridge asks for, signed with the merchant's key."""
        stamp, nonce = str(int(self._clock.now().timestamp())), secrets.token_hex(16)
        package = f"prepay_id={prepay_id}"
        return {
            "appId": self._app_id,
            "timeStamp": stamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": self._sdk.sign([self._app_id, stamp, nonce, package]),
        }

    def _call(self, method: Any, *args: Any, **kwargs: Any) -> tuple[int, Any]:
        """Call the SDK; what it raises means that no believable answer came."""
        try:
            code, content = method(*args, **kwargs)
        except requests.RequestException as error:
            raise LinkDown(f"{NAME} can't be reached: {type(error).__name__}") from error
        except Exception as error:
            raise LinkDown(f"an answer of {NAME} is not to be believed: {error}") from error
        if code == 429 or code >= 500:
            raise LinkDown(f"{NAME} answers with status {code}")
        return code, content

    def _good(self, code: int, content: Any) -> dict[str, Any]:
        if not 200 <= code < 300:
            raise ChannelRefused(f"{NAME} refuses ({_code(content)}): {_message(content)}")
        with _as_documented():
            return json_object(content)

    def _refund_reply(self, code: int, content: Any) -> RefundReply:
        if not 200 <= code < 300:
            reason = f"{_code(content)}: {_message(content)}"
            final = _code(content) in _FINAL
            standing = RefundStanding.REFUSED if final else RefundStanding.PENDING
            return RefundReply(standing, reason=reason)
        with _as_documented():
            reply = json_object(content)
            status = text_of(reply, "status")
            standing = _REFUNDS.get(status, RefundStanding.PENDING)
            reason = "" if standing is RefundStanding.DONE else status
            return RefundReply(standing, text_of(reply, "refund_id"), reason)


class _as_documented:  # noqa: N801 - reads like a function
    """Turns what is not as documented into a broken link."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """Translate."""
        if isinstance(error, Unreadable):
            raise LinkDown(f"{NAME} answers what is not documented: {error}") from error


def _payment(fields: Mapping[str, Any]) -> Payment:
    amount = fields.get("amount")
    if not isinstance(amount, dict):
        raise Unreadable("amount is missing")
    return Payment(
        order=text_of(fields, "out_trade_no"),
        provider_ref=text_of(fields, "transaction_id"),
        amount_minor=minor_of(amount, "total"),
        currency=text_of(amount, "currency"),
        merchant=text_of(fields, "mchid"),
        app=text_of(fields, "appid"),
        paid_at=time_of(fields, "success_time"),
    )


def _code(content: Any) -> str:
    return _field(content, "code")


def _message(content: Any) -> str:
    return _field(content, "message")


def _field(content: Any, name: str) -> str:
    try:
        return words_of(json_object(content).get(name))
    except (Unreadable, TypeError):
        return ""
