"""The tables of balance levels and of messages to people."""

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Table

from storage.ledger.tables import UtcTime, metadata

balance_level = Table(
    "balance_level",
    metadata,
    Column("account", String, primary_key=True),
    Column("arming", Integer, nullable=False),
    Column("told", JSON, nullable=False),
    Column("arrears_since", UtcTime),
    Column("cut_at", UtcTime),
)

message = Table(
    "message",
    metadata,
    Column("id", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("address", String, nullable=False),
    Column("template", String, nullable=False),
    Column("title", String, nullable=False),
    Column("body", String, nullable=False),
    Column("person", String, nullable=False),
    Column("account", String, nullable=False),
    Column("building", String, nullable=False),
    Column("language", String, nullable=False),
    Column("filled", JSON, nullable=False),
    Column("must", Boolean, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("attachments", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("state", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("first_tried_at", UtcTime),
    Column("last_tried_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("uncertain", Boolean, nullable=False),
    Column("provider_ref", String, nullable=False),
    Column("error", String, nullable=False),
    Index("message_key", "key", unique=True),
    Index("message_topic", "topic"),
    Index("message_due", "state", "due_at"),
    Index("message_person", "person", "created_at"),
    Index("message_account", "account", "created_at"),
    Index("message_created", "created_at"),
)

message_try = Table(
    "message_try",
    metadata,
    Column("message", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("person", String, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime, nullable=False),
    Column("answer", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("provider_ref", String, nullable=False),
    Index("message_try_started", "started_at"),
)

message_preference = Table(
    "message_preference",
    metadata,
    Column("person", String, primary_key=True),
    Column("muted", JSON, nullable=False),
    Column("updated_at", UtcTime),
)

notifier_beat = Table(
    "notifier_beat",
    metadata,
    Column("only", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
)
