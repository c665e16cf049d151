"""Sessions of browsers: kept by the server, found by what the cookie holds."""

import secrets
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import structlog

from api.identity.settings import SignInSettings
from api.identity.users import WRITE_WITHIN_S, UserBook
from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.users import Session, SignInState, User, UserStore

ID_BYTES = 32
SEEN_KEPT_EVERY = timedelta(minutes=1)

log = structlog.get_logger("api")


class Sessions:
    """The sessions that have not ended, in memory and in the ledger. Thread-safe."""

    def __init__(
        self,
        store: UserStore,
        clock: Clock,
        settings: SignInSettings,
        users: UserBook,
        state: SignInState,
    ) -> None:
        self._store, self._clock, self._users = store, clock, users
        self._idle = timedelta(seconds=settings.session_idle_s)
        self._most = timedelta(seconds=settings.session_most_s)
        self._a_user = settings.sessions_a_user
        self._live = {session.id: session for session in state.sessions}
        self._seen: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def begin(self, user: User, method: str, address: str, agent: str) -> tuple[str, Session]:
        """Make a session of a fresh random id and return the cookie's value; blocks.

        A user's oldest sessions end where he has too many.
        """
        value, now = secrets.token_urlsafe(ID_BYTES), self._clock.now()
        session = Session(
            id=_id_of(value),
            user=user.name,
            version=user.version,
            csrf=secrets.token_urlsafe(ID_BYTES),
            created_at=now,
            seen_at=now,
            method=method,
            address=address[:64],
            agent=agent[:200],
        )
        with self._lock:
            own = self._of(user.name)
            ended = [
                replace(one, ended_at=now) for one in own[: max(0, len(own) + 1 - self._a_user)]
            ]
        self._store.save(session, *ended).result(WRITE_WITHIN_S)
        with self._lock:
            self._live[session.id] = session
            for one in ended:
                self._forget(one.id)
        return value, session

    def find(self, value: str) -> tuple[Session, User] | None:
        """Return the living session of a cookie's value, and note that it was used."""
        session = self._live.get(_id_of(value))
        if session is None:
            return None
        now = self._clock.now()
        seen = self._seen.get(session.id, session.seen_at)
        user = self._users.enabled(session.user, session.version)
        if user is None or now - seen >= self._idle or now - session.created_at >= self._most:
            with self._lock:
                self._forget(session.id)
            return None
        self._seen[session.id] = now
        if now - session.seen_at >= SEEN_KEPT_EVERY:
            self._note(session, now)
        return session, user

    def of_user(self, name: str) -> list[Session]:
        """Return the living sessions of a user, oldest first."""
        now = self._clock.now()
        with self._lock:
            own = self._of(name)
        return [
            replace(one, seen_at=self._seen.get(one.id, one.seen_at))
            for one in own
            if self._users.enabled(name, one.version) and now - one.created_at < self._most
        ]

    def end(self, session_id: str) -> None:
        """End a session; blocks until that is durable."""
        with self._lock:
            session = self._live.get(session_id)
            self._forget(session_id)
        if session is not None:
            ended = replace(session, ended_at=self._clock.now())
            self._store.save(ended).result(WRITE_WITHIN_S)

    def end_value(self, value: str) -> None:
        """End the session of a cookie's value, if it is one."""
        self.end(_id_of(value))

    def tidy(self) -> None:
        """Forget the sessions that are over."""
        now = self._clock.now()
        with self._lock:
            for one in list(self._live.values()):
                idle = now - self._seen.get(one.id, one.seen_at)
                if idle >= self._idle or now - one.created_at >= self._most:
                    self._forget(one.id)

    def _of(self, name: str) -> list[Session]:
        own = [one for one in self._live.values() if one.user == name]
        return sorted(own, key=lambda one: one.created_at)

    def _forget(self, session_id: str) -> None:
        self._live.pop(session_id, None)
        self._seen.pop(session_id, None)

    def _note(self, session: Session, now: datetime) -> None:
        noted = replace(session, seen_at=now)
        with self._lock:
            if session.id not in self._live:
                return
            self._live[session.id] = noted
            try:
                self._store.save(noted)
            except StoreUnavailable as error:
                # After a restart the session may then seem idle for longer than it was.
                log.warning("use of a session not noted", reason=str(error))


def _id_of(value: str) -> str:
    return sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
