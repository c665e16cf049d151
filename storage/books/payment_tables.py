"""The tables of payments; migrations/ is what creates them."""

from sqlalchemy import JSON, BigInteger, Column, Date, Index, Integer, String, Table, text

from storage.ledger.tables import UtcTime, metadata

# A number that grows for ever; SQLite's own row number is the integer of that name.
LONG = BigInteger().with_variant(Integer(), "sqlite")


def _text(name: str) -> "Column[str]":
    return Column(name, String, nullable=False)


payment_order = Table(
    "payment_order",
    metadata,
    Column("id", String, primary_key=True),
    _text("key"),
    _text("requested_by"),
    _text("digest"),
    _text("account"),
    _text("channel"),
    _text("way"),
    Column("amount_minor", BigInteger, nullable=False),
    _text("state"),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("person", String),
    _text("building"),
    _text("kind"),
    _text("language"),
    Column("payer", JSON, nullable=False),
    Column("pay", JSON, nullable=False),
    _text("provider_ref"),
    Column("paid_at", UtcTime),
    Column("credited_at", UtcTime),
    _text("book"),
    Column("refunded_minor", BigInteger, nullable=False),
    Column("queries", Integer, nullable=False),
    Column("next_query_at", UtcTime),
    Column("shift", String),
    _text("note"),
    Index("payment_order_key", "requested_by", "key", unique=True),
    Index("payment_order_of_account", "account", "created_at"),
    Index("payment_order_created", "created_at"),
    Index("payment_order_paid", "channel", "paid_at"),
    Index(
        "payment_order_due",
        "next_query_at",
        sqlite_where=text("next_query_at IS NOT NULL"),
        postgresql_where=text("next_query_at IS NOT NULL"),
    ),
)

payment_refund = Table(
    "payment_refund",
    metadata,
    Column("id", String, primary_key=True),
    _text("key"),
    _text("digest"),
    _text("order"),
    _text("account"),
    _text("channel"),
    Column("amount_minor", BigInteger, nullable=False),
    _text("state"),
    _text("reason"),
    _text("requested_by"),
    Column("requested_at", UtcTime, nullable=False),
    Column("approved_by", String),
    Column("approved_at", UtcTime),
    _text("provider_ref"),
    Column("finished_at", UtcTime),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", UtcTime),
    Column("shift", String),
    Column("paid_by", String),
    _text("note"),
    Index("payment_refund_key", "requested_by", "key", unique=True),
    Index("payment_refund_of_order", "order"),
    Index("payment_refund_of_account", "account", "requested_at"),
    Index("payment_refund_finished", "channel", "finished_at"),
    Index(
        "payment_refund_due",
        "next_try_at",
        sqlite_where=text("next_try_at IS NOT NULL"),
        postgresql_where=text("next_try_at IS NOT NULL"),
    ),
)

payment_notice = Table(
    "payment_notice",
    metadata,
    Column("number", LONG, primary_key=True, autoincrement=True),
    Column("received_at", UtcTime, nullable=False),
    _text("channel"),
    _text("order"),
    Column("headers", JSON, nullable=False),
    _text("body_digest"),
    Column("body_bytes", Integer, nullable=False),
    _text("outcome"),
    _text("reason"),
    Index("payment_notice_received", "received_at"),
    Index("payment_notice_of_order", "order"),
)

payment_review = Table(
    "payment_review",
    metadata,
    Column("id", String, primary_key=True),
    Column("time", UtcTime, nullable=False),
    _text("channel"),
    _text("order"),
    _text("provider_ref"),
    Column("amount_minor", BigInteger, nullable=False),
    _text("reason"),
    Column("facts", JSON, nullable=False),
    Column("resolved_at", UtcTime),
    Column("resolved_by", String),
    _text("note"),
    Index("payment_review_time", "time"),
)

cash_shift = Table(
    "cash_shift",
    metadata,
    Column("id", String, primary_key=True),
    _text("cashier"),
    Column("opened_at", UtcTime, nullable=False),
    Column("opening_minor", BigInteger, nullable=False),
    Column("closed_at", UtcTime),
    Column("counted_minor", BigInteger),
    Column("expected_minor", BigInteger),
    Column("difference_minor", BigInteger),
    _text("note"),
    Index("cash_shift_opened", "opened_at"),
    Index(
        "cash_shift_open",
        "cashier",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

receipt_slip = Table(
    "receipt_slip",
    metadata,
    Column("number", LONG, primary_key=True, autoincrement=False),
    _text("kind"),
    _text("order"),
    _text("account"),
    _text("building"),
    _text("room"),
    Column("amount_minor", BigInteger, nullable=False),
    _text("cashier"),
    _text("shift"),
    Column("time", UtcTime, nullable=False),
    Column("person", String),
    Column("refund", String),
    Column("voids", LONG),
    _text("note"),
    Index("receipt_slip_of_shift", "shift"),
    Index("receipt_slip_of_order", "order"),
    Index("receipt_slip_of_account", "account", "time"),
    Index("receipt_slip_time", "time"),
)

provider_statement = Table(
    "provider_statement",
    metadata,
    Column("channel", String, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("imported_at", UtcTime, nullable=False),
    _text("actor"),
    Column("rows", Integer, nullable=False),
)

provider_statement_row = Table(
    "provider_statement_row",
    metadata,
    Column("channel", String, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("place", Integer, primary_key=True),
    _text("kind"),
    _text("provider_ref"),
    _text("order"),
    Column("amount_minor", BigInteger, nullable=False),
    Column("time", UtcTime),
    _text("refund"),
)
