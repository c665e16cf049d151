"""Who owes at the end of the period, since when, and how much."""

from billing.model import Directory
from billing.reports.balances import rooms
from billing.reports.figures import Scan
from billing.reports.model import Cell, Table, moment, money, text

NAMES_MOST = 8


def arrears(scan: Scan, directory: Directory) -> Table:
    """List rooms below zero, the deepest debt first, with who lived there on the last day.

    `beyond` is what goes over the room's credit limit. Energy used but not booked by the end of
    the period is not in it.
    """
    columns = (
        text("account"),
        text("building"),
        text("room"),
        text("people"),
        moment("since"),
        money("owed"),
        money("limit"),
        money("beyond"),
    )
    owing = [book for book in rooms(scan) if scan.closing[book] < 0]
    owing.sort(key=lambda book: (scan.closing[book], book))
    return Table(columns, [_row(scan, book, directory) for book in owing])


def _row(scan: Scan, book: str, directory: Directory) -> tuple[Cell, ...]:
    account_id = book.removeprefix("room:")
    account = directory.account(account_id)
    people = directory.occupants(account_id, scan.period.last) if account else ()
    names = [f"{person.name} ({person.id})" for person in people[:NAMES_MOST]]
    if len(people) > NAMES_MOST:
        names.append("…")
    owed = -scan.closing[book]
    limit = account.credit_limit_micro if account else 0
    return (
        account_id,
        account.building if account else "",
        account.room if account else "",
        ", ".join(names),
        scan.below_zero_since.get(book),
        owed,
        limit,
        max(owed - limit, 0),
    )
