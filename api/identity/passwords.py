"""Passwords: the rules for a new one, and argon2id for keeping and checking them."""

import secrets
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import anyio
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from api.errors import Busy
from api.identity.obvious import OBVIOUS
from domain.errors import InvalidInput
from domain.faults import Fault

MOST_CHARACTERS = 128
# Each check takes tens of MiB and of milliseconds: a flood may not take all of the machine.
CHECKS_AT_ONCE = 2
CHECKS_WAITING_MOST = 64


def password_faults(password: str, least: int, own_words: Sequence[str] = ()) -> list[Fault]:
    """Return what is wrong with a new password: length, known from leaks, or made of own names."""
    where, plain = "body.password", _plain(password)
    if len(plain) < least:
        return [Fault(where, f"must have {least} characters or more; a sentence is good")]
    if len(plain) > MOST_CHARACTERS:
        return [Fault(where, f"may have {MOST_CHARACTERS} characters at most")]
    bare = plain.casefold()
    if len(set(bare)) < 4:
        return [Fault(where, "must have four different characters or more")]
    if _is_obvious(bare):
        return [Fault(where, "is one of those that are tried first; choose another")]
    if any(len(word) >= 4 and word.casefold() in bare for word in own_words):
        return [Fault(where, "must not contain your own name, number or telephone")]
    return []


def _is_obvious(bare: str) -> bool:
    stripped = bare.rstrip("0123456789!@#$%&*._-?")
    if bare in OBVIOUS or (stripped in OBVIOUS and len(stripped) >= 4):
        return True
    steps = {ord(after) - ord(before) for before, after in pairwise(bare)}
    half = len(bare) // 2
    return steps in ({1}, {-1}) or (bare == bare[:half] * 2 and len(set(bare)) < 6)


def _plain(password: str) -> str:
    # The same characters typed on another keyboard are the same password (NIST SP 800-63B).
    return unicodedata.normalize("NFKC", password)


class Passwords:
    """Keeps and checks passwords with argon2id.

    An unknown name costs the same work as a known one: `check` without a hash runs on a decoy.
    """

    def __init__(self, least: int = 10, hasher: Argon2Hasher | None = None) -> None:
        self.least = least
        self._hash = PasswordHash((hasher or Argon2Hasher(),))
        self._decoy = self._hash.hash(secrets.token_urlsafe())
        self._threads = anyio.CapacityLimiter(CHECKS_AT_ONCE)

    def hashed(self, password: str, own_words: Sequence[str] = ()) -> str:
        """Return the hash of a new password. Raises InvalidInput where it breaks a rule."""
        faults = password_faults(password, self.least, own_words)
        if faults:
            raise InvalidInput(faults)
        return self._hash.hash(_plain(password))

    def check(self, password: str, known: str | None) -> bool:
        """Say whether a password is the one; takes as long where there is none."""
        fits = self._hash.verify(_plain(password)[:1024], known or self._decoy)
        return fits and known is not None

    def is_old(self, known: str) -> bool:
        """Say whether a hash was made with other settings than today's."""
        return self._hash.current_hasher.check_needs_rehash(known)

    async def checked(self, password: str, known: str | None) -> bool:
        """Do `check` on a thread, a few at a time. Raises Busy when too many wait."""
        if self._threads.statistics().tasks_waiting >= CHECKS_WAITING_MOST:
            raise Busy("too many sign-ins at once; try again in a moment")
        return await anyio.to_thread.run_sync(self.check, password, known, limiter=self._threads)
