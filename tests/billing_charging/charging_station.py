"""A station that only charges: a directory in memory, the books and the store on a real file."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from billing.chain import MeterLimits
from billing.charger import Charger
from billing.model import Account, Occupancy, Person, RegisterSpan
from billing.tariff import Tariff, TariffBook
from domain.books import BookAccount, Entry, EntryKind, room_book
from domain.clock import LeapClock
from domain.events import Event
from domain.frame import sweep_frame
from domain.site import RoomKind
from storage.books.charging import SqlCharging
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

SHANGHAI = ZoneInfo("Asia/Shanghai")
FLAT = {"versions": [{"valid_from": "2026-01-01", "rate": "0.55"}]}
START = datetime(2026, 11, 1, tzinfo=UTC)


class ListedDirectory:
    """A directory of a few accounts that a test writes by hand."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._spans: tuple[RegisterSpan, ...] = ()
        self._of_meter: dict[str, tuple[RegisterSpan, ...]] = {}
        self._living: list[Occupancy] = []

    def put(self, account: Account) -> None:
        self._accounts[account.id] = account

    def put_span(self, span: RegisterSpan) -> None:
        others = [one for one in self._spans if (one.meter, one.since) != (span.meter, span.since)]
        self._spans = tuple(sorted([*others, span], key=lambda one: one.since))
        self._of_meter = {
            meter: tuple(one for one in self._spans if one.meter == meter)
            for meter in {one.meter for one in self._spans}
        }

    def live(self, *occupancies: Occupancy) -> None:
        self._living = list(occupancies)

    def account(self, account_id: str) -> Account | None:
        return self._accounts.get(account_id)

    def accounts(self, *, open_only: bool = True) -> Sequence[Account]:
        return [one for one in self._accounts.values() if not open_only or one.closed_at is None]

    def account_of_room(self, building: str, room: str) -> Account | None:
        found = (one for one in self.accounts() if (one.building, one.room) == (building, room))
        return next(found, None)

    def account_of_meter(self, meter: str, at: datetime | None = None) -> Account | None:
        del at
        spans = self._of_meter.get(meter, ())
        return self._accounts.get(spans[-1].account) if spans else None

    def registers(self, account_id: str) -> Sequence[RegisterSpan]:
        return tuple(one for one in self._spans if one.account == account_id)

    def registers_of_meter(self, meter: str) -> Sequence[RegisterSpan]:
        return self._of_meter.get(meter, ())

    def person(self, person_id: str) -> Person | None:
        return Person(person_id, person_id)

    def people(self) -> Sequence[Person]:
        return []

    def occupants(self, account_id: str, on: date | None = None) -> Sequence[Person]:
        del account_id, on
        return []

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> Sequence[Occupancy]:
        del person_id
        return [one for one in self._living if account_id in (None, one.account)]


