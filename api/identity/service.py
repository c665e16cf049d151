"""Signing in: passwords held against limits, and who a request's credentials stand for."""

import asyncio
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import anyio
import structlog

from api.errors import Busy
from api.identity.api_tokens import PREFIX, ApiTokens
from api.identity.asker import DEVICE_COOKIE, SESSION_COOKIE, Asker, host_of
from api.identity.bearer import Bearer
from api.identity.cas import Cas
from api.identity.codes import Codes, SendCode
from api.identity.devices import Devices
from api.identity.oidc import Oidc
from api.identity.passwords import Passwords
from api.identity.rates import Limit, Rates
from api.identity.refusals import SignInRefused, TooOften
from api.identity.sessions import Sessions
from api.identity.settings import SignInSettings
from api.identity.sso import Provider, SingleSignOn
from api.identity.users import Tell, UserBook, plain_name
from domain.clock import Clock
from domain.errors import InvalidInput, StoreUnavailable
from domain.events import Event, EventKind, Severity
from domain.identity import Principal
from domain.users import Session, User, UserStore

# Tries with a wrong password; a right one is given back. From one address, whatever the names:
BY_ADDRESS = Limit.of("sign-in", "30 per 1 minute; 100 per 10 minute; 300 per 1 hour")
# of one name from one address, or from a device on which that user has signed in before:
BY_PAIR = Limit.of("sign-in", "5 per 1 minute; 10 per 15 minute; 20 per 2 hour; 40 per 1 day")
# While a name is tried from everywhere, an address that is new to it has only a few.
BY_NAME = Limit.of("sign-in", "100 per 1 hour")
BY_PAIR_IN_A_FLOOD = Limit.of("sign-in in a flood", "2 per 1 hour")
# Codes sent to telephones: each costs money and rings somewhere.
CODES_BY_ADDRESS = Limit.of("sending of codes", "5 per 10 minute; 20 per 1 day")
CODES_BY_NAME = Limit.of("sending of codes", "3 per 10 minute; 10 per 1 day")
TIDY_EVERY = timedelta(hours=1)
KEPT = timedelta(days=120)

