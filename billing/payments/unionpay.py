"""UnionPay's gateway 5.1.0: a form that the payer's browser posts, queries, refunds, statement."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from urllib.parse import urlencode

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
from billing.payments.http import STATEMENT_BYTES_MOST, Http
from billing.payments.model import CURRENCY, Order, Payment, Refund, StatementRow
from billing.payments.reading import (
    BEIJING,
    Unreadable,
    beijing_time,
    form_fields,
    minor_of,
    text_of,
    words_of,
)
from billing.payments.settings import UnionPaySettings
from billing.payments.unionpay_bill import bill_rows
from billing.payments.unionpay_signing import NotSigned, UnionPayKeys, check, signed
from domain.clock import Clock
from domain.errors import LinkDown

NAME = "unionpay"
STAMP = "%Y%m%d%H%M%S"
YUAN = "156"
WAYS = {"page": "07", "wap": "08"}
_DONE = frozenset({"00", "A6"})
_OPEN = frozenset({"03", "04", "05"})
_NOT_THERE, _NO_FILE = "34", "98"
_PAYMENT, _REFUND = "01", "04"


class UnionPay:
    """UnionPay as a payment channel, by our own thin client: no SDK of it is kept.

    Its notices bear no time of sending, so none is checked: one sent again changes nothing.
    """

    name = NAME
    app: str | None = None
    ways: tuple[str, ...] = tuple(WAYS)

    def __init__(
        self, settings: UnionPaySettings, keys: UnionPayKeys, notify_url: str, clock: Clock
    ) -> None:
        self.merchant = settings.merchant
        self._settings, self._keys, self._clock = settings, keys, clock
        self._notify_url = notify_url
        self._http = Http(NAME, settings.base_url, settings.timeout_s)
        self._files = Http(NAME, settings.file_url, settings.timeout_s)

    def faults(self, way: str, payer: Mapping[str, str]) -> Sequence[str]:
        """Say what is wrong with a payer's particulars: none are needed."""
        return [f"{name} is not needed" for name in payer]

    def create(self, order: Order) -> Mapping[str, str]:
        """Return the form to be posted: `post`, where to, and `fields` as JSON.

        The order comes to be at the provider when the payer's browser posts it.
        """
        fields = signed(
            {
                **self._common(_PAYMENT, "01", "000201"),
                "channelType": WAYS[order.way],
                "orderId": order.id,
                "txnTime": _stamp(order.created_at),
                "txnAmt": str(order.amount_minor),
                "currencyCode": YUAN,
                "backUrl": self._notify_url,
                "frontUrl": self._settings.return_url or "",
                "payTimeout": _stamp(order.expires_at),
            },
            self._keys,
        )
        url = f"{self._settings.base_url}/gateway/api/frontTransReq.do"
        return {"post": url, "fields": json.dumps(fields, ensure_ascii=False)}

    def query(self, order: Order) -> ProviderOrder:
        """Ask what became of an order."""
        reply = self._query(order.id, order.created_at)
        if reply is None:
            return ProviderOrder(Standing.UNKNOWN_ORDER)
        if reply.get("origRespCode") not in _DONE:
            return ProviderOrder(Standing.UNPAID)
        try:
            return ProviderOrder(Standing.PAID, _payment(reply))
        except Unreadable as error:
            raise LinkDown(f"{NAME} answers what is not documented: {error}") from error

    def close(self, order: Order) -> None:
        """Leave the order to its `payTimeout`: the gateway has no call to close one."""

    def refund(self, order: Order, refund: Refund) -> RefundReply:
        """Ask for a refund; what became of it is told by a notice or a query."""
        reply = self._ask(
            self._http,
            "/gateway/api/backTransReq.do",
            {
                **self._common(_REFUND, "00", "000201"),
                "channelType": "07",
                "orderId": refund.id,
                "txnTime": _stamp(_sent_at(refund)),
                "txnAmt": str(refund.amount_minor),
                "origQryId": order.provider_ref,
                "backUrl": self._notify_url,
            },
        )
        code = reply.get("respCode", "")
        words = words_of(code, reply.get("respMsg"))
        if code in _DONE or code in _OPEN:
            return RefundReply(RefundStanding.PENDING, words_of(reply.get("queryId")), words)
        # Refused: unless the same refund was taken before, which its query tells.
        known = self.query_refund(order, refund)
        if known.standing is RefundStanding.UNKNOWN_REFUND:
            return RefundReply(RefundStanding.REFUSED, reason=words)
        return known

    def query_refund(self, order: Order, refund: Refund) -> RefundReply:
        """Ask what became of a refund."""
        reply = self._query(refund.id, _sent_at(refund))
        if reply is None:
            return RefundReply(RefundStanding.UNKNOWN_REFUND)
        return _refund_reply(reply.get("origRespCode", ""), reply)

    def statement(self, day: date) -> Sequence[StatementRow]:
        """Fetch the transaction file (ZM) of a clearing day."""
        fields = {
            **self._common("76", "01", "000000"),
            "settleDate": f"{day:%m%d}",
            "txnTime": _stamp(self._clock.now()),
            "fileType": "00",
        }
        reply = self._ask(self._files, "/", fields, STATEMENT_BYTES_MOST)
        if reply.get("respCode") == _NO_FILE:
            return []
        _good(reply)
        try:
            packed = base64.b64decode(reply.get("fileContent", ""), validate=True)
            return bill_rows(packed, day)
        except (Unreadable, binascii.Error) as error:
            raise LinkDown(f"{NAME} gives a file that is not as documented: {error}") from error

    def read_notice(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Notice:
        """Verify and read a notice. Raises NoticeRefused."""
        try:
            fields = form_fields(body)
        except Unreadable as error:
            raise NoticeRefused(str(error), 400) from error
        try:
            check(fields, self._keys, now)
        except NotSigned as error:
            raise NoticeRefused(str(error)) from error
        try:
            return self._notice(fields)
        except Unreadable as error:
            raise NoticeRefused(f"not as documented: {error}", 400) from error

    def answer(self, taken: bool, reason: str, status: int) -> NoticeAnswer:
        """Say whether a notice was taken: the status is what counts."""
        return NoticeAnswer(status, b"ok" if taken else b"fail", "text/plain; charset=utf-8")

    def _notice(self, fields: Mapping[str, str]) -> Notice:
        kind, code = text_of(fields, "txnType"), text_of(fields, "respCode")
        order = text_of(fields, "orderId")
        if kind == _PAYMENT and code in _DONE:
            return Notice(payment=_payment(fields))
        if kind == _REFUND:
            if text_of(fields, "merId") != self.merchant:
                raise NoticeRefused("a refund of another merchant", 403)
            return Notice(refund=order, refund_reply=_refund_reply(code, fields))
        return Notice(about=words_of(order, "transaction", kind, "is", code))

    def _query(self, order_id: str, sent_at: datetime) -> dict[str, str] | None:
        """Ask about a transaction by its id and time; None where there is none."""
        reply = self._ask(
            self._http,
            "/gateway/api/queryTrans.do",
            {
                **self._common("00", "00", "000201"),
                "orderId": order_id,
                "txnTime": _stamp(sent_at),
            },
        )
        if reply.get("respCode") == _NOT_THERE:
            return None
        return _good(reply)

    def _ask(
        self,
        http: Http,
        path: str,
        fields: Mapping[str, str],
        bytes_most: int = 262_144,
    ) -> dict[str, str]:
        """Send signed fields; return the signed fields of the answer. Raises LinkDown."""
        content = urlencode(signed(fields, self._keys)).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}
        answer = http.call("POST", path, headers=headers, content=content, bytes_most=bytes_most)
        if answer.status != 200:
            raise LinkDown(f"{NAME} answers with status {answer.status}")
        try:
            reply = answer_fields(answer.body.decode())
            check(reply, self._keys, self._clock.now())
        except (UnicodeDecodeError, NotSigned) as error:
            raise LinkDown(f"an answer of {NAME} is not to be believed: {error}") from error
        if reply.get("merId") != self.merchant:
            raise LinkDown(f"an answer of {NAME} is for another merchant")
        return reply

    def _common(self, kind: str, sub_kind: str, business: str) -> dict[str, str]:
        return {
            "version": "5.1.0",
            "encoding": "UTF-8",
            "signMethod": "01",
            "txnType": kind,
            "txnSubType": sub_kind,
            "bizType": business,
            "accessType": "0",
            "merId": self.merchant,
        }


