"""Devices on which a user has signed in before: they have their own tries at a password."""

import hmac
import secrets
from hashlib import sha256

DEVICE_DAYS = 180


class Devices:
    """Makes and reads the signed cookie of a known device; nothing is kept here."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, user: str) -> str:
        """Return a cookie's value that says: this user has signed in here."""
        device = secrets.token_hex(8)
        return f"{device}.{self._mac(user, device)}"

    def read(self, user: str, value: str) -> str | None:
        """Return the device of a cookie's value, None where it is not this user's."""
        device, _, mac = value.partition(".")
        given = mac.encode("latin-1", "replace")
        return device if hmac.compare_digest(given, self._mac(user, device).encode()) else None

    def _mac(self, user: str, device: str) -> str:
        return hmac.new(self._key, f"{device}\n{user}".encode(), sha256).hexdigest()
