"""What is written to the ledger, each inside a transaction of the one writing connection."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from domain.causes import TripCause
from domain.commands import Command, Receipt
from domain.events import Event, EventKind
from domain.policy import Policy
from domain.ports import JournalRow, KeepPower, Restore
from domain.site import Site
from storage.ledger import rows, tables
from storage.ledger.dialect import add_new, add_or_replace

SECRET_BYTES = 32
NAMES_SHOWN = 50
Write = Callable[[Connection], object]


def journal_writes(journal: Sequence[JournalRow]) -> list[Write]:
    """Turn rows into writes, in their order. Raises TypeError for what is no journal row.

    Done on the caller's thread, so that a value that can't be kept fails there and alone.
    """
    return [_write_of(row) for row in journal]


def save_site(connection: Connection, site: Site, policy: Policy, actor: str, now: datetime) -> int:
    """Replace the roster; a policy that differs from the one in force becomes a new version."""
    before = set(connection.execute(sa.select(tables.meter.c.name)).scalars())
    for table in (tables.meter, tables.bus, tables.site):
        connection.execute(sa.delete(table))
    connection.execute(sa.insert(tables.site), [rows.site_row(site)])
    for table, content in (
        (tables.bus, rows.bus_rows(site.buses)),
        (tables.meter, rows.meter_rows(site.meters)),
    ):
        if content:
            connection.execute(sa.insert(table), content)
    after = {meter.name for meter in site.meters}
    details = {
        "meters": len(after),
        "buses": len(site.buses),
        "added": sorted(after - before)[:NAMES_SHOWN],
        "removed": sorted(before - after)[:NAMES_SHOWN],
    }
    message = f"roster loaded: {len(after)} meters on {len(site.buses)} buses"
    event = Event(now, EventKind.ROSTER_LOADED, site.name, message, actor=actor, details=details)
    _add(tables.event, rows.event_row(event), connection)
    newest = newest_policy(connection)
    if newest and rows.policy_body(rows.policy_of(newest)) == rows.policy_body(policy):
        return int(newest["version"])
    return save_policy(connection, policy, actor, "site loaded", now)


def save_policy(
    connection: Connection, policy: Policy, actor: str, reason: str, now: datetime
) -> int:
    """Add the next version of the policy and return its number."""
    newest = newest_policy(connection)
    version = int(newest["version"]) + 1 if newest else 1
    row = {
        "version": version,
        "body": rows.policy_body(policy),
        "saved_at": now,
        "actor": actor,
        "reason": reason,
    }
    _add(tables.policy_version, row, connection)
    message = f"policy version {version}: {reason}"
    details = {"version": version, "reason": reason}
    event = Event(now, EventKind.POLICY_CHANGED, "policy", message, actor=actor, details=details)
    _add(tables.event, rows.event_row(event), connection)
    return version


def newest_policy(connection: Connection) -> dict[str, Any] | None:
    """Return the policy row in force, or None."""
    table = tables.policy_version
    found = connection.execute(sa.select(table).order_by(table.c.version.desc()).limit(1))
    row = found.mappings().first()
    return dict(row) if row else None


def ensure_secret(connection: Connection, name: str, now: datetime) -> bytes:
    """Return the secret of a name; it is made once, of the system's randomness."""
    fresh = {"name": name, "value": secrets.token_bytes(SECRET_BYTES), "created_at": now}
    add_new(connection, tables.secret, [fresh])
    table = tables.secret
    value: bytes = connection.execute(
        sa.select(table.c.value).where(table.c.name == name)
    ).scalar_one()
    return value


def probe(connection: Connection) -> None:
    """Write something harmless, to learn whether the disk takes writes."""
    found = connection.execute(sa.select(tables.probe.c.tries)).scalar()
    add_or_replace(connection, tables.probe, [{"only": 1, "tries": (found or 0) + 1}])


def _write_of(row: JournalRow) -> Write:
    match row:
        case TripCause():
            return partial(_replace, tables.cause, rows.cause_row(row))
        case KeepPower():
            return partial(_replace, tables.keep_power, rows.keep_power_row(row))
        case Command():
            return partial(_add_once, tables.command, rows.command_row(row))
        case Receipt():
            return partial(_add_once, tables.receipt, rows.receipt_row(row))
        case Restore():
            return partial(_add_once, tables.restore, rows.restore_row(row))
        case Event():
            return partial(_add, tables.event, rows.event_row(row))
    raise TypeError(f"not a journal row: {row!r}")


def _add(table: Table, row: rows.Row, connection: Connection) -> None:
    connection.execute(sa.insert(table), row)


def _add_once(table: Table, row: rows.Row, connection: Connection) -> None:
    add_new(connection, table, [row])


def _replace(table: Table, row: rows.Row, connection: Connection) -> None:
    add_or_replace(connection, table, [row])
