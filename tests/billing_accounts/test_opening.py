"""Accounts are opened once a room, kept, and changed with a trail."""

import pytest
from office import NOON, Office

from billing.accounts.desk import AccountRefused, Reading
from billing.accounts.opening import NewAccount
from billing.accounts.roster import accounts_for_roster
from billing.model import Account, RegisterSpan
from domain.books import BookAccount, KeyReused, Unit
from domain.errors import InvalidInput
from domain.events import EventKind
from domain.site import Bus, Meter, RoomKind, Site


def test_an_opened_account_is_there_with_its_books_and_after_a_restart(office: Office) -> None:
    account = office.room("305", registers={"m305": 1200})
    wanted = Account("b1-305", "B1", "305", RoomKind.DORM, "dorm", opened_at=NOON)
    assert account == wanted
    assert office.balance("b1-305") == 0
    assert office.books.account("free:b1-305") == BookAccount("free:b1-305", Unit.WH, 0)
    office.reopen()
    assert office.directory.account_of_room("B1", "305") == wanted
    assert office.directory.account_of_meter("m305") == wanted
    assert office.directory.registers("b1-305") == (RegisterSpan("m305", "b1-305", NOON, 1200),)


def test_the_same_id_opens_once_and_says_the_same(office: Office) -> None:
    new = NewAccount("B1", "305", RoomKind.DORM, "dorm")
    first = office.accounts.open_account("a1", new, "li")
    again = office.accounts.open_account("a1", new, "li")
    assert (first.result, first.repeated) == ({"account": "b1-305"}, False)
    assert (again.result, again.repeated) == ({"account": "b1-305"}, True)
    assert len(office.events(EventKind.ACCOUNT_OPENED)) == 1


def test_the_same_id_for_another_room_is_refused(office: Office) -> None:
    office.accounts.open_account("a1", NewAccount("B1", "305", RoomKind.DORM, "dorm"), "li")
    with pytest.raises(KeyReused):
        office.accounts.open_account("a1", NewAccount("B1", "306", RoomKind.DORM, "dorm"), "li")


def test_a_room_has_one_open_account(office: Office) -> None:
    office.room("305")
    with pytest.raises(AccountRefused, match="has an open account, b1-305"):
        office.accounts.open_account("a2", NewAccount("B1", "305", RoomKind.DORM, "dorm"), "li")


def test_a_meter_counts_for_one_account(office: Office) -> None:
    office.room("305", registers={"m1": 0})
    with pytest.raises(AccountRefused, match="m1 counts for b1-305 already"):
        office.room("306", registers={"m1": 5})
    assert office.directory.account("b1-306") is None
    assert office.books.account("room:b1-306") is None


def test_every_fault_of_a_new_account_is_listed(office: Office) -> None:
    new = NewAccount(
        "", " ", RoomKind.DORM, "", credit_limit_micro=-1, area_m2=0, registers={"m": -1}
    )
    with pytest.raises(InvalidInput) as caught:
        office.accounts.open_account("a1", new, "li")
    assert [fault.source for fault in caught.value.faults] == [
        "building", "room", "tariff", "credit_limit_micro", "area_m2", "registers.m",
    ]  # fmt: skip


def test_a_balance_from_before_is_brought_along(office: Office) -> None:
    office.room("305", opening_micro=12_340_000)
    office.room("306", opening_micro=-2_000_000)
    assert office.balance("b1-305") == 12_340_000
    assert office.balance("b1-306") == -2_000_000
    assert office.books.balance("suspense") == -10_340_000


def test_a_new_tariff_bills_what_was_used_by_the_old_one_first(office: Office) -> None:
    office.room("305")
    office.owed["b1-305"] = 700
    office.clock.leap(60)
    done = office.accounts.change_account("c1", "b1-305", "wang", "new year", tariff="dorm-2027")
    assert done.result["before"] == {"tariff": "dorm"}
    assert office.balance("b1-305") == -700
    account = office.directory.account("b1-305")
    assert account is not None
    assert account.tariff == "dorm-2027"
    assert office.directory.tariff_at("b1-305", NOON) == "dorm"
    assert office.directory.tariff_at("b1-305", office.clock.now()) == "dorm-2027"
    office.accounts.change_account("c1", "b1-305", "wang", "new year", tariff="dorm-2027")
    assert office.settled == ["b1-305"]


def test_a_change_of_nothing_or_beyond_the_limit_is_a_fault(office: Office) -> None:
    office.room("305")
    with pytest.raises(InvalidInput, match="nothing to change"):
        office.accounts.change_account("c1", "b1-305", "wang", "why")
    with pytest.raises(InvalidInput, match="credit_limit_micro"):
        office.accounts.change_account("c2", "b1-305", "wang", "why", credit_limit_micro=10**10)


def a_site() -> Site:
    bus = Bus(name="b1", link="tcp", host="127.0.0.1")
    rows = [
        ("head", "B1", "hall", RoomKind.PUBLIC, True),
        ("m1", "B1", "305", RoomKind.DORM, False),
        ("m2", "B1", "305", RoomKind.DORM, False),
        ("m3", "一号楼", "S 1", RoomKind.SHOP, False),
        ("m4", "B1", "lift", RoomKind.PUBLIC, False),
    ]
    meters = tuple(
        Meter(
            name=name, bus="b1", unit_id=number + 1, profile="p", building=building, room=room,
            kind=kind, rated_current_a=60, head=head,
        )
        for number, (name, building, room, kind, head) in enumerate(rows)
    )  # fmt: skip
    return Site(name="s", time_zone="Asia/Shanghai", buses=(bus,), meters=meters)


TARIFFS = {RoomKind.DORM: "dorm", RoomKind.SHOP: "shop"}


def test_the_roster_gives_one_account_a_room_without_head_meters() -> None:
    found = [(one.id, one.room, one.tariff) for one in accounts_for_roster(a_site(), TARIFFS)]
    assert found == [("b1-305", "305", "dorm"), ("一号楼-s-1", "S 1", "shop")]


def test_the_roster_opens_what_is_missing_and_meters_count_from_their_first_reading(
    office: Office,
) -> None:
    site = a_site()
    assert office.accounts.open_roster(site, TARIFFS) == ["b1-305", "一号楼-s-1"]
    assert office.accounts.open_roster(site, TARIFFS) == []
    office.readings["m1"] = Reading(NOON, 500)
    assert office.accounts.attach_missing(site) == ["m2", "m3"]
    assert office.directory.registers("b1-305") == (RegisterSpan("m1", "b1-305", NOON, 500),)
    office.readings["m1"] = Reading(NOON, 900)
    office.readings["m2"] = Reading(NOON, 7)
    office.readings["m3"] = Reading(NOON, 8)
    assert office.accounts.attach_missing(site) == []
    assert [one.first_wh for one in office.directory.registers("b1-305")] == [500, 7]