log = structlog.get_logger("api")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that has signed in: the user, the session, and the values of its cookies."""

    user: User
    session: Session
    cookie: str
    device: str


class Identity:
    """Users, sessions and tokens of a station. Made in app/; everything here is thread-safe."""

    def __init__(
        self,
        store: UserStore,
        clock: Clock,
        settings: SignInSettings,
        secret: Callable[[str], bytes],
        tell: Tell,
        passwords: Passwords | None = None,
        send_code: SendCode | None = None,
    ) -> None:
        self.store, self.clock, self.settings, self.tell = store, clock, settings, tell
        state = store.load(clock.now())
        self.passwords = passwords or Passwords(settings.password_least)
        self.users = UserBook(store, clock, settings, self.passwords, tell, state)
        self.sessions = Sessions(store, clock, settings, self.users, state)
        self.bearer = Bearer(store, clock, settings, self.users, secret, tell, state)
        self.api_tokens = ApiTokens(store, clock, settings, self.users, state)
        self.devices = Devices(secret("known-devices"))
        self.rates, self.codes, self._send_code = Rates(clock), Codes(clock), send_code
        self.sso = SingleSignOn(clock, self.users, _providers(settings, clock))
        self.public_netloc = _netloc(settings)
        self._https = settings.public_url is not None and settings.public_url.scheme == "https"
        self._tidied_at = clock.now() - TIDY_EVERY
        self._flooded: dict[str, float] = {}

    def is_secure(self, asker: Asker) -> bool:
        """Say whether cookies for this request's host travel over TLS only."""
        return self._https or not asker.is_local

    def by_bearer(self, token: str) -> Principal | None:
        """Return whom an access token or a personal token stands for, None for nobody."""
        if token.startswith(PREFIX):
            found = self.api_tokens.find(token)
            if found is None:
                return None
            # A program that reads for an analyst has no room of its own.
            return Principal(found[1].name, found[2])
        signed = self.bearer.find(token)
        if signed is None:
            return None
        family, user = signed
        return Principal(user.name, user.roles, user.person, family)

    def by_cookie(self, asker: Asker) -> tuple[Principal, Session] | None:
        """Return whom a session's cookie stands for, None for nobody."""
        value = asker.cookie(SESSION_COOKIE, secure=self.is_secure(asker))
        found = self.sessions.find(value) if value else None
        if found is None:
            return None
        session, user = found
        return Principal(user.name, user.roles, user.person, session.id), session

    def has_csrf_token(self, asker: Asker, session: Session) -> bool:
        """Say whether a write of a browser carries its session's token and comes from our page."""
        fits = hmac.compare_digest(asker.csrf.encode(), session.csrf.encode())
        return fits and not asker.is_elsewhere(self.public_netloc)

    async def check(self, name: str, password: str, asker: Asker) -> User:
        """Return the user of a name and password. Raises SignInRefused, TooOften, Busy."""
        kept = plain_name(name)
        tries = self._tries(kept, asker)
        self.rates.take_all(tries)
        user = self.users.find(kept)
        known = user.password_hash if user is not None else None
        try:
            fits = await self.passwords.checked(password, known)
        except Busy:
            self._give_back(tries)
            raise
        if user is None or known is None or not fits or user.disabled_at is not None:
            self._count_everywhere(kept)
            raise SignInRefused
        for limit, who in tries:
            # Others may be guessing from the same address: only this one try was none of theirs.
            undo = self.rates.give_back if limit is BY_ADDRESS else self.rates.forget
            undo(limit, *who)
        if self.passwords.is_old(known):
            await anyio.to_thread.run_sync(self.users.renew_hash, kept, known, password)
        return user

    async def set_by_code(
        self, name: str, code: str, password: str, own_words: Sequence[str], asker: Asker
    ) -> None:
        """Set a password with a code. Raises Forbidden, InvalidInput, TooOften."""
        kept = plain_name(name)
        tries = self._tries(kept, asker)
        self.rates.take_all(tries)
        try:
            await anyio.to_thread.run_sync(
                self._set_by_code, kept, code, password, tuple(own_words)
            )
        except InvalidInput:
            # The code was right, the new password was not good enough.
            self._give_back(tries)
            raise
        self._give_back(tries)

    @property
    def sends_codes(self) -> bool:
        """Whether a user can have a code sent to his telephone."""
        return self._send_code is not None

    def send_code(self, name: str, asker: Asker) -> None:
        """Send a user a code, if there is such a user and he was not just sent one.

        What is answered does not depend on that. Raises TooOften by address alone: whoever asks
        for another's codes can't have them refused to him.
        """
        kept = plain_name(name)
        device = self._device(kept, asker)
        if device is None:
            self.rates.take(CODES_BY_ADDRESS, "address", asker.neighbourhood)
        user = self.users.find(kept)
        if user is None or user.person is None or user.disabled_at is not None:
            return
        try:
            self.rates.take(CODES_BY_NAME, *(("device", device) if device else ("name", kept)))
        except TooOften:
            log.info("no further code sent", user=kept)
            return
        if self._send_code is not None:
            self._send_code(user.person, *self.codes.give(kept))

    def _set_by_code(self, name: str, code: str, password: str, own_words: Sequence[str]) -> None:
        user = self.users.find(name)
        if user is not None and user.disabled_at is None and self.codes.fits(name, code):
            self.users.set_password(name, password, own_words)
            self.codes.drop(name)
            return
        self.users.set_by_code(name, code, password, own_words)

    async def sign_in(self, user: User, method: str, asker: Asker, agent: str) -> SignedIn:
        """Begin a session of a fresh id for a user; whatever session came with it ends."""
        old = asker.cookie(SESSION_COOKIE, secure=self.is_secure(asker))
        if old:
            await asyncio.to_thread(self.sessions.end_value, old)
        cookie, session = await asyncio.to_thread(
            self.sessions.begin, user, method, asker.address, agent
        )
        self.tidy()
        known = asker.cookie(DEVICE_COOKIE, secure=self.is_secure(asker))
        device = known if self.devices.read(user.name, known) else self.devices.make(user.name)
        return SignedIn(user, session, cookie, device)

    def end_sign_ins(self, name: str, *, tokens: bool) -> None:
        """End every session and access token of a user, and his personal tokens if told to."""
        self.users.sign_out(name)
        if tokens:
            self.api_tokens.end_all(name)

    def tidy(self) -> None:
        """Forget what is over, once an hour."""
        now = self.clock.now()
        if now - self._tidied_at < TIDY_EVERY:
            return
        self._tidied_at = now
        self.sessions.tidy()
        self.bearer.tidy()
        try:
            self.store.prune(now - KEPT)
        except StoreUnavailable as error:
            log.warning("old sign-ins not dropped", reason=str(error))

    def _tries(self, name: str, asker: Asker) -> list[tuple[Limit, tuple[str, ...]]]:
        device = self._device(name, asker)
        if device is not None:
            # His own device: neither a neighbour's flood nor one from everywhere touches it.
            return [(BY_PAIR, ("device", name, device))]
        where = asker.neighbourhood
        in_a_flood = self.rates.counted(BY_NAME, "name", name) >= BY_NAME.windows[0].amount
        pair = BY_PAIR_IN_A_FLOOD if in_a_flood else BY_PAIR
        return [(BY_ADDRESS, ("address", where)), (pair, ("pair", name, where))]

    def _device(self, name: str, asker: Asker) -> str | None:
        value = asker.cookie(DEVICE_COOKIE, secure=self.is_secure(asker))
        return self.devices.read(name, value) if value else None

    def _give_back(self, tries: list[tuple[Limit, tuple[str, ...]]]) -> None:
        for limit, who in tries:
            self.rates.give_back(limit, *who)

    def _count_everywhere(self, name: str) -> None:
        try:
            self.rates.take(BY_NAME, "name", name)
        except TooOften:
            self._tell_of_flood(name)

    def _tell_of_flood(self, name: str) -> None:
        now_s = self.clock.monotonic()
        if now_s < self._flooded.get(name, now_s):
            return
        if len(self._flooded) > 1_000:
            self._flooded.clear()
        self._flooded[name] = now_s + TIDY_EVERY.total_seconds()
        message = f"more than {BY_NAME.windows[0].amount} wrong passwords an hour for {name!r}"
        now = self.clock.now()
        self.tell(Event(now, EventKind.SIGN_IN_FLOOD, name, message, Severity.WARNING))


def _providers(settings: SignInSettings, clock: Clock) -> dict[str, Provider]:
    found: dict[str, Provider] = {}
    back = f"{str(settings.public_url).rstrip('/')}/api/v1/sign-in/with"
    if settings.oidc is not None:
        found["oidc"] = Oidc(settings.oidc, f"{back}/oidc/back", clock)
    if settings.cas is not None:
        found["cas"] = Cas(settings.cas, f"{back}/cas/back")
    return found


def _netloc(settings: SignInSettings) -> str:
    url = settings.public_url
    if url is None or url.host is None:
        return ""
    usual = {"http": 80, "https": 443}.get(url.scheme)
    host = f"[{url.host}]" if ":" in host_of(url.host) else url.host
    return host if url.port in (None, usual) else f"{host}:{url.port}"