class ChargingStation:
    """Everything that charging needs, on a file that survives `restart`."""

    tariff_history: Sequence[tuple[datetime, str]] = ()

    def __init__(
        self,
        folder: Path,
        *,
        tariff: dict[str, Any] | Tariff = FLAT,
        zone: ZoneInfo = SHANGHAI,
        start: datetime = START,
        limits: MeterLimits | None = None,
        post_every_s: float = 3600,
    ) -> None:
        self.clock = LeapClock(start)
        self.zone, self.folder, self.start = zone, folder, start
        self.directory = ListedDirectory()
        self.events: list[Event] = []
        self.limits = limits or MeterLimits()
        self.post_every_s = post_every_s
        self.book = TariffBook.model_validate({"t": tariff})
        self.open()

    @classmethod
    def beside(
        cls,
        other: "ChargingStation",
        *,
        zone: ZoneInfo,
        start: datetime,
        end: datetime,
        tariff_name: str,
        tariff: dict[str, Any],
    ) -> "ChargingStation":
        """Make a station over the ledger of another, with accounts, tariff and time of its own."""
        made = cls.__new__(cls)
        made.clock = LeapClock(end)
        made.zone, made.folder, made.start = zone, other.folder, start
        made.directory, made.events = ListedDirectory(), []
        made.limits, made.post_every_s = MeterLimits(), 3600
        made.book = TariffBook.model_validate({tariff_name: tariff})
        made.ledger, made.books, made.store = other.ledger, other.books, other.store
        made.books.open(BookAccount("clearing:wechat")).result()
        made.restart_charger()
        return made

    def open(self) -> None:
        """Open the ledger's file and build everything over it."""
        self.ledger = SqlLedger(f"sqlite:///{self.folder / 'ledger.db'}", clock=self.clock)
        self.books = SqlBooks(self.ledger, clock=self.clock)
        self.store = SqlCharging(self.ledger, self.books)
        self.restart_charger()

    def restart_charger(self) -> None:
        """Lose what only the charger had in memory."""
        self.charger = Charger(
            self.books,
            self.directory,
            self.store,
            self.clock,
            self.zone,
            self.events.append,
            self.post_every_s,
            limits_of=lambda _: self.limits,
            tariffs_of=(lambda _: tuple(self.tariff_history)) if self.tariff_history else None,
        )
        faults = self.charger.shelf.seed(self.book)
        assert not faults, faults

    def restart(self) -> None:
        """Lose everything that is only in memory."""
        self.ledger.close()
        self.open()

    def close(self) -> None:
        self.ledger.close()

    def room(self, name: str = "b1-101", *, first_wh: int = 1000, **more: Any) -> Account:
        """Open an account with a register of its own, counting from the start."""
        usual = {
            "building": "B1", "room": name, "kind": RoomKind.DORM, "tariff": "t",
            "opened_at": self.start,
        }  # fmt: skip
        account = Account(id=name, **(usual | more))
        self.directory.put(account)
        self.directory.put_span(
            RegisterSpan(meter=f"M-{name}", account=name, since=self.start, first_wh=first_wh)
        )
        self.books.open(BookAccount(room_book(name))).result()
        return account

    def people(self, account: str, count: int, since: date = date(2020, 1, 1)) -> None:
        """Let so many people live in a room from a day on."""
        self.directory.live(*(Occupancy(f"p{one}", account, since) for one in range(count)))

    def at(self, hours: float) -> datetime:
        """Return a moment that many hours from the start."""
        return self.start + timedelta(hours=hours)

    def read(self, *readings: tuple[float, int], meter: str = "M-b1-101") -> None:
        """Give readings (hours from the start, Wh) to the charger, each at its time or later."""
        for hours, energy_wh in readings:
            self.until(hours)
            self.observe((meter, self.at(hours), energy_wh))

    def observe(self, *rows: tuple[str, datetime, int | None], quality: str = "good") -> None:
        """Give one sweep to the charger."""
        self.charger.observe(frame_of(rows, quality))

    def until(self, hours: float) -> None:
        """Let the clock reach a time; it never goes back by this."""
        ahead = (self.at(hours) - self.clock.now()).total_seconds()
        if ahead > 0:
            self.clock.leap(ahead)

    def change(self, account: str, **what: Any) -> None:
        """Change something of an account in the directory."""
        known = self.directory.account(account)
        assert known is not None
        self.directory.put(replace(known, **what))

    def entries(self, kind: EntryKind | None = None) -> list[Entry]:
        """Return the entries of the books, oldest first."""
        return [posted.entry for posted in self.books.entries(kind=kind, limit=100_000)]

    def charged_micro(self, account: str = "b1-101") -> int:
        """Return what the books have charged a room for energy."""
        return -sum(
            leg.amount
            for entry in self.entries(EntryKind.CHARGE)
            for leg in entry.legs
            if leg.account == room_book(account)
        )


def frame_of(rows: Iterable[tuple[str, datetime, int | None]], quality: str) -> pl.DataFrame:
    """Return a sweep's frame with nothing but energy in it."""
    return sweep_frame(
        [
            {"time": at, "meter": meter, "energy_wh": energy_wh, "quality": quality}
            for meter, at, energy_wh in rows
        ]
    )


def micro(amount: str) -> int:
    """Return an amount of money in micro-units."""
    return int(Decimal(amount) * 1_000_000)
