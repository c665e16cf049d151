"""What the routes about money need: the books, the directory and the services over them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alerts.notifier import Notifier
from billing.accounts.service import Accounts
from billing.arrears import ArrearsKeeper
from billing.board import BalanceBoard
from billing.charger import Charger
from billing.model import Directory
from billing.payments.service import Payments
from billing.prepaid import PrepaidKeeper
from billing.prepaid_check import PrepaidCheck
from billing.reports.schedules import ReportSchedules
from billing.reports.service import Reports
from billing.tokens import Tokens
from domain.books import Books
from domain.site import RoomKind


@dataclass(frozen=True, slots=True)
class BillingDeps:
    """The services of billing; one that a station does not run is None, and its routes say so."""

    books: Books
    directory: Directory
    accounts: Accounts | None = None
    arrears: ArrearsKeeper | None = None
    board: BalanceBoard | None = None
    charger: Charger | None = None
    notifier: Notifier | None = None
    payments: Payments | None = None
    prepaid: PrepaidKeeper | None = None
    prepaid_check: PrepaidCheck | None = None
    report_schedules: ReportSchedules | None = None
    reports: Reports | None = None
    tokens: Tokens | None = None
    # Which tariff an account opened from the roster gets, by the kind of its room.
    tariff_of_kind: Mapping[RoomKind, str] = field(default_factory=dict)
