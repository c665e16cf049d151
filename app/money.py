"""The money of a running station: books, accounts, charging, payments, arrears, messages."""

import threading
from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

from alerts.heartbeat import Heartbeat
from alerts.model import Channel
from alerts.notifier import Notifier
from api.billing_deps import BillingDeps
from api.identity.service import Identity
from app.money_file import MoneyFile
from app.rounds import Round, Rounds
from app.station import Station
from billing.accounts.desk import Reading
from billing.accounts.service import Accounts
from billing.arrears import ArrearsKeeper
from billing.board import BalanceBoard
from billing.chain import MeterLimits
from billing.charger import Charger
from billing.payments.channel import PaymentChannel
from billing.payments.service import Payments
from billing.tokens import SECRET, Tokens
from domain.books import EntryKind, Posted
from domain.errors import InvalidInput
from domain.events import Event, EventKind, Severity
from storage.books.account_store import SqlAccountStore
from storage.books.charging import SqlCharging
from storage.books.directory import SqlDirectory
from storage.books.levels import SqlLevels
from storage.books.messages import SqlOutbox
from storage.books.payments import SqlPayments
from storage.books.prepaid import SqlTokenStore
from storage.books.sql_books import SqlBooks
from storage.books.users import SqlUserStore

# A breaker carries a little more than its rating for a long time.
SUPPLY_MOST_V, LOAD_MOST = 265.0, 1.3
ATTACH_EVERY_S = 2.0
CHARGE_EVERY_S, PAY_EVERY_S, ARREARS_EVERY_S, WATCH_EVERY_S = 1.0, 2.0, 10.0, 30.0


