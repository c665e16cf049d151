"""A report as it is printed: words in a language, money in fen that add up as printed.

The rule of rounding: every amount is rounded by itself to whole fen, half to even; a total is the
exact sum, rounded the same way. Where the printed rows then do not add up to the printed total, a
line of its own shows the difference; where a printed row does not keep its identity (opening +
movements = closing), a column of its own does. Energy and counts are whole numbers and need none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.reports.model import Cell, Column, Kind, Note, Report
from domain.catalogue.language import Language
from domain.money import MICRO_PER_MINOR, MINOR_PER_UNIT, WH_PER_KWH, round_half_even
from domain.texts import TEXTS, text

ROUNDING = Column("rounding", Kind.MONEY)


@dataclass(frozen=True, slots=True)
class Printed:
    """What a writer lays out. Money cells are fen, energy cells Wh, times local without a zone.

    `rounding` is the line between rows and total, None where the rows add up by themselves;
    `total` is None where nothing is added up. `heads` name their unit.
    """

    title: str
    subtitle: str
    made: str
    columns: tuple[Column, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    rounding: tuple[Cell, ...] | None
    total: tuple[Cell, ...] | None
    notes: tuple[str, ...]
    language: Language


def printed(report: Report, language: Language, site: str, currency: str = "CNY") -> Printed:
    """Put a report in words and round its money."""
    zone = report.period.zone
    columns = report.columns
    rows = [
        tuple(
            _cell(cell, column, report, language) for cell, column in zip(row, columns, strict=True)
        )
        for row in report.rows
    ]
    totals = {
        column.key: _rounded(report.totals[column.key], column)
        for column in columns
        if column.adds_up
    }
    columns, rows, totals = _with_rounding_column(columns, rows, totals)
    rounding = _rounding_line(columns, rows, totals, language)
    made = report.made_at.astimezone(zone)
    return Printed(
        title=text(f"report.title.{report.name}", language),
        subtitle=_subtitle(report, language, site),
        made=text("report.made", language, at=f"{made:%Y-%m-%d %H:%M}", zone=str(zone)),
        columns=columns,
        heads=tuple(_head(column, language, currency) for column in columns),
        rows=tuple(rows),
        rounding=rounding,
        total=_total_line(columns, totals, language) if totals and rows else None,
        notes=_notes(report, language, currency, rounding is not None),
        language=language,
    )


def fen_of(amount_micro: int) -> int:
    """Return micro-units in whole fen, half to even."""
    return round_half_even(Decimal(amount_micro) / MICRO_PER_MINOR)


def money_text(amount_minor: int) -> str:
    """Return fen as currency units with two decimals."""
    sign, rest = "-" if amount_minor < 0 else "", abs(amount_minor)
    return f"{sign}{rest // MINOR_PER_UNIT}.{rest % MINOR_PER_UNIT:02d}"


def energy_text(energy_wh: int) -> str:
    """Return Wh as kWh with three decimals."""
    sign, rest = "-" if energy_wh < 0 else "", abs(energy_wh)
    return f"{sign}{rest // WH_PER_KWH}.{rest % WH_PER_KWH:03d}"


def cell_text(cell: Cell, column: Column) -> str:
    """Return a printed cell as text: "" for what is missing."""
    if cell is None:
        return ""
    if isinstance(cell, int) and column.kind is Kind.MONEY:
        return money_text(cell)
    if isinstance(cell, int) and column.kind is Kind.ENERGY:
        return energy_text(cell)
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    return str(cell)


def _cell(cell: Cell, column: Column, report: Report, language: Language) -> Cell:
    if isinstance(cell, int):
        return _rounded(cell, column)
    if isinstance(cell, datetime):
        return cell.astimezone(report.period.zone).replace(tzinfo=None)
    if column.kind is Kind.NAME and isinstance(cell, str):
        return named(cell, language)
    return cell


def named(value: str, language: Language) -> str:
    """Return the catalogue's word for a value, the value itself where it has none."""
    key = f"report.name.{value}"
    return text(key, language) if value and key in TEXTS else value


