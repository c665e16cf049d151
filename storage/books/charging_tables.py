"""Tables of charging: tariff versions, kept readings, months as booked, held jumps."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Date, Integer, String, Table

from storage.ledger.tables import UtcTime, metadata

tariff_version = Table(
    "tariff_version",
    metadata,
    Column("tariff", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("title", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("body", JSON, nullable=False),
    Column("saved_at", UtcTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("withdrawn_at", UtcTime),
)

charged_register = Table(
    "charged_register",
    metadata,
    Column("meter", String, primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("account", String, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("last_wh", BigInteger, nullable=False),
    Column("counted_wh", BigInteger, nullable=False),
)

# A row a register and local day: the first and the last reading of each stretch of time.
charged_day = Table(
    "charged_day",
    metadata,
    Column("meter", String, primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("readings", JSON, nullable=False),
)

charged_month = Table(
    "charged_month",
    metadata,
    Column("account", String, primary_key=True),
    Column("month", String, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("amount_micro", BigInteger, nullable=False),
    Column("energy_wh", BigInteger, nullable=False),
    Column("granted_wh", BigInteger, nullable=False),
    Column("used_wh", BigInteger, nullable=False),
    Column("expired_wh", BigInteger, nullable=False),
    Column("until_ms", BigInteger),
    Column("final", Boolean, nullable=False),
    Column("lines", JSON, nullable=False),
    Column("fees_micro", JSON, nullable=False),
    Column("carry", JSON, nullable=False),
)

counter_review = Table(
    "counter_review",
    metadata,
    Column("id", String, primary_key=True),
    Column("meter", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("account", String, nullable=False),
    Column("found_at", UtcTime, nullable=False),
    Column("before_ms", BigInteger, nullable=False),
    Column("before_wh", BigInteger, nullable=False),
    Column("after_ms", BigInteger, nullable=False),
    Column("after_wh", BigInteger, nullable=False),
    Column("possible_wh", BigInteger, nullable=False),
    Column("suggestion", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("decision", JSON, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("decided_at", UtcTime),
    Column("reason", String, nullable=False),
)