def answer_fields(text: str) -> dict[str, str]:
    """Read an answer: `name=value` joined with `&`, nothing escaped; values in braces may hold
    an `&` of their own."""
    fields: dict[str, str] = {}
    start = depth = 0
    for place, letter in enumerate(text + "&"):
        depth += (letter == "{") - (letter == "}")
        if letter == "&" and depth <= 0:
            name, _, value = text[start:place].partition("=")
            if name:
                fields[name] = value
            start, depth = place + 1, 0
    return fields


def _payment(fields: Mapping[str, str]) -> Payment:
    code = text_of(fields, "currencyCode")
    return Payment(
        order=text_of(fields, "orderId"),
        provider_ref=text_of(fields, "queryId"),
        amount_minor=minor_of(fields, "txnAmt"),
        currency=CURRENCY if code == YUAN else code,
        merchant=text_of(fields, "merId"),
        app=None,
        paid_at=_trace_time(fields),
    )


def _trace_time(fields: Mapping[str, str]) -> datetime | None:
    """Return when it was paid: `traceTime` has no year, the order's own time has."""
    trace, placed = fields.get("traceTime", ""), fields.get("txnTime", "")
    if len(trace) != 10 or len(placed) != 14:
        return None
    # Paid after New Year what was placed before it.
    year = int(placed[:4]) + (trace < placed[4:]) if placed[:4].isdigit() else 0
    return beijing_time(f"{year:04d}{trace}", STAMP)


def _refund_reply(code: str, fields: Mapping[str, str]) -> RefundReply:
    if code in _DONE:
        standing = RefundStanding.DONE
    else:
        standing = RefundStanding.PENDING if code in _OPEN else RefundStanding.REFUSED
    reason = "" if standing is RefundStanding.DONE else words_of(code, fields.get("respMsg"))
    return RefundReply(standing, words_of(fields.get("queryId")), reason)


def _good(reply: dict[str, str]) -> dict[str, str]:
    code = reply.get("respCode", "")
    if code in _DONE:
        return reply
    words = words_of(code, reply.get("respMsg"))
    if code in _OPEN:
        raise LinkDown(f"{NAME} can't tell now: {words}")
    raise ChannelRefused(f"{NAME} refuses: {words}")


def _sent_at(refund: Refund) -> datetime:
    """Return the time that a refund goes by at the provider."""
    return refund.approved_at or refund.requested_at


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(BEIJING):{STAMP}}"
