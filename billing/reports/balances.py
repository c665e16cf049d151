"""Opening and closing balances of rooms and shops, with what moved between: a checked identity."""

from billing.model import Directory
from billing.reports.figures import Scan
from billing.reports.model import Cell, Note, Table, money, text
from domain.books import EntryKind

# The columns between the opening and the closing balance, and the kinds each adds up.
_NAMED: tuple[tuple[str, tuple[EntryKind, ...]], ...] = (
    ("recharged", (EntryKind.RECHARGE,)),
    ("charged", (EntryKind.CHARGE,)),
    ("fees", (EntryKind.FEE,)),
    ("transferred", (EntryKind.TRANSFER, EntryKind.ROOM_MOVE)),
    ("refunded", (EntryKind.REFUND,)),
    ("to_meter", (EntryKind.METER_PURCHASE,)),
    ("adjusted", (EntryKind.ADJUSTMENT,)),
    ("reversed", (EntryKind.REVERSAL,)),
)
_REST = tuple(kind for kind in EntryKind if not any(kind in kinds for _, kinds in _NAMED))
MOVEMENTS = (*_NAMED, ("otherwise", _REST))


def balances(scan: Scan, directory: Directory) -> Table:
    """Tell each room's balance at both ends of the period and every kind of movement between.

    Movements carry their sign: what lowers a balance is negative.
    """
    columns = (
        text("account"),
        text("building"),
        text("room"),
        money("opening", 1),
        *(money(key, 1) for key, _ in MOVEMENTS),
        money("closing", -1),
    )
    rows = [_row(scan, book, directory) for book in rooms(scan)]
    notes = tuple(
        Note("balances-break", {"account": account}, fault=True) for account in scan.breaks[:20]
    )
    return Table(columns, rows, notes)


def rooms(scan: Scan) -> list[str]:
    """Return the book accounts of rooms that had an entry by the end of the period."""
    return sorted(book for book in scan.closing if book.startswith("room:"))


def _row(scan: Scan, book: str, directory: Directory) -> tuple[Cell, ...]:
    account_id = book.removeprefix("room:")
    account = directory.account(account_id)
    moved = [
        sum(scan.moved[book, kind].amount for kind in kinds if (book, kind) in scan.moved)
        for _, kinds in MOVEMENTS
    ]
    return (
        account_id,
        account.building if account else "",
        account.room if account else "",
        scan.opening.get(book, 0),
        *moved,
        scan.closing[book],
    )
