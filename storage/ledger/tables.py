"""The ledger's tables as SQLAlchemy Core sees them; migrations/ is what creates them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
)


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC to the microsecond; naive times are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware time into the database's UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        moment = value.astimezone(UTC)
        # SQLite has no time type: its text is UTC by convention, so that it sorts as text.
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give back an aware time in UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData()

site = Table(
    "site",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("title", String, nullable=False),
    Column("time_zone", String, nullable=False),
    Column("currency", String, nullable=False),
)

bus = Table(
    "bus",
    metadata,
    Column("name", String, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("link", String, nullable=False),
    Column("port", String, nullable=False),
    Column("host", String, nullable=False),
    Column("tcp_port", Integer, nullable=False),
    Column("baud", Integer, nullable=False),
    Column("parity", String, nullable=False),
    Column("stop_bits", Integer, nullable=False),
    Column("reply_delay_s", Float, nullable=False),
    Column("timeout_s", Float, nullable=False),
)

meter = Table(
    "meter",
    metadata,
    Column("name", String, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("bus", String, nullable=False),
    Column("unit_id", Integer, nullable=False),
    Column("profile", String, nullable=False),
    Column("building", String, nullable=False),
    Column("floor", String, nullable=False),
    Column("room", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("phases", Integer, nullable=False),
    Column("rated_current_a", Float, nullable=False),
    Column("group", String, nullable=False),
    Column("head", Boolean, nullable=False),
    Column("shed_priority", Integer),
)

policy_version = Table(
    "policy_version",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("body", JSON, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", String, nullable=False),
)

cause = Table(
    "cause",
    metadata,
    Column("id", String, primary_key=True),
    Column("meter", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("raised_by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("evidence", JSON(none_as_null=True)),
    Column("until", UtcTime),
    Column("cleared_at", UtcTime),
    Column("cleared_by", String),
    Column("mode", String, nullable=False),
    Column("shadow", Boolean, nullable=False),
)

command = Table(
    "command",
    metadata,
    Column("id", String, primary_key=True),
    Column("meter", String, nullable=False),
    Column("action", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("issued_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("cause_id", String),
    Column("seal", String, nullable=False),
)

receipt = Table(
    "receipt",
    metadata,
    Column("command_id", String, primary_key=True),
    Column("meter", String, nullable=False),
    Column("action", String, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("relay_closed", Boolean),
    Column("finished_at", UtcTime, nullable=False),
    Column("writes", Integer, nullable=False),
    Column("proof", JSON, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("message", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("group", String, nullable=False),
    Column("details", JSON, nullable=False),
)

keep_power = Table(
    "keep_power",
    metadata,
    Column("meter", String, primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("requested_by", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("released_at", UtcTime),
)

restore = Table(
    "restore",
    metadata,
    Column("meter", String, primary_key=True),
    Column("time", UtcTime, primary_key=True),
    Column("cause_id", String, primary_key=True),
)

secret = Table(
    "secret",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

probe = Table(
    "probe",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("tries", Integer, nullable=False),
)

# Rows of these are added and never changed: the database itself refuses anything else.
APPEND_ONLY = ("policy_version", "command", "receipt", "event")
