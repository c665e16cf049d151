"""Scheduled reports."""

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """A ledger's tables are never dropped by a program."""
    raise NotImplementedError("this step of the ledger's schema can't be undone")
