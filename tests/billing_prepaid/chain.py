"""The real chain on a clock that leaps: books, keeper, bus, line, simulated prepaid meters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from houses import Rooms
from leap_line import KEY, Rig, rig_of, running

import simulator
from billing.prepaid import PrepaidKeeper
from billing.prepaid_check import PrepaidCheck
from billing.prepaid_model import PrepaidSettings, PurchaseOrder
from collector.catalogue import load_profiles
from domain.books import (
    SUSPENSE,
    BookAccount,
    Entry,
    EntryKind,
    Leg,
    cash_book,
    clearing_book,
    meter_book,
    room_book,
    transit_book,
)
from domain.events import Event
from domain.ports import PrepayDriver
from storage.books.prepaid_orders import SqlPrepaidStore
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

MODEL = "simulated-prepaid"
YUAN = 100
TURNS_MOST = 20_000


@dataclass
class Chain:
    """A dormitory of two prepaid meters, m1 of a-103 and m2 of a-104, and its money."""

    rig: Rig
    ledger: SqlLedger
    books: SqlBooks
    rooms: Rooms
    settings: PrepaidSettings
    events: list[Event] = field(default_factory=list)
    reachable: bool = True
    recharges: int = 0

    def __post_init__(self) -> None:
        self.store = SqlPrepaidStore(self.ledger, self.books)
        self.keeper = self.new_keeper()
        self.accrued: dict[str, int] = {}
        self.check = PrepaidCheck(
            self.books, self.rooms, self.store, lambda account: self.accrued.get(account, 0),
            self.keeper.is_moving, self.rig.clock, on_event=self.events.append,
            settings=self.settings,
        )  # fmt: skip

    def new_keeper(self) -> PrepaidKeeper:
        """A keeper as after a start of the service."""
        loop = asyncio.get_running_loop()

        def driver_for(_: str) -> PrepayDriver | None:
            return self.rig.runner if self.reachable else None

        return PrepaidKeeper(
            self.books,
            self.rooms,
            self.store,
            driver_for,
            lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop),
            self.rig.clock,
            on_event=self.events.append,
            seal_key=KEY,
            settings=self.settings,
        )

    def recharge(self, amount_minor: int, account: str = "a-103") -> None:
        """Pay money in for a room."""
        self.recharges += 1
        micro = amount_minor * 10_000
        legs = (Leg(room_book(account), micro), Leg(clearing_book("wechat"), -micro))
        entry_id, now = f"recharge:{self.recharges}", self.rig.clock.now()
        self.books.post(Entry(entry_id, now, EntryKind.RECHARGE, legs, "wechat")).result(10)

    def refund(self, amount_minor: int, account: str = "a-103") -> None:
        """Give a room's money back, as long as it has any."""
        micro = amount_minor * 10_000
        legs = (Leg(room_book(account), -micro), Leg(cash_book("lin"), micro))
        entry = Entry("refund:1", self.rig.clock.now(), EntryKind.REFUND, legs, "lin")
        self.books.post(entry, floors={room_book(account): 0}).result(10)

    def charge(self, amount_minor: int, meter: str = "m1") -> None:
        """Book use, as the charger does for a meter that holds the balance."""
        self.recharges += 1
        micro = amount_minor * 10_000
        legs = (Leg(meter_book(meter), -micro), Leg("revenue:energy", micro))
        entry_id, now = f"charge:{self.recharges}", self.rig.clock.now()
        entry = Entry(entry_id, now, EntryKind.CHARGE, legs, "charging")
        self.books.post(entry, enforce_floors=False).result(10)

    def money(self, account: str = "a-103", meter: str = "m1") -> tuple[int, int, int]:
        """Fen of the room, on the way, and in the meter by the books."""
        books = (room_book(account), transit_book(meter), meter_book(meter))
        return tuple((self.books.balance(book) or 0) // 10_000 for book in books)  # type: ignore[return-value]

    def held(self, meter: str = "m1") -> tuple[int | None, int]:
        """What the simulated meter truly holds, and counts."""
        purse = self.rig.meters[meter].purse
        return purse.balance_minor, purse.purchases

    def orders(self) -> list[PurchaseOrder]:
        """All orders, oldest first."""
        return list(reversed(self.keeper.orders()))

    def states(self) -> list[str]:
        return [str(one.state) for one in self.orders()]

    def writes(self, unit: int = 1) -> int:
        return sum(frame[1] == 16 for _, frame in self.rig.requests_to(unit))

    async def settle(self) -> None:
        """Tick until nothing is on its way to a meter."""
        self.keeper.tick()
        for _ in range(TURNS_MOST):
            if not self.keeper._flights:
                return
            await asyncio.sleep(0)
            self.keeper.tick()
        raise AssertionError("a purchase never came back")

    async def later(self, seconds: float) -> None:
        """Let time pass, then settle."""
        self.rig.clock.leap(seconds)
        await self.settle()

    async def sweep(self) -> None:
        """Show the newest sweep to the comparison."""
        have = len(self.rig.sweeps)
        await self.rig.until(
            lambda: any(
                row["balance_minor"] is not None
                for sweep in self.rig.sweeps[have + 2 :]
                for row in sweep.frame.to_dicts()
            )
        )
        for sweep in self.rig.sweeps[have:]:
            self.check.observe(sweep.frame)


@asynccontextmanager
async def chain_of(
    url: str,
    *,
    poll: bool = False,
    models: tuple[str, ...] = (MODEL, MODEL),
    **settings: object,
) -> AsyncIterator[Chain]:
    """A running chain with its ledger in the database of a URL."""
    profiles = load_profiles(Path(simulator.__file__).parent / "profiles")
    rig = rig_of(profiles, models)
    for meter in rig.meters.values():
        meter.purse.change(0)
    ledger = SqlLedger(url, clock=rig.clock)
    books, rooms = SqlBooks(ledger, clock=rig.clock), Rooms()
    opened = [room_book(one.id) for one in rooms.accounts()]
    opened += [clearing_book("wechat"), cash_book("lin"), SUSPENSE, "revenue:energy"]
    books.open(*(BookAccount(name) for name in opened)).result(10)
    try:
        async with running(rig, poll=poll):
            yield Chain(rig, ledger, books, rooms, PrepaidSettings.model_validate(settings))
    finally:
        ledger.close()
