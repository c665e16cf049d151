"""Rooms and people as files: every fault at once, dry run first, done as shown, and back again."""

import io
import zipfile
from datetime import date

import openpyxl
import pytest
from office import NOON, TODAY, Office

from billing.accounts.desk import AccountRefused
from billing.model import Occupancy, Person
from billing.people_files.columns import PEOPLE
from billing.people_files.plan import FileKind, ImportPlan
from billing.people_files.reading import BYTES_MOST, ROWS_MOST, decoded, plain_cell, read_sheet
from billing.people_files.writing import neutral
from domain.errors import InvalidInput
from domain.events import EventKind

SEPTEMBER = date(2026, 9, 1)
ROOMS_HEAD = "building,room,kind,tariff\n"


@pytest.fixture
def rooms(office: Office) -> Office:
    office.room("305")
    office.room("306")
    return office


def plan(office: Office, text: str | bytes, kind: FileKind = FileKind.PEOPLE) -> ImportPlan:
    content = text.encode() if isinstance(text, str) else text
    return office.accounts.plan_import(kind, "f.csv", content)


def apply(office: Office, text: str | bytes, kind: FileKind = FileKind.PEOPLE, name: str = ""):
    content = text.encode() if isinstance(text, str) else text
    digest = plan(office, text, kind).digest
    name = name or f"imp-{digest[:12]}"
    return office.accounts.apply_import(name, kind, "f.csv", content, digest, "li")


def faults(office: Office, text: str | bytes, kind: FileKind = FileKind.PEOPLE) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        plan(office, text, kind)
    return [str(fault) for fault in caught.value.faults]


def shown(planned: ImportPlan) -> list[tuple[str, int, str]]:
    return [(item.kind.value, item.row, item.subject) for item in planned.items]


def workbook(*rows: tuple) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_dry_run_shows_what_would_change_and_changes_nothing(rooms: Office) -> None:
    rooms.people("b1-305", "s1", "s2", since=SEPTEMBER)
    text = (
        "person,name,phone,building,room,since,until\n"
        "s1,Name s1,,B1,305,2026-09-01,\n"
        "s2,Li Si,13800138000,B1,306,2026-11-01,\n"
        "s3,Wang Wu,,B1,305,,\n"
    )
    planned = plan(rooms, text)
    assert shown(planned) == [
        ("changed", 3, "s2"),
        ("moved-out", 3, "s2 b1-305"),
        ("moved-in", 3, "s2 b1-306"),
        ("added", 4, "s3"),
        ("moved-in", 4, "s3 b1-305"),
    ]
    assert planned.counts == {
        "added": 1, "changed": 1, "moved-in": 2, "moved-out": 1, "unchanged": 1,
    }  # fmt: skip
    assert planned.items[0].fields == {
        "name": ("Name s2", "Li Si"),
        "phone": ("", "13800138000"),
    }
    assert rooms.directory.person("s3") is None
    assert len(rooms.directory.occupants("b1-305")) == 2


def test_what_was_shown_is_done_and_kept(rooms: Office) -> None:
    rooms.people("b1-305", "s2", since=SEPTEMBER)
    text = "person,name,account,since\ns2,Li Si,b1-306,2026-11-01\ns3,Wang Wu,b1-305,\n"
    done = apply(rooms, text)
    assert done.result["counts"]["moved-in"] == 2
    rooms.reopen()
    assert rooms.directory.occupancies() == [
        Occupancy("s2", "b1-305", SEPTEMBER, date(2026, 11, 1)),
        Occupancy("s2", "b1-306", date(2026, 11, 1)),
        Occupancy("s3", "b1-305", TODAY),
    ]
    assert rooms.directory.person("s3") == Person("s3", "Wang Wu")
    told = rooms.events(EventKind.PEOPLE_CHANGED, "import of people")
    assert [event.actor for event in told] == ["li"]


def test_importing_the_same_file_again_changes_nothing(rooms: Office) -> None:
    text = "person,name,account,since,until\ns1,A,b1-305,2026-09-01,2026-12-01\ns2,B,,,\n"
    apply(rooms, text)
    again = plan(rooms, text)
    assert (again.items, again.counts["unchanged"]) == ((), 2)


