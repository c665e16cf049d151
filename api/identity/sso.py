"""Single sign-on: a browser sent to the campus's provider and back, and who it then is here."""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from api.identity.refusals import SignInRefused
from api.identity.settings import CasSettings, OidcSettings
from api.identity.users import NAME, UserBook, plain_name
from domain.clock import Clock
from domain.identity import Role
from domain.users import ExternalLogin, User

PENDING_S = 600.0
PENDING_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider says of somebody: the name it knows him by, and everything else."""

    subject: str
    name: str
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """A browser on its way: what only it knows, what the provider must give back, where next."""

    state: str
    browser: str
    nonce: str
    verifier: str
    then: str
    since_s: float


class Provider(Protocol):
    """A provider of sign-ins. Calls block; LinkDown when it does not answer, SignInRefused when
    it does not vouch for what the browser brings."""

    @property
    def settings(self) -> OidcSettings | CasSettings: ...

    def where_to(self, pending: Pending) -> str: ...

    def told(self, pending: Pending, brought: Mapping[str, str]) -> Told: ...


class SingleSignOn:
    """Sends browsers to providers and knows whom they bring back. Thread-safe."""

    def __init__(self, clock: Clock, users: UserBook, providers: Mapping[str, Provider]) -> None:
        self._clock, self._users, self.providers = clock, users, dict(providers)
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, provider: str, then: str) -> tuple[str, str]:
        """Return where to send a browser, and the secret that its cookie keeps meanwhile."""
        browser = secrets.token_urlsafe(32)
        pending = Pending(
            state=secrets.token_urlsafe(24),
            browser=_hash(browser),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            then=then,
            since_s=self._clock.monotonic(),
        )
        url = self.providers[provider].where_to(pending)
        with self._lock:
            self._pending[pending.state] = pending
            while len(self._pending) > PENDING_MOST:
                self._pending.popitem(last=False)
        return url, browser

    def end(
        self,
        provider: str,
        state: str,
        browser: str,
        brought: Mapping[str, str],
        is_known: Callable[[str], bool],
    ) -> tuple[User, str]:
        """Return who came back and where he goes next. Raises SignInRefused, LinkDown.

        A state counts once, for a while, and in the browser it was made for: nobody can be led
        to sign in as somebody else. `is_known` says whether the directory has a person.
        """
        with self._lock:
            pending = self._pending.pop(state, None)
        if pending is None or self._clock.monotonic() - pending.since_s > PENDING_S:
            raise SignInRefused("this sign-in was not begun here, or too long ago; begin again")
        if not hmac.compare_digest(pending.browser, _hash(browser)):
            raise SignInRefused("this sign-in was begun in another browser; begin again")
        chosen = self.providers[provider]
        told = chosen.told(pending, brought)
        return self._user(provider, chosen.settings, told, is_known), pending.then

    def _user(
        self,
        provider: str,
        settings: OidcSettings | CasSettings,
        told: Told,
        is_known: Callable[[str], bool],
    ) -> User:
        person = _person(settings, told)
        if person is not None and not is_known(person):
            person = None
        roles = _roles(settings, told, person)
        user = self._users.of_login(provider, told.subject)
        if user is None and person is not None:
            user = self._users.of_person(person)
            if user is not None:
                self._users.link(ExternalLogin(provider, told.subject, user.name))
        if user is None:
            return self._made(provider, settings, told, person, roles)
        if user.disabled_at is not None:
            raise SignInRefused
        if Role.ADMIN in user.roles:
            # Whoever runs the provider would otherwise run the station.
            raise SignInRefused("admins sign in with their password, not by single sign-on")
        managed = {rule.role for rule in settings.roles}
        now = (user.roles - managed) | (roles & managed)
        if now != user.roles and now:
            user = self._users.change(user.name, f"{provider} sign-in", roles=frozenset(now))
        return user

    def _made(
        self,
        provider: str,
        settings: OidcSettings | CasSettings,
        told: Told,
        person: str | None,
        roles: frozenset[Role],
    ) -> User:
        if not settings.make_users or not roles:
            raise SignInRefused("the provider knows you, but this station has no user for you")
        name = plain_name(person or told.name)
        if not NAME.fullmatch(name) or self._users.find(name) is not None:
            raise SignInRefused(f"the name {name!r} can't be used here; ask the office")
        made = self._users.add(name, roles, person, f"{provider} sign-in", code=False)
        self._users.link(ExternalLogin(provider, told.subject, made.user.name))
        return made.user


def _person(settings: OidcSettings | CasSettings, told: Told) -> str | None:
    found = told.claims.get(settings.person_claim)
    if settings.person_claim == "user":
        found = told.name
    return str(found) if isinstance(found, str | int) and str(found) else None


def _roles(settings: OidcSettings | CasSettings, told: Told, person: str | None) -> frozenset[Role]:
    held = {Role.STUDENT} if person is not None else set()
    for rule in settings.roles:
        found = told.claims.get(rule.claim)
        values = found if isinstance(found, list) else [found]
        if rule.value in (str(value) for value in values if value is not None):
            held.add(rule.role)
    return frozenset(held)


def _hash(value: str) -> str:
    return sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
