"""Schedules of reports and their runs, in the ledger's database."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from billing.reports.schedule import Every, ReportRun, ReportSchedule, RunState
from billing.reports.service import ReportFormat
from storage.books.report_tables import report_run, report_schedule
from storage.ledger.sql_ledger import SqlLedger

SCHEDULES_MOST = 1_000
RUNS_MOST = 10_000


class SqlReportSchedules:
    """ScheduleStore over an SqlLedger, on its writer thread. Raises StoreUnavailable."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    def schedules(self) -> Sequence[ReportSchedule]:
        """Return all schedules by id."""
        query = sa.select(report_schedule).order_by(report_schedule.c.id).limit(SCHEDULES_MOST)
        return [_schedule(row) for row in self._rows(query)]

    def schedule(self, schedule_id: str) -> ReportSchedule | None:
        """Return one schedule, or None."""
        rows = self._rows(sa.select(report_schedule).where(report_schedule.c.id == schedule_id))
        return _schedule(rows[0]) if rows else None

    def put_schedule(self, schedule: ReportSchedule) -> "Future[None]":
        """Add a schedule or replace the one of its id."""
        return self._ledger.transact(
            lambda connection: _put(connection, report_schedule, asdict(schedule), ("id",))
        )

    def delete_schedule(self, schedule_id: str) -> "Future[bool]":
        """Delete a schedule; say whether it was there."""

        def work(connection: Connection) -> bool:
            gone = sa.delete(report_schedule).where(report_schedule.c.id == schedule_id)
            return connection.execute(gone).rowcount > 0

        return self._ledger.transact(work)

    def add_runs(self, runs: Sequence[ReportRun]) -> "Future[None]":
        """Add runs; those of a schedule and due time that are there already stay as they are."""

        def work(connection: Connection) -> None:
            for run in runs:
                if not connection.execute(_run_query(run)).first():
                    connection.execute(sa.insert(report_run).values(**_plain(asdict(run))))

        return self._ledger.transact(work)

    def put_run(self, run: ReportRun) -> "Future[None]":
        """Write how a run stands."""
        return self._ledger.transact(
            lambda connection: _put(connection, report_run, asdict(run), ("schedule", "due_at"))
        )

    def due_runs(self, now: datetime, limit: int) -> Sequence[ReportRun]:
        """Return waiting runs to be tried by now, oldest due first."""
        query = sa.select(report_run).where(
            report_run.c.state == RunState.WAITING.value, report_run.c.next_try_at <= now
        )
        ordered = query.order_by(report_run.c.due_at, report_run.c.schedule)
        return [_run(row) for row in self._rows(ordered.limit(limit))]

    def runs(self, *, schedule_id: str | None = None, limit: int = 100) -> Sequence[ReportRun]:
        """Return runs, newest first."""
        query = sa.select(report_run).order_by(report_run.c.due_at.desc(), report_run.c.schedule)
        if schedule_id is not None:
            query = query.where(report_run.c.schedule == schedule_id)
        return [_run(row) for row in self._rows(query.limit(min(limit, RUNS_MOST)))]

    def last_due(self, schedule_id: str) -> datetime | None:
        """Return the newest due time of a schedule's runs, or None."""
        query = sa.select(report_run.c.due_at).where(report_run.c.schedule == schedule_id)
        rows = self._rows(query.order_by(report_run.c.due_at.desc()).limit(1))
        return rows[0].due_at if rows else None

    def _rows(self, query: sa.Select[Any]) -> Sequence[Any]:
        return self._ledger.query(lambda connection: connection.execute(query).fetchall())


def _put(
    connection: Connection, table: Table, values: dict[str, Any], keys: tuple[str, ...]
) -> None:
    plain = _plain(values)
    same = [table.c[key] == plain[key] for key in keys]
    if not connection.execute(sa.update(table).where(*same).values(**plain)).rowcount:
        connection.execute(sa.insert(table).values(**plain))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, tuple) else getattr(value, "value", value)
        for key, value in values.items()
    }


def _run_query(run: ReportRun) -> sa.Select[Any]:
    same = (report_run.c.schedule == run.schedule, report_run.c.due_at == run.due_at)
    return sa.select(report_run.c.schedule).where(*same)


def _schedule(row: Any) -> ReportSchedule:
    values = dict(row._mapping) | {
        "every": Every(row.every),
        "format": ReportFormat(row.format),
        "recipients": tuple(row.recipients),
    }
    return ReportSchedule(**values)


def _run(row: Any) -> ReportRun:
    values = dict(row._mapping) | {
        "state": RunState(row.state),
        "recipients": tuple(row.recipients),
    }
    return ReportRun(**values)
