"""Accounts, people, occupancies, meter registers, transfers."""

import sqlalchemy as sa
from alembic import op

from storage.ledger.tables import UtcTime

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def _text(name: str, *, key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String, primary_key=key, nullable=False)


def _micro(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Create the tables."""
    _create_accounts()
    _create_people()
    _create_actions()


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")


def _create_accounts() -> None:
    op.create_table(
        "room_account",
        _text("id", key=True),
        *map(_text, ("building", "room", "kind", "tariff", "mode")),
        _micro("credit_limit_micro"),
        sa.Column("opened_at", UtcTime),
        sa.Column("closed_at", UtcTime),
        _text("floor"),
        sa.Column("area_m2", sa.Float),
        _text("note"),
    )
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "one_open_account_a_room",
        "room_account",
        ["building", "room"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_table(
        "room_tariff",
        _text("account", key=True),
        sa.Column("since", UtcTime, primary_key=True, nullable=False),
        _text("tariff"),
    )
    op.create_table(
        "register_span",
        _text("meter", key=True),
        sa.Column("since", UtcTime, primary_key=True, nullable=False),
        _text("account"),
        sa.Column("first_wh", sa.BigInteger, nullable=False),
        sa.Column("until", UtcTime),
        sa.Column("last_wh", sa.BigInteger),
        _text("serial"),
    )
    op.create_index("register_span_of_account", "register_span", ["account"])
    still_counting = sa.text("until IS NULL")
    op.create_index(
        "one_open_span_a_meter",
        "register_span",
        ["meter"],
        unique=True,
        sqlite_where=still_counting,
        postgresql_where=still_counting,
    )


def _create_people() -> None:
    op.create_table(
        "person", _text("id", key=True), *map(_text, ("name", "phone", "email", "language"))
    )
    op.create_table(
        "occupancy",
        _text("person", key=True),
        _text("account", key=True),
        sa.Column("since", sa.Date, primary_key=True, nullable=False),
        sa.Column("until", sa.Date),
    )
    op.create_index("occupancy_of_account", "occupancy", ["account"])


def _create_actions() -> None:
    op.create_table(
        "money_request",
        _text("id", key=True),
        *map(_text, ("kind", "account", "to_account")),
        _micro("amount_micro"),
        *map(_text, ("recharge", "reason", "requested_by")),
        sa.Column("requested_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        *map(_text, ("state", "decided_by")),
        sa.Column("decided_at", UtcTime),
        *map(_text, ("decision", "entry")),
    )
    op.create_index("money_request_time", "money_request", ["requested_at"])
    op.create_index("money_request_of_account", "money_request", ["account", "requested_at"])
    op.create_table(
        "account_action",
        _text("id", key=True),
        *map(_text, ("kind", "subject", "digest", "actor")),
        sa.Column("done_at", UtcTime, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
    )
