"""The services about money, put together over one ledger."""

from collections.abc import Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

from alerts.heartbeat import Heartbeat
from alerts.model import Channel
from alerts.notifier import Notifier
from api.billing_deps import BillingDeps
from api.identity.service import Identity
from app.code_messages import code_sender
from app.money_file import MoneyFile
from app.refund_route import refund_to_source
from app.station import SEAL_KEY_NAME, Station
from billing.accounts.desk import AccountRules, Reading
from billing.accounts.service import Accounts
from billing.arrears import ArrearsKeeper
from billing.bills import UsageStep
from billing.board import BalanceBoard
from billing.chain import MeterLimits
from billing.charger import Charger
from billing.forecast import Forecasts, history_from
from billing.payments.channel import PaymentChannel
from billing.payments.service import Payments
from billing.prepaid import PrepaidKeeper
from billing.prepaid_check import PrepaidCheck
from billing.reports.schedules import ReportSchedules
from billing.reports.service import Reports
from billing.tokens import SECRET, Tokens
from domain.site import RoomKind
from storage.books.account_store import SqlAccountStore
from storage.books.charging import SqlCharging
from storage.books.directory import SqlDirectory
from storage.books.levels import SqlLevels
from storage.books.messages import SqlOutbox
from storage.books.payments import SqlPayments
from storage.books.prepaid import SqlTokenStore
from storage.books.prepaid_orders import SqlPrepaidStore
from storage.books.report_source import SqlReportSource
from storage.books.reports import SqlReportSchedules
from storage.books.sql_books import SqlBooks
from storage.books.users import SqlUserStore

# A breaker carries a little more than its rating for a long time.
SUPPLY_MOST_V, LOAD_MOST = 265.0, 1.3


