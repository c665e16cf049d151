"""Free base energy: what was there, granted, used, expired, and what is left, in Wh."""

from billing.model import Directory
from billing.reports.figures import Scan
from billing.reports.model import Cell, Note, Table, energy, text
from domain.books import FREE_EXPIRED, FREE_GRANTED, FREE_USED, EntryKind, Unit

_HOUSE = {FREE_GRANTED, FREE_USED, FREE_EXPIRED}
_MOVEMENTS = (
    ("granted", EntryKind.FREE_GRANT),
    ("used", EntryKind.FREE_USE),
    ("expired", EntryKind.FREE_EXPIRY),
)


def free_energy(scan: Scan, directory: Directory) -> Table:
    """Tell each room's free energy at both ends of the period and what moved between, signed."""
    columns = (
        text("account"),
        text("building"),
        text("room"),
        energy("opening", 1),
        *(energy(key, 1) for key, _ in _MOVEMENTS),
        energy("otherwise", 1),
        energy("closing", -1),
    )
    books = sorted(
        book for book, unit in scan.units.items() if unit is Unit.WH and book not in _HOUSE
    )
    notes = tuple(
        Note("balances-break", {"account": book}, fault=True)
        for book in scan.breaks[:20]
        if book in books
    )
    return Table(columns, [_row(scan, book, directory) for book in books], notes)


def _row(scan: Scan, book: str, directory: Directory) -> tuple[Cell, ...]:
    account_id = book.removeprefix("free:")
    account = directory.account(account_id)
    moved = [
        scan.moved[book, kind].amount if (book, kind) in scan.moved else 0 for _, kind in _MOVEMENTS
    ]
    turnover = scan.turnover.get(book)
    total = turnover.up - turnover.down if turnover else 0
    return (
        account_id,
        account.building if account else "",
        account.room if account else "",
        scan.opening.get(book, 0),
        *moved,
        total - sum(moved),
        scan.closing[book],
    )
