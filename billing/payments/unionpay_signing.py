"""UnionPay's message signature, version 5.1.0: fields sorted, SHA-256, RSA with certificates.

The text is `name=value` of every field that is not empty, sorted by name and joined with `&`,
without `signature`. Its SHA-256 in lower-case hex is what is signed, by RSA with SHA-256 again.
The provider sends its signing certificate along; it counts when it comes from the two certificates
of the settings, is valid now and names the provider.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

CERTIFICATE_MOST = 16_384


class NotSigned(ValueError):
    """A message is not signed by the provider."""


@dataclass(frozen=True, slots=True)
class UnionPayKeys:
    """The merchant's key and certificate, and what the provider's certificate must come from."""

    private_key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    root: x509.Certificate
    middle: x509.Certificate
    common_name: str


def signed(fields: Mapping[str, str], keys: UnionPayKeys) -> dict[str, str]:
    """Return the fields that are not empty, with `certId` and `signature`."""
    whole = {name: value for name, value in fields.items() if value}
    whole["certId"] = str(keys.certificate.serial_number)
    mark = keys.private_key.sign(_digest(whole), padding.PKCS1v15(), SHA256())
    whole["signature"] = base64.b64encode(mark).decode()
    return whole


def check(fields: Mapping[str, str], keys: UnionPayKeys, now: datetime) -> None:
    """Check that the provider signed the fields. Raises NotSigned."""
    if (fields.get("version"), fields.get("signMethod")) != ("5.1.0", "01"):
        raise NotSigned("it is not signed as version 5.1.0 with a certificate")
    certificate = _certificate(fields.get("signPubKeyCert", ""), keys, now)
    public = certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise NotSigned("the certificate has no RSA key")
    try:
        mark = base64.b64decode(fields.get("signature", ""))
        public.verify(mark, _digest(fields), padding.PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error) as error:
        raise NotSigned("the signature is missing or wrong") from error


def _digest(fields: Mapping[str, str]) -> bytes:
    text = "&".join(
        f"{name}={fields[name]}" for name in sorted(fields) if name != "signature" and fields[name]
    )
    return hashlib.sha256(text.encode()).hexdigest().encode()


def _certificate(pem: str, keys: UnionPayKeys, now: datetime) -> x509.Certificate:
    """Return the certificate that came along, once its chain and its name are good."""
    if not 0 < len(pem) <= CERTIFICATE_MOST:
        raise NotSigned("no certificate came along")
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        certificate.verify_directly_issued_by(keys.middle)
        if keys.middle != keys.root:
            keys.middle.verify_directly_issued_by(keys.root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise NotSigned("the certificate does not come from the provider's root") from error
    for one in (certificate, keys.middle, keys.root):
        if not one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            raise NotSigned("a certificate of the chain is not valid now")
    if keys.common_name not in _names(certificate):
        raise NotSigned("the certificate is not the provider's own")
    return certificate


def _names(certificate: x509.Certificate) -> set[str]:
    """Return what a certificate's subject names: the whole common name and its third part.

    Names read like `041@8310000000083040@中国银联股份有限公司@00016494`.
    """
    names: set[str] = set()
    for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
        whole = str(attribute.value)
        names.add(whole)
        names.update(whole.split("@")[2:3])
    return names