def _rounded(value: int, column: Column) -> int:
    return fen_of(value) if column.kind is Kind.MONEY else value


def _with_rounding_column(
    columns: tuple[Column, ...], rows: list[tuple[Cell, ...]], totals: dict[str, int]
) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]], dict[str, int]]:
    signed = [(place, column.sign) for place, column in enumerate(columns) if column.sign]
    if not signed or columns[signed[0][0]].kind is not Kind.MONEY:
        return columns, rows, totals
    missing = [-sum(sign * _number(row[place]) for place, sign in signed) for row in rows]
    total = -sum(column.sign * totals[column.key] for column in columns if column.sign)
    if not any(missing) and not total:
        return columns, rows, totals
    # Before the last column of the identity: it is one more movement towards that.
    at = signed[-1][0]
    wider = (*columns[:at], ROUNDING, *columns[at:])
    filled = [
        (*row[:at], difference, *row[at:]) for row, difference in zip(rows, missing, strict=True)
    ]
    return wider, filled, totals | {ROUNDING.key: total}


def _rounding_line(
    columns: Sequence[Column],
    rows: Sequence[tuple[Cell, ...]],
    totals: Mapping[str, int],
    language: Language,
) -> tuple[Cell, ...] | None:
    differences: list[Cell] = []
    for place, column in enumerate(columns):
        if column.key not in totals or column.kind is not Kind.MONEY:
            differences.append(None)
        else:
            differences.append(totals[column.key] - sum(_number(row[place]) for row in rows))
    if not any(differences):
        return None
    return _labelled(differences, columns, text("report.rounding", language))


def _total_line(
    columns: Sequence[Column], totals: Mapping[str, int], language: Language
) -> tuple[Cell, ...]:
    cells: list[Cell] = [totals.get(column.key) for column in columns]
    return _labelled(cells, columns, text("report.total", language))


def _labelled(cells: list[Cell], columns: Sequence[Column], label: str) -> tuple[Cell, ...]:
    if not columns[0].adds_up:
        cells[0] = label
    return tuple(cells)


def _number(cell: Cell) -> int:
    return cell if isinstance(cell, int) else 0


def _head(column: Column, language: Language, currency: str) -> str:
    head = text(f"report.column.{column.key}", language)
    unit = {
        Kind.MONEY: _currency(currency, language),
        Kind.ENERGY: text("report.unit.energy", language),
        Kind.RATE: text("report.unit.rate", language, currency=_currency(currency, language)),
    }.get(column.kind)
    return f"{head} ({unit})" if unit else head


def _currency(currency: str, language: Language) -> str:
    key = f"report.currency.{currency}"
    return text(key, language) if key in TEXTS else currency


def _subtitle(report: Report, language: Language, site: str) -> str:
    period = report.period
    days = (period.end - period.first).days
    key = "report.period.day" if days == 1 else "report.period.days"
    words = text(key, language, first=str(period.first), last=str(period.last), days=days)
    if not report.complete:
        words += text("report.period.open", language)
    return f"{site}  {words}" if site else words


def _notes(report: Report, language: Language, currency: str, rounding: bool) -> tuple[str, ...]:
    notes = [_note(note, language, currency) for note in report.notes]
    notes.append(text("report.note.by-booking", language))
    if rounding:
        notes.append(text("report.note.rounding", language))
    return tuple(notes)


def _note(note: Note, language: Language, currency: str) -> str:
    values: dict[str, object] = dict(note.values)
    for key in note.money:
        amount = note.values[key]
        if isinstance(amount, int):
            values[key] = f"{money_text(fen_of(amount))} {_currency(currency, language)}"
    for key in note.energy:
        amount = note.values[key]
        if isinstance(amount, int):
            values[key] = f"{energy_text(amount)} kWh"
    words = text(f"report.note.{note.key}", language, **values)
    return f"{text('report.fault', language)}{words}" if note.fault else words
