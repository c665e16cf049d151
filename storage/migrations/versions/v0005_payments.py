"""Payment orders, notices, refunds, cashier shifts."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

from storage.ledger.dialect import refuse_changes
from storage.ledger.tables import UtcTime

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _create_orders()
    _create_refunds()
    _create_notices()
    _create_till()
    _create_statements()
    refuse_changes(op.get_bind(), "receipt_slip")
    _refuse_updates("payment_notice")


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")


def _text(name: str, *, key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String, primary_key=key, nullable=False)


def _amount(name: str, *, nullable: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> "sa.Column[datetime]":
    return sa.Column(name, UtcTime, nullable=nullable)


def _partial(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    rows = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=rows, postgresql_where=rows)


def _create_orders() -> None:
    op.create_table(
        "payment_order",
        _text("id", key=True),
        *map(_text, ("key", "requested_by", "digest", "account", "channel", "way")),
        _amount("amount_minor"),
        _text("state"),
        _time("created_at"),
        _time("expires_at"),
        sa.Column("person", sa.String),
        *map(_text, ("building", "kind", "language")),
        sa.Column("payer", sa.JSON, nullable=False),
        sa.Column("pay", sa.JSON, nullable=False),
        _text("provider_ref"),
        _time("paid_at", nullable=True),
        _time("credited_at", nullable=True),
        _text("book"),
        _amount("refunded_minor"),
        sa.Column("queries", sa.Integer, nullable=False),
        _time("next_query_at", nullable=True),
        sa.Column("shift", sa.String),
        _text("note"),
    )
    keys = ["requested_by", "key"]
    op.create_index("payment_order_key", "payment_order", keys, unique=True)
    op.create_index("payment_order_of_account", "payment_order", ["account", "created_at"])
    op.create_index("payment_order_created", "payment_order", ["created_at"])
    op.create_index("payment_order_paid", "payment_order", ["channel", "paid_at"])
    due = "next_query_at IS NOT NULL"
    _partial("payment_order_due", "payment_order", ["next_query_at"], due)


def _create_refunds() -> None:
    op.create_table(
        "payment_refund",
        _text("id", key=True),
        *map(_text, ("key", "digest", "order", "account", "channel")),
        _amount("amount_minor"),
        *map(_text, ("state", "reason", "requested_by")),
        _time("requested_at"),
        sa.Column("approved_by", sa.String),
        _time("approved_at", nullable=True),
        _text("provider_ref"),
        _time("finished_at", nullable=True),
        sa.Column("tries", sa.Integer, nullable=False),
        _time("next_try_at", nullable=True),
        sa.Column("shift", sa.String),
        sa.Column("paid_by", sa.String),
        _text("note"),
    )
    keys = ["requested_by", "key"]
    op.create_index("payment_refund_key", "payment_refund", keys, unique=True)
    op.create_index("payment_refund_of_order", "payment_refund", ["order"])
    op.create_index("payment_refund_of_account", "payment_refund", ["account", "requested_at"])
    op.create_index("payment_refund_finished", "payment_refund", ["channel", "finished_at"])
    due = "next_try_at IS NOT NULL"
    _partial("payment_refund_due", "payment_refund", ["next_try_at"], due)


def _create_notices() -> None:
    op.create_table(
        "payment_notice",
        sa.Column("number", _LONG, primary_key=True, autoincrement=True),
        _time("received_at"),
        *map(_text, ("channel", "order")),
        sa.Column("headers", sa.JSON, nullable=False),
        _text("body_digest"),
        sa.Column("body_bytes", sa.Integer, nullable=False),
        *map(_text, ("outcome", "reason")),
    )
    op.create_index("payment_notice_received", "payment_notice", ["received_at"])
    op.create_index("payment_notice_of_order", "payment_notice", ["order"])
    op.create_table(
        "payment_review",
        _text("id", key=True),
        _time("time"),
        *map(_text, ("channel", "order", "provider_ref")),
        _amount("amount_minor"),
        _text("reason"),
        sa.Column("facts", sa.JSON, nullable=False),
        _time("resolved_at", nullable=True),
        sa.Column("resolved_by", sa.String),
        _text("note"),
    )
    op.create_index("payment_review_time", "payment_review", ["time"])


def _create_till() -> None:
    op.create_table(
        "cash_shift",
        _text("id", key=True),
        _text("cashier"),
        _time("opened_at"),
        _amount("opening_minor"),
        _time("closed_at", nullable=True),
        _amount("counted_minor", nullable=True),
        _amount("expected_minor", nullable=True),
        _amount("difference_minor", nullable=True),
        _text("note"),
    )
    op.create_index("cash_shift_opened", "cash_shift", ["opened_at"])
    _partial("cash_shift_open", "cash_shift", ["cashier"], "closed_at IS NULL", unique=True)
    op.create_table(
        "receipt_slip",
        sa.Column("number", _LONG, primary_key=True, autoincrement=False),
        *map(_text, ("kind", "order", "account", "building", "room")),
        _amount("amount_minor"),
        *map(_text, ("cashier", "shift")),
        _time("time"),
        sa.Column("person", sa.String),
        sa.Column("refund", sa.String),
        sa.Column("voids", _LONG),
        _text("note"),
    )
    op.create_index("receipt_slip_of_shift", "receipt_slip", ["shift"])
    op.create_index("receipt_slip_of_order", "receipt_slip", ["order"])
    op.create_index("receipt_slip_of_account", "receipt_slip", ["account", "time"])
    op.create_index("receipt_slip_time", "receipt_slip", ["time"])


def _create_statements() -> None:
    op.create_table(
        "provider_statement",
        _text("channel", key=True),
        sa.Column("day", sa.Date, primary_key=True, nullable=False),
        _time("imported_at"),
        _text("actor"),
        sa.Column("rows", sa.Integer, nullable=False),
    )
    op.create_table(
        "provider_statement_row",
        _text("channel", key=True),
        sa.Column("day", sa.Date, primary_key=True, nullable=False),
        sa.Column("place", sa.Integer, primary_key=True, nullable=False),
        *map(_text, ("kind", "provider_ref", "order")),
        _amount("amount_minor"),
        _time("time", nullable=True),
        _text("refund"),
    )


def _refuse_updates(table: str) -> None:
    """Make the database refuse a change of a row; only whole rows leave, when they are old."""
    connection = op.get_bind()
    statements = {
        "sqlite": [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}"
            f" BEGIN SELECT RAISE(ABORT, 'a row of {table} is never changed'); END"
        ],
        "postgresql": [
            f"CREATE FUNCTION {table}_is_never_changed() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'a row of {table} is never changed'; END $$",
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_never_changed()",
        ],
    }[connection.dialect.name]
    for statement in statements:
        connection.execute(sa.text(statement))
