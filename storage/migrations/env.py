"""Alembic's entry: runs the steps on the connection that `storage.ledger.upgrade` hands over."""

from alembic import context

from storage.ledger.tables import metadata


def run() -> None:
    """Run the migrations in one transaction."""
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise RuntimeError("the ledger runs its migrations itself when it is opened")
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=False
    )
    context.run_migrations()


run()
