"""The money of a station as it is wired: what its file says, what is booked when it stops."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from app.money import Money
from app.money_file import MoneyFile
from app.settings import Settings
from app.station import Station
from app.stores import open_stores
from billing.accounts.new_account import NewAccount
from billing.accounts.service import Accounts
from billing.people_files.plan import FileKind
from collector.catalogue import load_profiles
from domain.books import REVENUE_ENERGY
from domain.clock import LeapClock, SystemClock
from domain.errors import InvalidInput
from domain.events import EventKind, Severity
from domain.policy import Policy
from domain.site import Bus, Meter, RoomKind, Site
from storage.books.account_store import SqlAccountStore

TARIFFS = {"flat": {"versions": [{"valid_from": "2026-01-01", "rate": "0.50"}]}}
NOBODY_LISTENS = 9


def site() -> Site:
    meters = tuple(
        Meter(
            name=f"a-{number}", bus="b1", unit_id=number, profile="acrel-ddsy1352", building="A",
            room=str(number), kind=RoomKind.DORM, rated_current_a=60,
        )
        for number in (1, 2)
    )  # fmt: skip
    bus = Bus(name="b1", link="rtu-over-tcp", host="127.0.0.1", tcp_port=NOBODY_LISTENS)
    return Site(name="small", time_zone="Asia/Shanghai", buses=(bus,), meters=meters)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A station whose field is not started."""
    settings = Settings.model_validate({"data_dir": tmp_path})
    stores = open_stores(settings)
    clock = LeapClock(SystemClock().now())
    stores.ledger.save_site(site(), Policy(), "test")
    yield Station(site(), Policy(), settings, load_profiles(), stores, clock)
    stores.close()


def money_of(station: Station) -> Money:
    file = MoneyFile.model_validate({"tariffs": TARIFFS})
    money = Money(station, file, {}, [])
    money.open()
    return money


def accounts_of_before(station: Station, money: Money) -> Accounts:
    """Accounts as they were when a tariff that is not there was not refused yet."""
    services = money.services
    store = SqlAccountStore(station.stores.ledger, services.books, services.directory)
    return Accounts(
        services.books, store, services.directory, station.clock, zone=services.zone,
        settle=services.charger.settle,
    )  # fmt: skip


def use(station: Station, money: Money, meter: str, from_wh: int, to_wh: int) -> None:
    """Open the account of a meter's room and let the meter count on."""
    assert isinstance(station.clock, LeapClock)
    number = meter.removeprefix("a-")
    tariff = "flat" if number == "1" else "nowhere"
    room = NewAccount("A", number, RoomKind.DORM, tariff, registers={meter: from_wh})
    accounts_of_before(station, money).open_account(f"open-{meter}", room, "office")
    station.clock.leap(60)
    money.services.charger.observe(
        pl.DataFrame(
            {
                "meter": [meter],
                "time": [station.clock.now() - timedelta(seconds=1)],
                "energy_wh": [to_wh],
                "quality": ["good"],
            },
            schema_overrides={"time": pl.Datetime("ms", "UTC")},
        )
    )


def test_what_was_used_is_booked_at_the_stop_and_what_can_not_be_is_told(station: Station) -> None:
    money = money_of(station)
    use(station, money, "a-1", 1000, 1100)
    use(station, money, "a-2", 5000, 5100)
    money.settle()
    assert money.services.books.balance(REVENUE_ENERGY) == 50_000
    station.stores.ledger.record().result(10)
    (event,) = station.stores.ledger.events(kind=EventKind.WORK_FAILING)
    assert event.severity is Severity.ALARM
    assert "a-2" in event.message
    assert "nowhere" in event.message


def test_an_account_can_not_have_a_tariff_that_is_not_there(station: Station) -> None:
    accounts = money_of(station).services.accounts
    room = NewAccount("A", "1", RoomKind.DORM, "falt")
    with pytest.raises(InvalidInput, match="no tariff 'falt'; there are: flat"):
        accounts.open_account("open-1", room, "office")
    accounts.open_account("open-2", NewAccount("A", "1", RoomKind.DORM, "flat"), "office")
    with pytest.raises(InvalidInput, match="no tariff 'dear'"):
        accounts.change_account("change-1", "a-1", "office", "dearer", tariff="dear")
    rooms = b"building,room,kind,tariff\nA,2,dorm,flta\n"
    with pytest.raises(InvalidInput, match=r"rooms.csv:2 tariff: no tariff 'flta'"):
        accounts.plan_import(FileKind.ROOMS, "rooms.csv", rooms)


def test_a_changed_past_of_a_tariff_is_refused_at_the_start(station: Station) -> None:
    money_of(station)
    cheaper = {"flat": {"versions": [{"valid_from": "2026-01-01", "rate": "0.10"}]}}
    file = MoneyFile.model_validate({"tariffs": cheaper})
    with pytest.raises(InvalidInput, match="flat"):
        Money(station, file, {}, []).open()


def test_what_only_reads_wrong_is_not_told_twice() -> None:
    from app.validation import build

    bad = {"tariffs": {"flat": {"versions": [{"valid_from": "2026-01-01", "rate": "much"}]}}}
    _, faults = build(MoneyFile, bad, "site.toml", "")
    assert [fault.source for fault in faults] == ["site.toml: tariffs.flat.versions[0].rate"]
    _, faults = build(MoneyFile, {"tariffs": {"flat": {"versions": []}}}, "site.toml", "")
    assert [fault.source for fault in faults] == ["site.toml: tariffs.flat.versions"]