class Money:
    """Builds the services over the station's ledger and keeps them going on a thread of its own.

    What happens to money is looked at for arrears at once, everybody else every
    `arrears_every_s`; `post_every_s` is how often used energy is booked.
    """

    def __init__(
        self,
        station: Station,
        file: MoneyFile,
        pay_channels: Mapping[str, PaymentChannel],
        message_channels: Sequence[Channel],
        *,
        post_every_s: float = 3600.0,
        arrears_every_s: float = ARREARS_EVERY_S,
    ) -> None:
        self._station, self._file = station, file
        self._kept: set[str] = set()
        self._rated = {meter.name: meter for meter in station.site.meters}
        ledger, clock = station.stores.ledger, station.clock
        self.zone = ZoneInfo(station.site.time_zone)
        self.books = SqlBooks(ledger, clock=clock)
        self.directory = SqlDirectory(ledger)
        self.charger = self._charger(post_every_s)
        self.outbox = SqlOutbox(ledger)
        self.notifier = Notifier(
            self.outbox, message_channels, clock, self.zone, station.on_event, file.messages
        )
        self.heartbeat = Heartbeat(self.outbox, station.on_event, file.messages)
        self.keeper = self._keeper()
        self.payments = Payments(
            self.books, self.directory, SqlPayments(ledger, self.books), pay_channels, clock,
            station.on_event, file.payments, power_state=self._power_state,
        )  # fmt: skip
        self.accounts = Accounts(
            self.books,
            SqlAccountStore(ledger, self.books, self.directory),
            self.directory,
            clock,
            zone=self.zone,
            settle=self.charger.settle,
            reading_of=self._reading_of,
        )
        self.tokens = Tokens(
            self.directory, SqlTokenStore(ledger, self.books), ledger.secret(SECRET), clock,
            station.on_event,
        )  # fmt: skip
        self.board = BalanceBoard(
            self.books, clock, accrued_micro=self.charger.accrued_micro, level=self._level,
            days_left=self.keeper.days_left,
        )  # fmt: skip
        self.identity = Identity(
            SqlUserStore(ledger), clock, file.sign_in, ledger.secret, station.on_event
        )
        self._moved: set[str] = set()
        self._moved_lock = threading.Lock()
        self.rounds = Rounds("money", clock, self._round_changed)
        self._add_rounds(arrears_every_s)
        self.books.subscribe(self._on_posted)

    def open(self) -> None:
        """Take in the site file's tariffs and what the meters have counted since the last stop.

        Raises InvalidInput with every tariff that can't be taken.
        """
        faults = self.charger.shelf.seed(self._file.tariffs)
        if faults:
            raise InvalidInput(faults)

    def start(self) -> None:
        """Begin to charge, to send and to look for arrears."""
        self._station.watchers.append(lambda sweep: self.charger.observe(sweep.frame))
        self.notifier.start()
        self.rounds.start()

    def stop(self) -> None:
        """Stop the rounds, book what is used, and let the notifier end its message."""
        self.rounds.stop()
        self.notifier.stop()
        for account in self.directory.accounts():
            self.charger.settle(account.id)

    def today(self) -> date:
        """Return the day at the site."""
        return self._station.clock.now().astimezone(self.zone).date()

    def deps(self) -> BillingDeps:
        """Return what the API needs of it."""
        return BillingDeps(books=self.books, directory=self.directory, board=self.board)

    def look_at(self, accounts: Sequence[str] | None = None) -> None:
        """Look for arrears among some accounts, or all, and tell the supervisor."""
        self._kept = self._kept_meters()
        self.keeper.check_and_send(accounts, self._station.hear)

    def _charger(self, post_every_s: float) -> Charger:
        return Charger(
            self.books,
            self.directory,
            SqlCharging(self._station.stores.ledger, self.books),
            self._station.clock,
            self.zone,
            self._station.on_event,
            post_every_s,
            limits_of=self._limits_of,
            tariffs_of=self.directory.tariffs,
        )

    def _limits_of(self, name: str) -> MeterLimits:
        meter = self._rated.get(name)
        if meter is None:
            return MeterLimits()
        carry_w = meter.rated_current_a * SUPPLY_MOST_V * meter.phases * LOAD_MOST
        return MeterLimits(carry_w=carry_w)

    def _reading_of(self, meter: str) -> Reading | None:
        value = self._station.latest.value(meter, "energy_wh")
        if value is None:
            return None
        return Reading(value[1], value[0], self._limits_of(meter).carry_w)

    def _keeper(self) -> ArrearsKeeper:
        station = self._station
        return ArrearsKeeper(
            self.charger.balance_micro,
            self.directory,
            self._file.levels,
            SqlLevels(station.stores.ledger),
            station.clock,
            self.zone,
            station.age_s,
            self.notifier.tell,
            withdraw=self.notifier.withdraw,
            kept=lambda meter: meter in self._kept,
            on_event=station.on_event,
        )

    def _add_rounds(self, arrears_every_s: float) -> None:
        clock = self._station.clock
        self.rounds.add("charging", CHARGE_EVERY_S, self.charger.charge_due)
        self.rounds.add("paid", 3600.0, self._look_at_moved)
        self.rounds.add("arrears", arrears_every_s, self.look_at)
        self.rounds.add("registers", ATTACH_EVERY_S, self._attach)
        self.rounds.add("payments", PAY_EVERY_S, self.payments.tick)
        self.rounds.add("heartbeat", WATCH_EVERY_S, lambda: self.heartbeat.check(clock.now()))

    def _attach(self) -> None:
        self.accounts.attach_missing(self._station.site)

    def _on_posted(self, posted: Posted) -> None:
        """On the writer's thread: note whose money moved; the looking is done elsewhere."""
        if posted.entry.kind is EntryKind.CHARGE:
            return
        rooms = [leg.account for leg in posted.entry.legs if leg.account.startswith("room:")]
        with self._moved_lock:
            self._moved.update(room.removeprefix("room:") for room in rooms)
        self.rounds.hurry("paid")

    def _look_at_moved(self) -> None:
        with self._moved_lock:
            moved, self._moved = self._moved, set()
        if moved:
            self.look_at(sorted(moved))

    def _level(self, account: str) -> str | None:
        view = self.keeper.level(account)
        return view.level.value if view is not None and view.level is not None else None

    def _kept_meters(self) -> set[str]:
        status = self._station.supervisor.status()
        return {name for name, meter in status.meters.items() if meter.keep_power is not None}

    def _power_state(self, account: str) -> str:
        """Say in a word what a room's power waits for; empty where it is on or not known."""
        meters = self._station.supervisor.status().meters
        spans = self.directory.registers(account)
        waiting = [
            meters[span.meter]
            for span in spans
            if span.until is None and span.meter in meters and not meters[span.meter].relay_closed
        ]
        words = [one.wait or ("held" if one.causes else "") for one in waiting]
        return ", ".join(sorted({word for word in words if word}))

    def _round_changed(self, item: Round) -> None:
        now, site = self._station.clock.now(), self._station.site.name
        if item.failing:
            message = f"{item.name} can't be done: {item.failing}"
            event = Event(now, EventKind.WORK_FAILING, site, message, Severity.ALARM)
        else:
            event = Event(now, EventKind.WORK_RESUMED, site, f"{item.name} is done again")
        self._station.on_event(event)
