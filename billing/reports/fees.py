"""Fees of shops: service fees and what was missing to a minimum, by account."""

from billing.model import Directory
from billing.reports.consumption import customer
from billing.reports.figures import Scan, Tally
from billing.reports.model import Cell, Table, count, money, name, text


def fees(scan: Scan, directory: Directory) -> Table:
    """Tell what each account was booked in fees; the total is the fee revenue's movement."""
    columns = (
        text("account"),
        text("building"),
        text("room"),
        name("fee"),
        count("entries"),
        money("amount"),
    )
    return Table(columns, [_row(key, scan.fees[key], directory) for key in sorted(scan.fees)])


def _row(key: tuple[str, str], tally: Tally, directory: Directory) -> tuple[Cell, ...]:
    account_id, fee = customer(key[0], directory), key[1]
    account = directory.account(account_id)
    building, room = (account.building, account.room) if account else ("", "")
    return (account_id, building, room, fee, tally.entries, tally.amount)
