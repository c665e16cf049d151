"""The tables of accounts on SQLite and on PostgreSQL: the same rows, the same refusals."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from office import NOON, TODAY, Office

from billing.accounts.desk import AccountRefused, Reading
from billing.accounts.meters import MeterChange
from billing.accounts.new_account import NewAccount
from billing.accounts.store import RequestState
from billing.model import Account, Occupancy, Person, RegisterSpan
from billing.people_files.plan import FileKind
from domain.books import EntryRefused
from domain.site import RoomKind
from storage.books.directory_rows import account_row
from storage.books.directory_tables import room_account


def test_all_of_a_room_life_is_kept(office_anywhere: Office) -> None:
    office = office_anywhere
    office.room("305", registers={"m1": 10}, area_m2=22.5, note="corner", floor="3")
    office.room("306")
    office.people("b1-305", "s1", "s2")
    office.recharge("b1-305", 5000, "o1")
    office.clock.leap(3600)
    office.readings["m1"] = Reading(office.clock.now(), 500)
    change = MeterChange("m1", 500, 0, "m2")
    office.accounts.change_meter("c", "b1-305", change, "zhao", "old")
    office.accounts.move_room("v", "b1-305", "b1-306", "li", "swap", people=["s1"])
    office.accounts.request_transfer("t", "b1-305", "b1-306", "recharge:o1", 2000, "li", "x")
    office.accounts.approve_transfer("t", "wang", "y")
    office.readings["m2"] = Reading(office.clock.now(), 40)
    office.accounts.close_account("x", "b1-305", "wang", "left", cashier="till")
    now = office.clock.now()
    before = {name: balance for name, balance in office.books.balances().items() if balance}
    assert before == {
        "clearing:wechat": -50_000_000,
        "cash:till": 5_000_000,
        "room:b1-306": 45_000_000,
    }
    office.reopen()
    assert {name: left for name, left in office.books.balances().items() if left} == before
    assert office.directory.account("b1-305") == Account(
        "b1-305", "B1", "305", RoomKind.DORM, "dorm", opened_at=NOON, closed_at=now, floor="3",
        area_m2=22.5, note="corner",
    )  # fmt: skip
    assert office.directory.registers("b1-305") == (
        RegisterSpan("m1", "b1-305", NOON, 10, now, 500),
        RegisterSpan("m2", "b1-305", now, 0, now, 40),
    )
    assert office.directory.occupancies(person_id="s1")[1] == Occupancy("s1", "b1-306", TODAY)
    assert office.accounts.money_request("t").state is RequestState.APPROVED
    with pytest.raises(AccountRefused, match="was closed"):
        office.accounts.change_account("z", "b1-305", "li", "x", note="n")
    assert office.accounts.close_account("x", "b1-305", "wang", "left", cashier="till").repeated


def test_a_file_is_applied(office_anywhere: Office) -> None:
    office = office_anywhere
    for kind, text in (
        (FileKind.ROOMS, "building,room,kind,tariff\n一号楼,101,dorm,dorm\n"),
        (FileKind.PEOPLE, "person,name,building,room\n" + "".join(
            f"s{number},张三,一号楼,101\n" for number in range(1_200)
        )),
    ):  # fmt: skip
        digest = office.accounts.plan_import(kind, "f", text.encode()).digest
        office.accounts.apply_import(kind.value, kind, "f", text.encode(), digest, "li")
    office.reopen()
    assert len(office.directory.occupants("一号楼-101", TODAY)) == 1_200
    assert office.directory.person("s7") == Person("s7", "张三")


def test_two_people_who_open_the_same_room_at_once_open_it_once(office_anywhere: Office) -> None:
    office = office_anywhere
    new = NewAccount("B1", "305", RoomKind.DORM, "dorm")

    def attempt(number: int) -> str:
        try:
            return str(office.accounts.open_account(f"a{number}", new, "li").result["account"])
        except AccountRefused:
            return "refused"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, range(32)))
    assert sorted(outcomes) == ["b1-305"] + ["refused"] * 31


def test_the_same_money_is_moved_once_however_often_it_is_asked_for_at_once(
    office_anywhere: Office,
) -> None:
    office = office_anywhere
    office.room("305")
    office.room("306")
    office.recharge("b1-305", 5000, "o1")
    for number in range(16):
        office.accounts.request_transfer(
            f"t{number}", "b1-305", "b1-306", "recharge:o1", 3000, "li", "x"
        )

    def attempt(number: int) -> bool:
        try:
            office.accounts.approve_transfer(f"t{number}", "wang", "y")
        except EntryRefused:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, list(range(16)) * 2)) == 2  # one of them, asked for twice
    assert office.balance("b1-306") == 30_000_000


def test_the_database_itself_refuses_a_second_open_account_of_a_room(
    office_anywhere: Office,
) -> None:
    office = office_anywhere
    account = office.room("305")
    row = {**account_row(account), "id": "another"}
    with pytest.raises(sa.exc.IntegrityError):
        office.ledger.transact(
            lambda connection: connection.execute(sa.insert(room_account), row)
        ).result(10)
