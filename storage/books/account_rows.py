"""Opening and closing book accounts, inside a transaction."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from domain.books import AccountUnknown, BookAccount, EntryRefused
from storage.books import money_reader
from storage.books.money_tables import book_account
from storage.ledger.dialect import add_new


def open_accounts(connection: Connection, accounts: Sequence[BookAccount]) -> None:
    """Open accounts, change the floor of open ones, reopen closed ones.

    Raises EntryRefused where one is there with another unit.
    """
    there = money_reader.accounts(connection, names=[account.id for account in accounts])
    for account in accounts:
        found = there.get(account.id)
        if found is None:
            add_new(connection, book_account, [_row(account)])
            continue
        if found[0].unit != account.unit:
            raise EntryRefused(
                f"{account.id} counts {found[0].unit}, it can't be opened for {account.unit}"
            )
        if found[0] != account:
            _change(connection, account.id, floor=account.floor, closed=account.closed)


def close_account(connection: Connection, account: str) -> None:
    """Close an account. Raises AccountUnknown, and EntryRefused while its balance is not 0."""
    found = money_reader.accounts(connection, names=[account]).get(account)
    if found is None:
        raise AccountUnknown(f"the account {account} was not opened")
    if found[1] != 0:
        raise EntryRefused(f"{account} still holds {found[1]}: it can't be closed")
    _change(connection, account, closed=True)


def _change(connection: Connection, account: str, **values: object) -> None:
    statement = sa.update(book_account).where(book_account.c.id == account)
    connection.execute(statement.values(**values))


def _row(account: BookAccount) -> dict[str, object]:
    return {
        "id": account.id,
        "unit": account.unit.value,
        "floor": account.floor,
        "closed": account.closed,
        "balance": 0,
        "last_number": 0,
    }
