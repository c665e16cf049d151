"""Where a request comes from, as its headers say: address, host, cookies, origin."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
WANTED = frozenset(
    {b"authorization", b"cookie", b"host", b"origin", b"sec-fetch-site", b"x-csrf-token"}
)
SESSION_COOKIE = "wattwarden"
DEVICE_COOKIE = "wattwarden-device"
CSRF_COOKIE = "wattwarden-csrf"
# Browsers take a cookie of such a name only with Secure and for exactly this host.
HOST_ONLY = "__Host-"
COOKIES_MOST = 50


@dataclass(frozen=True, slots=True)
class Asker:
    """What is known of who asks before he is known."""

    address: str
    host: str
    netloc: str
    origin: str
    fetch_site: str
    authorization: str
    csrf: str
    cookies: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, scope: Scope) -> "Asker":
        """Read a request's headers."""
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in WANTED:
                # Cookies may come in several headers (HTTP/2), anything else counts once.
                joined = found[name] + b"; " + value if name in found else value
                found[name] = joined if name == b"cookie" else found.get(name, value)
        told = {name: value.decode("latin-1") for name, value in found.items()}
        netloc = told.get(b"host", "").lower()
        client = scope.get("client")
        return cls(
            address=client[0] if client else "",
            host=host_of(netloc),
            netloc=netloc,
            origin=told.get(b"origin", ""),
            fetch_site=told.get(b"sec-fetch-site", ""),
            authorization=told.get(b"authorization", ""),
            csrf=told.get(b"x-csrf-token", ""),
            cookies=cookies_of(told[b"cookie"]) if b"cookie" in told else {},
        )

    @property
    def bearer(self) -> str:
        """The token of `Authorization: Bearer`, or nothing."""
        kind, _, token = self.authorization.partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    @property
    def is_local(self) -> bool:
        """Whether the request names this machine as its host."""
        return self.host in LOCAL_HOSTS

    @property
    def neighbourhood(self) -> str:
        """The address as limits count it: of IPv6 the network of one subscriber."""
        try:
            parsed = ip_address(self.address)
        except ValueError:
            return self.address[:64]
        if isinstance(parsed, IPv6Address):
            if parsed.ipv4_mapped:
                return str(parsed.ipv4_mapped)
            return parsed.exploded[:19]
        return str(parsed)

    def cookie(self, name: str, *, secure: bool) -> str:
        """Return a cookie of ours, or nothing."""
        return self.cookies.get(cookie_name(name, secure=secure), "")

    def is_elsewhere(self, public_netloc: str = "") -> bool:
        """Say whether a browser tells that another site's page sends this."""
        if self.fetch_site in ("cross-site", "same-site"):
            return True
        if not self.origin:
            return False
        try:
            netloc = urlsplit(self.origin).netloc.lower()
        except ValueError:
            return True
        return not netloc or netloc not in (self.netloc, public_netloc or self.netloc)


def host_of(netloc: str) -> str:
    """Return the host of `host:port`, in lower case."""
    netloc = netloc.lower()
    if netloc.startswith("["):
        return netloc[1:].partition("]")[0]
    return netloc.partition(":")[0]


def cookie_name(name: str, *, secure: bool) -> str:
    """Return the name under which a cookie travels."""
    return HOST_ONLY + name if secure else name


def cookies_of(header: str) -> dict[str, str]:
    """Read a Cookie header; a name that comes twice is nobody's."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for part in header.split(";", COOKIES_MOST)[:COOKIES_MOST]:
        name, is_one, value = part.strip().partition("=")
        if not is_one:
            continue
        if name in found:
            twice.add(name)
        found[name] = value
    return {name: value for name, value in found.items() if name not in twice}
