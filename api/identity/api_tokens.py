"""Personal tokens for programs that read: hashed, of few roles, expiring."""

import hmac
import secrets
import threading
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

from api.identity.settings import SignInSettings
from api.identity.users import WRITE_WITHIN_S, UserBook
from domain.clock import Clock
from domain.errors import Forbidden, InvalidInput, UnknownSubject
from domain.faults import Fault
from domain.identity import Role
from domain.users import ApiToken, SignInState, User, UserStore

PREFIX = "wwt_"
# What a token that lies in a script for a year may hold: nothing that moves money or a relay.
TOKEN_ROLES = frozenset({Role.ANALYST, Role.FACILITIES})


class ApiTokens:
    """The personal tokens that have not ended. Thread-safe; writes block."""

    def __init__(
        self,
        store: UserStore,
        clock: Clock,
        settings: SignInSettings,
        users: UserBook,
        state: SignInState,
    ) -> None:
        self._store, self._clock, self._settings, self._users = store, clock, settings, users
        self._tokens = {token.id: token for token in state.tokens}
        self._lock = threading.Lock()

    def make(
        self, user: User, label: str, roles: frozenset[Role], days: int
    ) -> tuple[str, ApiToken]:
        """Make a token and return it, this once. Raises InvalidInput, Forbidden."""
        faults = []
        allowed = TOKEN_ROLES if Role.ADMIN in user.roles else TOKEN_ROLES & user.roles
        if not roles or not roles <= allowed:
            words = f"must be of {', '.join(sorted(allowed)) or 'none'}: roles that you hold"
            faults.append(Fault("body.roles", words))
        if not 1 <= days <= self._settings.api_token_days_most:
            words = f"must be from 1 to {self._settings.api_token_days_most}"
            faults.append(Fault("body.days", words))
        if faults:
            raise InvalidInput(faults)
        secret, now = secrets.token_urlsafe(32), self._clock.now()
        token = ApiToken(
            id=secrets.token_hex(8),
            user=user.name,
            label=label,
            roles=roles,
            secret_hash=_hash(secret),
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        with self._lock:
            if len(self.of_user(user.name)) >= self._settings.api_tokens_a_user:
                raise Forbidden(f"{self._settings.api_tokens_a_user} tokens are enough: end one")
            self._store.save(token).result(WRITE_WITHIN_S)
            self._tokens[token.id] = token
        return f"{PREFIX}{token.id}_{secret}", token

    def find(self, text: str) -> tuple[ApiToken, User, frozenset[Role]] | None:
        """Return a token, its user and the roles it still gives, None where it is not valid."""
        token_id, _, secret = text.removeprefix(PREFIX).partition("_")
        token = self._tokens.get(token_id)
        if token is None or not hmac.compare_digest(_hash(secret), token.secret_hash):
            return None
        user = self._users.find(token.user)
        if user is None or user.disabled_at or self._clock.now() >= token.expires_at:
            return None
        held = token.roles if Role.ADMIN in user.roles else token.roles & user.roles
        return (token, user, held) if held else None

    def of_user(self, name: str) -> list[ApiToken]:
        """Return the living tokens of a user, oldest first."""
        now = self._clock.now()
        own = [one for one in list(self._tokens.values()) if one.user == name]
        return sorted((t for t in own if now < t.expires_at), key=lambda t: (t.created_at, t.id))

    def end(self, user: str, token_id: str) -> None:
        """End a user's own token. Raises UnknownSubject."""
        with self._lock:
            token = self._tokens.get(token_id)
            if token is None or token.user != user:
                raise UnknownSubject(f"no token {token_id!r} of yours")
            ended = replace(token, ended_at=self._clock.now())
            self._store.save(ended).result(WRITE_WITHIN_S)
            del self._tokens[token_id]

    def end_all(self, user: str) -> None:
        """End every token of a user."""
        now = self._clock.now()
        with self._lock:
            own = [one for one in self._tokens.values() if one.user == user]
            if own:
                ended = [replace(one, ended_at=now) for one in own]
                self._store.save(*ended).result(WRITE_WITHIN_S)
            for one in own:
                del self._tokens[one.id]


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