class MoneyServices:
    """Everything that has to do with money, wired and idle; app.money keeps it going.

    `kept(meter)` says whether keep-power holds a meter on, `power_state(account)` what a room's
    power waits for.
    """

    def __init__(
        self,
        station: Station,
        file: MoneyFile,
        pay_channels: Mapping[str, PaymentChannel],
        message_channels: Sequence[Channel],
        *,
        post_every_s: float,
        kept: Callable[[str], bool],
        power_state: Callable[[str], str],
    ) -> None:
        self._station, self._file = station, file
        self._rated = {meter.name: meter for meter in station.site.meters}
        ledger, clock, tell = station.stores.ledger, station.clock, station.on_event
        self.zone = zone = ZoneInfo(station.site.time_zone)
        self.books = books = SqlBooks(ledger, clock=clock)
        self.directory = directory = SqlDirectory(ledger)
        self.charger = charger = Charger(
            books, directory, SqlCharging(ledger, books), clock, zone, tell, post_every_s,
            limits_of=self._limits_of, tariffs_of=directory.tariffs,
        )  # fmt: skip
        self.outbox = SqlOutbox(ledger)
        self.notifier = Notifier(self.outbox, message_channels, clock, zone, tell, file.messages)
        self.heartbeat = Heartbeat(self.outbox, tell, file.messages)
        no_cut = file.levels.no_cut
        self.forecasts = Forecasts(
            history_from(
                lambda account, start, end, _: charger.usage(account, start, end, UsageStep.DAY),
                zone,
            ),
            self._available_micro,
            lambda: [account.id for account in directory.accounts()],
            lambda: clock.now().astimezone(zone),
            lambda day: not no_cut.is_working_day(day),
        )
        self.keeper = ArrearsKeeper(
            charger.balance_micro, directory, file.levels, SqlLevels(ledger), clock, zone,
            station.age_s, self.notifier.tell, withdraw=self.notifier.withdraw,
            days_left=self.forecasts.days_left, kept=kept, on_event=tell,
        )  # fmt: skip
        pay_store = SqlPayments(ledger, books)
        self.payments = Payments(
            books, directory, pay_store, pay_channels, clock, tell, file.payments,
            power_state=power_state,
        )  # fmt: skip
        self.accounts = Accounts(
            books, SqlAccountStore(ledger, books, directory), directory, clock, zone=zone,
            settle=charger.settle, settle_closing=charger.settle_closing,
            refund_to_source=refund_to_source(self.payments),
            unsettled=self._held_energy, reading_of=self._reading_of,
            rules=AccountRules(tariffs=charger.shelf.tariffs),
        )  # fmt: skip
        self.tokens = Tokens(
            directory, SqlTokenStore(ledger, books, till=file.payments.cash is not None),
            ledger.secret(SECRET), clock, tell, file.tokens,
        )  # fmt: skip
        self._build_prepaid()
        self.board = BalanceBoard(
            books, clock, accrued_micro=charger.accrued_micro, level=self._level,
            days_left=self.keeper.days_left, meter_micro=self.prepaid_check.remaining_micro,
        )  # fmt: skip
        self.identity = Identity(
            SqlUserStore(ledger), clock, file.sign_in, ledger.secret, tell,
            send_code=code_sender(self.notifier, message_channels, directory, clock),
        )  # fmt: skip
        self.reports = Reports(
            SqlReportSource(ledger), directory, clock, zone, site=station.site.title,
            currency=station.site.currency, cashier=pay_store, held=charger,
            settings=file.reports,
        )  # fmt: skip
        self.schedule_store = SqlReportSchedules(ledger)

    def deps(self) -> BillingDeps:
        """Return what the API needs of it."""
        return BillingDeps(
            books=self.books,
            directory=self.directory,
            accounts=self.accounts,
            arrears=self.keeper,
            board=self.board,
            charger=self.charger,
            notifier=self.notifier,
            payments=self.payments,
            prepaid=self.prepaid,
            prepaid_check=self.prepaid_check,
            report_schedules=ReportSchedules(
                self.schedule_store, self.reports, self._station.clock
            ),
            reports=self.reports,
            tokens=self.tokens,
            tariff_of_kind=self._tariff_of_kind(),
        )

    def _build_prepaid(self) -> None:
        station, ledger = self._station, self._station.stores.ledger
        store = SqlPrepaidStore(ledger, self.books)
        bus_of = {meter.name: meter.bus for meter in station.site.meters}
        self.prepaid = PrepaidKeeper(
            self.books, self.directory, store,
            lambda meter: station.runners.get(bus_of.get(meter, "")),
            station.field.submit, station.clock, on_event=station.on_event,
            seal_key=ledger.secret(SEAL_KEY_NAME), settings=self._file.prepaid,
            settle=self.charger.settle,
        )  # fmt: skip
        self.prepaid_check = PrepaidCheck(
            self.books, self.directory, store, self.charger.accrued_micro,
            self.prepaid.is_moving, station.clock, on_event=station.on_event,
            settings=self._file.prepaid,
        )  # fmt: skip

    def _held_energy(self, account: str) -> list[str]:
        """Say what is not decided yet about an account's energy."""
        return [
            f"energy of meter {review.key.meter} is held for review ({review.id})"
            for review in self.charger.reviews()
            if review.account == account
        ]

    def _tariff_of_kind(self) -> dict[RoomKind, str]:
        """Return, for each kind of room, the first tariff that says it is for it."""
        found: dict[RoomKind, str] = {}
        for name, tariff in self._file.tariffs.root.items():
            if tariff.kind is not None:
                found.setdefault(tariff.kind, name)
        return found

    def _limits_of(self, name: str) -> MeterLimits:
        meter = self._rated.get(name)
        if meter is None:
            return MeterLimits()
        carry_w = meter.rated_current_a * SUPPLY_MOST_V * meter.phases * LOAD_MOST
        sizes_wh = self._station.counter_sizes_wh(meter)
        return MeterLimits(carry_w=carry_w, counter_sizes_wh=sizes_wh)

    def _reading_of(self, meter: str) -> Reading | None:
        value = self._station.latest.value(meter, "energy_wh")
        if value is None:
            return None
        return Reading(value[1], value[0], self._limits_of(meter).carry_w)

    def _level(self, account: str) -> str | None:
        level = self.keeper.reached(account)
        return None if level is None else level.value

    def _available_micro(self, account: str) -> int | None:
        """Return what an account may still use, its credit included, or None."""
        found, balance = self.directory.account(account), self.charger.balance_micro(account)
        if found is None or balance is None:
            return None
        return balance + found.credit_limit_micro
