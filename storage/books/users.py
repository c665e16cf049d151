"""The UserStore on the ledger's database: one writer, whole rows."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from domain.errors import StoreUnavailable, UnknownSubject
from domain.identity import Role
from domain.users import (
    AlreadyThere,
    ApiToken,
    Appeal,
    AppealQuery,
    AppealStatus,
    ExternalLogin,
    Session,
    SignInState,
    TokenFamily,
    User,
    UserRow,
)
from storage.books import users_tables as tables
from storage.ledger.dialect import add_new, add_or_replace
from storage.ledger.sql_ledger import SqlLedger

_TABLES: Mapping[type[Any], Table] = {
    User: tables.app_user,
    ExternalLogin: tables.external_login,
    Session: tables.session,
    TokenFamily: tables.token_family,
    ApiToken: tables.api_token,
    Appeal: tables.appeal,
}
# More users or living sign-ins than this are no dormitory's; the start says so by failing.
LOADED_MOST = 1_000_000


class SqlUserStore:
    """Users, sign-ins and appeals in the ledger's database."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    def load(self, now: datetime) -> SignInState:
        """Return every user, and the sign-ins that have not ended. Raises StoreUnavailable."""

        def work(connection: Connection) -> SignInState:
            family, token = tables.token_family.c, tables.api_token.c
            return SignInState(
                users=tuple(_all(connection, User)),
                logins=tuple(_all(connection, ExternalLogin)),
                sessions=tuple(_all(connection, Session, tables.session.c.ended_at.is_(None))),
                families=tuple(
                    _all(
                        connection, TokenFamily, family.ended_at.is_(None), family.expires_at > now
                    )
                ),
                tokens=tuple(
                    _all(connection, ApiToken, token.ended_at.is_(None), token.expires_at > now)
                ),
            )

        return self._ledger.query(work)

    def add(self, user: User, *more: UserRow) -> "Future[None]":
        """Add a user; the future raises AlreadyThere where the name is taken."""

        def work(connection: Connection) -> None:
            if not add_new(connection, tables.app_user, [_row(user)]):
                raise AlreadyThere(f"there is a user {user.name!r} already")
            for row in more:
                add_or_replace(connection, _TABLES[type(row)], [_row(row)])

        return self._ledger.transact(work)

    def save(self, *rows: UserRow) -> "Future[None]":
        """Keep rows, each in place of the one of its key."""

        def work(connection: Connection) -> None:
            for row in rows:
                add_or_replace(connection, _TABLES[type(row)], [_row(row)])

        return self._ledger.transact(work)

    def prune(self, before: datetime) -> "Future[int]":
        """Drop sign-ins that ended, or were last used, before then; return how many."""

        def work(connection: Connection) -> int:
            session, family, token = tables.session.c, tables.token_family.c, tables.api_token.c
            gone = {
                tables.session: sa.or_(session.ended_at < before, session.seen_at < before),
                tables.token_family: sa.or_(family.ended_at < before, family.expires_at < before),
                tables.api_token: sa.or_(token.ended_at < before, token.expires_at < before),
            }
            return sum(
                connection.execute(sa.delete(table).where(which)).rowcount
                for table, which in gone.items()
            )

        return self._ledger.transact(work)

    def file_appeal(self, appeal: Appeal) -> "Future[None]":
        """Keep an appeal; AlreadyThere where this room has appealed against the cause."""

        def work(connection: Connection) -> None:
            if not add_new(connection, tables.appeal, [_row(appeal)]):
                raise AlreadyThere(f"there is an appeal against the trip {appeal.cause!r} already")

        return self._ledger.transact(work)

    def answer_appeal(
        self, appeal_id: str, status: AppealStatus, answer: str, who: str, now: datetime
    ) -> "Future[Appeal]":
        """Answer an open appeal once; the same answer again changes nothing."""

        def work(connection: Connection) -> Appeal:
            found: list[Appeal] = _all(connection, Appeal, tables.appeal.c.id == appeal_id)
            if not found:
                raise UnknownSubject(f"no appeal {appeal_id!r}")
            if found[0].status is not AppealStatus.OPEN:
                if (found[0].status, found[0].answer) == (status, answer):
                    return found[0]
                raise AlreadyThere(f"{found[0].answered_by} has answered this appeal already")
            changed = sa.update(tables.appeal).where(tables.appeal.c.id == appeal_id)
            connection.execute(
                changed.values(status=status.value, answer=answer, answered_by=who, answered_at=now)
            )
            return replace(found[0], status=status, answer=answer, answered_by=who, answered_at=now)

        return self._ledger.transact(work)

    def appeal(self, appeal_id: str) -> Appeal | None:
        """Return an appeal, or None."""
        found = self._ledger.query(lambda c: _all(c, Appeal, tables.appeal.c.id == appeal_id))
        return found[0] if found else None

    def appeals(self, query: AppealQuery) -> Sequence[Appeal]:
        """Return appeals, newest first."""
        column = tables.appeal.c
        filters = [
            None if query.account is None else column.account == query.account,
            None if query.status is None else column.status == query.status.value,
            None if query.cause is None else column.cause == query.cause,
            None if query.since is None else column.filed_at >= query.since,
        ]
        statement = (
            sa.select(tables.appeal)
            .where(*(one for one in filters if one is not None))
            .order_by(column.filed_at.desc(), column.id.desc())
            .limit(query.limit)
        )
        return self._ledger.query(
            lambda connection: [
                _value(Appeal, row) for row in connection.execute(statement).mappings()
            ]
        )


def _all(connection: Connection, kind: type[Any], *which: sa.ColumnElement[bool]) -> list[Any]:
    statement = sa.select(_TABLES[kind]).where(*which).limit(LOADED_MOST + 1)
    found = [_value(kind, row) for row in connection.execute(statement).mappings()]
    if len(found) > LOADED_MOST:
        raise StoreUnavailable(f"more than {LOADED_MOST} rows of {kind.__name__} in the ledger")
    return found


def _row(value: Any) -> dict[str, Any]:
    row = {part.name: getattr(value, part.name) for part in fields(value)}
    if "roles" in row:
        row["roles"] = sorted(role.value for role in row["roles"])
    if "status" in row:
        row["status"] = row["status"].value
    return row


def _value(kind: type[Any], row: Mapping[Any, Any]) -> Any:
    content = dict(row)
    if "roles" in content:
        content["roles"] = frozenset(Role(name) for name in content["roles"])
    if "status" in content:
        content["status"] = AppealStatus(content["status"])
    return kind(**content)
