"""Balance levels and arrears of accounts in the ledger's database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from billing.arrears_ports import Tried
from billing.levels import Level, LevelState, Told
from domain.errors import StoreUnavailable
from storage.books import message_tables as tables
from storage.ledger.dialect import add_or_replace
from storage.ledger.sql_ledger import SqlLedger

# How long a caller waits for the disk before it is told that the store is not available.
WRITE_WITHIN_S = 60.0
STATES_MOST = 200_000
# More parameters than SQLite takes would be refused.
TOPICS_A_QUERY = 500
Row = Mapping[str, Any]


class SqlLevels:
    """LevelStore over the ledger's database."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    def states(self) -> Sequence[LevelState]:
        """Return every account's state. Raises StoreUnavailable."""
        query = sa.select(tables.balance_level).limit(STATES_MOST)
        return [_state_of(row) for row in self._ledger.query(partial(_rows, query=query))]

    def save(self, states: Sequence[LevelState]) -> None:
        """Write states down. Raises StoreUnavailable."""
        rows = [_state_row(state) for state in states]
        written = self._ledger.transact(lambda c: add_or_replace(c, tables.balance_level, rows))
        try:
            written.result(WRITE_WITHIN_S)
        except TimeoutError as error:
            raise StoreUnavailable("the disk did not take balance levels in time") from error

    def tried(self, topics: Sequence[str]) -> Mapping[str, Tried]:
        """Return, of each topic that has messages, how many and when the first was tried."""
        found: dict[str, Tried] = {}
        for at in range(0, len(topics), TOPICS_A_QUERY):
            query = _tried_query(topics[at : at + TOPICS_A_QUERY])
            for row in self._ledger.query(partial(_rows, query=query)):
                found[row["topic"]] = Tried(row["messages"], row["first"])
        return found


def _rows(connection: sa.Connection, query: "sa.Select[Any]") -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _tried_query(topics: Sequence[str]) -> "sa.Select[Any]":
    columns = tables.message.c
    first = sa.func.min(columns.first_tried_at, type_=columns.first_tried_at.type)
    return (
        sa.select(columns.topic, sa.func.count().label("messages"), first.label("first"))
        .where(columns.topic.in_(topics))
        .group_by(columns.topic)
    )


def _state_row(state: LevelState) -> dict[str, Any]:
    told = {
        level.value: {
            "arming": one.arming,
            "at": one.at.isoformat(),
            "people": list(one.people),
            "skipped": one.skipped,
            "queued": one.queued,
        }
        for level, one in state.told.items()
    }
    return {
        "account": state.account,
        "arming": state.arming,
        "told": told,
        "arrears_since": state.arrears_since,
        "cut_at": state.cut_at,
    }


def _state_of(row: Row) -> LevelState:
    told = {
        Level(name): Told(
            one["arming"],
            datetime.fromisoformat(one["at"]),
            tuple(one["people"]),
            one["skipped"],
            one["queued"],
        )
        for name, one in row["told"].items()
    }
    return LevelState(row["account"], row["arming"], told, row["arrears_since"], row["cut_at"])
