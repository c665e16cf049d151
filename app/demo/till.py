"""The money of a demonstration: accounts, people, opening balances, and customers who pay."""

import csv
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import structlog

from app.demo.summary import quantile
from app.money import Money
from app.money_file import MoneyFile
from app.station import Station
from billing.model import Account
from billing.payments.campus_card import CampusCard
from billing.payments.cashier import CashRequest
from billing.payments.model import OrderRequest
from billing.people_files.plan import FileKind
from billing.tariff_examples import demo_tariffs
from domain.books import REVENUE_ENERGY, clearing_book
from domain.causes import CauseKind
from domain.clock import Clock
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.money import decimal_of, micro_to_minor, minor_to_micro
from domain.site import Meter, RoomKind
from simulator.payments.campus_card import CampusCardProvider
from simulator.people import demo_people
from simulator.phones import Phones
from simulator.scenario import Scenario

CASHIER = "cashier-1"
CARD = "campus-card"
DEBTORS_TARIFF = "guest"
# Less than one step of the meter's counter costs: the first one that is read ends it.
DEBTORS_HAVE = "0.01"
ROOM_COLUMNS = ("building", "room", "floor", "kind", "tariff", "opening_balance")
PEOPLE_COLUMNS = ("person", "name", "phone", "email", "language", "account", "since")
# Night from midnight to midnight is no night at all.
NOBODY_SPARED = {
    "night_from": "00:00", "night_to": "00:00", "weekend": [], "wait_for_cut_at": False,
}  # fmt: skip
PAYS_AFTER_S = 4.0
SALE_EVERY_S = 3.0
AMOUNTS_MINOR = (2_000, 3_000, 5_000, 10_000)

log = structlog.get_logger("demo")


@dataclass(slots=True)
class Sale:
    """A recharge of the demonstration: who, how, how much, and when it was credited."""

    account: str
    channel: str
    amount_minor: int
    credited_s: float | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """The money of the demonstration as its screen shows it; amounts in currency units."""

    accounts: int
    recharges: int
    recharged: Decimal
    used: Decimal
    owing: int


def demo_money(notify_url: str, provider: CampusCardProvider) -> MoneyFile:
    """Return what a site file would say about the demonstration's money."""
    guest = {"title": "客房 guest room", "versions": [{"valid_from": "2020-01-01", "rate": "1.2"}]}
    payments = {
        "notify_url": notify_url,
        "cash": {},
        "campus-card": {
            "base_url": provider.url,
            "merchant": provider.merchant,
            "key_id": provider.key_id,
            "secret_file": "the provider's own, in memory",
        },
    }
    # The evening has neither the time for two hours' warning nor a no-cut calendar: it may be any
    # hour of any day on the machine that shows it.
    levels = {"warning_before_minutes": 0, "warning_urgent": True, "no_cut": NOBODY_SPARED}
    return MoneyFile.model_validate(
        {
            "tariffs": {**demo_tariffs().model_dump(), DEBTORS_TARIFF: guest},
            "payments": payments,
            "levels": levels,
        }
    )


def card_channel(file: MoneyFile, provider: CampusCardProvider, clock: Clock) -> CampusCard:
    """Return the station's side of the demonstration's campus card."""
    table = file.payments.campus_card
    assert table is not None  # noqa: S101 - `demo_money` gives it
    keys = {provider.key_id: provider.secret}
    notify_url = file.payments.notify_url_of(CARD)
    return CampusCard(table, keys, notify_url, file.payments.notice_skew_s, clock)


