"""The outbox of messages to people, and its delivery log, in the ledger's database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from alerts.model import Answer, Message, MessageState, Outcome, Try
from alerts.outbox import Depth, Hold, Preference
from domain.errors import StoreUnavailable
from storage.books import message_tables as tables
from storage.ledger.dialect import add_new, add_or_replace
from storage.ledger.sql_ledger import SqlLedger

# How long a caller waits for the disk before it is told that the store is not available.
WRITE_WITHIN_S = 60.0
# More parameters than this in one statement, and SQLite refuses it.
NAMES_A_QUERY = 500
T = TypeVar("T")
Row = Mapping[str, Any]


class SqlOutbox:
    """Outbox over the ledger's database."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    def add(self, messages: Sequence[Message]) -> int:
        """Queue messages whose keys are new and return how many those were."""
        rows = [_message_row(message) for message in messages]
        return _done(self._ledger, lambda c: add_new(c, tables.message, rows))

    def withdraw(self, topics: Sequence[str], now: datetime) -> int:
        """End the messages of some topics that still wait."""

        def work(connection: Connection) -> int:
            return sum(
                connection.execute(_ending(tables.message.c.topic.in_(some), _WITHDRAWN, now))
                .rowcount
                for some in _parts(topics)
            )  # fmt: skip

        return _done(self._ledger, work)

    def due(self, now: datetime, limit: int) -> Sequence[Message]:
        """Return what may be tried now, urgent messages first, then the oldest."""
        c = tables.message.c
        query = (
            sa.select(tables.message)
            .where(c.state == MessageState.WAITING.value, c.due_at <= now)
            .order_by(c.urgent.desc(), c.must.desc(), c.due_at, c.id)
            .limit(limit)
        )
        return self._messages(query)

    def hold(self, holds: Sequence[Hold]) -> None:
        """Put messages off."""
        c = tables.message.c

        def work(connection: Connection) -> None:
            for hold in holds:
                change = {"due_at": hold.until, "error": hold.why}
                connection.execute(
                    sa.update(tables.message)
                    .where(c.id == hold.message, c.state == MessageState.WAITING.value)
                    .values(change)
                )

        _done(self._ledger, work)

    def end(self, messages: Sequence[str], state: MessageState, now: datetime) -> None:
        """End messages that wait, unsent."""

        def work(connection: Connection) -> None:
            for some in _parts(messages):
                connection.execute(_ending(tables.message.c.id.in_(some), state.value, now))

        _done(self._ledger, work)

    def begin(self, messages: Sequence[str], now: datetime) -> Sequence[Message]:
        """Note that tries begin; return the messages that still waited."""
        c = tables.message.c

        def work(connection: Connection) -> list[Message]:
            begun: list[Message] = []
            for some in _parts(messages):
                change = (
                    sa.update(tables.message)
                    .where(c.id.in_(some), c.state == MessageState.WAITING.value)
                    .values(
                        state=MessageState.SENDING.value,
                        tries=c.tries + 1,
                        first_tried_at=sa.func.coalesce(
                            c.first_tried_at, sa.literal(now, c.first_tried_at.type)
                        ),
                        last_tried_at=now,
                    )
                    .returning(tables.message)
                )
                begun += [_message_of(dict(row)) for row in connection.execute(change).mappings()]
            return begun

        return _done(self._ledger, work)

    def finish(self, message: Message, tried: Try) -> None:
        """Write down what came of a try; a late yes counts, a late no changes nothing."""
        c = tables.message.c
        row = _message_row(message)
        changed = ("state", "due_at", "ended_at", "uncertain", "provider_ref", "error")
        if message.state is MessageState.SENT:
            is_open: sa.ColumnElement[bool] = c.state.in_(
                (MessageState.WAITING.value, MessageState.SENDING.value)
            )
        else:
            is_open = sa.and_(c.state == MessageState.SENDING.value, c.tries == tried.number)
        change = (
            sa.update(tables.message)
            .where(c.id == message.id, is_open)
            .values({name: row[name] for name in changed})
        )

        def work(connection: Connection) -> None:
            connection.execute(change)
            add_new(connection, tables.message_try, [_try_row(tried, message.person)])

        _done(self._ledger, work)

    def recover(self) -> int:
        """Put back what was being sent when the last program ended."""
        c = tables.message.c
        change = (
            sa.update(tables.message)
            .where(c.state == MessageState.SENDING.value)
            .values(state=MessageState.WAITING.value, uncertain=True)
        )
        return _done(self._ledger, lambda connection: connection.execute(change).rowcount)

    def tried_since(self, since: datetime, people: Sequence[str]) -> Mapping[str, int]:
        """Return how many tries each of some people has had from a time on."""
        c = tables.message_try.c
        counts: dict[str, int] = {}
        for some in _parts(people):
            query = (
                sa.select(c.person, sa.func.count(sa.distinct(c.message)).label("messages"))
                .where(c.started_at >= since, c.person.in_(some))
                .group_by(c.person)
            )
            rows = self._ledger.query(partial(_rows, query=query))
            counts |= {row["person"]: row["messages"] for row in rows}
        return counts

    def tries_since(self, since: datetime) -> int:
        """Return how many tries were begun from a time on."""
        c = tables.message_try.c
        query = sa.select(sa.func.count().label("tries")).where(c.started_at >= since)
        return int(self._ledger.query(partial(_rows, query=query))[0]["tries"])

    def depth(self, now: datetime) -> Depth:
        """Return how the queue stands."""
        c = tables.message.c
        waits = c.state.in_((MessageState.WAITING.value, MessageState.SENDING.value))
        is_due = c.due_at <= now
        query = sa.select(
            sa.func.count().label("waiting"),
            sa.func.coalesce(sa.func.sum(sa.case((is_due, 1), else_=0)), 0).label("due"),
            sa.func.min(sa.case((is_due, c.due_at)), type_=c.due_at.type).label("oldest"),
        ).where(waits)
        row = self._ledger.query(partial(_rows, query=query))[0]
        return Depth(int(row["waiting"]), int(row["due"]), row["oldest"])

    def beat(self, now: datetime) -> None:
        """Write down that the notifier lives."""
        rows = [{"only": 1, "at": now}]
        _done(self._ledger, lambda c: add_or_replace(c, tables.notifier_beat, rows))

    def last_beat(self) -> datetime | None:
        """Return when the notifier last lived."""
        query = sa.select(tables.notifier_beat)
        found = self._ledger.query(partial(_rows, query=query))
        return found[0]["at"] if found else None

    def preferences(self, people: Sequence[str]) -> Mapping[str, Preference]:
        """Return the preferences of those people who have any."""
        found: dict[str, Preference] = {}
        for some in _parts(people):
            query = sa.select(tables.message_preference).where(
                tables.message_preference.c.person.in_(some)
            )
            for row in self._ledger.query(partial(_rows, query=query)):
                found[row["person"]] = Preference(
                    row["person"], tuple(row["muted"]), row["updated_at"]
                )
        return found

    def save_preference(self, preference: Preference) -> None:
        """Write down what a person wants."""
        rows = [asdict(preference) | {"muted": list(preference.muted)}]
        _done(self._ledger, lambda c: add_or_replace(c, tables.message_preference, rows))

    def message(self, message_id: str) -> tuple[Message, Sequence[Try]] | None:
        """Return a message with its tries, the oldest first, or None."""
        found = self._messages(
            sa.select(tables.message).where(tables.message.c.id == message_id).limit(1)
        )
        if not found:
            return None
        c = tables.message_try.c
        query = sa.select(tables.message_try).where(c.message == message_id).order_by(c.number)
        rows = self._ledger.query(partial(_rows, query=query.limit(NAMES_A_QUERY)))
        return found[0], [_try_of(row) for row in rows]

    def messages(
        self,
        *,
        state: MessageState | None = None,
        person: str | None = None,
        account: str | None = None,
        channel: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> Sequence[Message]:
        """Return messages, newest first."""
        c = tables.message.c
        query = sa.select(tables.message).order_by(c.created_at.desc(), c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(c.state == state.value)
        if since is not None:
            query = query.where(c.created_at >= since)
        for column, value in ((c.person, person), (c.account, account), (c.channel, channel)):
            if value is not None:
                query = query.where(column == value)
        return self._messages(query)

    def _messages(self, query: "sa.Select[Any]") -> list[Message]:
        return [_message_of(row) for row in self._ledger.query(partial(_rows, query=query))]


_WITHDRAWN = MessageState.WITHDRAWN.value


def _ending(which: "sa.ColumnElement[bool]", state: str, now: datetime) -> sa.Update:
    c = tables.message.c
    return (
        sa.update(tables.message)
        .where(which, c.state == MessageState.WAITING.value)
        .values(state=state, ended_at=now)
    )


def _done(ledger: SqlLedger, work: Callable[[Connection], T]) -> T:
    """Run work on the writer and wait for it. Raises StoreUnavailable."""
    try:
        return ledger.transact(work).result(WRITE_WITHIN_S)
    except TimeoutError as error:
        raise StoreUnavailable("the disk did not take messages in time") from error


def _rows(connection: Connection, query: "sa.Select[Any]") -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[at : at + NAMES_A_QUERY] for at in range(0, len(names), NAMES_A_QUERY)]


def _message_row(message: Message) -> dict[str, Any]:
    row = {name: getattr(message, name) for name in Message.__dataclass_fields__}
    values = dict(row.pop("values"))
    attachments = list(message.attachments)
    return row | {"state": message.state.value, "filled": values, "attachments": attachments}


def _message_of(row: Row) -> Message:
    fields = dict(row)
    fields["values"] = fields.pop("filled")
    fields["state"] = MessageState(fields["state"])
    fields["attachments"] = tuple(fields["attachments"])
    return Message(**fields)


def _try_row(tried: Try, person: str) -> dict[str, Any]:
    return {
        "message": tried.message,
        "number": tried.number,
        "person": person,
        "started_at": tried.started_at,
        "ended_at": tried.ended_at,
        "answer": tried.outcome.answer.value,
        "detail": tried.outcome.detail,
        "provider_ref": tried.outcome.provider_ref,
    }


def _try_of(row: Row) -> Try:
    outcome = Outcome(Answer(row["answer"]), row["detail"], row["provider_ref"])
    return Try(row["message"], row["number"], row["started_at"], row["ended_at"], outcome)
