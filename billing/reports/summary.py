"""One page for the head of finance: the figures of all the other reports side by side."""

from billing.reports.figures import Scan
from billing.reports.model import Cell, Column, Kind, Table, name
from billing.reports.recharges import by_channel
from domain.books import (
    FREE_EXPIRED,
    FREE_GRANTED,
    FREE_USED,
    REVENUE_ENERGY,
    REVENUE_FEE,
    EntryKind,
)


def summary(scan: Scan) -> Table:
    """Tell each figure once: money in the one column, energy in the other, counts in the third."""
    columns = (
        name("figure"),
        Column("money", Kind.MONEY, total=False),
        Column("energy", Kind.ENERGY, total=False),
        Column("entries", Kind.COUNT, total=False),
    )
    return Table(columns, [*_tills(scan), *_revenue(scan), *_free(scan), *_balances(scan)])


def _tills(scan: Scan) -> list[tuple[Cell, ...]]:
    table = by_channel(scan)
    places = {column.key: place for place, column in enumerate(table.columns)}

    def total(key: str) -> int:
        return sum(cell for row in table.rows if isinstance(cell := row[places[key]], int))

    return [
        ("recharged", total("recharged"), None, total("recharges")),
        ("refunded", total("refunded"), None, total("refund_count")),
        ("net", total("net"), None, None),
    ]


def _revenue(scan: Scan) -> list[tuple[Cell, ...]]:
    uses = scan.used.values()
    energy, free = sum(use.energy_wh for use in uses), sum(use.free_wh for use in uses)
    return [
        ("consumption", _moved(scan, REVENUE_ENERGY), energy, None),
        ("free", None, free, None),
        ("paid", None, energy - free, None),
        ("fees", _moved(scan, REVENUE_FEE), None, None),
        ("late", -_late(scan), None, scan.late[_CHARGE].entries if _CHARGE in scan.late else 0),
    ]


def _free(scan: Scan) -> list[tuple[Cell, ...]]:
    # What was granted leaves the house (negative there); what was used or expired comes back.
    return [
        ("granted", None, -_moved(scan, FREE_GRANTED), None),
        ("used", None, _moved(scan, FREE_USED), None),
        ("expired", None, _moved(scan, FREE_EXPIRED), None),
    ]


def _balances(scan: Scan) -> list[tuple[Cell, ...]]:
    rooms = [book for book in scan.closing if book.startswith("room:")]
    debts = [-scan.closing[book] for book in rooms if scan.closing[book] < 0]
    return [
        ("opening_balances", sum(scan.opening.get(book, 0) for book in rooms), None, None),
        ("closing_balances", sum(scan.closing[book] for book in rooms), None, len(rooms)),
        ("arrears", sum(debts), None, len(debts)),
    ]


def _moved(scan: Scan, book: str) -> int:
    turnover = scan.turnover.get(book)
    return turnover.up - turnover.down if turnover else 0


def _late(scan: Scan) -> int:
    return scan.late[_CHARGE].amount if _CHARGE in scan.late else 0


_CHARGE = EntryKind.CHARGE
