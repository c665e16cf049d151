"""Tables of recharge tokens, of purchases for prepaid meters, and of what does not agree."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, String, Table

from storage.ledger.tables import UtcTime, metadata

token_batch = Table(
    "token_batch",
    metadata,
    Column("id", String, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("amount_minor", Integer, nullable=False),
    Column("account", String, nullable=False),
    Column("issued_by", String, nullable=False),
    Column("issued_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("note", String, nullable=False),
)

recharge_token = Table(
    "recharge_token",
    metadata,
    Column("serial", Integer, primary_key=True, autoincrement=False),
    Column("batch", String, ForeignKey("token_batch.id"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("amount_minor", Integer, nullable=False),
    Column("account", String, nullable=False),
    Column("state", String, nullable=False),
    Column("issued_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("sold_at", UtcTime),
    Column("sold_by", String, nullable=False),
    Column("redeemed_at", UtcTime),
    Column("redeemed_by", String, nullable=False),
    Column("used_for", String, nullable=False),
    Column("voided_at", UtcTime),
    Column("voided_by", String, nullable=False),
    Column("reason", String, nullable=False),
)

# Guesses are counted on disk: a restart gives nobody new ones.
token_wrong = Table(
    "token_wrong",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("account", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", UtcTime, nullable=False),
)

meter_purchase = Table(
    "meter_purchase",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("meter", String, nullable=False),
    Column("amount_minor", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("writes", Integer, nullable=False),
    Column("count_before", Integer),
    Column("remaining_before_minor", Integer),
    Column("energy_before_wh", BigInteger),
    Column("use_most_minor", Integer, nullable=False),
    Column("sent_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("reason", String, nullable=False),
    Column("closed_by", String, nullable=False),
    Column("proof", JSON, nullable=False),
)

# Where a meter and the books agreed last.
prepaid_mark = Table(
    "prepaid_mark",
    metadata,
    Column("meter", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("remaining_minor", Integer, nullable=False),
    Column("energy_wh", BigInteger, nullable=False),
    Column("book_micro", BigInteger, nullable=False),
    Column("bought_minor", BigInteger, nullable=False),
)

prepaid_difference = Table(
    "prepaid_difference",
    metadata,
    Column("id", String, primary_key=True),
    Column("meter", String, nullable=False),
    Column("account", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("difference_micro", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("proposed_by", String, nullable=False),
    Column("proposed_micro", BigInteger),
    Column("reason", String, nullable=False),
    Column("closed_at", UtcTime),
    Column("closed_by", String, nullable=False),
    Column("decision", String, nullable=False),
)
