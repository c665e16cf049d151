"""Energy charged, told apart by building, tariff, band, tier, kind, month or room.

All of these add up the same lines of the same charges, so their totals are equal; what they cost
is the movement of the energy revenue account.
"""

from collections import defaultdict
from collections.abc import Sequence

from billing.model import Directory
from billing.reports.figures import Scan
from billing.reports.model import Cell, Column, Kind, Note, Table, energy, money, name, text
from billing.reports.use import Use, UseKey
from domain.books import EntryKind

_COLUMNS = {
    "account": text("account"),
    "building": text("building"),
    "kind": name("kind"),
    "reference": text("month"),
    "tariff": text("tariff"),
    "version": text("version"),
    "band": name("band"),
    "tier": name("tier"),
    "rate": Column("rate", Kind.RATE),
}
_FIGURES = (energy("energy"), energy("free"), energy("paid"), money("cost"))


def consumption(scan: Scan, dimensions: Sequence[str]) -> Table:
    """Add the charged energy up by some of the fields of UseKey, in that order."""
    places = [UseKey._fields.index(dimension) for dimension in dimensions]
    groups: dict[tuple[str, ...], Use] = defaultdict(Use)
    for key, use in scan.used.items():
        group = groups[tuple(key[place] for place in places)]
        group.energy_wh += use.energy_wh
        group.free_wh += use.free_wh
        group.amount_micro += use.amount_micro
    columns = tuple(_COLUMNS[dimension] for dimension in dimensions)
    rows: list[tuple[Cell, ...]] = [
        (*labels, *_figures(groups[labels])) for labels in sorted(groups)
    ]
    return Table((*columns, *_FIGURES), rows, late_notes(scan))


def by_room(scan: Scan, directory: Directory) -> Table:
    """Add the charged energy up by room; a prepaid meter's is its room's."""
    groups: dict[tuple[str, str], Use] = defaultdict(Use)
    for key, use in scan.used.items():
        group = groups[key.building, customer(key.account, directory)]
        group.energy_wh += use.energy_wh
        group.free_wh += use.free_wh
        group.amount_micro += use.amount_micro
    columns = (_COLUMNS["building"], _COLUMNS["account"], *_FIGURES)
    rows: list[tuple[Cell, ...]] = [
        (*labels, *_figures(groups[labels])) for labels in sorted(groups)
    ]
    return Table(columns, rows, late_notes(scan))


def customer(label: str, directory: Directory) -> str:
    """Return the account a label of a scan means: itself, or the one a prepaid meter counts for."""
    if not label.startswith("meter:"):
        return label
    account = directory.account_of_meter(label.removeprefix("meter:"))
    return account.id if account else label


def by_day(scan: Scan) -> Table:
    """Add the charged energy up by the day it was used on, as far as it was booked in the period:
    days before the period are late bookings."""
    days = sorted(scan.used_by_day)
    rows: list[tuple[Cell, ...]] = [(day, *_figures(scan.used_by_day[day])) for day in days]
    return Table((Column("day", Kind.DATE), *_FIGURES), rows, late_notes(scan))


def late_notes(scan: Scan) -> tuple[Note, ...]:
    """Say how much of what was charged had happened before the period began."""
    late = scan.late.get(EntryKind.CHARGE)
    if late is None:
        return ()
    values: dict[str, Cell] = {"entries": late.entries, "amount": -late.amount}
    return (Note("late-charges", values, money=("amount",)),)


def _figures(use: Use) -> tuple[int, ...]:
    return (use.energy_wh, use.free_wh, use.energy_wh - use.free_wh, use.amount_micro)
