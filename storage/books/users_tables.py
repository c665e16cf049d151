"""Tables of users, sign-ins and appeals."""

from sqlalchemy import JSON, Column, Integer, String, Table

from storage.ledger.tables import UtcTime, metadata

app_user = Table(
    "app_user",
    metadata,
    Column("name", String, primary_key=True),
    Column("roles", JSON, nullable=False),
    Column("person", String),
    Column("password_hash", String),
    Column("version", Integer, nullable=False),
    Column("code_hash", String),
    Column("code_expires_at", UtcTime),
    Column("disabled_at", UtcTime),
    Column("created_at", UtcTime),
    Column("created_by", String, nullable=False),
    Column("changed_at", UtcTime),
)

external_login = Table(
    "external_login",
    metadata,
    Column("provider", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("user", String, nullable=False),
)

session = Table(
    "user_session",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("csrf", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("method", String, nullable=False),
    Column("address", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("ended_at", UtcTime),
)

token_family = Table(
    "token_family",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("secret_hash", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", String, nullable=False),
    Column("label", String, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("secret_hash", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
)

appeal = Table(
    "appeal",
    metadata,
    Column("id", String, primary_key=True),
    Column("cause", String, nullable=False),
    Column("meter", String, nullable=False),
    Column("account", String, nullable=False),
    Column("person", String, nullable=False),
    Column("text", String, nullable=False),
    Column("filed_at", UtcTime, nullable=False),
    Column("status", String, nullable=False),
    Column("answer", String, nullable=False),
    Column("answered_by", String, nullable=False),
    Column("answered_at", UtcTime),
)
