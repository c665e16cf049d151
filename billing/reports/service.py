"""Reports on demand: made from one pass over the books, written in the format asked for."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from billing.model import Directory
from billing.reports.cashier import CashierSource
from billing.reports.catalogue import REPORTS, Material, make_report
from billing.reports.csv import write_csv
from billing.reports.exceptions import HeldSource
from billing.reports.figures import Scan
from billing.reports.model import Report
from billing.reports.pdf import write_pdf
from billing.reports.period import Period
from billing.reports.printed import Printed, printed
from billing.reports.scan import scan
from billing.reports.settings import ReportSettings
from billing.reports.source import EntrySource
from billing.reports.xlsx import write_xlsx
from domain.catalogue.language import Language
from domain.clock import Clock
from domain.errors import InvalidInput, WattwardenError
from domain.faults import Fault

SCANS_KEPT = 3
_NEEDS_CASH = frozenset({"shifts", "receipts"})
_NEEDS_REVIEWS = frozenset({"exceptions"})


class ReportsBusy(WattwardenError):
    """Other reports are being made; ask again a little later."""


class ReportFormat(StrEnum):
    """What a report can be written as."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


MEDIA: Mapping[ReportFormat, str] = MappingProxyType(
    {
        ReportFormat.CSV: "text/csv; charset=utf-8",
        ReportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ReportFormat.PDF: "application/pdf",
    }
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A report as a file."""

    content: bytes
    media_type: str
    file_name: str


class Reports:
    """Makes reports, one at a time. Thread-safe; calls block for as long as a pass takes.

    The last few passes are kept, so that the reports of one period share one.
    """

    def __init__(
        self,
        source: EntrySource,
        directory: Directory,
        clock: Clock,
        zone: ZoneInfo,
        *,
        site: str = "",
        currency: str = "CNY",
        cashier: CashierSource | None = None,
        held: HeldSource | None = None,
        settings: ReportSettings | None = None,
    ) -> None:
        self.zone, self.settings = zone, settings or ReportSettings()
        self._source, self._clock = source, clock
        self._site, self._currency = site, currency
        self._one_at_a_time = threading.Lock()
        self._scans: OrderedDict[Period, Scan] = OrderedDict()
        self._material = Material(
            scan=self._scan,
            directory=directory,
            now=clock.now,
            cashier=cashier,
            held=held,
            rows_most=self.settings.rows_most,
        )

    def names(self) -> Sequence[str]:
        """Return the reports that this station can make."""
        missing: frozenset[str] = frozenset()
        if self._material.cashier is None:
            missing |= _NEEDS_CASH
        if self._material.held is None:
            missing |= _NEEDS_REVIEWS
        return [name for name in REPORTS if name not in missing]

    def report(self, name: str, period: Period) -> Report:
        """Make a report.

        Raises UnknownSubject, InvalidInput (too long a time), ReportsBusy, StoreUnavailable.
        """
        with self._turn():
            found = make_report(name, period, self._material)
        if len(found.rows) > self.settings.rows_most:
            message = f"more than {self.settings.rows_most} rows; ask for fewer days"
            raise InvalidInput([Fault("period", message)])
        return found

    def in_words(self, report: Report, language: Language) -> Printed:
        """Put a report in words, with its money rounded to what is printed."""
        return printed(report, language, self._site, self._currency)

    def render(
        self, name: str, period: Period, written_as: ReportFormat, language: Language
    ) -> Rendered:
        """Make a report as a file; it raises what `report` does."""
        page = self.in_words(self.report(name, period), language)
        write = _WRITERS[written_as]
        with self._turn():
            content = write(page)
        file_name = f"{name}-{period.first}-{period.last}.{written_as.value}"
        return Rendered(content, MEDIA[written_as], file_name)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # A pass and a writer take all of a core: two at once would only slow the station.
        if not self._one_at_a_time.acquire(timeout=self.settings.wait_s):
            raise ReportsBusy("other reports are being made; ask again in a minute")
        try:
            yield
        finally:
            self._one_at_a_time.release()

    def _scan(self, period: Period) -> Scan:
        end = self._source.cut(period.end_at)
        known = self._scans.get(period)
        if known is not None and known.end_number == end:
            self._scans.move_to_end(period)
            return known
        self._check_size(self._source.cut(period.start_at), end)
        found = scan(self._source, period, self._clock.now(), listed_most=self.settings.rows_most)
        self._scans[period] = found
        while len(self._scans) > SCANS_KEPT:
            self._scans.popitem(last=False)
        return found

    def _check_size(self, first: int, end: int) -> None:
        most = self.settings.entries_most
        if end - first > most:
            message = f"{end - first} entries, more than {most}; ask for fewer days"
            raise InvalidInput([Fault("period", message)])


_WRITERS = {
    ReportFormat.CSV: write_csv,
    ReportFormat.XLSX: write_xlsx,
    ReportFormat.PDF: write_pdf,
}
