"""Purchases written to prepaid meters; recharge tokens."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

from storage.ledger.tables import UtcTime

revision = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables."""
    _create_tokens()
    _create_purchases()
    _create_differences()


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")


def _text(name: str, *, key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String, primary_key=key, nullable=False)


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer, nullable=False)


def _time(name: str, *, known: bool = True) -> "sa.Column[datetime]":
    return sa.Column(name, UtcTime, nullable=not known)


def _create_tokens() -> None:
    op.create_table(
        "token_batch",
        _text("id", key=True),
        *map(_number, ("count", "amount_minor")),
        *map(_text, ("account", "issued_by")),
        *map(_time, ("issued_at", "expires_at")),
        _text("note"),
    )
    op.create_table(
        "recharge_token",
        sa.Column("serial", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("batch", sa.String, sa.ForeignKey("token_batch.id"), nullable=False),
        *map(_number, ("place", "amount_minor")),
        *map(_text, ("account", "state")),
        *map(_time, ("issued_at", "expires_at")),
        _time("sold_at", known=False),
        _text("sold_by"),
        _time("redeemed_at", known=False),
        *map(_text, ("redeemed_by", "used_for")),
        _time("voided_at", known=False),
        *map(_text, ("voided_by", "reason")),
        sa.UniqueConstraint("batch", "place", name="one_token_a_place"),
    )
    op.create_index("recharge_token_state", "recharge_token", ["state", "batch", "place"])
    op.create_table(
        "token_wrong",
        sa.Column("number", sa.Integer, primary_key=True, nullable=False),
        *map(_text, ("account", "actor")),
        _time("at"),
    )
    op.create_index("token_wrong_actor", "token_wrong", ["actor", "at"])
    op.create_index("token_wrong_at", "token_wrong", ["at"])


def _create_purchases() -> None:
    op.create_table(
        "meter_purchase",
        _text("id", key=True),
        *map(_text, ("account", "meter")),
        _number("amount_minor"),
        _text("state"),
        *map(_time, ("created_at", "expires_at", "next_at")),
        *map(_number, ("attempts", "writes")),
        sa.Column("count_before", sa.Integer),
        sa.Column("remaining_before_minor", sa.Integer),
        sa.Column("energy_before_wh", sa.BigInteger),
        sa.Column("use_most_minor", sa.Integer, nullable=False),
        _time("sent_at", known=False),
        _time("finished_at", known=False),
        *map(_text, ("reason", "closed_by")),
        sa.Column("proof", sa.JSON, nullable=False),
    )
    op.create_index("meter_purchase_state", "meter_purchase", ["state", "created_at"])
    op.create_index("meter_purchase_of_account", "meter_purchase", ["account", "created_at"])


def _create_differences() -> None:
    op.create_table(
        "prepaid_mark",
        _text("meter", key=True),
        _text("account"),
        _number("number"),
        _time("at"),
        _number("remaining_minor"),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("energy_wh", "book_micro", "bought_minor")
        ),
    )
    op.create_table(
        "prepaid_difference",
        _text("id", key=True),
        *map(_text, ("meter", "account", "kind")),
        *map(_time, ("opened_at", "seen_at")),
        sa.Column("difference_micro", sa.BigInteger, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        _text("proposed_by"),
        sa.Column("proposed_micro", sa.BigInteger),
        _text("reason"),
        _time("closed_at", known=False),
        *map(_text, ("closed_by", "decision")),
    )
    op.create_index("prepaid_difference_time", "prepaid_difference", ["opened_at"])
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "one_open_difference_a_meter",
        "prepaid_difference",
        ["meter"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
