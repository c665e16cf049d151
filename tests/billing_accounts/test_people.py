"""People and where they live: days are half-open, no stay overlaps itself, history is kept."""

from datetime import date

import pytest
from office import TODAY, Office

from billing.accounts.desk import AccountRefused
from billing.accounts.person_check import normal_email, normal_phone
from billing.model import Occupancy, Person
from domain.errors import InvalidInput, UnknownSubject
from domain.events import EventKind

D = date.fromisoformat


@pytest.fixture
def rooms(office: Office) -> Office:
    office.room("305")
    office.room("306")
    office.accounts.add_person("p", Person("s1", "张三"), "li")
    return office


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ""),
        ("138 0013 8000", "13800138000"),
        ("+86 138-0013-8000", "13800138000"),
        ("0086 13800138000", "13800138000"),
        ("8613800138000", "13800138000"),
        ("１３８００１３８０００", "13800138000"),
        ("+852 9123 4567", "+85291234567"),
        ("00 44 20 7946 0000", "+442079460000"),
        ("+86 20 8888 8888", "+862088888888"),
        ("12800138000", None),
        ("1380013800", None),
        ("138001380000", None),
        ("+0123456789", None),
        ("call me", None),
    ],
)
def test_phone_numbers_are_kept_in_one_form(typed: str, kept: str | None) -> None:
    assert normal_phone(typed) == kept


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", ""),
        (" Li.Ming@Example.EDU.cn ", "Li.Ming@example.edu.cn"),
        ("a@b", None),
        ("a..b@example.com", None),
        (".a@example.com", None),
        ("a@-example.com", None),
        ("a b@example.com", None),
        ("a@example.com\nBcc: x@example.com", None),
        ("a" * 65 + "@example.com", None),
    ],
)
def test_addresses_are_checked(typed: str, kept: str | None) -> None:
    assert normal_email(typed) == kept


def test_every_fault_of_a_person_is_listed(office: Office) -> None:
    person = Person("学 1", "  ", "123", "x", "fr")
    with pytest.raises(InvalidInput) as caught:
        office.accounts.add_person("p", person, "li")
    sources = [fault.source for fault in caught.value.faults]
    assert sources == ["person", "name", "phone", "email", "language"]


def test_people_are_kept_in_normal_form_and_changed_with_a_trail_of_fields(rooms: Office) -> None:
    changed = Person("s1", " 张  三丰 ", "+86 13800138000", "", "en")
    rooms.accounts.change_person("c1", changed, "li")
    rooms.reopen()
    assert rooms.directory.person("s1") == Person("s1", "张 三丰", "13800138000", "", "en")
    told = rooms.events(EventKind.PEOPLE_CHANGED)[0]
    assert told.details["fields"] == ["name", "phone", "language"]
    assert "13800138000" not in str(told)


def test_a_number_belongs_to_one_person(rooms: Office) -> None:
    with pytest.raises(AccountRefused, match="there is a person s1 already"):
        rooms.accounts.add_person("p2", Person("s1", "Li Si"), "li")
    with pytest.raises(UnknownSubject):
        rooms.accounts.change_person("c1", Person("s2", "Li Si"), "li")


def test_the_last_day_is_the_one_before_until(rooms: Office) -> None:
    rooms.accounts.move_in("i", "s1", "b1-305", D("2026-09-01"), "li", D("2026-12-01"))
    here = [
        [one.id for one in rooms.directory.occupants("b1-305", D(day))]
        for day in ("2026-08-31", "2026-09-01", "2026-11-30", "2026-12-01")
    ]
    assert here == [[], ["s1"], ["s1"], []]


@pytest.mark.parametrize(
    ("since", "until", "fits"),
    [
        ("2026-08-01", "2026-09-01", True),
        ("2026-12-01", None, True),
        ("2026-08-01", "2026-09-02", False),
        ("2026-11-30", None, False),
        ("2026-10-01", "2026-10-02", False),
        ("2026-08-01", None, False),
    ],
)
def test_one_stay_does_not_overlap_another_of_the_same_person_and_room(
    rooms: Office, since: str, until: str | None, fits: bool
) -> None:
    rooms.accounts.move_in("i", "s1", "b1-305", D("2026-09-01"), "li", D("2026-12-01"))
    end = D(until) if until else None
    if fits:
        rooms.accounts.move_in("i2", "s1", "b1-305", D(since), "li", end)
    else:
        with pytest.raises(AccountRefused, match="s1 occupies b1-305 already"):
            rooms.accounts.move_in("i2", "s1", "b1-305", D(since), "li", end)
    assert len(rooms.directory.occupancies()) == 1 + fits


def test_a_person_may_have_a_dormitory_and_a_shop(rooms: Office) -> None:
    rooms.accounts.move_in("i", "s1", "b1-305", D("2026-09-01"), "li")
    rooms.accounts.move_in("i2", "s1", "b1-306", D("2026-09-01"), "li")
    assert [one.account for one in rooms.directory.occupancies(person_id="s1")] == [
        "b1-305",
        "b1-306",
    ]


def test_a_stay_must_have_a_day(rooms: Office) -> None:
    with pytest.raises(InvalidInput, match="first day away"):
        rooms.accounts.move_in("i", "s1", "b1-305", D("2026-09-01"), "li", D("2026-09-01"))


def test_moving_out_ends_the_stay_and_keeps_it(rooms: Office) -> None:
    rooms.accounts.move_in("i", "s1", "b1-305", D("2026-09-01"), "li")
    rooms.accounts.move_out("o", "s1", "b1-305", TODAY, "li")
    assert rooms.accounts.move_out("o", "s1", "b1-305", TODAY, "li").repeated
    rooms.reopen()
    assert rooms.directory.occupancies() == [Occupancy("s1", "b1-305", D("2026-09-01"), TODAY)]
    with pytest.raises(AccountRefused, match="does not occupy"):
        rooms.accounts.move_out("o2", "s1", "b1-305", TODAY, "li")


def test_who_leaves_on_the_day_he_came_was_never_there(rooms: Office) -> None:
    rooms.accounts.move_in("i", "s1", "b1-305", TODAY, "li")
    rooms.accounts.move_out("o", "s1", "b1-305", TODAY, "li")
    assert rooms.directory.occupancies() == []
    rooms.reopen()
    assert rooms.directory.occupancies() == []


def test_somebody_is_forgotten_when_he_lives_nowhere(rooms: Office) -> None:
    rooms.accounts.add_person("p2", Person("s2", "Li Si", "13800138000"), "li")
    rooms.accounts.move_in("i", "s2", "b1-305", D("2026-09-01"), "li")
    with pytest.raises(AccountRefused, match="s2 occupies b1-305: move out first"):
        rooms.accounts.remove_person("r0", "s2", "li", "left")
    rooms.accounts.move_out("o", "s2", "b1-305", TODAY, "li")
    assert rooms.accounts.remove_person("r2", "s2", "li", "left").result["outcome"] == "blanked"
    assert rooms.accounts.remove_person("r1", "s1", "li", "left").result["outcome"] == "removed"
    rooms.reopen()
    assert rooms.directory.people() == [Person("s2", "")]
    assert len(rooms.directory.occupancies(person_id="s2")) == 1
