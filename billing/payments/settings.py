"""The site file's section [payments]: limits, and one table for each channel that is on."""

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.money import AMOUNT_MOST_MINOR


def checked_url(url: str) -> str:
    """Return a base URL without its last slash. Raises ValueError without TLS off this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must be an https:// address")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("must be a plain address without user, query or fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is for this machine alone; a provider is reached by https")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_local(url: str) -> bool:
    """Say whether an address is on this machine."""
    return is_loopback(urlsplit(url).hostname or "")


Url = Annotated[str, AfterValidator(checked_url)]
File = Annotated[str, Field(min_length=1, max_length=1000)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Amount = Annotated[int, Field(gt=0, le=AMOUNT_MOST_MINOR)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)


class ChannelSettings(_Frozen):
    """What every provider's table holds; `base_url` is the provider's gateway.

    `timeout_s` bounds each call. Keys and secrets are named by file, never written in the site
    file; a relative path is beside it.
    """

    base_url: Url
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 8.0


class CampusCardSettings(ChannelSettings):
    """The campus card's bridge: docs/payments.md has the contract that it serves."""

    merchant: Name
    key_id: Name
    secret_file: File
    former_key_id: Name | None = None
    former_secret_file: File | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "CampusCardSettings":
        if (self.former_key_id is None) != (self.former_secret_file is None):
            raise ValueError("former_key_id and former_secret_file belong together")
        return self


class WeChatSettings(ChannelSettings):
    """WeChat Pay v3 as a direct merchant.

    The provider signs with its public key (`public_key_file`, `public_key_id`: what new merchants
    get) or with platform certificates, PEM files in `certificate_dir`.
    """

    base_url: Url = "https://api.mch.weixin.qq.com"
    app_id: Name
    merchant: Name
    private_key_file: File
    certificate_serial: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{8,64}$")]
    api_v3_key_file: File
    public_key_file: File | None = None
    public_key_id: Name | None = None
    certificate_dir: File | None = None

    @model_validator(mode="after")
    def _one_trust(self) -> "WeChatSettings":
        if (self.public_key_file is None) != (self.public_key_id is None):
            raise ValueError("public_key_file and public_key_id belong together")
        if (self.public_key_file is None) == (self.certificate_dir is None):
            raise ValueError("give either public_key_file with public_key_id, or certificate_dir")
        return self


class AlipaySettings(ChannelSettings):
    """Alipay with a key pair (RSA2); `seller` is the merchant's own number (2088...)."""

    base_url: Url = "https://openapi.alipay.com/gateway.do"
    app_id: Name
    seller: Annotated[str, Field(pattern=r"^2088\d{12}$")]
    private_key_file: File
    alipay_public_key_file: File
    return_url: Url | None = None


class UnionPaySettings(ChannelSettings):
    """UnionPay's gateway 5.1.0 with certificates; the two `ca` files end the chain of its own.

    `common_name` is what its signing certificate must name.
    """

    base_url: Url = "https://gateway.95516.com"
    file_url: Url = "https://filedownload.95516.com"
    merchant: Annotated[str, Field(pattern=r"^\d{15}$")]
    signing_certificate_file: File
    private_key_file: File
    root_certificate_file: File
    middle_certificate_file: File
    common_name: Name = "中国银联股份有限公司"
    return_url: Url | None = None


class CashSettings(_Frozen):
    """The till at the office; `float_most_minor` bounds what a shift may open with."""

    float_most_minor: Annotated[int, Field(ge=0, le=AMOUNT_MOST_MINOR)] = 500_000


class PaymentSettings(_Frozen):
    """Limits of payments, and the channels; a channel without a table is off.

    `notify_url` is where providers reach this station from outside, `/api/v1/payments/...` is
    added. `query_waits_s` are the waits between questions about an unpaid order, the last one is
    repeated until `queries_most`. Amounts in fen, times in seconds.
    """

    notify_url: Url | None = None
    amount_least_minor: Amount = 100
    amount_most_minor: Amount = 100_000
    order_expires_s: Annotated[int, Field(ge=60, le=86_400)] = 900
    waiting_orders_most: Annotated[int, Field(ge=1, le=100)] = 5
    orders_an_hour_most: Annotated[int, Field(ge=1, le=1_000)] = 20
    orders_at_once_most: Annotated[int, Field(ge=1, le=32)] = 16
    notice_skew_s: Annotated[int, Field(ge=1, le=3_600)] = 300
    notice_bytes_most: Annotated[int, Field(ge=1_024, le=65_536)] = 32_768
    notices_kept_days: Annotated[int, Field(ge=30, le=3_660)] = 400
    refused_notices_a_minute: Annotated[int, Field(ge=1, le=10_000)] = 120
    query_waits_s: tuple[Annotated[int, Field(ge=1, le=86_400)], ...] = (20, 40, 60, 120, 300)
    queries_most: Annotated[int, Field(ge=1, le=1_000)] = 40
    late_query_waits_s: tuple[Annotated[int, Field(ge=1, le=604_800)], ...] = (600, 3_600, 86_400)
    orders_a_tick: Annotated[int, Field(ge=1, le=1_000)] = 50
    refund_tries_most: Annotated[int, Field(ge=1, le=1_000)] = 30
    refund_waits_s: tuple[Annotated[int, Field(ge=1, le=86_400)], ...] = (10, 60, 300, 1_800)
    refund_approval_above_minor: Annotated[int, Field(ge=0, le=AMOUNT_MOST_MINOR)] = 10_000
    refunds_an_order_most: Annotated[int, Field(ge=1, le=50)] = 10
    statement_rows_most: Annotated[int, Field(ge=1, le=1_000_000)] = 200_000
    currency: Literal["CNY"] = "CNY"
    cash: CashSettings | None = None
    campus_card: CampusCardSettings | None = Field(default=None, alias="campus-card")
    wechat: WeChatSettings | None = None
    alipay: AlipaySettings | None = None
    unionpay: UnionPaySettings | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "PaymentSettings":
        if self.amount_most_minor < self.amount_least_minor:
            raise ValueError("amount_most_minor must not be below amount_least_minor")
        if not (self.query_waits_s and self.late_query_waits_s and self.refund_waits_s):
            raise ValueError("a list of waits must not be empty")
        if self.notify_url is None and self.providers():
            names = ", ".join(self.providers())
            raise ValueError(f"notify_url is needed: {names} must be able to send notices")
        return self

    def providers(self) -> tuple[str, ...]:
        """Return the names of the providers that are on."""
        found = {
            "wechat": self.wechat,
            "alipay": self.alipay,
            "unionpay": self.unionpay,
            "campus-card": self.campus_card,
        }
        return tuple(name for name, table in found.items() if table is not None)

    def notify_url_of(self, channel: str) -> str:
        """Return the address of this station that a channel's notices go to."""
        return f"{self.notify_url}/api/v1/payments/notices/{channel}"