def test_it_is_not_done_when_the_file_or_the_room_changed_since_it_was_shown(
    rooms: Office,
) -> None:
    text = "person,name,account\ns1,A,b1-305\n"
    digest = plan(rooms, text).digest
    with pytest.raises(AccountRefused, match="not what the dry run has shown"):
        other = text.replace("305", "306").encode()
        rooms.accounts.apply_import("i", FileKind.PEOPLE, "f.csv", other, digest, "li")
    rooms.accounts.add_person("p", Person("s1", "A"), "li")
    with pytest.raises(AccountRefused, match="not what the dry run has shown"):
        rooms.accounts.apply_import("i", FileKind.PEOPLE, "f.csv", text.encode(), digest, "li")
    assert rooms.directory.occupancies() == []


def test_the_same_import_twice_is_one(rooms: Office) -> None:
    text = "person,name,account\ns1,A,b1-305\n"
    digest = plan(rooms, text).digest
    args = ("i", FileKind.PEOPLE, "f.csv", text.encode(), digest, "li")
    first, again = rooms.accounts.apply_import(*args), rooms.accounts.apply_import(*args)
    assert (first.repeated, again.repeated, again.result) == (False, True, first.result)


def test_every_fault_of_a_file_is_listed_with_row_and_column(rooms: Office) -> None:
    rooms.people("b1-305", "s7", since=SEPTEMBER)
    text = (
        "person,name,phone,email,language,account,building,room,since,until\n"
        "学1,,12,x,fr,,,,,\n"
        "s2,B,,,,b9-1,,,2026-02-30,\n"
        "s3,C,,,,,B1,999,,\n"
        "s4,D,,,,b1-305,B1,306,,\n"
        "s5,E,,,,,,,2026-09-01,\n"
        "s6,F,,,,b1-305,,,2026-09-01,2026-09-01\n"
        "s7,G,,,,b1-305,,,2026-10-01,2026-11-01\n"
        "s8,H,,,,,,,,\n"
        "s8,Other,,,,,,,,\n"
    )
    listed = faults(rooms, text)
    wanted = [
        "f.csv:2 person", "f.csv:2 name", "f.csv:2 phone", "f.csv:2 email", "f.csv:2 language",
        "f.csv:3 since", "f.csv:3 account", "f.csv:4 room", "f.csv:5 account", "f.csv:6 room",
        "f.csv:7 until", "f.csv:10 person", "f.csv:8 since",
    ]  # fmt: skip
    assert [line.split(": ")[0] for line in listed] == wanted
    assert "no open account of building 'B1' room '999'" in listed[7]
    assert "s7 occupies b1-305 from 2026-09-01 on already" in listed[-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("person,name\n", "has a head and no rows"),
        ("name,phone\nA,\n", "the column person is missing"),
        ("person,nmae\ns1,A\n", "unknown column 'nmae'; allowed are person, name"),
        ("person,学号\ns1,s1\n", "the column person stands twice"),
        ("person,name\ns1,A,x\n", "f.csv:2: has 3 cells for 2 columns"),
        ('person,name\ns1,"A\n', "is no valid CSV"),
        ("person,name\ns1," + "A" * 1001 + "\n", "f.csv:2 name: has more than 1000 characters"),
        ("person,name\ns1,A\x07B\n", "f.csv:2 name: holds control characters"),
        (b"person,name\ns1,\xff\xff\xff\n", "is neither UTF-8 nor GB18030 text"),
        (b"x" * (BYTES_MOST + 1), f"{BYTES_MOST} are allowed"),
        ("person\n" + "s1\n" * (ROWS_MOST + 1), f"has more than {ROWS_MOST} rows"),
    ],
)
def test_a_file_of_the_wrong_form_is_refused(office: Office, text: str | bytes, words: str) -> None:
    listed = faults(office, text)
    assert any(words in line for line in listed), listed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
def test_chinese_files_are_read_in_the_encodings_that_excel_writes(
    rooms: Office, encoding: str
) -> None:
    text = (
        "学号\t姓名\t楼栋\t房间号\t入住日期\t语言\n2026001\t张三丰\tB1\t305\t2026年9月1日\t中文\n"
    )
    if encoding != "utf-16":
        text = text.replace("\t", ",")
    apply(rooms, text.encode(encoding))
    assert rooms.directory.person("2026001") == Person("2026001", "张三丰")
    assert rooms.directory.occupancies() == [Occupancy("2026001", "b1-305", SEPTEMBER)]


def test_a_workbook_is_read_with_its_own_types(rooms: Office) -> None:
    head = ("person", "name", "phone", "account", "since", "until")
    content = workbook(
        head,
        (2026001, "张三", 13800138000, "b1-305", date(2026, 9, 1), None),
        (None, None, None, None, None, None),
        ("s2", "=", "", "b1-306", "2026/9/1", ""),
    )
    apply(rooms, content)
    assert rooms.directory.person("2026001") == Person("2026001", "张三", "13800138000")
    assert rooms.directory.occupancies(person_id="2026001") == [
        Occupancy("2026001", "b1-305", SEPTEMBER)
    ]


