"""Brings a ledger's tables up to date when it is opened, from the installed package alone."""

from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import storage.migrations
from domain.errors import StoreUnavailable

UPGRADE_LOCK = 0x57_41_54_54_55_50


def upgrade(connection: Connection) -> None:
    """Run the steps that are missing, inside the connection's transaction.

    Raises StoreUnavailable where the ledger was written by a newer program.
    """
    if connection.dialect.name == "postgresql":
        # Two programs that open an empty database at once take turns.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
    known, head = revisions()
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise StoreUnavailable(
            f"the ledger was written by a newer Wattwarden (schema {current}): run that version,"
            " or restore a copy from before"
        )
    if current == head:
        return
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@lru_cache(maxsize=1)
def revisions() -> tuple[frozenset[str], str | None]:
    """Return the steps this program knows, and the last one."""
    scripts = ScriptDirectory.from_config(configuration())
    known = frozenset(script.revision for script in scripts.walk_revisions())
    return known, scripts.get_current_head()


def configuration() -> Config:
    """Return alembic's configuration: where the steps lie, nothing else."""
    config = Config()
    folder = Path(storage.migrations.__file__).parent
    # A percent sign would be taken for the start of an interpolation.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config
