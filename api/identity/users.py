"""The users of a station: added, changed, disabled; their passwords set, changed, reset."""

import hmac
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256

from api.identity.passwords import Passwords
from api.identity.settings import SignInSettings
from domain.clock import Clock
from domain.errors import Forbidden, InvalidInput, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.identity import STATION_USER, Role
from domain.users import AlreadyThere, ExternalLogin, SignInState, User, UserStore

WRITE_WITHIN_S = 30.0
NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
OWN_NAMES = frozenset({STATION_USER, "supervisor", "system"})
# 16 letters of 32: 80 bits, and none of them is taken for another.
CODE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
Tell = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A user as it now is, and the code with which the password is set, shown this once."""

    user: User
    code: str


def plain_name(name: str) -> str:
    """Return a name as it is kept: without case and blanks around it."""
    return name.strip().casefold()[:200]


class UserBook:
    """Every user in memory, kept true by its own writes. Thread-safe; writes block."""

    def __init__(
        self,
        store: UserStore,
        clock: Clock,
        settings: SignInSettings,
        passwords: Passwords,
        tell: Tell,
        state: SignInState,
    ) -> None:
        self._store, self._clock, self._settings = store, clock, settings
        self._passwords, self._tell = passwords, tell
        self._users = {user.name: user for user in state.users}
        self._logins = {(login.provider, login.subject): login.user for login in state.logins}
        self._lock = threading.RLock()

    def find(self, name: str) -> User | None:
        """Return a user by his name as it is kept, or None."""
        return self._users.get(name)

    def enabled(self, name: str, version: int) -> User | None:
        """Return a user whose sign-ins of that version still count, or None."""
        user = self._users.get(name)
        if user is None or user.version != version or user.disabled_at is not None:
            return None
        return user

    def all(self) -> Sequence[User]:
        """Return every user in order of name."""
        return sorted(self._users.values(), key=lambda user: user.name)

    def of_person(self, person: str) -> User | None:
        """Return the user of a person, or None."""
        return next((user for user in self._users.values() if user.person == person), None)

    def of_login(self, provider: str, subject: str) -> User | None:
        """Return the user whom a provider knows by that subject, or None."""
        name = self._logins.get((provider, subject))
        return self._users.get(name) if name else None

    def add(
        self,
        name: str,
        roles: frozenset[Role],
        person: str | None,
        actor: str,
        *,
        code: bool = True,
    ) -> Made:
        """Add a user with a code to set the password. Raises InvalidInput, AlreadyThere."""
        kept = plain_name(name)
        faults = _user_faults(kept, roles, person)
        if faults:
            raise InvalidInput(faults)
        with self._lock:
            self._person_is_free(person, kept)
            plain, now = _new_code(), self._clock.now()
            user = User(
                kept, roles, person, created_at=now, created_by=actor, changed_at=now,
                code_hash=_code_hash(plain) if code else None,
                code_expires_at=now + timedelta(seconds=self._settings.code_s) if code else None,
            )  # fmt: skip
            self._store.add(user).result(WRITE_WITHIN_S)
            self._users[kept] = user
        self._say(user, "added", actor)
        return Made(user, plain if code else "")

    def link(self, login: ExternalLogin) -> None:
        """Remember by which subject a provider knows a user."""
        with self._lock:
            self._store.save(login).result(WRITE_WITHIN_S)
            self._logins[login.provider, login.subject] = login.user

    def change(
        self,
        name: str,
        actor: str,
        *,
        roles: frozenset[Role] | None = None,
        person: str | None = None,
        disabled: bool | None = None,
    ) -> User:
        """Change roles, person or state; every sign-in of the user ends.

        Raises UnknownSubject, InvalidInput, Forbidden where no admin would be left.
        """
        with self._lock:
            old = self._known(name)
            now = self._clock.now()
            new = replace(
                old,
                roles=old.roles if roles is None else roles,
                person=old.person if person is None else person or None,
            )
            if disabled is not None:
                new = replace(new, disabled_at=(old.disabled_at or now) if disabled else None)
            faults = _user_faults(new.name, new.roles, new.person)
            if faults:
                raise InvalidInput(faults)
            self._person_is_free(new.person, new.name)
            self._an_admin_is_left(old, new)
            if new == old:
                return old
            new = self._keep(replace(new, version=old.version + 1))
        self._say(new, "changed" if new.disabled_at is None else "disabled", actor)
        return new

    def reset(self, name: str, actor: str) -> Made:
        """Take the password away and give a code for a new one; every sign-in ends."""
        with self._lock:
            plain, old = _new_code(), self._known(name)
            new = replace(
                self._with_code(old, plain, self._settings.code_s),
                password_hash=None,
                version=old.version + 1,
            )
            self._keep(new)
        self._say(new, "password reset", actor)
        return Made(new, plain)

    def set_by_code(self, name: str, code: str, password: str, own_words: Sequence[str]) -> User:
        """Set the password with a code, once. Raises Forbidden, InvalidInput."""
        refused = Forbidden("the name or the code is not right, or the code has run out")
        with self._lock:
            user = self._users.get(name)
            given = _code_hash(code)
            fits = hmac.compare_digest(given, (user and user.code_hash) or _code_hash(""))
            if user is None or user.disabled_at is not None or not _code_lives(user, self._clock):
                raise refused
            if not fits:
                # Not counted: 80 bits can't be guessed, and a count would let others use it up.
                raise refused
            hashed = self._passwords.hashed(password, (user.name, *own_words))
            new = replace(
                user, password_hash=hashed, version=user.version + 1,
                code_hash=None, code_expires_at=None,
            )  # fmt: skip
            self._keep(new)
        self._say(new, "password set by code", name)
        return new

    def set_password(self, name: str, password: str, own_words: Sequence[str]) -> User:
        """Set a new password; every sign-in ends. Raises InvalidInput, UnknownSubject."""
        hashed = self._passwords.hashed(password, (name, *own_words))
        with self._lock:
            old = self._known(name)
            new = self._keep(replace(old, password_hash=hashed, version=old.version + 1))
        self._say(new, "password changed", name)
        return new

    def renew_hash(self, name: str, checked: str, password: str) -> None:
        """Keep the same password hashed with today's settings."""
        with self._lock:
            user = self._users.get(name)
            if user is not None and user.password_hash == checked:
                self._keep(replace(user, password_hash=self._passwords.hashed(password)))

    def sign_out(self, name: str) -> User:
        """End every sign-in of a user, tokens included. Raises UnknownSubject."""
        with self._lock:
            old = self._known(name)
            return self._keep(replace(old, version=old.version + 1))

    def _keep(self, user: User) -> User:
        user = replace(user, changed_at=self._clock.now())
        self._store.save(user).result(WRITE_WITHIN_S)
        self._users[user.name] = user
        return user

    def _known(self, name: str) -> User:
        user = self._users.get(plain_name(name))
        if user is None:
            raise UnknownSubject(f"no user {name!r}")
        return user

    def _with_code(self, user: User, plain: str, for_s: int) -> User:
        end = self._clock.now() + timedelta(seconds=for_s)
        return replace(user, code_hash=_code_hash(plain), code_expires_at=end)

    def _person_is_free(self, person: str | None, name: str) -> None:
        other = self.of_person(person) if person else None
        if other is not None and other.name != name:
            raise AlreadyThere(f"the person {person!r} signs in as {other.name!r} already")

    def _an_admin_is_left(self, old: User, new: User) -> None:
        if not _rules(old) or _rules(new):
            return
        if not any(_rules(user) for user in self._users.values() if user.name != old.name):
            raise Forbidden("this is the last admin; make another one first")

    def _say(self, user: User, what: str, actor: str) -> None:
        self._tell(
            Event(
                self._clock.now(),
                EventKind.USER_CHANGED,
                user.name,
                f"user {user.name}: {what}",
                Severity.INFO,
                actor=actor,
                details={
                    "roles": sorted(role.value for role in user.roles),
                    "person": user.person,
                    "what": what,
                },
            )
        )


def _user_faults(name: str, roles: frozenset[Role], person: str | None) -> list[Fault]:
    faults = []
    if not NAME.fullmatch(name):
        words = "must begin with a letter or digit and have letters, digits and . _ @ + - only"
        faults.append(Fault("body.name", words))
    if name in OWN_NAMES:
        faults.append(Fault("body.name", f"{name!r} is what the station calls itself"))
    if not roles:
        faults.append(Fault("body.roles", "name one role or more"))
    if Role.STUDENT in roles and not person:
        faults.append(Fault("body.person", "a student is tied to a person of the directory"))
    return faults


def _rules(user: User) -> bool:
    return Role.ADMIN in user.roles and user.disabled_at is None


def _code_lives(user: User, clock: Clock) -> bool:
    if user.code_hash is None or user.code_expires_at is None:
        return False
    return clock.now() < user.code_expires_at


def _new_code() -> str:
    letters = [secrets.choice(CODE_LETTERS) for _ in range(16)]
    return "-".join("".join(letters[at : at + 4]) for at in range(0, 16, 4))


def _code_hash(code: str) -> str:
    return sha256(re.sub(r"[\s-]", "", code).upper().encode()).hexdigest()
