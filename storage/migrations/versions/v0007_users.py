"""Users, sessions, appeals."""

import sqlalchemy as sa
from alembic import op

from storage.ledger.tables import UtcTime

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None


def _text(name: str, *, key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String, primary_key=key, nullable=False)


def _number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer, nullable=False)


def _time(name: str, *, known: bool = True) -> "sa.Column[object]":
    return sa.Column(name, UtcTime, nullable=not known)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "app_user",
        _text("name", key=True),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("person", sa.String),
        sa.Column("password_hash", sa.String),
        _number("version"),
        sa.Column("code_hash", sa.String),
        _time("code_expires_at", known=False),
        _time("disabled_at", known=False),
        _time("created_at", known=False),
        _text("created_by"),
        _time("changed_at", known=False),
    )
    op.create_index("app_user_of_person", "app_user", ["person"])
    op.create_table(
        "external_login", _text("provider", key=True), _text("subject", key=True), _text("user")
    )
    _create_sign_ins()
    op.create_table(
        "appeal",
        _text("id", key=True),
        *map(_text, ("cause", "meter", "account", "person", "text")),
        _time("filed_at"),
        *map(_text, ("status", "answer", "answered_by")),
        _time("answered_at", known=False),
        sa.UniqueConstraint("account", "cause", name="one_appeal_a_trip"),
    )
    op.create_index("appeal_filed", "appeal", ["filed_at"])


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")


def _create_sign_ins() -> None:
    op.create_table(
        "user_session",
        _text("id", key=True),
        _text("user"),
        _number("version"),
        _text("csrf"),
        _time("created_at"),
        _time("seen_at"),
        *map(_text, ("method", "address", "agent")),
        _time("ended_at", known=False),
    )
    op.create_table(
        "token_family",
        _text("id", key=True),
        _text("user"),
        _number("version"),
        _number("generation"),
        _text("secret_hash"),
        _time("created_at"),
        _time("expires_at"),
        _time("ended_at", known=False),
    )
    op.create_table(
        "api_token",
        _text("id", key=True),
        *map(_text, ("user", "label")),
        sa.Column("roles", sa.JSON, nullable=False),
        _text("secret_hash"),
        _time("created_at"),
        _time("expires_at"),
        _time("ended_at", known=False),
    )
