"""Reports for finance from the command line: read from the ledger, beside a running station."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from app.cli.common import SitePath, output
from app.site_file import load_site_file
from app.stores import ledger_url
from billing.reports.catalogue import REPORTS
from billing.reports.model import ADDED_UP
from billing.reports.period import period_of
from billing.reports.printed import Printed, cell_text
from billing.reports.service import ReportFormat, Reports
from domain.catalogue.language import Language
from domain.clock import SystemClock
from domain.errors import InvalidInput
from domain.faults import Fault
from domain.site import Site
from domain.texts import text
from storage.books.reading import ReadingStores, reading_stores


class ShownAs(StrEnum):
    """How the command gives a report."""

    TABLE = "table"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


class Lang(StrEnum):
    """The languages of reports."""

    EN = "en"
    ZH_CN = "zh-CN"


DayText = Annotated[str, typer.Option(help="A local day such as 2026-11-03.")]


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("report")(run_report)


def run_report(
    name: Annotated[str, typer.Argument(help="The report; without it they are listed.")] = "",
    *,
    first: Annotated[str, typer.Option("--from", help="The first local day.")] = "",
    end: Annotated[str, typer.Option("--to", help="The first day left out.")] = "",
    day: DayText = "",
    month: Annotated[str, typer.Option(help="A month such as 2026-11.")] = "",
    shown_as: Annotated[ShownAs, typer.Option("--format", help="How it is given.")] = ShownAs.TABLE,
    lang: Annotated[Lang, typer.Option(help="Its language.")] = Lang.ZH_CN,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; else one is named after the report.")
    ] = None,
    site: SitePath = Path("site.toml"),
    ledger: Annotated[
        str, typer.Option("--ledger", help="Read this ledger (a URL or a file), not the site's.")
    ] = "",
) -> None:
    """Make a report of some local days: a table, or a CSV, XLSX or PDF file."""
    language: Language = "en" if lang is Lang.EN else "zh-CN"
    if not name:
        _list(language)
        return
    file = load_site_file(site)
    period = period_of(
        ZoneInfo(file.site.time_zone),
        first=_day(first, "--from"),
        end=_day(end, "--to"),
        day=_day(day, "--day"),
        month=month or None,
    )
    with reading_stores(_url(ledger) if ledger else ledger_url(file.settings)) as stores:
        reports = _reports(stores, file.site)
        if shown_as is ShownAs.TABLE:
            _show(reports.in_words(reports.report(name, period), language))
            return
        made = reports.render(name, period, ReportFormat(shown_as.value), language)
    target = out or Path(made.file_name)
    target.write_bytes(made.content)
    typer.echo(str(target))


def _reports(stores: ReadingStores, site: Site) -> Reports:
    return Reports(
        stores.source,
        stores.directory,
        SystemClock(),
        ZoneInfo(site.time_zone),
        site=site.title,
        currency=site.currency,
        cashier=stores.payments,
        held=stores.charging,
    )


def _list(language: Language) -> None:
    table = Table("report", "title")
    for name in REPORTS:
        table.add_row(name, text(f"report.title.{name}", language))
    output.print(table)


def _show(page: Printed) -> None:
    table = Table(title=page.title, caption=page.subtitle)
    for head, column in zip(page.heads, page.columns, strict=True):
        table.add_column(head, justify="right" if column.kind in ADDED_UP else "left")
    for line in (*page.rows, *(line for line in (page.rounding, page.total) if line)):
        table.add_row(
            *(cell_text(cell, column) for cell, column in zip(line, page.columns, strict=True))
        )
    output.print(table)
    for note in page.notes:
        output.print(note, soft_wrap=True, markup=False)


def _day(words: str, option: str) -> date | None:
    if not words:
        return None
    try:
        return date.fromisoformat(words)
    except ValueError as error:
        message = f"must be a day such as 2026-11-03 (given: {words!r})"
        raise InvalidInput([Fault(option, message)]) from error


def _url(words: str) -> str:
    return words if "://" in words else f"sqlite:///{words}"
