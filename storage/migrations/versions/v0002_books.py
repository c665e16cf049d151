"""The money ledger: book accounts, entries, legs, the hash chain.

The legs of an entry go in first, the entry after them: at that moment the database itself sees
whether they sum to zero, and from then on it takes no more legs of that number. Legs without an
entry do not outlive their transaction (a deferred foreign key).
"""

import sqlalchemy as sa
from alembic import op

from storage.ledger.dialect import refuse_changes
from storage.ledger.tables import UtcTime

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

APPEND_ONLY = ("book_entry", "book_leg")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What an entry is refused for, judged over its legs; the units are a closed list, held by a check.
_FAULTS_OF_AN_ENTRY = {
    "its number is not the next one": (
        "NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM book_entry)"
    ),
    # SQLite's REPLACE would take the old entry away without a delete.
    "its id is taken": "EXISTS (SELECT 1 FROM book_entry WHERE id = NEW.id)",
    "it has fewer than two legs": "count(*) < 2",
    "its legs do not sum to zero": (
        "sum(amount) <> 0 OR sum(CASE unit WHEN 'wh' THEN amount ELSE 0 END) <> 0"
    ),
}
_UNITS = "unit IN ('micro', 'wh')"
_BOOKED = "EXISTS (SELECT 1 FROM book_entry WHERE number = NEW.number)"


def upgrade() -> None:
    """Create the tables and what guards them."""
    _create_accounts()
    _create_entries()
    _create_legs()
    for table in APPEND_ONLY:
        refuse_changes(op.get_bind(), table)
    _guard(op.get_bind().dialect.name)


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")


def _create_accounts() -> None:
    op.create_table(
        "book_account",
        sa.Column("id", sa.String, primary_key=True, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("floor", _BIG),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("balance", _BIG, nullable=False),
        sa.Column("last_number", _BIG, nullable=False),
        sa.UniqueConstraint("id", "unit", name="book_account_unit"),
        sa.CheckConstraint(_UNITS, name="book_account_units"),
    )
    head = op.create_table(
        "book_head",
        sa.Column("only", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.CheckConstraint('"only" = 1', name="book_head_only"),
    )
    op.bulk_insert(head, [{"only": 1, "number": 0, "hash": "0" * 64}])


def _create_entries() -> None:
    op.create_table(
        "book_entry",
        sa.Column("number", _BIG, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("time", UtcTime, nullable=False),
        sa.Column("booked_at", UtcTime, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("description", sa.String, nullable=False),
        sa.Column("reference", sa.String, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.UniqueConstraint("id", name="book_entry_id"),
    )
    refers = sa.text("reference <> ''")
    op.create_index(
        "book_entry_reference",
        "book_entry",
        ["reference"],
        sqlite_where=refers,
        postgresql_where=refers,
    )


def _create_legs() -> None:
    op.create_table(
        "book_leg",
        sa.Column("number", _BIG, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("place", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("amount", _BIG, nullable=False),
        sa.Column("balance", _BIG, nullable=False),
        sa.CheckConstraint("amount <> 0", name="book_leg_amount"),
        sa.ForeignKeyConstraint(
            ["number"], ["book_entry.number"], deferrable=True, initially="DEFERRED"
        ),
        sa.ForeignKeyConstraint(
            ["account", "unit"],
            ["book_account.id", "book_account.unit"],
            deferrable=True,
            initially="DEFERRED",
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("book_leg_account", "book_leg", ["account", "number"], unique=True)


def _guard(dialect: str) -> None:
    statements = _sqlite_guards() if dialect == "sqlite" else _postgresql_guards()
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def _sqlite_guards() -> list[str]:
    # FAIL, not ABORT: nothing of the row is written yet, and without anything that may abort
    # half-way SQLite keeps no copy of every page a statement touches.
    checks = " ".join(
        f"WHEN {fault} THEN RAISE(FAIL, 'book_entry: {message}')"
        for message, fault in _FAULTS_OF_AN_ENTRY.items()
    )
    return [
        "CREATE TRIGGER book_entry_whole BEFORE INSERT ON book_entry"  # noqa: S608
        f" BEGIN SELECT CASE {checks} END FROM book_leg WHERE number = NEW.number; END",
        f"CREATE TRIGGER book_leg_in_time BEFORE INSERT ON book_leg WHEN {_BOOKED}"
        " BEGIN SELECT RAISE(FAIL, 'book_leg: its entry is booked already'); END",
    ]


def _postgresql_guards() -> list[str]:
    checks = " ".join(
        f"WHEN {fault} THEN '{message}'" for message, fault in _FAULTS_OF_AN_ENTRY.items()
    )
    return [
        "CREATE FUNCTION book_entry_whole() RETURNS trigger LANGUAGE plpgsql AS"  # noqa: S608
        f" $$ DECLARE fault text; BEGIN SELECT CASE {checks} END INTO fault"
        " FROM book_leg WHERE number = NEW.number;"
        " IF fault IS NOT NULL THEN RAISE EXCEPTION USING MESSAGE = 'book_entry: ' || fault,"
        " ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER book_entry_whole BEFORE INSERT ON book_entry"
        " FOR EACH ROW EXECUTE FUNCTION book_entry_whole()",
        # One writer of legs at a time, to its commit: so the checks see every leg there is.
        "CREATE FUNCTION book_leg_one_writer() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM 1 FROM book_head FOR UPDATE; RETURN NULL; END $$",
        "CREATE TRIGGER book_leg_one_writer BEFORE INSERT ON book_leg"
        " FOR EACH STATEMENT EXECUTE FUNCTION book_leg_one_writer()",
        "CREATE FUNCTION book_leg_in_time() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF {_BOOKED} THEN RAISE EXCEPTION 'book_leg: its entry is booked already'"
        " USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER book_leg_in_time BEFORE INSERT ON book_leg"
        " FOR EACH ROW EXECUTE FUNCTION book_leg_in_time()",
    ]
