"""Tariffs, usage, the review queue.

The columns are written out: a later change of the tables must not change this step.
"""

import sqlalchemy as sa
from alembic import op

from storage.ledger.tables import UtcTime

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def _text(name: str, *, key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String, primary_key=key, nullable=False)


def _big(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "tariff_version",
        _text("tariff", key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False, nullable=False),
        *map(_text, ("title", "kind")),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("saved_at", UtcTime, nullable=False),
        *map(_text, ("actor", "reason")),
        sa.Column("withdrawn_at", UtcTime),
    )
    op.create_table(
        "charged_register",
        _text("meter", key=True),
        sa.Column("since", UtcTime, primary_key=True, nullable=False),
        _text("account"),
        *map(_big, ("last_ms", "last_wh", "counted_wh")),
    )
    op.create_table(
        "charged_day",
        _text("meter", key=True),
        sa.Column("since", UtcTime, primary_key=True, nullable=False),
        sa.Column("day", sa.Date, primary_key=True, nullable=False),
        sa.Column("readings", sa.JSON, nullable=False),
    )
    _create_months()
    _create_reviews()


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")


def _create_months() -> None:
    op.create_table(
        "charged_month",
        _text("account", key=True),
        _text("month", key=True),
        sa.Column("number", sa.Integer, nullable=False),
        *map(_big, ("amount_micro", "energy_wh", "granted_wh", "used_wh", "expired_wh")),
        sa.Column("until_ms", sa.BigInteger),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("lines", sa.JSON, nullable=False),
        sa.Column("fees_micro", sa.JSON, nullable=False),
        sa.Column("carry", sa.JSON, nullable=False),
    )
    open_months = sa.text("final IS FALSE")
    op.create_index(
        "charged_month_open",
        "charged_month",
        ["account", "month"],
        sqlite_where=sa.text("final = 0"),
        postgresql_where=open_months,
    )


def _create_reviews() -> None:
    op.create_table(
        "counter_review",
        _text("id", key=True),
        _text("meter"),
        sa.Column("since", UtcTime, nullable=False),
        _text("account"),
        sa.Column("found_at", UtcTime, nullable=False),
        *map(_big, ("before_ms", "before_wh", "after_ms", "after_wh", "possible_wh")),
        sa.Column("suggestion", sa.JSON, nullable=False),
        _text("state"),
        sa.Column("decision", sa.JSON, nullable=False),
        _text("decided_by"),
        sa.Column("decided_at", UtcTime),
        _text("reason"),
    )
    op.create_index("counter_review_found", "counter_review", ["found_at"])
