"""Opens the channels that the site file turns on: reads their key files, lists every fault."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from billing.payments.campus_card import CampusCard
from billing.payments.channel import PaymentChannel
from billing.payments.settings import (
    AlipaySettings,
    CampusCardSettings,
    PaymentSettings,
    UnionPaySettings,
    WeChatSettings,
)
from billing.payments.unionpay import UnionPay
from billing.payments.unionpay_signing import UnionPayKeys
from domain.clock import Clock
from domain.errors import InvalidInput
from domain.faults import Fault

if TYPE_CHECKING:
    from billing.payments.alipay import AlipayKeys

SECRET_BYTES_LEAST = 32
FILE_BYTES_MOST = 65_536
CERTIFICATES_MOST = 20
RSA_BITS_LEAST = 2_048
API_V3_KEY_BYTES = 32
T = TypeVar("T")


def open_payment_channels(
    settings: PaymentSettings, folder: Path, clock: Clock
) -> dict[str, PaymentChannel]:
    """Return the channels that are on. Key files are seen from `folder`; nothing is connected to.

    Raises InvalidInput with every file that is missing or does not hold what it should.
    """
    opener = _Opener(settings, folder, clock)
    makers: dict[str, Callable[[], PaymentChannel | None]] = {}
    if settings.campus_card is not None:
        card = settings.campus_card
        makers["campus-card"] = lambda: opener.campus_card(card)
    if settings.wechat is not None:
        wechat = settings.wechat
        makers["wechat"] = lambda: opener.wechat(wechat)
    if settings.alipay is not None:
        alipay = settings.alipay
        makers["alipay"] = lambda: opener.alipay(alipay)
    if settings.unionpay is not None:
        unionpay = settings.unionpay
        makers["unionpay"] = lambda: opener.unionpay(unionpay)
    made = {name: maker() for name, maker in makers.items()}
    if opener.faults:
        raise InvalidInput(opener.faults)
    return {name: channel for name, channel in made.items() if channel is not None}


def alipay_keys(private_key: bytes, alipay_public_key: bytes) -> "AlipayKeys":
    """Read the two keys of Alipay. Raises ValueError."""
    from billing.payments.alipay import AlipayKeys  # noqa: PLC0415 - an optional SDK

    merchant, provider = _private(private_key), _public(alipay_public_key)
    # The SDK wants PKCS #1 and bare base64: what stands between the marks.
    old = merchant.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    spki = provider.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bare = "".join(old.decode().splitlines()[1:-1])
    return AlipayKeys(bare, base64.b64encode(spki).decode(), provider)


@dataclass(slots=True)
class _Opener:
    settings: PaymentSettings
    folder: Path
    clock: Clock
    faults: list[Fault] = field(default_factory=list)

    def campus_card(self, table: CampusCardSettings) -> PaymentChannel | None:
        secrets: dict[str, bytes] = {}
        for key_id, name in (
            (table.key_id, table.secret_file),
            (table.former_key_id, table.former_secret_file),
        ):
            if key_id is None or name is None:
                continue
            secret = self._read("campus-card", "secret_file", name, _secret)
            if secret is not None:
                secrets[key_id] = secret
        if table.key_id not in secrets:
            return None
        return CampusCard(table, secrets, *self._common("campus-card"))

    def wechat(self, table: WeChatSettings) -> PaymentChannel | None:
        if not self._is_there("wechat", "wechatpayv3"):
            return None
        from billing.payments.wechat import WeChat, WeChatKeys  # noqa: PLC0415 - an optional SDK

        private = self._read("wechat", "private_key_file", table.private_key_file, _private_text)
        api_key = self._read("wechat", "api_v3_key_file", table.api_v3_key_file, _api_v3_key)
        public, serials, certificates = None, frozenset[str](), None
        if table.public_key_file is not None and table.public_key_id is not None:
            public = self._read("wechat", "public_key_file", table.public_key_file, _public_text)
            serials = frozenset({table.public_key_id}) if public else serials
        elif table.certificate_dir is not None:
            certificates = str(self.folder / table.certificate_dir)
            serials = self._serials(Path(certificates))
        if private is None or api_key is None or not serials:
            return None
        keys = WeChatKeys(private, api_key, serials, public, certificates)
        return WeChat(table, keys, *self._common("wechat"))

    def alipay(self, table: AlipaySettings) -> PaymentChannel | None:
        if not self._is_there("alipay", "alipay"):
            return None
        from billing.payments.alipay import Alipay  # noqa: PLC0415 - an optional SDK

        merchant = self._read("alipay", "private_key_file", table.private_key_file, _private_text)
        provider = self._read(
            "alipay", "alipay_public_key_file", table.alipay_public_key_file, _public_text
        )
        if merchant is None or provider is None:
            return None
        keys = alipay_keys(merchant.encode(), provider.encode())
        return Alipay(table, keys, *self._common("alipay"))

    def unionpay(self, table: UnionPaySettings) -> PaymentChannel | None:
        private = self._read("unionpay", "private_key_file", table.private_key_file, _private)
        found = {
            name: self._read("unionpay", name, str(getattr(table, name)), _certificate)
            for name in (
                "signing_certificate_file",
                "root_certificate_file",
                "middle_certificate_file",
            )
        }
        signing, root, middle = found.values()
        if private is None or signing is None or root is None or middle is None:
            return None
        if signing.public_key() != private.public_key():
            self._fault("unionpay", "signing_certificate_file", "does not belong to the key")
            return None
        keys = UnionPayKeys(private, signing, root, middle, table.common_name)
        url = self.settings.notify_url_of("unionpay")
        return UnionPay(table, keys, url, self.clock)

    def _is_there(self, channel: str, package: str) -> bool:
        """Say whether a provider's SDK is installed; a fault where it is not."""
        if find_spec(package) is not None:
            return True
        words = "needs the provider's SDK, which is not installed: run `make providers`"
        self.faults.append(Fault(f"payments.{channel}", words))
        return False

    def _common(self, channel: str) -> tuple[str, int, Clock]:
        url = self.settings.notify_url_of(channel)
        return url, self.settings.notice_skew_s, self.clock

    def _serials(self, directory: Path) -> frozenset[str]:
        """Return the serials of the platform certificates of a folder that are valid now."""
        now, serials = self.clock.now(), set()
        for file in sorted(directory.glob("*.pem"))[:CERTIFICATES_MOST]:
            found = self._read("wechat", "certificate_dir", str(file), _certificate)
            if found and found.not_valid_before_utc <= now <= found.not_valid_after_utc:
                serials.add(f"{found.serial_number:X}")
        if not serials:
            self._fault(
                "wechat", "certificate_dir", f"{directory} has no valid certificate (*.pem)"
            )
        return frozenset(serials)

    def _read(self, channel: str, key: str, name: str, reader: Callable[[bytes], T]) -> T | None:
        file = self.folder / name
        try:
            content = file.read_bytes()
            if len(content) > FILE_BYTES_MOST:
                self._fault(channel, key, f"{file} is too large for a key")
                return None
            return reader(content)
        except OSError as error:
            self._fault(channel, key, f"{file} can't be read: {error.strerror}")
        except (ValueError, TypeError) as error:
            self._fault(channel, key, f"{file} {error}")
        return None

    def _fault(self, channel: str, key: str, message: str) -> None:
        self.faults.append(Fault(f"payments.{channel}.{key}", message))


