"""Alipay's SDK with a transport of ours: it builds requests, signs them, checks answers.

Its own HTTP part is left out: it knows no port, puts the whole address into the request line, and
stamps with the zone of the machine although the gateway reads Beijing time.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.constant.CommonConstants import THREAD_LOCAL
from alipay.aop.api.constant.ParamConstants import COMMON_PARAM_KEYS
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.request.AlipayDataDataserviceBillDownloadurlQueryRequest import (
    AlipayDataDataserviceBillDownloadurlQueryRequest,
)
from alipay.aop.api.request.AlipayTradeCloseRequest import AlipayTradeCloseRequest
from alipay.aop.api.request.AlipayTradeFastpayRefundQueryRequest import (
    AlipayTradeFastpayRefundQueryRequest,
)
from alipay.aop.api.request.AlipayTradePagePayRequest import AlipayTradePagePayRequest
from alipay.aop.api.request.AlipayTradePrecreateRequest import AlipayTradePrecreateRequest
from alipay.aop.api.request.AlipayTradeQueryRequest import AlipayTradeQueryRequest
from alipay.aop.api.request.AlipayTradeRefundRequest import AlipayTradeRefundRequest
from alipay.aop.api.request.AlipayTradeWapPayRequest import AlipayTradeWapPayRequest
from alipay.aop.api.util.SignatureUtils import get_sign_content, sign_with_rsa2

from billing.payments.http import Http
from billing.payments.reading import BEIJING, Unreadable, json_object
from domain.errors import LinkDown

NAME = "alipay"
CHARSET = "utf-8"
REQUESTS: Mapping[str, Callable[[], Any]] = {
    "precreate": AlipayTradePrecreateRequest,
    "page": AlipayTradePagePayRequest,
    "wap": AlipayTradeWapPayRequest,
    "query": AlipayTradeQueryRequest,
    "close": AlipayTradeCloseRequest,
    "refund": AlipayTradeRefundRequest,
    "refund-query": AlipayTradeFastpayRefundQueryRequest,
    "bill": AlipayDataDataserviceBillDownloadurlQueryRequest,
}


class AlipaySdk(DefaultAlipayClient):  # type: ignore[misc]
    """Signs requests and reads answers. Thread-safe.

    `private_key` is the merchant's key and `alipay_public_key` the provider's, bare base64 as the
    SDK wants them.
    """

    def __init__(
        self,
        server_url: str,
        app_id: str,
        private_key: str,
        alipay_public_key: str,
        timeout_s: float,
    ) -> None:
        config = AlipayClientConfig()
        config.server_url, config.app_id, config.sign_type = server_url, app_id, "RSA2"
        config.app_private_key, config.alipay_public_key = private_key, alipay_public_key
        config.charset = CHARSET
        super().__init__(config)
        self._app_id, self._private_key = app_id, private_key
        self._server_url = server_url
        self._http = Http(NAME, server_url, timeout_s)

    def ask(
        self, kind: str, content: Mapping[str, str], now: datetime, **urls: str
    ) -> dict[str, Any]:
        """Send a request and return what its signed answer holds. Raises LinkDown."""
        signed = self._signed(kind, content, now, urls)
        common = {name: signed.pop(name) for name in list(signed) if name in COMMON_PARAM_KEYS}
        headers = {"Content-Type": f"application/x-www-form-urlencoded;charset={CHARSET}"}
        answer = self._http.call(
            "POST", "?" + urlencode(common), headers=headers, content=urlencode(signed).encode()
        )
        if answer.status != 200:
            raise LinkDown(f"{NAME} answers with status {answer.status}")
        THREAD_LOCAL.uuid, THREAD_LOCAL.logger = str(uuid4()), None
        try:
            # The SDK's own check of the answer; it has no other name to be called by.
            return json_object(self._DefaultAlipayClient__parse_response(answer.body))
        except Unreadable as error:
            raise LinkDown(f"{NAME} answers what is not documented: {error}") from error
        except Exception as error:
            # It raises whatever its parts do on what is malformed or signed by another.
            reason = type(error).__name__
            raise LinkDown(f"an answer of {NAME} is not to be believed: {reason}") from error

    def link(self, kind: str, content: Mapping[str, str], now: datetime, **urls: str) -> str:
        """Return the signed address of a page where the payer goes on."""
        return f"{self._server_url}?{urlencode(self._signed(kind, content, now, urls))}"

    def _signed(
        self, kind: str, content: Mapping[str, str], now: datetime, urls: Mapping[str, str]
    ) -> dict[str, str]:
        request = REQUESTS[kind]()
        request.biz_content = dict(content)
        for name, url in urls.items():
            setattr(request, name, url)
        params: dict[str, str] = {
            **request.get_params(),
            "app_id": self._app_id,
            "charset": CHARSET,
            "format": "json",
            "sign_type": "RSA2",
            "timestamp": f"{now.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
        }
        for name, value in params.items():
            if not isinstance(value, str):
                params[name] = json.dumps(value, ensure_ascii=False)
        params["sign"] = sign_with_rsa2(self._private_key, get_sign_content(params), CHARSET)
        return params
