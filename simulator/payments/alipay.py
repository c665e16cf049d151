"""Alipay's gateway on loopback, after its published rules (docs/payments.md names them)."""

import base64
import io
import json
import secrets
import zipfile
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from fastapi import FastAPI, Request, Response

from domain.clock import Clock
from simulator.payments.keys import new_key, private_pem, public_pem
from simulator.payments.provider import (
    GivenBack,
    LocalProvider,
    SignedNotice,
    Tamper,
    Trade,
    write_keys,
)

BEIJING = timezone(timedelta(hours=8))
STAMP = "%Y-%m-%d %H:%M:%S"
SKEW_S = 900
BILL_HEAD = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,"
    "对方账户,订单金额（元）,商家实收（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
NOT_THERE = {"code": "40004", "msg": "Business Failed", "sub_code": "ACQ.TRADE_NOT_EXIST"}
PAGES = ("alipay.trade.page.pay", "alipay.trade.wap.pay")
Content = dict[str, Any]


class AlipayProvider(LocalProvider):
    """Holds the provider's key and the merchant's public one.

    The merchant's side is made here too: `merchant_key` and `public_key` as PEM text. Orders paid
    on a page come to be when the payer goes to the address: `visit`.
    """

    name = "alipay"

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        app_id: str = "2021000000000001",
        seller: str = "2088000000000001",
    ) -> None:
        super().__init__(clock)
        self.app_id, self.seller = app_id, seller
        self._key, self._merchant_key = new_key(), new_key()
        self.merchant_key = private_pem(self._merchant_key)
        self.public_key = public_pem(self._key)
        self._files: dict[str, bytes] = {}

    @property
    def gateway(self) -> str:
        """Return the gateway's address."""
        return f"{self.url}/gateway.do"

    def app(self) -> FastAPI:
        """Build the gateway."""
        app = FastAPI(openapi_url=None)

        @app.api_route("/gateway.do", methods=["GET", "POST"])
        async def gateway(request: Request) -> Response:
            body = await request.body()
            return self._answer(request.url.query, body)

        @app.get("/bill/{token}")
        async def bill(token: str) -> Response:
            return Response(self._files.get(token, b""), media_type="application/zip")

        return app

    def visit(self, link: str) -> str:
        """Go to a page's address as the payer's browser does; return the order that is there."""
        asked = dict(parse_qsl(link.partition("?")[2]))
        if asked.get("method") not in PAGES or not self._is_merchant(asked):
            raise ValueError("the address is not signed by the merchant")
        with self.lock:
            return self._create(asked, json.loads(asked["biz_content"])).order

    def table(self, folder: Path) -> dict[str, str]:
        """Write the merchant's key files into a folder; return the table of the site file."""
        files = {"alipay.pem": self.merchant_key, "alipay-public.pem": self.public_key}
        write_keys(folder, files)
        return {
            "base_url": self.gateway,
            "app_id": self.app_id,
            "seller": self.seller,
            "private_key_file": "alipay.pem",
            "alipay_public_key_file": "alipay-public.pem",
        }

    def notice(self, trade: Trade, tamper: Tamper | None = None) -> SignedNotice:
        """Sign the notice of a paid order."""
        now = self.now() - timedelta(seconds=SKEW_S if tamper is Tamper.TIME else 0)
        fields = {
            "notify_time": _beijing(now),
            "notify_type": "trade_status_sync",
            "notify_id": secrets.token_hex(17),
            "app_id": self.app_id,
            "charset": "utf-8",
            "version": "1.0",
            "trade_no": trade.trade,
            "out_trade_no": trade.order,
            "seller_id": self.seller,
            "buyer_id": "2088102177846880",
            "trade_status": "TRADE_SUCCESS",
            "total_amount": _yuan(trade.amount_minor),
            "receipt_amount": _yuan(trade.amount_minor),
            "subject": trade.extra.get("subject", ""),
            "body": "",
            "gmt_create": _beijing(trade.created_at),
            "gmt_payment": _beijing(trade.paid_at or now),
        }
        if tamper is Tamper.AMOUNT:
            fields["total_amount"] = _yuan(trade.amount_minor + 1)
        if tamper is Tamper.CURRENCY:
            fields["trans_currency"] = "USD"
        if tamper is Tamper.MERCHANT:
            fields["seller_id"] = "2088999999999999"
        if tamper is Tamper.ORDER:
            fields["out_trade_no"] = "W000000000000NOTTHERE000"
        weak = tamper is Tamper.SERIAL
        signed = self._sign(_to_sign(fields), weak=weak)
        fields |= {"sign": signed, "sign_type": "RSA2"}
        if tamper is Tamper.BODY:
            fields["total_amount"] = _yuan(trade.amount_minor * 2)
        if tamper is Tamper.SIGNATURE:
            del fields["sign"]
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        return SignedNotice(trade.notify_url, headers, urlencode(fields).encode())

    def refund_notice(self, trade: Trade, refund: GivenBack) -> SignedNotice | None:
        """Say that Alipay answers refunds at once and sends no notice of its own."""
        return None

    def _sign(self, text: str, *, weak: bool = False) -> str:
        """Sign a text; a weak one has SHA-1 under it although it says RSA2."""
        digest = SHA1() if weak else SHA256()  # noqa: S303 - what must be refused
        return base64.b64encode(self._key.sign(text.encode(), padding.PKCS1v15(), digest)).decode()

    def _answer(self, query: str, body: bytes) -> Response:
        self.requests += 1
        if self.down:
            return Response(status_code=503)
        asked = dict(parse_qsl(query)) | dict(parse_qsl(body.decode()))
        method = asked.get("method", "")
        if not self._is_merchant(asked):
            content: Content = {"code": "40002", "msg": "Invalid Arguments"}
            content |= {"sub_code": "isv.invalid-signature", "sub_msg": "验签出错"}
        else:
            with self.lock:
                content = self._serve(method, asked, json.loads(asked["biz_content"]))
        name = method.replace(".", "_") + "_response"
        made = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        whole = f'{{"{name}":{made},"sign":"{self._sign(made)}"}}'
        return Response(whole.encode(), media_type="text/html; charset=utf-8")

    def _is_merchant(self, asked: Mapping[str, str]) -> bool:
        try:
            # A request without a zone is in Beijing's.
            stamp = datetime.strptime(asked["timestamp"], STAMP).replace(tzinfo=BEIJING)
            late = abs((self.now() - stamp).total_seconds()) > SKEW_S
            self._check(asked)
        except (InvalidSignature, KeyError, ValueError):
            return False
        return not late and (asked["app_id"], asked["sign_type"]) == (self.app_id, "RSA2")

    def _check(self, asked: Mapping[str, str]) -> None:
        text = "&".join(f"{name}={asked[name]}" for name in sorted(asked) if name != "sign")
        public = self._merchant_key.public_key()
        given = base64.b64decode(asked["sign"])
        public.verify(given, text.encode(), padding.PKCS1v15(), SHA256())

    def _serve(self, method: str, asked: Mapping[str, str], content: Content) -> Content:
        order = str(content.get("out_trade_no", ""))
        trade = self.trades.get(order)
        if method == "alipay.trade.precreate":
            made = self._create(asked, content)
            return _good(out_trade_no=made.order, qr_code=f"https://qr.alipay.com/{made.order}")
        if method == "alipay.data.dataservice.bill.downloadurl.query":
            return self._bill(date.fromisoformat(content["bill_date"]))
        if trade is None:
            return NOT_THERE
        if method == "alipay.trade.query":
            return self._of(trade)
        if method == "alipay.trade.close":
            return self._close(trade)
        if method == "alipay.trade.refund":
            return self._refund(trade, content)
        if method == "alipay.trade.fastpay.refund.query":
            found = trade.refunds.get(content["out_request_no"])
            done = {"refund_status": "REFUND_SUCCESS"} if found and found.status == "done" else {}
            return _good(out_trade_no=order, trade_no=trade.trade, **done)
        return {"code": "40004", "msg": "Business Failed", "sub_code": "isv.invalid-method"}

    def _create(self, asked: Mapping[str, str], content: Content) -> Trade:
        order = content["out_trade_no"]
        if order not in self.trades:
            amount = _fen(content["total_amount"])
            made = Trade(order, amount, asked["notify_url"], self.now())
            made.extra = {"subject": content["subject"]}
            made.trade = self.new_trade()
            self.trades[order] = made
        return self.trades[order]

    def _of(self, trade: Trade) -> Content:
        states = {
            "open": "WAIT_BUYER_PAY",
            "paid": "TRADE_SUCCESS",
            "closed": "TRADE_CLOSED",
            "refunded": "TRADE_CLOSED",
        }
        paid = {"send_pay_date": _beijing(trade.paid_at)} if trade.paid_at else {}
        return _good(
            out_trade_no=trade.order,
            trade_no=trade.trade,
            trade_status=states[trade.status],
            total_amount=_yuan(trade.amount_minor),
            buyer_logon_id="159****5620",
            **paid,
        )

    def _close(self, trade: Trade) -> Content:
        if trade.paid_at is not None:
            return NOT_THERE | {"sub_code": "ACQ.TRADE_STATUS_ERROR"}
        trade.status = "closed"
        return _good(out_trade_no=trade.order, trade_no=trade.trade)

    def _refund(self, trade: Trade, content: Content) -> Content:
        refund, known = content["out_request_no"], dict(trade.refunds)
        amount = _fen(content["refund_amount"])
        given = self.take_back(trade.order, refund, amount)
        if given is None:
            return NOT_THERE | {"sub_code": "ACQ.TRADE_STATUS_ERROR", "sub_msg": "交易状态不合法"}
        moved = refund not in known and given.status == "done"
        return _good(
            out_trade_no=trade.order,
            trade_no=trade.trade,
            fund_change="Y" if moved else "N",
            refund_fee=_yuan(trade.refunded_minor),
        )

    def _bill(self, day: date) -> Content:
        rows = [row for trade in self.trades.values() for row in self._rows(trade, day)]
        if not rows:
            return {"code": "40004", "msg": "Business Failed", "sub_code": "isp.bill_not_exist"}
        details = "\r\n".join(
            ["#支付宝业务明细查询", f"#账号：[{self.seller}]", "#-----业务明细列表-----", BILL_HEAD]
            + [",".join(value + "\t" for value in row) for row in rows]
            + ["#-----业务明细列表结束-----", f"#交易合计：{len(rows)}笔", ""]
        )
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("20880000_业务明细.csv", details.encode("gbk"))
            summary = "#支付宝业务汇总查询\r\n门店编号,门店名称,交易订单总笔数\r\n合计,,1\r\n"
            archive.writestr("20880000_业务明细(汇总).csv", summary.encode("gbk"))
        token = secrets.token_hex(8)
        self._files[token] = packed.getvalue()
        return _good(bill_download_url=f"{self.url}/bill/{token}")

    def _rows(self, trade: Trade, day: date) -> list[list[str]]:
        paid_at, rows = trade.paid_at, []
        if paid_at is not None and paid_at.astimezone(BEIJING).date() == day:
            rows.append(_row(trade, paid_at, None))
        return rows + [
            _row(trade, refund.time, refund)
            for refund in trade.refunds.values()
            if refund.status == "done" and refund.time.astimezone(BEIJING).date() == day
        ]


def _row(trade: Trade, moment: datetime, refund: GivenBack | None) -> list[str]:
    amount = f"-{_yuan(refund.amount_minor)}" if refund else _yuan(trade.amount_minor)
    values = {
        "支付宝交易号": trade.trade,
        "商户订单号": trade.order,
        "业务类型": "退款" if refund else "交易",
        "商品名称": trade.extra.get("subject", ""),
        "创建时间": _beijing(trade.created_at),
        "完成时间": _beijing(moment),
        "对方账户": "*明(159****5620)",
        "订单金额（元）": amount,
        "商家实收（元）": amount,
        "退款批次号/请求号": refund.id if refund else "",
    }
    return [values.get(name, "") for name in BILL_HEAD.split(",")]


def _to_sign(fields: Mapping[str, str]) -> str:
    """Return what a notice's signature is over: all fields but sign and sign_type, sorted."""
    left_out = ("sign", "sign_type")
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name not in left_out)


def _good(**content: str) -> Content:
    return {"code": "10000", "msg": "Success", **content}


def _yuan(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def _fen(yuan: str) -> int:
    return int(Decimal(yuan) * 100)


def _beijing(moment: datetime) -> str:
    return f"{moment.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
