"""The ledger on a PostgreSQL server."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.pool import QueuePool

from domain.errors import StoreUnavailable
from storage.ledger.engine import READER_WAIT_S, READERS_MOST, to_json

# Any number will do, so long as every Wattwarden takes the same.
WRITER_LOCK = 0x57_41_54_54_57_52
# A writer that was killed holds its lock until the server has noticed.
LOCK_TRIES, LOCK_WAIT_S = 10, 0.2
# A server that went away in the middle of a commit is asked so often what became of it.
VERDICT_TRIES, VERDICT_WAIT_S = 10, 0.5
STATEMENT_S = 60
_HOLDER = """
SELECT s.pid, s.application_name, s.client_addr FROM pg_locks l JOIN pg_stat_activity s USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.database = s.datid
AND s.datname = current_database() AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s
"""
# Primary classes of SQLSTATE that speak of the server, not of what it was asked.
_OUTAGES = ("08", "25", "40", "53", "55", "57", "58")
_DAMAGES = ("XX", "42P01", "42703")
_ADVICE = {
    "53100": "its disk is full: make room",
    "53300": "it has too many clients: raise max_connections",
    "55P03": "another session holds a lock: end it",
    "25006": "it is read-only: a standby, or in recovery",
    "42501": "this user may not: check its grants",
    "28P01": "the password is wrong",
}


class PostgresDatabase:
    """A PostgreSQL database. The writing session holds an advisory lock while `lone`, so that a
    second writer is refused, and a writer that lost its session can't go on beside a new one."""

    def __init__(self, url: URL, busy_s: float, *, lone: bool = True) -> None:
        self.name = f"{url.database} on {url.host or 'localhost'}:{url.port or 5432}"
        self.lone = lone
        self._pause = threading.Event()
        self.writing = server_engine(url, busy_s, writes=True)
        if lone:
            sa.event.listen(self.writing, "connect", self._take_lock)
        self.reading = server_engine(url, busy_s, writes=False)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Commit on exit. Where the connection is lost in the commit itself, the server is asked
        whether it was made: neither a false success nor a second try of what is durable."""
        with self.writing.connect() as connection:
            begun = connection.begin()
            try:
                yield connection
                xid = connection.exec_driver_sql(
                    "SELECT pg_current_xact_id_if_assigned()::text"
                ).scalar()
            except BaseException:
                begun.rollback()
                raise
            try:
                begun.commit()
            except sa.exc.DBAPIError as error:
                if xid is None or not error.connection_invalidated:
                    raise
                if not self._was_committed(xid):
                    raise

    def explain(self, error: Exception, verb: str = "written") -> Exception:
        """Turn the driver's errors into StoreUnavailable; a bug stays what it is."""
        return explain(error, verb, self.name)

    def close(self) -> None:
        """Close all connections; the lock falls with the writing one."""
        self._pause.set()
        self.reading.dispose()
        self.writing.dispose()

    def _take_lock(self, connection: Any, _: object) -> None:
        for _attempt in range(LOCK_TRIES):
            taken = connection.execute("SELECT pg_try_advisory_lock(%s)", (WRITER_LOCK,)).fetchone()
            connection.commit()
            if taken[0]:
                return
            self._pause.wait(LOCK_WAIT_S)
        holder = connection.execute(_HOLDER, {"key": WRITER_LOCK}).fetchone()
        who = f"{holder[1]} (session {holder[0]}, {holder[2] or 'local'})" if holder else "unknown"
        raise StoreUnavailable(
            f"the ledger {self.name} is already written by {who}; one process writes it at a"
            " time: stop that one, or give this one another database"
        )

    def _was_committed(self, xid: str) -> bool:
        """Ask the server, in a fresh session, what became of a transaction."""
        for _attempt in range(VERDICT_TRIES):
            try:
                with self.reading.connect() as connection:
                    verdict = connection.exec_driver_sql(
                        "SELECT pg_xact_status(%(xid)s::xid8)", {"xid": xid}
                    ).scalar()
            except sa.exc.DBAPIError:
                verdict = None
            if verdict in ("committed", "aborted"):
                return bool(verdict == "committed")
            if self._pause.wait(VERDICT_WAIT_S):
                break
        return False


def explain(error: Exception, verb: str, name: str) -> Exception:
    """Turn the server's errors into StoreUnavailable that says what to do; a bug stays as it is."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return error
    state = getattr(cause, "sqlstate", None) or ""
    text = " ".join(str(cause).split())
    if state.startswith(_DAMAGES):
        return StoreUnavailable(f"the ledger {name} is damaged ({text}): restore it from a copy")
    # Without a code it is the connection that failed.
    lost = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not state
    if lost or state.startswith(_OUTAGES) or state in _ADVICE:
        advice = f" ({_ADVICE[state]})" if state in _ADVICE else ""
        return StoreUnavailable(f"the ledger {name} can't be {verb}: {text}{advice}")
    return error


def server_engine(
    url: URL, busy_s: float, *, writes: bool, isolation: IsolationLevel = "READ COMMITTED"
) -> Engine:
    """Return an engine for one writing connection, or for a few that only read."""
    settings = {
        "statement_timeout": f"{STATEMENT_S}s",
        "lock_timeout": f"{max(1, int(busy_s * 1000))}ms",
        "idle_in_transaction_session_timeout": f"{STATEMENT_S}s",
        # A dead machine's session ends, and with it its lock.
        "tcp_keepalives_idle": "15",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "default_transaction_read_only": "off" if writes else "on",
    }
    if writes:
        settings["synchronous_commit"] = "on"
    return sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1 if writes else READERS_MOST,
        max_overflow=0,
        pool_timeout=READER_WAIT_S,
        json_serializer=to_json,
        isolation_level=isolation,
        connect_args={
            "connect_timeout": max(2, int(busy_s)),
            "tcp_user_timeout": max(2_000, int(busy_s * 2_000)),
            "application_name": f"wattwarden {os.getpid()}",
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )
