"""Keeps the money of a running station going: charging, payments, arrears, messages, reports."""

import threading
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from alerts.model import Channel
from app.money_file import MoneyFile
from app.money_services import MoneyServices
from app.rounds import Round, Rounds
from app.station import Station
from billing.payments.channel import PaymentChannel
from billing.reports.mailer import ReportMailer
from billing.reports.smtp import SmtpSender
from domain.books import EntryKind, Posted
from domain.errors import InvalidInput, StoreUnavailable, WattwardenError
from domain.events import Event, EventKind, Severity
from domain.frame import Sweep

CHARGE_EVERY_S, ATTACH_EVERY_S, PAY_EVERY_S, REPORT_EVERY_S = 1.0, 2.0, 2.0, 20.0
ARREARS_EVERY_S, WATCH_EVERY_S, PREPAID_EVERY_S, HOUR_S = 10.0, 30.0, 1.0, 3600.0
DAY_S = 24 * HOUR_S
FAILED_SHOWN = 20

# Each room's days are read once a day, a few rooms at a time.
FORECAST_EVERY_S, ROOMS_A_ROUND = 1.0, 50


class Money:
    """The services over the station's ledger, kept going on threads of their own.

    Whoever's money moved is looked at for arrears at once, everybody else every
    `arrears_every_s`; `post_every_s` is how often used energy is booked. `folder` is where key
    files of the site file are seen from.
    """

    def __init__(
        self,
        station: Station,
        file: MoneyFile,
        pay_channels: Mapping[str, PaymentChannel],
        message_channels: Sequence[Channel],
        *,
        folder: Path = Path(),
        post_every_s: float = HOUR_S,
        arrears_every_s: float = ARREARS_EVERY_S,
    ) -> None:
        self._station, self._file = station, file
        self._kept: set[str] = set()
        self._moved: set[str] = set()
        self._moved_lock = threading.Lock()
        self.services = MoneyServices(
            station, file, pay_channels, message_channels, post_every_s=post_every_s,
            kept=lambda meter: meter in self._kept, power_state=self._power_state,
        )  # fmt: skip
        self._rounds = Rounds("money", station.clock, self._round_changed)
        # A provider or a mail server that is slow must not keep a paid room waiting.
        self._payments = Rounds("payments", station.clock, self._round_changed)
        self._reports = Rounds("reports", station.clock, self._round_changed)
        self._add_rounds(arrears_every_s, folder)
        self.services.books.subscribe(self._on_posted)
        self._is_open = False

    def open(self) -> None:
        """Take in the site file's tariffs and what the meters have counted since the last stop.

        Raises InvalidInput with every tariff that can't be taken, StoreUnavailable.
        """
        faults = self.services.charger.shelf.seed(self._file.tariffs)
        if faults:
            raise InvalidInput(faults)
        self.services.prepaid.open_books()
        self.services.charger.catch_up(self._station.stores.series)

    def start(self) -> None:
        """Begin to charge, to send and to look for arrears."""
        self._is_open = True
        self._station.watchers.append(self._observe)
        self.services.notifier.start()
        for rounds in (self._rounds, self._payments, self._reports):
            rounds.start()

    def pause(self) -> None:
        """Stop the rounds and let the notifier end its message; while the field still runs."""
        if self._is_open:
            self._is_open = False
            for rounds in (self._rounds, self._payments, self._reports):
                rounds.stop()
            self.services.notifier.stop()

    def settle(self) -> None:
        """Book what is used; after the field has stopped, so that nothing more comes.

        What can't be booked now is told, and booked after the next start: it is in the series.
        """
        failed: list[str] = []
        for account in self.services.directory.accounts():
            try:
                self.services.charger.settle(account.id)
            except StoreUnavailable as error:
                failed.append(str(error))
                break
            except WattwardenError as error:
                failed.append(f"{account.id}: {error}")
        if failed:
            shown = "; ".join(failed[:FAILED_SHOWN])
            self._tell(EventKind.WORK_FAILING, f"not all use is booked: {shown}", Severity.ALARM)

    def failing(self) -> list[str]:
        """Say what could not be done when it was last tried, and why."""
        found = (self._rounds, self._payments, self._reports)
        return [reason for rounds in found for reason in rounds.failing()]

    def today(self) -> date:
        """Return the day at the site."""
        return self._station.clock.now().astimezone(self.services.zone).date()

    def look_at(self, accounts: Sequence[str] | None = None) -> None:
        """Look for arrears among some accounts, or all, and tell the supervisor."""
        if accounts is None:
            self.services.charger.refresh()
        status = self._station.supervisor.status()
        self._kept = {name for name, meter in status.meters.items() if meter.keep_power is not None}
        self.services.keeper.check_and_send(accounts, self._station.hear)

    def _observe(self, sweep: Sweep) -> None:
        self.services.charger.observe(sweep.frame)
        self.services.prepaid_check.observe(sweep.frame)

    def _add_rounds(self, arrears_every_s: float, folder: Path) -> None:
        clock, services, rounds = self._station.clock, self.services, self._rounds
        rounds.add("registers", ATTACH_EVERY_S, self._attach)
        rounds.add("charging", CHARGE_EVERY_S, services.charger.charge_due)
        rounds.add("paid", HOUR_S, self._look_at_moved)
        rounds.add("arrears", arrears_every_s, self.look_at)
        self._payments.add("payments", PAY_EVERY_S, services.payments.tick)
        rounds.add("prepaid meters", PREPAID_EVERY_S, services.prepaid.tick)
        rounds.add("comparison", PREPAID_EVERY_S, services.prepaid_check.compare_due)
        rounds.add("forecasts", FORECAST_EVERY_S, lambda: services.forecasts.refresh(ROOMS_A_ROUND))
        rounds.add("old vouchers", DAY_S, services.tokens.prune)
        rounds.add("heartbeat", WATCH_EVERY_S, lambda: services.heartbeat.check(clock.now()))
        smtp = self._file.reports.smtp
        if smtp is not None:
            send = SmtpSender(smtp, folder)
            mailer = ReportMailer(
                services.schedule_store, services.reports, send, clock, self._station.on_event,
                sender=send.sender,
            )  # fmt: skip
            self._reports.add("reports", REPORT_EVERY_S, mailer.tick)

    def _attach(self) -> None:
        self.services.accounts.attach_missing(self._station.site)

    def _on_posted(self, posted: Posted) -> None:
        """On the writer's thread: note whose money moved; the looking is done elsewhere."""
        if posted.entry.kind is EntryKind.CHARGE:
            return
        rooms = [leg.account for leg in posted.entry.legs if leg.account.startswith("room:")]
        if rooms:
            with self._moved_lock:
                self._moved.update(room.removeprefix("room:") for room in rooms)
            self._rounds.hurry("paid")

    def _look_at_moved(self) -> None:
        with self._moved_lock:
            moved, self._moved = self._moved, set()
        if moved:
            self.look_at(sorted(moved))

    def _power_state(self, account: str) -> str:
        """Say in a word what a room's power waits for; empty where it is on or not known."""
        meters = self._station.supervisor.status().meters
        waiting = [
            meters[span.meter]
            for span in self.services.directory.registers(account)
            if span.until is None and span.meter in meters and not meters[span.meter].relay_closed
        ]
        words = {one.wait or ("held" if one.causes else "") for one in waiting}
        return ", ".join(sorted(words - {""}))

    def _round_changed(self, item: Round) -> None:
        if item.failing:
            message = f"{item.name} can't be done: {item.failing}"
            self._tell(EventKind.WORK_FAILING, message, Severity.ALARM)
        else:
            self._tell(EventKind.WORK_RESUMED, f"{item.name} is done again")

    def _tell(self, kind: EventKind, words: str, severity: Severity = Severity.INFO) -> None:
        station = self._station
        station.on_event(Event(station.clock.now(), kind, station.site.name, words, severity))
