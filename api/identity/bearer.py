"""Signed access tokens for programs, short-lived, and the refresh tokens that renew them."""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt

from api.identity.settings import SignInSettings
from api.identity.users import WRITE_WITHIN_S, Tell, UserBook
from domain.clock import Clock
from domain.errors import Forbidden
from domain.events import Event, EventKind, Severity
from domain.users import SignInState, TokenFamily, User, UserStore

ALGORITHM = "HS256"
ISSUER = "wattwarden"
AUDIENCE = "wattwarden-api"
CLAIMS = ["exp", "iat", "iss", "aud", "sub", "jti", "sid", "ver"]
# Tokens whose signature was checked already; what may change is looked at every time.
CHECKED_MOST = 10_000
FAMILIES_A_USER = 20


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a program gets: an access token, how long it lives, and what renews it."""

    access_token: str
    expires_s: int
    refresh_token: str


@dataclass(frozen=True, slots=True)
class _Claims:
    user: str
    version: int
    family: str
    expires_at_s: float


class Bearer:
    """Issues and checks access tokens. Thread-safe."""

    def __init__(
        self,
        store: UserStore,
        clock: Clock,
        settings: SignInSettings,
        users: UserBook,
        secret: Callable[[str], bytes],
        tell: Tell,
        state: SignInState,
    ) -> None:
        self._store, self._clock, self._settings = store, clock, settings
        self._users, self._tell = users, tell
        numbers = {settings.token_key, max(1, settings.token_key - 1)}
        self._keys = {f"k{number}": secret(f"access-token-{number}") for number in numbers}
        self._key_id = f"k{settings.token_key}"
        self._families = {family.id: family for family in state.families}
        self._checked: OrderedDict[str, _Claims] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, user: User) -> Tokens:
        """Sign a program in; blocks. A user's oldest sign-ins end where he has too many."""
        now, secret = self._clock.now(), secrets.token_urlsafe(32)
        family = TokenFamily(
            id=secrets.token_hex(16),
            user=user.name,
            version=user.version,
            generation=1,
            secret_hash=_hash(secret),
            created_at=now,
            expires_at=now + timedelta(seconds=self._settings.refresh_s),
        )
        with self._lock:
            own = [one for one in self._families.values() if one.user == user.name]
            own.sort(key=lambda one: one.created_at)
            ended = own[: max(0, len(own) + 1 - FAMILIES_A_USER)]
            self._store.save(family, *(replace(one, ended_at=now) for one in ended)).result(
                WRITE_WITHIN_S
            )
            self._families[family.id] = family
            for one in ended:
                del self._families[one.id]
        return self._tokens(family, secret)

    def renew(self, refresh_token: str) -> Tokens:
        """Give new tokens for a refresh token, once; blocks. Raises Forbidden.

        A refresh token that was used before ends its family: somebody else has a copy.
        """
        family_id, generation, secret = _parts(refresh_token)
        with self._lock:
            family = self._families.get(family_id)
            if family is None or self._user_of(family) is None:
                raise Forbidden("the refresh token is not valid; sign in again")
            if generation != family.generation or not hmac.compare_digest(
                _hash(secret), family.secret_hash
            ):
                self._end_copied(family)
                raise Forbidden("the refresh token was used before; sign in again")
            fresh = secrets.token_urlsafe(32)
            # Its end stays: a sign-in that is renewed for ever would never be asked again.
            new = replace(family, generation=generation + 1, secret_hash=_hash(fresh))
            self._store.save(new).result(WRITE_WITHIN_S)
            self._families[family_id] = new
        return self._tokens(new, fresh)

    def find(self, token: str) -> tuple[str, User] | None:
        """Return the sign-in and the user of an access token, None where it is worth nothing."""
        claims = self._checked.get(token) or self._verified(token)
        if claims is None or self._clock.now().timestamp() >= claims.expires_at_s:
            return None
        family = self._families.get(claims.family)
        if family is None or family.user != claims.user:
            return None
        user = self._users.enabled(claims.user, claims.version)
        return (claims.family, user) if user else None

    def end(self, family_id: str) -> None:
        """End a program's sign-in; blocks until that is durable."""
        with self._lock:
            family = self._families.pop(family_id, None)
            if family is not None:
                ended = replace(family, ended_at=self._clock.now())
                self._store.save(ended).result(WRITE_WITHIN_S)

    def tidy(self) -> None:
        """Forget the sign-ins that are over."""
        with self._lock:
            for family in list(self._families.values()):
                if self._user_of(family) is None:
                    del self._families[family.id]

    def _tokens(self, family: TokenFamily, secret: str) -> Tokens:
        now, for_s = self._clock.now(), self._settings.token_s
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": family.user,
            "iat": _seconds(now),
            "exp": _seconds(now) + for_s,
            "jti": secrets.token_hex(8),
            "sid": family.id,
            "ver": family.version,
        }
        key = self._keys[self._key_id]
        access = jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": self._key_id})
        return Tokens(access, for_s, f"{family.id}.{family.generation}.{secret}")

    def _verified(self, token: str) -> _Claims | None:
        try:
            key = self._keys.get(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                return None
            # The times are held against the station's own clock below, in `find`.
            found: dict[str, Any] = jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER,
                options={
                    "require": CLAIMS, "verify_exp": False, "verify_iat": False,
                    "verify_nbf": False,
                },
            )  # fmt: skip
            times = int(found["iat"]), int(found["exp"])
            claims = _Claims(
                str(found["sub"]), int(found["ver"]), str(found["sid"]), float(times[1])
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        if not 0 < times[1] - times[0] <= self._settings.token_s:
            return None
        with self._lock:
            self._checked[token] = claims
            while len(self._checked) > CHECKED_MOST:
                self._checked.popitem(last=False)
        return claims

    def _user_of(self, family: TokenFamily) -> User | None:
        if self._clock.now() >= family.expires_at:
            return None
        return self._users.enabled(family.user, family.version)

    def _end_copied(self, family: TokenFamily) -> None:
        now = self._clock.now()
        self._families.pop(family.id, None)
        self._store.save(replace(family, ended_at=now)).result(WRITE_WITHIN_S)
        message = f"a refresh token of {family.user} was used twice; that sign-in was ended"
        self._tell(Event(now, EventKind.TOKEN_REUSED, family.user, message, Severity.ALARM))


def _parts(refresh_token: str) -> tuple[str, int, str]:
    family, _, rest = refresh_token.partition(".")
    number, _, secret = rest.partition(".")
    digits = number.isascii() and number.isdigit() and len(number) < 10
    return family, int(number) if digits else 0, secret


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
