"""What a report is: columns of closed kinds, rows of exact whole numbers, totals, notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from billing.reports.period import Period

Cell = int | str | datetime | date | None


class Kind(StrEnum):
    """What a column holds. MONEY is micro-units, ENERGY is Wh; NAME is looked up in the catalogue
    and stands as it is where the catalogue has no word for it; RATE is currency a kWh, as text."""

    MONEY = "money"
    ENERGY = "energy"
    COUNT = "count"
    TEXT = "text"
    NAME = "name"
    TIME = "time"
    DATE = "date"
    RATE = "rate"


ADDED_UP = frozenset({Kind.MONEY, Kind.ENERGY, Kind.COUNT})


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Its head is the text `report.column.<key>`.

    `total` says whether it is added up below the rows. `sign` makes it a part of the identity that
    every row obeys: the columns' values, each times its sign, sum to zero (opening + movements -
    closing). A printed row that misses that by rounding shows by how much.
    """

    key: str
    kind: Kind
    total: bool = True
    sign: int = 0

    @property
    def adds_up(self) -> bool:
        """Say whether a total stands below it."""
        return self.total and self.kind in ADDED_UP


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence below a report: the text `report.note.<key>` with its values.

    `money` and `energy` name values in micro-units and Wh, so that a writer prints them as such.
    `fault` marks what must not be: figures that do not agree.
    """

    key: str
    values: Mapping[str, Cell] = field(default_factory=dict)
    money: tuple[str, ...] = ()
    energy: tuple[str, ...] = ()
    fault: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A table about a period. `complete` is False while the period has not ended at `made_at`.

    `totals` are exact sums of the rows, by column key. Rows have a cell a column; a missing value
    is None.
    """

    name: str
    period: Period
    made_at: datetime
    complete: bool
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    totals: Mapping[str, int]
    notes: tuple[Note, ...] = ()

    def place(self, key: str) -> int:
        """Return where the column of that key stands. Raises ValueError."""
        return [column.key for column in self.columns].index(key)


@dataclass(frozen=True, slots=True)
class Table:
    """The part of a report that differs from one to the next."""

    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    notes: tuple[Note, ...] = ()


def report_of(
    name: str, period: Period, made_at: datetime, table: Table, notes: tuple[Note, ...] = ()
) -> Report:
    """Put a report together and add its columns up."""
    totals = {
        column.key: sum(cell for row in table.rows if isinstance(cell := row[place], int))
        for place, column in enumerate(table.columns)
        if column.adds_up
    }
    return Report(
        name=name,
        period=period,
        made_at=made_at,
        complete=period.end_at <= made_at,
        columns=table.columns,
        rows=tuple(table.rows),
        totals=totals,
        notes=(*table.notes, *notes),
    )


def money(key: str, sign: int = 0) -> Column:
    """Make a column of money."""
    return Column(key, Kind.MONEY, sign=sign)


def energy(key: str, sign: int = 0) -> Column:
    """Make a column of energy."""
    return Column(key, Kind.ENERGY, sign=sign)


def count(key: str) -> Column:
    """Make a column of counts."""
    return Column(key, Kind.COUNT)


def text(key: str) -> Column:
    """Make a column of words."""
    return Column(key, Kind.TEXT)


def name(key: str) -> Column:
    """Make a column of words that the catalogue may know."""
    return Column(key, Kind.NAME)


def moment(key: str) -> Column:
    """Make a column of moments, printed in local time."""
    return Column(key, Kind.TIME)
