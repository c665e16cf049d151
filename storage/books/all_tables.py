"""All tables of the money part: importing this fills the ledger's metadata."""

from storage.books import money_tables

__all__ = ["money_tables"]
