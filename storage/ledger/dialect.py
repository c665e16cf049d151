"""What differs between databases: one function each, so that another can follow."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Row = dict[str, Any]


def add_new(connection: Connection, table: Table, rows: list[Row]) -> int:
    """Insert rows; those whose key is there already change nothing. Return how many were added."""
    insert = _insert(connection, table).on_conflict_do_nothing()
    # Of an insert the number is not kept unless asked for; psycopg then answers -1, not 0 or 1.
    insert = insert.execution_options(preserve_rowcount=True)
    return sum(connection.execute(insert, row).rowcount for row in rows)


def add_or_replace(connection: Connection, table: Table, rows: list[Row]) -> None:
    """Insert rows; those whose key is there already replace it."""
    statement = _replacing(connection.dialect.name, table)
    for row in rows:
        connection.execute(statement, row)


def add_or_replace_many(connection: Connection, table: Table, rows: list[Row]) -> None:
    """Do the same for thousands of rows, in one call of the driver."""
    if rows:
        connection.execute(_replacing(connection.dialect.name, table), rows)


def refuse_changes(connection: Connection, table: str) -> None:
    """Make the database itself refuse an update or a delete of a table's rows."""
    statements = {
        "sqlite": [
            f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for verb in ("update", "delete")
        ],
        "postgresql": [
            f"CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()",
        ],
    }[connection.dialect.name]
    for statement in statements:
        connection.execute(sa.text(statement))


@cache
def _replacing(dialect: str, table: Table) -> "sqlite.Insert | postgresql.Insert":
    # Built once for each table: with many columns that takes longer than the statement itself.
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {
        column.name: insert.excluded[column.name]
        for column in table.columns
        if column.name not in keys
    }
    return insert.on_conflict_do_update(index_elements=keys, set_=changed)


def _insert(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
