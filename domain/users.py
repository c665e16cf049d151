"""Users, their sign-ins and appeals, and the port that keeps them."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.errors import WattwardenError
from domain.identity import Role


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in. `person` ties an occupant to the directory.

    `version` goes up with every change of password, roles or state and with a sign-out
    everywhere: what was handed out under an older version is worth nothing. `code_hash` is of a
    code that sets the password once, until `code_expires_at`.
    """

    name: str
    roles: frozenset[Role]
    person: str | None = None
    password_hash: str | None = None
    version: int = 1
    code_hash: str | None = None
    code_expires_at: datetime | None = None
    disabled_at: datetime | None = None
    created_at: datetime | None = None
    created_by: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExternalLogin:
    """A name at a provider of single sign-on (`oidc`, `cas`) that is a user here."""

    provider: str
    subject: str
    user: str


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in of a browser. `id` is the SHA-256 of what the cookie holds; the cookie's value
    is kept nowhere. `seen_at` is kept to the minute."""

    id: str
    user: str
    version: int
    csrf: str
    created_at: datetime
    seen_at: datetime
    method: str = "password"
    address: str = ""
    agent: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TokenFamily:
    """A sign-in of a program: one refresh token after the other, `generation` the newest.

    An older one that comes back was stolen or copied, and ends the whole family.
    """

    id: str
    user: str
    version: int
    generation: int
    secret_hash: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A personal token for a program that reads: its roles are those given and still held."""

    id: str
    user: str
    label: str
    roles: frozenset[Role]
    secret_hash: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


class AppealStatus(StrEnum):
    """What became of an appeal."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Appeal:
    """An occupant's word against a trip: one a cause and room, answered by an operator."""

    id: str
    cause: str
    meter: str
    account: str
    person: str
    text: str
    filed_at: datetime
    status: AppealStatus = AppealStatus.OPEN
    answer: str = ""
    answered_by: str = ""
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignInState:
    """All that a service needs in memory: sign-ins that have not ended, every user."""

    users: tuple[User, ...] = ()
    logins: tuple[ExternalLogin, ...] = ()
    sessions: tuple[Session, ...] = ()
    families: tuple[TokenFamily, ...] = ()
    tokens: tuple[ApiToken, ...] = ()


@dataclass(frozen=True, slots=True)
class AppealQuery:
    """Which appeals: all filters must fit; newest first, at most `limit`."""

    account: str | None = None
    status: AppealStatus | None = None
    cause: str | None = None
    since: datetime | None = None
    limit: int = 100


class AlreadyThere(WattwardenError):
    """There is one of that name already, or it was answered already."""


UserRow = User | ExternalLogin | Session | TokenFamily | ApiToken


class UserStore(Protocol):
    """Keeps users and sign-ins. Futures resolve once the rows are durable.

    `add` refuses a name that is taken with AlreadyThere (its future raises); `save` replaces
    rows of the same key. `file_appeal` gives AlreadyThere for a second appeal of the same room
    and cause, `answer_appeal` for one that was answered. Raises StoreUnavailable.
    """

    def load(self, now: datetime) -> SignInState: ...

    def add(self, user: User, *more: UserRow) -> "Future[None]": ...

    def save(self, *rows: UserRow) -> "Future[None]": ...

    def prune(self, before: datetime) -> "Future[int]": ...

    def file_appeal(self, appeal: Appeal) -> "Future[None]": ...

    def answer_appeal(
        self, appeal_id: str, status: AppealStatus, answer: str, who: str, now: datetime
    ) -> "Future[Appeal]": ...

    def appeal(self, appeal_id: str) -> Appeal | None: ...

    def appeals(self, query: AppealQuery) -> Sequence[Appeal]: ...


@dataclass(frozen=True, slots=True)
class NewSignIn:
    """A sign-in just made: its rows, and the secret that is shown once."""

    user: User
    secret: str
    row: Session | TokenFamily | ApiToken
    notes: tuple[str, ...] = field(default=())