def _secret(content: bytes) -> bytes:
    secret = content.strip()
    if len(secret) < SECRET_BYTES_LEAST:
        raise ValueError(f"must hold a secret of {SECRET_BYTES_LEAST} bytes or more")
    return secret


def _api_v3_key(content: bytes) -> str:
    key = content.strip()
    if len(key) != API_V3_KEY_BYTES or not key.isascii():
        raise ValueError(f"must hold the API v3 key, {API_V3_KEY_BYTES} letters and digits")
    return key.decode()


def _private(content: bytes) -> rsa.RSAPrivateKey:
    try:
        key = load_pem_private_key(_marked(content, "PRIVATE KEY"), None)
    except (ValueError, TypeError) as error:
        raise ValueError("must hold a private RSA key as PEM without a password") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < RSA_BITS_LEAST:
        raise ValueError(f"must hold an RSA key of {RSA_BITS_LEAST} bits or more")
    return key


def _private_text(content: bytes) -> str:
    """Return a private key as PEM text of PKCS #8, whatever it came as."""
    key = _private(content)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public(content: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_pem_public_key(_marked(content, "PUBLIC KEY"))
    except ValueError as error:
        raise ValueError("must hold a public RSA key as PEM") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < RSA_BITS_LEAST:
        raise ValueError(f"must hold an RSA key of {RSA_BITS_LEAST} bits or more")
    return key


def _public_text(content: bytes) -> str:
    key = _public(content)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _certificate(content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise ValueError("must hold a certificate as PEM") from error


def _marked(content: bytes, kind: str) -> bytes:
    """Put the marks of PEM around a key that is given as bare base64, as providers show it."""
    if b"-----BEGIN" in content:
        return content
    return (
        f"-----BEGIN {kind}-----\n".encode()
        + content.strip()
        + f"\n-----END {kind}-----\n".encode()
    )
