"""The trial balance: every account of the books, and the proof that they sum to zero."""

from billing.reports.figures import Scan
from billing.reports.model import Cell, Column, Kind, Note, Table, energy, money
from domain.books import Unit


def trial_balance(scan: Scan, unit: Unit) -> Table:
    """Tell each account's balances and turnover; the sums of the balances must be zero.

    Signs are the books': positive is owed to somebody or earned, negative is what the house has.
    """
    figure = money if unit is Unit.MICRO else energy
    columns: tuple[Column, ...] = (
        Column("book", Kind.TEXT),
        figure("opening", 1),
        figure("up", 1),
        figure("down", -1),
        figure("closing", -1),
    )
    books = sorted(book for book, found in scan.units.items() if found is unit)
    rows = [_row(scan, book) for book in books]
    return Table(columns, rows, _notes(scan, books, unit))


def _row(scan: Scan, book: str) -> tuple[Cell, ...]:
    turnover = scan.turnover.get(book)
    return (
        book,
        scan.opening.get(book, 0),
        turnover.up if turnover else 0,
        turnover.down if turnover else 0,
        scan.closing[book],
    )


def _notes(scan: Scan, books: list[str], unit: Unit) -> tuple[Note, ...]:
    total = sum(scan.closing[book] for book in books)
    breaks = tuple(
        Note("balances-break", {"account": account}, fault=True)
        for account in scan.breaks[:20]
        if scan.units[account] is unit
    )
    if total:
        figure = {"money": ("total",)} if unit is Unit.MICRO else {"energy": ("total",)}
        return (Note("not-balanced", {"total": total}, fault=True, **figure), *breaks)
    return (Note("balanced", {"entries": scan.entries}), *breaks)
