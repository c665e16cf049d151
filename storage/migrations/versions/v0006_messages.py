"""Balance levels told, arrears, messages to people.

The columns are written out: a later change of the tables must not change this step.
"""

import sqlalchemy as sa
from alembic import op

from storage.ledger.tables import UtcTime

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "balance_level",
        _text("account", key=True),
        _number("arming"),
        _json("told"),
        _time("arrears_since"),
        _time("cut_at"),
    )
    _create_message()
    op.create_table(
        "message_try",
        _text("message", key=True),
        _number("number", key=True),
        _text("person"),
        _time("started_at", needed=True),
        _time("ended_at", needed=True),
        *map(_text, ("answer", "detail", "provider_ref")),
    )
    op.create_index("message_try_started", "message_try", ["started_at"])
    op.create_table(
        "message_preference", _text("person", key=True), _json("muted"), _time("updated_at")
    )
    op.create_table("notifier_beat", _number("only", key=True), _time("at", needed=True))


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")


def _create_message() -> None:
    texts = ("key", "topic", "channel", "address", "template", "title", "body")
    op.create_table(
        "message",
        _text("id", key=True),
        *map(_text, texts),
        *map(_text, ("person", "account", "building", "language")),
        _json("filled"),
        *map(_flag, ("must", "urgent")),
        _json("attachments"),
        *(_time(name, needed=True) for name in ("created_at", "due_at")),
        _time("expires_at"),
        _text("state"),
        _number("tries"),
        *map(_time, ("first_tried_at", "last_tried_at", "ended_at")),
        _flag("uncertain"),
        *map(_text, ("provider_ref", "error")),
    )
    op.create_index("message_key", "message", ["key"], unique=True)
    for name, columns in (
        ("message_topic", ["topic"]),
        ("message_due", ["state", "due_at"]),
        ("message_person", ["person", "created_at"]),
        ("message_account", ["account", "created_at"]),
        ("message_created", ["created_at"]),
    ):
        op.create_index(name, "message", columns)


def _text(name: str, *, key: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String, primary_key=key, nullable=False)


def _number(name: str, *, key: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.Integer, primary_key=key, nullable=False)


def _time(name: str, *, needed: bool = False) -> "sa.Column[object]":
    return sa.Column(name, UtcTime, nullable=not needed)


def _flag(name: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean, nullable=False)


def _json(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.JSON, nullable=False)