def test_faults_of_a_workbook_name_row_and_cell(office: Office) -> None:
    content = workbook(
        ("person", "name", "phone"),
        (1234567890123456789, "A", None),
        ("s2", "=1+1", True),
    )
    listed = faults(office, content)
    assert listed == [
        "f.csv:2 A: is a number of more than 15 digits: make the column text",
        "f.csv:3 B: holds a formula; put its value there",
        "f.csv:3 C: holds a yes/no value; text is needed",
    ]


def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(office: Office) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (65 * 1024 * 1024))
    assert len(out.getvalue()) < BYTES_MOST
    assert "unpacks to more than" in faults(office, out.getvalue())[0]
    assert "damaged workbook" in faults(office, b"PK\x03\x04 nothing")[0]
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("readme", "x")
    assert "no XLSX workbook" in faults(office, empty.getvalue())[0]


NASTY = ("=HYPERLINK(1)", "+1", "-2", "@SUM(A1)", "'=x", "''=x", "'quoted'", "a=b")


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_an_export_comes_back_unchanged_whatever_the_names_are(
    rooms: Office, form: str, language: str
) -> None:
    for number, name in enumerate(NASTY):
        rooms.accounts.add_person(f"p{number}", Person(f"s{number}", name, "+85291234567"), "li")
    rooms.accounts.move_in("i1", "s1", "b1-305", SEPTEMBER, "li", date(2026, 10, 1))
    rooms.accounts.move_in("i2", "s1", "b1-306", date(2026, 10, 1), "li")
    content = rooms.accounts.export(FileKind.PEOPLE, form, language=language, history=True)
    sheet, wrong = read_sheet(content, "f", PEOPLE)
    assert wrong == []
    assert sorted({row.get("name") for row in sheet.rows}) == sorted(NASTY)
    assert len(sheet.rows) == len(NASTY) + 1
    planned = plan(rooms, content)
    assert (planned.steps, planned.counts["unchanged"]) == ((), len(NASTY))


def test_no_cell_of_an_export_is_run_as_a_formula(rooms: Office) -> None:
    rooms.accounts.add_person("p", Person("s1", "=cmd|'/c calc'!A1"), "li")
    csv_text = rooms.accounts.export(FileKind.PEOPLE).decode("utf-8-sig")
    assert csv_text.splitlines()[1].startswith("s1,'=cmd")
    book = openpyxl.load_workbook(io.BytesIO(rooms.accounts.export(FileKind.PEOPLE, "xlsx")))
    cell = book.active["B2"]
    assert (cell.data_type, cell.value, bool(cell.quotePrefix)) == ("s", "=cmd|'/c calc'!A1", True)


@pytest.mark.parametrize("text", [*NASTY, "", "plain", "'"])
def test_a_neutral_cell_is_read_back_as_it_was(text: str) -> None:
    assert plain_cell(neutral(text)) == text
    assert not neutral(text).startswith(("=", "+", "-", "@"))


def test_text_with_nul_is_no_text() -> None:
    assert decoded(b"a\x00b") is None


def test_rooms_are_opened_and_changed_by_file(rooms: Office) -> None:
    rooms.owed["b1-305"] = 500
    text = (
        "楼栋,房间,楼层,类型,电价,透支额度,面积,备注,期初余额\n"
        "B1,305,3,宿舍,dorm-2027,20,,,\n"
        "B1,306,,dorm,dorm,0,,,\n"
        "一号楼,S1,1,商铺,shop,0.5,35.5,bakery,-12.34\n"
    )
    planned = plan(rooms, text, FileKind.ROOMS)
    assert shown(planned) == [("changed", 2, "b1-305"), ("added", 4, "一号楼 S1")]
    assert planned.items[0].fields == {
        "tariff": ("dorm", "dorm-2027"),
        "credit_limit_micro": (0, 20_000_000),
        "floor": ("", "3"),
    }
    apply(rooms, text, FileKind.ROOMS)
    shop = rooms.directory.account_of_room("一号楼", "S1")
    assert shop is not None
    assert (shop.id, shop.kind, shop.credit_limit_micro, shop.area_m2, shop.note) == (
        "一号楼-s1", "shop", 500_000, 35.5, "bakery",
    )  # fmt: skip
    assert rooms.balance(shop.id) == -12_340_000
    # The old tariff's use was booked before the new one came into force.
    assert rooms.balance("b1-305") == -500
    assert rooms.directory.tariffs("b1-305")[-1] == (NOON, "dorm-2027")
    again = plan(rooms, text, FileKind.ROOMS)
    assert (again.steps, again.counts["unchanged"]) == ((), 3)


