"""All tables of the money part: importing this fills the ledger's metadata."""

from storage.books import (
    charging_tables,
    directory_tables,
    message_tables,
    money_tables,
    payment_tables,
    prepaid_tables,
    report_tables,
    users_tables,
)

__all__ = [
    "charging_tables",
    "directory_tables",
    "message_tables",
    "money_tables",
    "payment_tables",
    "prepaid_tables",
    "report_tables",
    "users_tables",
]