class Till:
    """Opens the accounts, lets customers pay now and then, and knows what came of it."""

    def __init__(
        self,
        money: Money,
        station: Station,
        scenario: Scenario,
        provider: CampusCardProvider,
        phones: Phones,
    ) -> None:
        self._money, self._station, self._scenario = money, station, scenario
        self.provider, self.phones = provider, phones
        self.sales: list[Sale] = []
        self._dice = random.Random(f"{scenario.seed}:till")
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="customer")
        self._under_way: list[Future[None]] = []
        self._next_s = scenario.start_s + SALE_EVERY_S
        self._cut_s: dict[str, float] = {}
        self._paid: set[str] = set()

    def open(self) -> None:
        """Open the accounts of every room as an office does: a file of rooms, a file of people."""
        money = self._money
        debtors = {meter.name for meter in self._debtor_meters()}
        rooms = [
            (
                meter.building, meter.room, meter.floor, meter.kind.value,
                DEBTORS_TARIFF if meter.name in debtors else meter.kind.value,
                DEBTORS_HAVE if meter.name in debtors else str(self._dice.randrange(25, 120)),
            )
            for meter in self._station.site.meters
        ]  # fmt: skip
        self._import(FileKind.ROOMS, ROOM_COLUMNS, rooms)
        people, occupancies = demo_people(
            money.services.directory.accounts(), money.today().replace(day=1), self._scenario.seed
        )
        lines = [
            (one.id, one.name, one.phone, one.email, one.language, stay.account, stay.since)
            for one, stay in zip(people, occupancies, strict=True)
        ]
        self._import(FileKind.PEOPLE, PEOPLE_COLUMNS, lines)
        money.services.payments.cashier.open_shift(CASHIER, 20_000)

    def _import(self, kind: FileKind, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([heads, *rows])
        name, content = f"{kind.value}.csv", text.getvalue().encode()
        accounts = self._money.services.accounts
        plan = accounts.plan_import(kind, name, content)
        accounts.apply_import(f"demo-{name}", kind, name, content, plan.digest, CASHIER)

    def act(self, now_s: float) -> None:
        """Let whoever is due pay: rooms now and then, debtors a moment after their cut."""
        if now_s >= self._next_s:
            self._next_s += SALE_EVERY_S
            accounts = self._money.services.directory.accounts()
            rooms = [account for account in accounts if account.kind is RoomKind.DORM]
            room = self._dice.choice(rooms)
            if room.id not in {account.id for account in self._debtors()}:
                self._sell(room)
        status = self._station.supervisor.status().meters
        for account in self._debtors():
            for span in self._money.services.directory.registers(account.id):
                meter = status[span.meter]
                owing = any(cause.kind is CauseKind.ARREARS for cause in meter.causes)
                if owing and meter.relay_closed is False:
                    since_s = self._cut_s.setdefault(account.id, now_s)
                    if now_s - since_s >= PAYS_AFTER_S and account.id not in self._paid:
                        self._paid.add(account.id)
                        self._sell(account, CARD)

    def settle(self) -> None:
        """Wait for the payments under way."""
        self._pool.shutdown(wait=True)
        for future in self._under_way:
            future.result()
        self._money.services.payments.tick()

    def figures(self) -> Figures:
        """Return what the screen shows."""
        services = self._money.services
        names = [account.id for account in services.directory.accounts()]
        balances = [services.charger.balance_micro(name) for name in names]
        accrued_micro = sum(services.charger.accrued_micro(name) for name in names)
        booked_micro = services.books.balance(REVENUE_ENERGY) or 0
        credited = [sale for sale in self.sales if sale.credited_s is not None]
        return Figures(
            accounts=len(names),
            recharges=len(credited),
            recharged=decimal_of(minor_to_micro(sum(sale.amount_minor for sale in credited))),
            used=decimal_of(booked_micro + accrued_micro),
            owing=sum(1 for balance in balances if balance is not None and balance < 0),
        )

    def result(self, commands: Sequence[tuple[Command, Receipt | None]]) -> Mapping[str, Any]:
        """Say what was sold and charged; call it after the money has stopped."""
        money, rows = self._money, self._money.services.charger.energy_check()
        credited = [sale for sale in self.sales if sale.credited_s is not None]
        restores = sorted(self._restores(commands))
        paid = sum(one.amount_minor for one in self.provider.trades.values() if one.paid_at)
        owed_micro = money.services.books.balance(clearing_book(CARD)) or 0
        return {
            "recharges": len(credited),
            "recharges_failed": len(self.sales) - len(credited),
            "recharged_minor": sum(sale.amount_minor for sale in credited),
            "provider_difference_minor": paid - micro_to_minor(-owed_micro),
            "counter_wh": sum(row.last_wh - row.first_wh for row in rows),
            "charged_wh": sum(row.billed_wh for row in rows),
            "held_wh": sum(row.held_wh for row in rows),
            "energy_difference_wh": sum(
                abs(row.difference_wh) + abs(row.pending_wh) for row in rows
            ),
            "charged_micro": money.services.books.balance(REVENUE_ENERGY) or 0,
            "arrears_cuts": len(self._cut_s),
            "arrears_restores": len(restores),
            "restore_p50_s": quantile(restores, 0.5),
            "restore_p99_s": quantile(restores, 0.99),
            "messages_sent": sum(self.phones.arrived.values()),
        }

    def _restores(self, commands: Sequence[tuple[Command, Receipt | None]]) -> Iterator[float]:
        """Give the seconds from each debtor's credit to his relay proven closed."""
        meters = {(one.building, one.room): one.name for one in self._debtor_meters()}
        for account in self._debtors():
            paid_s = [
                sale.credited_s
                for sale in self.sales
                if sale.account == account.id and sale.credited_s is not None
            ]
            closed = [
                receipt.finished_at.timestamp()
                for command, receipt in commands
                if command.meter == meters[account.building, account.room]
                and command.action is Action.CLOSE
                and receipt is not None
                and receipt.status is ReceiptStatus.CONFIRMED
            ]
            later = [at_s - min(paid_s) for at_s in closed if paid_s and at_s >= min(paid_s)]
            if later:
                yield min(later)

    def _debtor_meters(self) -> list[Meter]:
        return [one for one in self._station.site.meters if one.name in self._scenario.debtors]

    def _debtors(self) -> list[Account]:
        rooms = [(meter.building, meter.room) for meter in self._debtor_meters()]
        found = [self._money.services.directory.account_of_room(*room) for room in rooms]
        return [account for account in found if account is not None]

    def _sell(self, account: Account, channel: str = "") -> None:
        channel = channel or self._dice.choice((CARD, "cash"))
        sale = Sale(account.id, channel, self._dice.choice(AMOUNTS_MINOR))
        self.sales.append(sale)
        self._under_way.append(self._pool.submit(self._pay, sale, f"demo-{len(self.sales)}"))

    def _pay(self, sale: Sale, key: str) -> None:
        money, clock = self._money, self._station.clock
        if sale.channel == "cash":
            request = CashRequest(key, sale.account, sale.amount_minor)
            money.services.payments.cash_recharge(request, CASHIER)
        else:
            asked = OrderRequest(
                key,
                sale.account,
                sale.channel,
                sale.amount_minor,
                payer={"card": key.replace("-", "")},
            )
            order = money.services.payments.create_order(asked, CASHIER)
            # The customer's bank tells twice now and then, and the credit comes once.
            answers = self.provider.pay(order.id, copies=self._dice.choice((1, 1, 2)))
            if any(status != 200 for status in answers):
                sale.failure = f"notices were answered with {answers}"
                log.error("a notice was not taken", order=order.id, answers=answers)
        if not sale.failure:
            sale.credited_s = clock.now().timestamp()
