"""Tables of accounts, people, occupancies, registers, and of what was asked and done about them."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Date, Float, String, Table

from storage.ledger.tables import UtcTime, metadata

room_account = Table(
    "room_account",
    metadata,
    Column("id", String, primary_key=True),
    Column("building", String, nullable=False),
    Column("room", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("tariff", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("credit_limit_micro", BigInteger, nullable=False),
    Column("opened_at", UtcTime),
    Column("closed_at", UtcTime),
    Column("floor", String, nullable=False),
    Column("area_m2", Float),
    Column("note", String, nullable=False),
)

# Which tariff an account had from when on: late energy is billed by the tariff of its time.
room_tariff = Table(
    "room_tariff",
    metadata,
    Column("account", String, primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("tariff", String, nullable=False),
)

person = Table(
    "person",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("phone", String, nullable=False),
    Column("email", String, nullable=False),
    Column("language", String, nullable=False),
)

occupancy = Table(
    "occupancy",
    metadata,
    Column("person", String, primary_key=True),
    Column("account", String, primary_key=True),
    Column("since", Date, primary_key=True),
    Column("until", Date),
)

register_span = Table(
    "register_span",
    metadata,
    Column("meter", String, primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("account", String, nullable=False),
    Column("first_wh", BigInteger, nullable=False),
    Column("until", UtcTime),
    Column("last_wh", BigInteger),
    Column("serial", String, nullable=False),
)

money_request = Table(
    "money_request",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("account", String, nullable=False),
    Column("to_account", String, nullable=False),
    Column("amount_micro", BigInteger, nullable=False),
    Column("recharge", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("state", String, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("decided_at", UtcTime),
    Column("decision", String, nullable=False),
    Column("entry", String, nullable=False),
)

account_action = Table(
    "account_action",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("done_at", UtcTime, nullable=False),
    Column("result", JSON, nullable=False),
    Column("finished", Boolean, nullable=False),
)
