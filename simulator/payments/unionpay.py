"""UnionPay's gateway 5.1.0 on loopback, after its published rules (docs/payments.md names them)."""

import base64
import hashlib
import io
import secrets
import zipfile
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from fastapi import FastAPI, Request, Response

from domain.clock import Clock
from simulator.payments.certificates import certificate, pem
from simulator.payments.keys import new_key, private_pem
from simulator.payments.provider import (
    GivenBack,
    LocalProvider,
    SignedNotice,
    Tamper,
    Trade,
    write_keys,
)

BEIJING = timezone(timedelta(hours=8))
STAMP = "%Y%m%d%H%M%S"
NAME = "041@Z2026-05-1@中国银联股份有限公司@00000001"
Fields = dict[str, str]


class UnionPayProvider(LocalProvider):
    """Holds a root, a middle and a signing certificate, and the merchant's.

    The merchant's side is made here too: `merchant_key`, `merchant_certificate`, `root`, `middle`
    as PEM text. Orders come to be when the payer's browser posts the form: `visit`.
    """

    name = "unionpay"

    def __init__(self, clock: Clock | None = None, *, merchant: str = "777290058110048") -> None:
        super().__init__(clock)
        self.merchant = merchant
        now = self.now()
        root_key, middle_key, self._key = new_key(), new_key(), new_key()
        merchant_key = new_key()
        root = certificate("CFCA TEST CS CA", root_key, "CFCA TEST CS CA", root_key, now)
        middle = certificate("CFCA TEST OCA1", middle_key, "CFCA TEST CS CA", root_key, now)
        self._certificate = certificate(NAME, self._key, "CFCA TEST OCA1", middle_key, now)
        own = certificate("merchant", merchant_key, "CFCA TEST OCA1", middle_key, now)
        # A certificate of the same root that is somebody else's: a merchant's.
        self._other_key, self._other = merchant_key, own
        self._merchant_certificate = own
        self.merchant_key, self.merchant_certificate = private_pem(merchant_key), pem(own)
        self.root, self.middle = pem(root), pem(middle)

    def app(self) -> FastAPI:
        """Build the gateway."""
        app = FastAPI(openapi_url=None)

        @app.post("/{path:path}")
        async def anything(path: str, request: Request) -> Response:
            body = await request.body()
            return self._answer("/" + path, body)

        return app

    def visit(self, fields: Mapping[str, str]) -> str:
        """Post the form as the payer's browser does; return the order that is there."""
        if not self._is_merchant(fields):
            raise ValueError("the form is not signed by the merchant")
        order = fields["orderId"]
        with self.lock:
            if order not in self.trades:
                made = Trade(order, int(fields["txnAmt"]), fields["backUrl"], self.now())
                made.expires_at = _moment(fields["payTimeout"])
                made.extra = {"txnTime": fields["txnTime"]}
                self.trades[order] = made
        return order

    def mark_paid(self, order: str) -> Trade:
        """Take the customer's money, as long as the order's time has not run out."""
        trade = self.trades.get(order)
        if trade and trade.expires_at and self.now() > trade.expires_at:
            raise ValueError(f"unionpay: {order} has timed out")
        return super().mark_paid(order)

    def table(self, folder: Path) -> dict[str, str]:
        """Write the merchant's key files into a folder; return the table of the site file."""
        files = {
            "unionpay.pem": self.merchant_key,
            "unionpay-own.cer": self.merchant_certificate,
            "unionpay-root.cer": self.root,
            "unionpay-middle.cer": self.middle,
        }
        write_keys(folder, files)
        return {
            "base_url": self.url,
            "file_url": self.url,
            "merchant": self.merchant,
            "private_key_file": "unionpay.pem",
            "signing_certificate_file": "unionpay-own.cer",
            "root_certificate_file": "unionpay-root.cer",
            "middle_certificate_file": "unionpay-middle.cer",
        }

    def notice(self, trade: Trade, tamper: Tamper | None = None) -> SignedNotice:
        """Sign the notice of a paid order."""
        fields = self._of(trade) | {"respCode": "00", "respMsg": "成功[0000000]"}
        if tamper is Tamper.AMOUNT:
            fields["txnAmt"] = str(trade.amount_minor + 1)
        if tamper is Tamper.CURRENCY:
            fields["currencyCode"] = "840"
        if tamper is Tamper.MERCHANT:
            fields["merId"] = "777290058119999"
        if tamper is Tamper.ORDER:
            fields["orderId"] = "W000000000000NOTTHERE000"
        signed = self._sign(fields, other=tamper is Tamper.SERIAL)
        if tamper is Tamper.BODY:
            signed["txnAmt"] = str(trade.amount_minor * 2)
        if tamper is Tamper.SIGNATURE:
            del signed["signature"]
        return _posted(trade.notify_url, signed)

    def refund_notice(self, trade: Trade, refund: GivenBack) -> SignedNotice | None:
        """Sign the notice of a refund."""
        done = refund.status == "done"
        fields = self._of_refund(trade, refund) | {"respCode": "00" if done else "01"}
        return _posted(trade.notify_url, self._sign(fields))

    def _sign(self, fields: Fields, *, other: bool = False) -> Fields:
        whole = {name: value for name, value in fields.items() if value}
        whole |= {"version": "5.1.0", "encoding": "UTF-8", "signMethod": "01"}
        whole["signPubKeyCert"] = pem(self._other if other else self._certificate)
        key = self._other_key if other else self._key
        mark = key.sign(_digest(whole), padding.PKCS1v15(), SHA256())
        return whole | {"signature": base64.b64encode(mark).decode()}

    def _is_merchant(self, fields: Mapping[str, str]) -> bool:
        public = self._merchant_certificate.public_key()
        known = (fields.get("merId"), fields.get("certId"), fields.get("signMethod"))
        if known != (self.merchant, str(self._merchant_certificate.serial_number), "01"):
            return False
        if not isinstance(public, rsa.RSAPublicKey):
            return False
        try:
            mark = base64.b64decode(fields.get("signature", ""))
            public.verify(mark, _digest(fields), padding.PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _answer(self, path: str, body: bytes) -> Response:
        self.requests += 1
        if self.down:
            return Response(status_code=503)
        asked = dict(parse_qsl(body.decode()))
        if not self._is_merchant(asked):
            content = {"respCode": "11", "respMsg": "验证签名失败[9100004]"}
        else:
            with self.lock:
                content = self._serve(path, asked)
        kept = ("merId", "orderId", "txnTime", "txnType", "txnSubType", "bizType", "accessType")
        whole = {name: asked[name] for name in kept if name in asked} | content
        # Answers are not escaped, other than what is posted.
        text = "&".join(f"{name}={value}" for name, value in self._sign(whole).items())
        return Response(text.encode(), media_type="text/html;charset=UTF-8")

    def _serve(self, path: str, asked: Mapping[str, str]) -> Fields:
        if path == "/gateway/api/queryTrans.do":
            return self._query(asked["orderId"], asked["txnTime"])
        if path == "/gateway/api/backTransReq.do" and asked["txnType"] == "04":
            return self._refund(asked)
        if path == "/" and asked["txnType"] == "76":
            return self._file(asked["settleDate"])
        return {"respCode": "10", "respMsg": "报文格式错误"}

    def _query(self, order: str, placed: str) -> Fields:
        good = {"respCode": "00", "respMsg": "成功[0000000]"}
        trade = self.trades.get(order)
        if trade is not None and trade.extra["txnTime"] == placed:
            paid = trade.paid_at is not None
            return self._of(trade) | good | {"origRespCode": "00" if paid else "05"}
        refund = self.refund_of(order)
        if refund is not None:
            words = {"done": "00", "pending": "05", "refused": "01"}
            found = self._of_refund(self.trades[refund.order], refund)
            return found | good | {"origRespCode": words[refund.status]}
        return {"respCode": "34", "respMsg": "查无此交易[2600000]"}

    def _refund(self, asked: Mapping[str, str]) -> Fields:
        query_id = asked["origQryId"]
        order = next((one for one in self.trades.values() if one.trade == query_id), None)
        if order is None:
            return {"respCode": "35", "respMsg": "原交易不存在或状态不正确[2040004]"}
        given = self.take_back(order.order, asked["orderId"], int(asked["txnAmt"]))
        if given is None:
            return {"respCode": "36", "respMsg": "与原交易信息不符[2090000]"}
        return {"respCode": "00", "respMsg": "成功[0000000]", "queryId": given.trade}

    def _of(self, trade: Trade) -> Fields:
        paid_at = trade.paid_at or self.now()
        return {
            "merId": self.merchant,
            "orderId": trade.order,
            "txnTime": trade.extra["txnTime"],
            "txnType": "01",
            "txnSubType": "01",
            "bizType": "000201",
            "accessType": "0",
            "txnAmt": str(trade.amount_minor),
            "currencyCode": "156",
            "queryId": trade.trade,
            "traceNo": "478846",
            "traceTime": f"{paid_at.astimezone(BEIJING):%m%d%H%M%S}",
            "settleDate": f"{paid_at.astimezone(BEIJING):%m%d}",
            "accNo": "6216***********0018",
        }

    def _of_refund(self, trade: Trade, refund: GivenBack) -> Fields:
        return self._of(trade) | {
            "orderId": refund.id,
            "txnType": "04",
            "txnSubType": "00",
            "txnAmt": str(refund.amount_minor),
            "queryId": refund.trade,
            "origQryId": trade.trade,
            "txnTime": f"{refund.time.astimezone(BEIJING):{STAMP}}",
        }

    def _file(self, day: str) -> Fields:
        lines = []
        for trade in self.trades.values():
            if trade.paid_at and f"{trade.paid_at.astimezone(BEIJING):%m%d}" == day:
                lines.append(
                    _line("01", trade.paid_at, trade.amount_minor, trade.trade, trade.order)
                )
            lines += [
                _line("04", one.time, one.amount_minor, one.trade, one.id)
                for one in trade.refunds.values()
                if one.status == "done" and f"{one.time.astimezone(BEIJING):%m%d}" == day
            ]
        if not lines:
            return {"respCode": "98", "respMsg": "文件不存在[5800000]"}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            name = f"INN26{day}88ZM_{self.merchant}"
            archive.writestr(name, "\r\n".join(lines) + "\r\n")
            archive.writestr(name.replace("ZM_", "ZME_"), "")
        content = base64.b64encode(zlib.compress(packed.getvalue())).decode()
        return {"respCode": "00", "fileName": f"{self.merchant}.zip", "fileContent": content}

    def new_trade(self) -> str:
        """Return a query id, 21 digits."""
        return f"{self.now():%y%m%d%H%M%S}{secrets.randbelow(10**9):09d}"


def _line(kind: str, moment: datetime, amount_minor: int, query_id: str, order: str) -> str:
    """Write a line of the ZM file; the columns that a station does not look at hold zeros."""
    widths = [3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4]
    widths += [32, 1, 21, 15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 131]
    told = {
        4: f"{moment.astimezone(BEIJING):%m%d%H%M%S}",
        5: "6216***********0018",
        6: f"{amount_minor:012d}",
        9: query_id,
        11: order,
        19: kind,
    }
    return " ".join(told.get(place, "").ljust(width) for place, width in enumerate(widths))


def _digest(fields: Mapping[str, str]) -> bytes:
    names = sorted(name for name in fields if name != "signature")
    text = "&".join(f"{name}={fields[name]}" for name in names)
    return hashlib.sha256(text.encode("utf-8")).hexdigest().encode("ascii")


def _posted(url: str, fields: Fields) -> SignedNotice:
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}
    return SignedNotice(url, headers, urlencode(fields).encode())


def _moment(value: str) -> datetime:
    return datetime.strptime(value, STAMP).replace(tzinfo=BEIJING)