def test_rooms_go_out_and_come_back_unchanged(rooms: Office) -> None:
    rooms.accounts.change_account("c", "b1-305", "li", "x", credit_limit_micro=1_500_000)
    for form in ("csv", "xlsx"):
        content = rooms.accounts.export(FileKind.ROOMS, form, language="zh-CN")
        assert plan(rooms, content, FileKind.ROOMS).counts["unchanged"] == 2


def test_a_column_that_is_left_out_leaves_things_as_they_are(rooms: Office) -> None:
    rooms.accounts.change_account(
        "c", "b1-305", "li", "x", credit_limit_micro=1_500_000, note="corner"
    )
    planned = plan(rooms, ROOMS_HEAD + "B1,305,dorm,dorm\n", FileKind.ROOMS)
    assert planned.steps == ()
    rooms.accounts.add_person("p", Person("s1", "A", "13800138000", "", "en"), "li")
    assert plan(rooms, "person\ns1\n").steps == ()


def test_every_fault_of_a_file_of_rooms_is_listed(rooms: Office) -> None:
    text = (
        "account,building,room,kind,tariff,credit_limit,area_m2,opening_balance\n"
        ",,1,dorm,dorm,,,\n"
        ",B1,2,house,dorm,,,\n"
        ",B1,3,dorm,,x,big,1.234\n"
        ",B1,4,dorm,dorm,-1,0,NaN\n"
        "b1-9,B1,305,dorm,dorm,,,5\n"
        ",B1,305,dorm,dorm,,,\n"
    )
    listed = faults(rooms, text, FileKind.ROOMS)
    assert [line.split(": ")[0] for line in listed] == [
        "f.csv:2 building", "f.csv:3 kind", "f.csv:4 credit_limit", "f.csv:4 area_m2",
        "f.csv:4 opening_balance", "f.csv:4 tariff", "f.csv:5 opening_balance",
        "f.csv:5 credit_limit", "f.csv:5 area_m2", "f.csv:6 account", "f.csv:6 opening_balance",
        "f.csv:7 room",
    ]  # fmt: skip


def test_people_who_swap_beds_swap_in_one_import(rooms: Office) -> None:
    rooms.people("b1-305", "s1", since=SEPTEMBER)
    rooms.people("b1-306", "s2", since=SEPTEMBER)
    apply(rooms, "person,account,since\ns1,b1-306,2026-11-01\ns2,b1-305,2026-11-01\n")
    here = {room: [p.id for p in rooms.directory.occupants(room)] for room in ("b1-305", "b1-306")}
    assert here == {"b1-305": ["s2"], "b1-306": ["s1"]}


def test_a_shopkeeper_keeps_his_bed(rooms: Office) -> None:
    apply(rooms, ROOMS_HEAD + "B1,S1,shop,shop\n", FileKind.ROOMS)
    rooms.people("b1-305", "s1", since=SEPTEMBER)
    apply(rooms, "person,account,since\ns1,b1-s1,2026-11-01\n")
    assert [one.id for one in rooms.directory.occupants("b1-305")] == ["s1"]
    assert [one.id for one in rooms.directory.occupants("b1-s1")] == ["s1"]


def test_two_rows_of_one_person_are_two_stays(rooms: Office) -> None:
    text = (
        "person,name,account,since,until\n"
        "s1,A,b1-305,2025-09-01,2026-07-01\n"
        "s1,A,b1-305,2026-09-01,\n"
    )
    apply(rooms, text)
    assert len(rooms.directory.occupancies(person_id="s1")) == 2
    listed = faults(rooms, text.replace("2026-09-01", "2025-09-01"))
    assert all("stands twice" in line for line in listed[:2])


def test_moving_in_before_the_present_bed_was_taken_needs_its_end(rooms: Office) -> None:
    rooms.people("b1-305", "s1", since=SEPTEMBER)
    (line,) = faults(rooms, "person,account,since\ns1,b1-306,2026-08-01\n")
    assert "s1 occupies b1-305 from 2026-09-01 on: give its until" in line


def test_many_faults_are_cut_off_with_their_number(office: Office) -> None:
    listed = faults(office, "person,name\n" + "?,A\n" * 1_500)
    assert len(listed) == 1_001
    assert "and 500 more faults" in listed[-1]
