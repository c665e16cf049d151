"""The books' tables. A leg carries its account's unit, so that the database can hold each sum."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Integer,
    String,
    Table,
)

from storage.ledger.tables import UtcTime, metadata

# SQLite's row number is an INTEGER and nothing else; it holds 64 bits.
Big = BigInteger().with_variant(Integer(), "sqlite")

book_account = Table(
    "book_account",
    metadata,
    Column("id", String, primary_key=True),
    Column("unit", String, nullable=False),
    Column("floor", Big),
    Column("closed", Boolean, nullable=False),
    # What the legs sum to, kept beside them; an audit compares.
    Column("balance", Big, nullable=False),
    Column("last_number", Big, nullable=False),
)

book_entry = Table(
    "book_entry",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("booked_at", UtcTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("description", String, nullable=False),
    Column("reference", String, nullable=False),
    Column("details", JSON, nullable=False),
    Column("hash", String, nullable=False),
)

book_leg = Table(
    "book_leg",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("account", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("amount", Big, nullable=False),
    # The account's balance once this leg was booked.
    Column("balance", Big, nullable=False),
)

# One row: the newest entry. Who books locks it first, so that the chain never forks.
book_head = Table(
    "book_head",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("number", Big, nullable=False),
    Column("hash", String, nullable=False),
)
