"""WeChat Pay v3 on loopback, after its published rules (docs/payments.md names them)."""

import base64
import csv
import gzip
import hashlib
import io
import json
import re
import secrets
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from fastapi import FastAPI, Request, Response

from domain.clock import Clock, SystemClock
from simulator.payments.keys import new_key, private_pem, public_pem
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
SCHEME = "WECHATPAY2-SHA256-RSA2048"
_AUTHORIZATION = re.compile(r'(\w+)="([^"]*)"')
BILL_HEAD = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
    "付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,"
    "退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
Reply = tuple[int, dict[str, Any] | None]


class WeChatProvider(LocalProvider):
    """Holds the provider's key and the merchant's certificate.

    The merchant's side is made here too: `merchant_key`, `api_v3_key`, `public_key` as PEM text.
    Requests are stamped by the SDK with the machine's own time, so `request_clock` is that.
    """

    name = "wechat"

    def __init__(
        self, clock: Clock | None = None, *, merchant: str = "1900000109", app_id: str = "wx8888"
    ) -> None:
        super().__init__(clock)
        self.merchant, self.app_id = merchant, app_id
        self.request_clock: Clock = SystemClock()
        self._key, self._merchant_key = new_key(), new_key()
        self.public_key_id = "PUB_KEY_ID_0119000001092026000000000000"
        self.certificate_serial = "5157F09EFDC096DE15EBE81A47057A72"
        self.api_v3_key = secrets.token_hex(16)
        self.merchant_key = private_pem(self._merchant_key)
        self.public_key = public_pem(self._key)
        self._files: dict[str, bytes] = {}

    def app(self) -> FastAPI:
        """Build the provider."""
        app = FastAPI(openapi_url=None)

        @app.api_route("/{path:path}", methods=["GET", "POST"])
        async def anything(path: str, request: Request) -> Response:
            body = await request.body()
            return self._answer(request, body)

        return app

    def table(self, folder: Path) -> dict[str, str]:
        """Write the merchant's key files into a folder; return the table of the site file."""
        files = {
            "wechat.pem": self.merchant_key,
            "wechat.key": self.api_v3_key,
            "wechat-public.pem": self.public_key,
        }
        write_keys(folder, files)
        return {
            "base_url": self.url,
            "app_id": self.app_id,
            "merchant": self.merchant,
            "private_key_file": "wechat.pem",
            "certificate_serial": self.certificate_serial,
            "api_v3_key_file": "wechat.key",
            "public_key_file": "wechat-public.pem",
            "public_key_id": self.public_key_id,
        }

    def notice(self, trade: Trade, tamper: Tamper | None = None) -> SignedNotice:
        """Sign and encrypt the notice of a paid order."""
        resource = self._of(trade)
        if tamper is Tamper.AMOUNT:
            resource["amount"]["total"] = trade.amount_minor + 1
        if tamper is Tamper.CURRENCY:
            resource["amount"]["currency"] = "USD"
        if tamper is Tamper.MERCHANT:
            resource["mchid"] = "1900009999"
        if tamper is Tamper.ORDER:
            resource["out_trade_no"] = "W000000000000NOTTHERE000"
        return self._notice(trade.notify_url, "TRANSACTION.SUCCESS", resource, tamper)

    def refund_notice(self, trade: Trade, refund: GivenBack) -> SignedNotice | None:
        """Sign and encrypt the notice of a refund."""
        done = refund.status == "done"
        resource = {
            **self._of_refund(trade, refund),
            "mchid": self.merchant,
            "refund_status": "SUCCESS" if done else "CLOSED",
        }
        kind = "REFUND.SUCCESS" if done else "REFUND.CLOSED"
        return self._notice(trade.notify_url, kind, resource, None)

    def _notice(
        self, url: str, kind: str, resource: dict[str, Any], tamper: Tamper | None
    ) -> SignedNotice:
        nonce, extra = secrets.token_hex(6), kind.split(".", maxsplit=1)[0].lower()
        plain = json.dumps(resource, ensure_ascii=False).encode()
        sealed = AESGCM(self.api_v3_key.encode()).encrypt(nonce.encode(), plain, extra.encode())
        content = {
            "id": secrets.token_hex(16),
            "create_time": _beijing(self.now()),
            "resource_type": "encrypt-resource",
            "event_type": kind,
            "summary": "支付成功",
            "resource": {
                "original_type": extra,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": base64.b64encode(sealed).decode(),
                "associated_data": extra,
                "nonce": nonce,
            },
        }
        body = json.dumps(content, ensure_ascii=False).encode()
        moment = self.now() - timedelta(seconds=SKEW_S * 2 if tamper is Tamper.TIME else 0)
        headers = self._signed(body, moment)
        if tamper is Tamper.SIGNATURE:
            del headers["Wechatpay-Signature"]
        if tamper is Tamper.SERIAL:
            headers["Wechatpay-Serial"] = "PUB_KEY_ID_0000000000000000000000000000"
        if tamper is Tamper.BODY:
            body = body.replace("支付成功".encode(), "支付失败".encode())
        return SignedNotice(url, {**headers, "Content-Type": "application/json"}, body)

    def _signed(self, body: bytes, moment: datetime) -> dict[str, str]:
        stamp, nonce = str(int(moment.timestamp())), secrets.token_hex(16)
        message = f"{stamp}\n{nonce}\n".encode() + body + b"\n"
        signature = self._key.sign(message, padding.PKCS1v15(), SHA256())
        return {
            "Wechatpay-Timestamp": stamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": self.public_key_id,
            "Wechatpay-Signature": base64.b64encode(signature).decode(),
            "Wechatpay-Signature-Type": SCHEME,
        }

    def _answer(self, request: Request, body: bytes) -> Response:
        self.requests += 1
        if self.down:
            return Response(status_code=503)
        path = request.url.path
        query = f"?{request.url.query}" if request.url.query else ""
        if not self._is_merchant(request.method, path + query, body, request.headers):
            made = json.dumps({"code": "SIGN_ERROR", "message": "签名错误"}).encode()
            return Response(made, 401, media_type="application/json")
        if path == "/v3/billdownload/file":
            token = parse_qs(request.url.query).get("token", [""])[0]
            return Response(self._files.get(token, b""), media_type="application/octet-stream")
        with self.lock:
            arguments = {name: value[0] for name, value in parse_qs(request.url.query).items()}
            asked = json.loads(body) if body else {}
            status, content = self._serve(request.method, path, arguments, asked)
        made = b"" if content is None else json.dumps(content, ensure_ascii=False).encode()
        # The SDK checks answers without a look at their time.
        headers = self._signed(made, self.now())
        return Response(made, status, headers, media_type="application/json; charset=utf-8")

    def _is_merchant(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        told = dict(_AUTHORIZATION.findall(rest))
        stamp = told.get("timestamp", "0")
        late = abs(self.request_clock.now().timestamp() - int(stamp)) > SKEW_S
        known = (told.get("mchid"), told.get("serial_no"))
        if scheme != SCHEME or late or known != (self.merchant, self.certificate_serial):
            return False
        message = f"{method}\n{url}\n{stamp}\n{told.get('nonce_str', '')}\n".encode() + body + b"\n"
        public = self._merchant_key.public_key()
        return _verifies(public, told.get("signature", ""), message)

    def _serve(
        self, method: str, path: str, arguments: dict[str, str], asked: dict[str, Any]
    ) -> Reply:
        match [method, *path.strip("/").split("/")]:
            case ["POST", "v3", "pay", "transactions", way] if way in ("native", "jsapi", "h5"):
                return self._create(way, asked)
            case ["GET", "v3", "pay", "transactions", "out-trade-no", order]:
                trade = self.trades.get(order)
                return (200, self._of(trade)) if trade else _error(404, "ORDER_NOT_EXIST")
            case ["POST", "v3", "pay", "transactions", "out-trade-no", order, "close"]:
                return self._close(order)
            case ["POST", "v3", "refund", "domestic", "refunds"]:
                return self._refund(asked)
            case ["GET", "v3", "refund", "domestic", "refunds", refund]:
                found = self.refund_of(refund)
                if found is None:
                    return _error(404, "RESOURCE_NOT_EXISTS")
                return 200, self._of_refund(self.trades[found.order], found)
            case ["GET", "v3", "bill", "tradebill"]:
                return self._bill(date.fromisoformat(arguments["bill_date"]))
        return _error(404, "RESOURCE_NOT_EXISTS")

    def _create(self, way: str, asked: dict[str, Any]) -> Reply:
        order, amount = asked["out_trade_no"], asked["amount"]
        if (asked["mchid"], asked["appid"]) != (self.merchant, self.app_id):
            return _error(400, "APPID_MCHID_NOT_MATCH")
        if way == "jsapi" and not asked["payer"]["openid"]:
            return _error(400, "PARAM_ERROR")
        if way == "h5" and not asked["scene_info"]["payer_client_ip"]:
            return _error(400, "PARAM_ERROR")
        known = self.trades.get(order)
        if known is None:
            expires = datetime.fromisoformat(asked["time_expire"])
            known = Trade(order, amount["total"], asked["notify_url"], self.now(), expires)
            known.extra = {"way": way.upper(), "goods": asked["description"]}
            self.trades[order] = known
        if known.status != "open":
            return _error(400, "ORDERPAID" if known.paid_at else "ORDERCLOSED")
        if known.amount_minor != amount["total"]:
            return _error(400, "OUT_TRADE_NO_USED")
        return 200, {
            "native": {"code_url": f"weixin://wxpay/bizpayurl?pr={order}"},
            "jsapi": {"prepay_id": f"wx{order}"},
            "h5": {"h5_url": f"{self.url}/h5?prepay_id=wx{order}"},
        }[way]

    def _close(self, order: str) -> Reply:
        trade = self.trades.get(order)
        if trade is None:
            return _error(404, "ORDER_NOT_EXIST")
        if trade.paid_at is not None:
            return _error(400, "ORDERPAID")
        trade.status = "closed"
        return 204, None

    def _refund(self, asked: dict[str, Any]) -> Reply:
        order, amount = asked["out_trade_no"], asked["amount"]
        given = self.take_back(order, asked["out_refund_no"], amount["refund"])
        if given is None:
            return _error(400, "INVALID_REQUEST")
        return 200, self._of_refund(self.trades[order], given)

    def _of(self, trade: Trade) -> dict[str, Any]:
        states = {"open": "NOTPAY", "paid": "SUCCESS", "closed": "CLOSED", "refunded": "REFUND"}
        state = "REFUND" if trade.refunds else states[trade.status]
        content: dict[str, Any] = {
            "appid": self.app_id,
            "mchid": self.merchant,
            "out_trade_no": trade.order,
            "trade_type": trade.extra.get("way", "NATIVE"),
            "trade_state": state,
            "trade_state_desc": state,
            "amount": {"total": trade.amount_minor, "currency": "CNY"},
        }
        if trade.paid_at is not None:
            content["transaction_id"] = trade.trade
            content["success_time"] = _beijing(trade.paid_at)
        return content

    def _of_refund(self, trade: Trade, refund: GivenBack) -> dict[str, Any]:
        words = {"done": "SUCCESS", "pending": "PROCESSING", "refused": "CLOSED"}
        return {
            "refund_id": refund.trade,
            "out_refund_no": refund.id,
            "transaction_id": trade.trade,
            "out_trade_no": trade.order,
            "status": words[refund.status],
            "create_time": _beijing(refund.time),
            "amount": {
                "total": trade.amount_minor,
                "refund": refund.amount_minor,
                "currency": "CNY",
            },
        }

    def _bill(self, day: date) -> Reply:
        rows = [row for trade in self.trades.values() for row in self._rows(trade, day)]
        if not rows:
            return _error(400, "NO_STATEMENT_EXIST")
        page = io.StringIO()
        page.write(BILL_HEAD + "\r\n")
        csv.writer(page).writerows(rows)
        page.write("总交易单数,应结订单总金额,退款总金额\r\n")
        page.write(f"`{len(rows)},`0.00,`0.00\r\n")
        raw = page.getvalue().encode()
        token = secrets.token_hex(8)
        self._files[token] = gzip.compress(raw)
        return 200, {
            "hash_type": "SHA1",
            "hash_value": hashlib.sha1(raw, usedforsecurity=False).hexdigest(),
            "download_url": f"{self.url}/v3/billdownload/file?token={token}",
        }

    def _rows(self, trade: Trade, day: date) -> list[list[str]]:
        paid_at, rows = trade.paid_at, []
        if paid_at is not None and paid_at.astimezone(BEIJING).date() == day:
            rows.append(self._row(trade, paid_at, None))
        return rows + [
            self._row(trade, refund.time, refund)
            for refund in trade.refunds.values()
            if refund.status == "done" and refund.time.astimezone(BEIJING).date() == day
        ]

    def _row(self, trade: Trade, moment: datetime, refund: GivenBack | None) -> list[str]:
        amount = f"{trade.amount_minor / 100:.2f}"
        back = f"{refund.amount_minor / 100:.2f}" if refund else "0.00"
        values = {
            "交易时间": f"{moment.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
            "公众账号ID": self.app_id,
            "商户号": self.merchant,
            "微信订单号": trade.trade,
            "商户订单号": trade.order,
            "交易状态": "REFUND" if refund else "SUCCESS",
            "货币种类": "CNY",
            "应结订单金额": "0.00" if refund else amount,
            "微信退款单号": refund.trade if refund else "0",
            "商户退款单号": refund.id if refund else "0",
            "退款金额": back,
            "退款状态": "SUCCESS" if refund else "",
            "订单金额": "0.00" if refund else amount,
            "申请退款金额": back,
        }
        return ["`" + values.get(name, "") for name in BILL_HEAD.split(",")]


def _beijing(moment: datetime) -> str:
    return moment.astimezone(BEIJING).isoformat(timespec="seconds")


def _error(status: int, code: str) -> Reply:
    return status, {"code": code, "message": code.replace("_", " ").lower()}


def _verifies(public: rsa.RSAPublicKey, signature: str, message: bytes) -> bool:
    try:
        public.verify(base64.b64decode(signature), message, padding.PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
