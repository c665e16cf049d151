"""Dataclasses as rows and back: each field a column, enumerations by their value."""

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Table

T = TypeVar("T")
Row = dict[str, Any]


def row_of(value: Any) -> Row:
    """Return a dataclass as a row."""
    found = {part.name: getattr(value, part.name) for part in fields(value)}
    return {
        name: item.value if isinstance(item, Enum) else dict(item)
        if isinstance(item, Mapping) else item
        for name, item in found.items()
    }  # fmt: skip


def value_of(kind: type[T], row: Mapping[Any, Any], **enums: type[Enum]) -> T:
    """Return a row as the dataclass it came from; `enums` names its columns of enumerations."""
    content = dict(row)
    for name, enum in enums.items():
        content[name] = enum(content[name])
    return kind(**content)


def rows(connection: Connection, statement: "sa.Select[Any]") -> list[Row]:
    """Run a query and return its rows by column name."""
    return [dict(row) for row in connection.execute(statement).mappings()]


def one(connection: Connection, table: Table, key: str, value: object) -> Row | None:
    """Return the row whose key column has a value, or None."""
    found = rows(connection, sa.select(table).where(table.c[key] == value).limit(1))
    return found[0] if found else None
