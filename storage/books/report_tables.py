"""The tables of scheduled reports."""

from sqlalchemy import JSON, Boolean, Column, Date, Integer, String, Table, Time

from storage.ledger.tables import UtcTime, metadata

report_schedule = Table(
    "report_schedule",
    metadata,
    Column("id", String, primary_key=True),
    Column("report", String, nullable=False),
    Column("every", String, nullable=False),
    Column("at", Time, nullable=False),
    Column("on", Integer),
    Column("recipients", JSON, nullable=False),
    Column("format", String, nullable=False),
    Column("language", String, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("saved_by", String, nullable=False),
)

report_run = Table(
    "report_run",
    metadata,
    Column("schedule", String, primary_key=True),
    Column("due_at", UtcTime, primary_key=True),
    Column("first", Date, nullable=False),
    Column("end", Date, nullable=False),
    Column("state", String, nullable=False),
    Column("recipients", JSON, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("note", String, nullable=False),
)
