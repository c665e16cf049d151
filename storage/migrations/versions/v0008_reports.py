"""Scheduled reports; the index by which reports find the entries of a period."""

import sqlalchemy as sa
from alembic import op

from storage.ledger.tables import UtcTime

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables and the index."""
    op.create_table(
        "report_schedule",
        sa.Column("id", sa.String, primary_key=True, nullable=False),
        sa.Column("report", sa.String, nullable=False),
        sa.Column("every", sa.String, nullable=False),
        sa.Column("at", sa.Time, nullable=False),
        sa.Column("on", sa.Integer),
        sa.Column("recipients", sa.JSON, nullable=False),
        sa.Column("format", sa.String, nullable=False),
        sa.Column("language", sa.String, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("since", UtcTime, nullable=False),
        sa.Column("saved_by", sa.String, nullable=False),
    )
    op.create_table(
        "report_run",
        sa.Column("schedule", sa.String, primary_key=True, nullable=False),
        sa.Column("due_at", UtcTime, primary_key=True, nullable=False),
        sa.Column("first", sa.Date, nullable=False),
        sa.Column("end", sa.Date, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("recipients", sa.JSON, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_try_at", UtcTime),
        sa.Column("finished_at", UtcTime),
        sa.Column("note", sa.String, nullable=False),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "report_run_waiting",
        "report_run",
        ["next_try_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("book_entry_booked", "book_entry", ["booked_at"])


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")
