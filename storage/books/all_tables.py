"""All tables of the money part: importing this fills the ledger's metadata."""

from storage.books import (
    directory_tables,
    message_tables,
    money_tables,
    payment_tables,
    prepaid_tables,
    users_tables,
)

__all__ = [
    "directory_tables",
    "message_tables",
    "money_tables",
    "payment_tables",
    "prepaid_tables",
    "users_tables",
]
