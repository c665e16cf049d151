"""The Ledger on an SQL database."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, overload

import sqlalchemy as sa
from sqlalchemy import Connection

from domain.causes import CauseKind, TripCause
from domain.clock import Clock, SystemClock
from domain.commands import Command, Receipt
from domain.errors import StoreUnavailable
from domain.events import Event, EventKind
from domain.policy import Policy
from domain.ports import JournalRow, KeepPower, Restore
from domain.site import Site
from storage.group_commit import GroupWriter
from storage.ledger import reader, writer
from storage.ledger.database import open_database
from storage.ledger.engine import Connect, connect
from storage.ledger.upgrade import upgrade

WRITE_WITHIN_S = 60.0
PROBE_WITHIN_S = 2.0
T = TypeVar("T")
R = TypeVar("R")


class SqlLedger:
    """Ledger in an SQLite file or a PostgreSQL database, whose tables are brought up to date when
    it is opened.

    One process writes: a second opener is refused with StoreUnavailable, but where `lone` is off
    (PostgreSQL only; the books stay right with several writers, their memory does not).
    `busy_s` bounds the wait for another program's lock, `retry_waits_s` the tries after an outage,
    a full or locked disk. Damage is refused, not mended: this is the audit trail, and a copy has
    to be restored by a person.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        busy_s: float = 5.0,
        retry_waits_s: tuple[float, ...] = (0.1, 0.5),
        open_connection: Connect = connect,
        lone: bool = True,
    ) -> None:
        self._clock = clock or SystemClock()
        self.database = open_database(url, busy_s, open_connection, lone=lone)
        try:
            with self._explained("opened"), self.database.transaction() as connection:
                upgrade(connection)
        except BaseException:
            self.database.close()
            raise
        self._writer: GroupWriter[Connection] = GroupWriter(
            "ledger",
            self.database.transaction,
            self._explain,
            retry_waits_s=retry_waits_s,
            jobs_a_group=500,
        )

    def save_site(self, site: Site, policy: Policy, actor: str) -> int:
        """Replace the roster and put the policy in force; return its version.

        A policy equal to the one in force keeps its version. Raises StoreUnavailable.
        """
        now = self._clock.now()
        return self._write(
            lambda connection: writer.save_site(connection, site, policy, actor, now)
        )

    def save_policy(self, policy: Policy, actor: str, reason: str) -> int:
        """Put a policy in force as a new version and return that. Raises StoreUnavailable."""
        now = self._clock.now()
        return self._write(
            lambda connection: writer.save_policy(connection, policy, actor, reason, now)
        )

    def site(self) -> Site | None:
        """Return the site with its roster, or None before the first was saved."""
        return self._read(reader.site)

    def policy(self) -> Policy | None:
        """Return the policy in force, or None before the first was saved."""
        return self._read(reader.policy)

    def policy_version(self, version: int) -> Policy | None:
        """Return one version of the policy, as evidence names it, or None."""
        return self._read(partial(reader.policy_version, version=version))

    def record(self, *rows: JournalRow) -> "Future[None]":
        """Add rows, all or none; the future resolves once they are durable.

        Raises StoreUnavailable when closed or overrun, TypeError for what is no journal row.
        """
        writes = writer.journal_writes(rows)

        def work(connection: Connection) -> None:
            for write in writes:
                write(connection)

        return self._writer.submit(work, lambda _: None)

    def causes(
        self,
        *,
        open_only: bool = False,
        meter: str | None = None,
        since: datetime | None = None,
        shadow: bool | None = None,
        kind: CauseKind | None = None,
        limit: int = 1000,
    ) -> list[TripCause]:
        """Return trip causes, newest first."""
        return self._read(
            partial(
                reader.causes,
                open_only=open_only,
                meter=meter,
                since=since,
                shadow=shadow,
                kind=kind,
                limit=limit,
            )
        )

    def cause(self, cause_id: str) -> TripCause | None:
        """Return the cause of that id, or None."""
        return self._read(partial(reader.cause, cause_id=cause_id))

    def commands(
        self, *, meter: str | None = None, since: datetime | None = None, limit: int = 1000
    ) -> list[tuple[Command, Receipt | None]]:
        """Return commands with their receipts, newest first."""
        return self._read(partial(reader.commands, meter=meter, since=since, limit=limit))

    def command(self, command_id: str) -> tuple[Command, Receipt | None] | None:
        """Return the command of that id with its receipt, or None."""
        return self._read(partial(reader.command, command_id=command_id))

    def events(
        self,
        *,
        subject: str | None = None,
        kind: EventKind | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """Return events, newest first."""
        return self._read(
            partial(reader.events, subject=subject, kind=kind, since=since, limit=limit)
        )

    def keep_power(self) -> list[KeepPower]:
        """Return every keep-power lock, ended ones included, newest first."""
        return self._read(reader.keep_power)

    def restores_since(self, since: datetime) -> list[Restore]:
        """Return the automatic restores from a time on, newest first."""
        return self._read(partial(reader.restores_since, since=since))

    def secret(self, name: str) -> bytes:
        """Return 32 random bytes that stay the same for this name and ledger."""
        found = self._read(partial(reader.secret, name=name))
        if found is not None:
            return found
        now = self._clock.now()
        return self._write(lambda connection: writer.ensure_secret(connection, name, now))

    @overload
    def transact(self, work: Callable[[Connection], T]) -> "Future[T]": ...

    @overload
    def transact(self, work: Callable[[Connection], T], after: Callable[[T], R]) -> "Future[R]": ...

    def transact(
        self, work: Callable[[Connection], Any], after: Callable[[Any], Any] | None = None
    ) -> "Future[Any]":
        """Run work inside a transaction of the one writer; the future ends once it is durable.

        The work is undone alone when it raises. It must change nothing but the database: it may
        run twice. `after` runs on the writer's thread after the commit and makes the future's
        result of the work's. Raises StoreUnavailable when closed or overrun.
        """

        def alone(connection: Connection) -> Any:
            with connection.begin_nested():
                return work(connection)

        return self._writer.submit(alone, after or _unchanged)

    def enqueue(self, work: Callable[[Connection], T], after: Callable[[T], R]) -> "Future[R]":
        """Run work like `transact`, but for work that hardly ever raises: without a savepoint,
        which costs as much as the rows. Where it raises, its neighbours are written again."""
        return self._writer.submit(work, after)

    def query(self, work: Callable[[Connection], T]) -> T:
        """Run a query on a read-only connection. Raises StoreUnavailable."""
        return self._read(work)

    def is_outage(self, error: Exception) -> bool:
        """Say whether an error is the store's (down, locked, full, damaged), not the work's."""
        return isinstance(self._explain(error), StoreUnavailable)

    def is_ready(self) -> bool:
        """Say whether it can be read and, after a failed write, takes writes again."""
        try:
            self._read(lambda connection: connection.execute(sa.text("SELECT 1")).scalar())
            if self._writer.last_failed:
                self._writer.run(writer.probe, PROBE_WITHIN_S, lambda _: None)
        except StoreUnavailable:
            return False
        return True

    def close(self) -> None:
        """Write what waits and close; the writing connection goes last and empties the log."""
        self._writer.close()
        self.database.close()

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self._writer.run(work, WRITE_WITHIN_S, lambda result: result)

    def _read(self, query: Callable[[Connection], T]) -> T:
        with self._explained("read"), self.database.reading.begin() as connection:
            return query(connection)

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            explained = self._explain(error, verb)
            if explained is error:
                raise
            raise explained from error

    def _explain(self, error: Exception, verb: str = "written") -> Exception:
        """Turn the driver's errors into StoreUnavailable; a bug stays what it is."""
        if isinstance(error, sa.exc.TimeoutError):
            return StoreUnavailable("too many reads of the ledger wait already")
        return self.database.explain(error, verb)


def _unchanged(result: T) -> T:
    return result
