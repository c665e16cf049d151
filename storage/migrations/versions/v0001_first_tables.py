"""The first tables: roster, policy, causes, commands, receipts, events, secrets.

The columns are written out: a later change of the tables must not change this step.
"""

import sqlalchemy as sa
from alembic import op

from storage.ledger.dialect import refuse_changes
from storage.ledger.tables import UtcTime

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

APPEND_ONLY = ("policy_version", "command", "receipt", "event")


def _text(name: str, *, key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String, primary_key=key, nullable=False)


def _number(name: str, *, key: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer, primary_key=key, nullable=False)


def upgrade() -> None:
    """Create everything."""
    _create_site()
    _create_causes()
    _create_commands()
    _create_events()
    for table in APPEND_ONLY:
        refuse_changes(op.get_bind(), table)


def downgrade() -> None:
    """There is nothing before the first step: a ledger is never emptied by a program."""
    raise NotImplementedError("the first step of the ledger's schema can't be undone")


def _create_site() -> None:
    op.create_table(
        "site",
        _number("only", key=True),
        *map(_text, ("name", "title", "time_zone", "currency")),
    )
    op.create_table(
        "bus",
        _text("name", key=True),
        _number("place"),
        *map(_text, ("link", "port", "host")),
        *map(_number, ("tcp_port", "baud")),
        _text("parity"),
        _number("stop_bits"),
        sa.Column("reply_delay_s", sa.Float, nullable=False),
        sa.Column("timeout_s", sa.Float, nullable=False),
    )
    op.create_table(
        "meter",
        _text("name", key=True),
        _number("place"),
        sa.Column("bus", sa.String, sa.ForeignKey("bus.name"), nullable=False),
        _number("unit_id"),
        *map(_text, ("profile", "building", "floor", "room", "kind")),
        _number("phases"),
        sa.Column("rated_current_a", sa.Float, nullable=False),
        _text("group"),
        sa.Column("head", sa.Boolean, nullable=False),
        sa.Column("shed_priority", sa.Integer),
        sa.UniqueConstraint("bus", "unit_id", name="one_meter_an_address"),
    )
    op.create_table(
        "policy_version",
        _number("version", key=True),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("saved_at", UtcTime, nullable=False),
        _text("actor"),
        _text("reason"),
    )
    op.create_table(
        "secret",
        _text("name", key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_table("probe", _number("only", key=True), _number("tries"))


def _create_causes() -> None:
    op.create_table(
        "cause",
        _text("id", key=True),
        *map(_text, ("meter", "kind")),
        sa.Column("since", UtcTime, nullable=False),
        *map(_text, ("raised_by", "reason")),
        sa.Column("evidence", sa.JSON),
        sa.Column("until", UtcTime),
        sa.Column("cleared_at", UtcTime),
        sa.Column("cleared_by", sa.String),
        _text("mode"),
        sa.Column("shadow", sa.Boolean, nullable=False),
    )
    op.create_index("cause_since", "cause", ["since"])
    op.create_index("cause_of_meter", "cause", ["meter", "since"])
    still_open = sa.text("cleared_at IS NULL")
    op.create_index(
        "cause_open", "cause", ["since"], sqlite_where=still_open, postgresql_where=still_open
    )
    op.create_table(
        "keep_power",
        _text("meter", key=True),
        sa.Column("since", UtcTime, primary_key=True, nullable=False),
        *map(_text, ("requested_by", "reason")),
        sa.Column("released_at", UtcTime),
    )
    op.create_table(
        "restore",
        _text("meter", key=True),
        sa.Column("time", UtcTime, primary_key=True, nullable=False),
        _text("cause_id", key=True),
    )
    op.create_index("restore_time", "restore", ["time"])


def _create_commands() -> None:
    op.create_table(
        "command",
        _text("id", key=True),
        *map(_text, ("meter", "action", "reason", "requested_by")),
        sa.Column("issued_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("cause_id", sa.String),
        _text("seal"),
    )
    op.create_index("command_issued", "command", ["issued_at"])
    op.create_index("command_of_meter", "command", ["meter", "issued_at"])
    op.create_table(
        "receipt",
        _text("command_id", key=True),
        *map(_text, ("meter", "action", "status", "reason")),
        sa.Column("relay_closed", sa.Boolean),
        sa.Column("finished_at", UtcTime, nullable=False),
        _number("writes"),
        sa.Column("proof", sa.JSON, nullable=False),
    )


def _create_events() -> None:
    op.create_table(
        "event",
        _number("number", key=True),
        sa.Column("time", UtcTime, nullable=False),
        *map(_text, ("kind", "subject", "message", "severity", "actor", "group")),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_index("event_time", "event", ["time"])
    op.create_index("event_of_subject", "event", ["subject", "time"])
    op.create_index("event_of_kind", "event", ["kind", "time"])
