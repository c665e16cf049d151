"""What is read from the ledger, over read-only connections."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Select

from domain.causes import CauseKind, TripCause
from domain.commands import Command, Receipt
from domain.events import Event, EventKind
from domain.policy import Policy
from domain.ports import KeepPower, Restore
from domain.site import Site
from storage.ledger import rows, tables
from storage.ledger.writer import newest_policy

Filter = ColumnElement[bool]
_RECEIPT = {column: column.label(f"receipt_{column.name}") for column in tables.receipt.columns}


def site(connection: Connection) -> Site | None:
    """Return the site with its roster, or None before the first was saved."""
    found = _rows(connection, sa.select(tables.site))
    if not found:
        return None
    buses = _rows(connection, sa.select(tables.bus).order_by(tables.bus.c.place))
    meters = _rows(connection, sa.select(tables.meter).order_by(tables.meter.c.place))
    return rows.site_of(found[0], buses, meters)


def policy(connection: Connection) -> Policy | None:
    """Return the policy in force, or None."""
    row = newest_policy(connection)
    return rows.policy_of(row) if row else None


def policy_version(connection: Connection, version: int) -> Policy | None:
    """Return one version of the policy, or None."""
    table = tables.policy_version
    found = _rows(connection, sa.select(table).where(table.c.version == version))
    return rows.policy_of(found[0]) if found else None


def causes(
    connection: Connection,
    *,
    open_only: bool,
    meter: str | None,
    since: datetime | None,
    shadow: bool | None,
    kind: CauseKind | None,
    limit: int,
) -> list[TripCause]:
    """Return trip causes, newest first."""
    table = tables.cause
    filters: list[Filter | None] = [
        table.c.cleared_at.is_(None) if open_only else None,
        table.c.meter == meter if meter is not None else None,
        table.c.since >= since if since is not None else None,
        table.c.shadow.is_(shadow) if shadow is not None else None,
        table.c.kind == kind.value if kind is not None else None,
    ]
    query = _narrowed(sa.select(table), filters)
    query = query.order_by(table.c.since.desc(), table.c.id.desc()).limit(limit)
    return [rows.cause_of(row) for row in _rows(connection, query)]


def cause(connection: Connection, cause_id: str) -> TripCause | None:
    """Return the cause of that id, or None."""
    query = sa.select(tables.cause).where(tables.cause.c.id == cause_id)
    found = _rows(connection, query)
    return rows.cause_of(found[0]) if found else None


def commands(
    connection: Connection, *, meter: str | None, since: datetime | None, limit: int
) -> list[tuple[Command, Receipt | None]]:
    """Return commands with their receipts, newest first."""
    table = tables.command
    filters: list[Filter | None] = [
        table.c.meter == meter if meter is not None else None,
        table.c.issued_at >= since if since is not None else None,
    ]
    query = _narrowed(_with_receipts(), filters)
    query = query.order_by(table.c.issued_at.desc(), table.c.id.desc()).limit(limit)
    return [_pair(row) for row in _rows(connection, query)]


def command(connection: Connection, command_id: str) -> tuple[Command, Receipt | None] | None:
    """Return the command of that id with its receipt, or None."""
    query = _with_receipts().where(tables.command.c.id == command_id)
    found = _rows(connection, query)
    return _pair(found[0]) if found else None


def events(
    connection: Connection,
    *,
    subject: str | None,
    kind: EventKind | None,
    since: datetime | None,
    limit: int,
) -> list[Event]:
    """Return events, newest first."""
    table = tables.event
    filters: list[Filter | None] = [
        table.c.subject == subject if subject is not None else None,
        table.c.kind == kind.value if kind is not None else None,
        table.c.time >= since if since is not None else None,
    ]
    query = _narrowed(sa.select(table), filters)
    query = query.order_by(table.c.time.desc(), table.c.number.desc()).limit(limit)
    return [rows.event_of(row) for row in _rows(connection, query)]


def keep_power(connection: Connection) -> list[KeepPower]:
    """Return every keep-power lock, ended ones included, newest first."""
    query = sa.select(tables.keep_power).order_by(tables.keep_power.c.since.desc())
    return [KeepPower(**row) for row in _rows(connection, query)]


def restores_since(connection: Connection, since: datetime) -> list[Restore]:
    """Return restores from a time on, newest first."""
    table = tables.restore
    query = sa.select(table).where(table.c.time >= since).order_by(table.c.time.desc())
    return [Restore(**row) for row in _rows(connection, query)]


def secret(connection: Connection, name: str) -> bytes | None:
    """Return the secret of a name, or None where none was made yet."""
    query = sa.select(tables.secret.c.value).where(tables.secret.c.name == name)
    value: bytes | None = connection.execute(query).scalar()
    return value


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    found = connection.execute(query)
    names = list(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]


def _with_receipts() -> Select[Any]:
    joined = tables.command.outerjoin(
        tables.receipt, tables.receipt.c.command_id == tables.command.c.id
    )
    return sa.select(tables.command, *_RECEIPT.values()).select_from(joined)


def _pair(row: dict[str, Any]) -> tuple[Command, Receipt | None]:
    receipt = {column.name: row.pop(label.name) for column, label in _RECEIPT.items()}
    known = receipt["command_id"] is not None
    return rows.command_of(row), rows.receipt_of(receipt) if known else None


def _narrowed(query: Select[Any], filters: list[Filter | None]) -> Select[Any]:
    return query.where(*(one for one in filters if one is not None))
