"""The file of people: rows against who is known and who lives where.

A row is a person and, where it names a room, one of his stays; several rows of one person are
several stays. A person whom the file leaves out stays as he is.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from billing.accounts.people import occupancy_faults, overlapping
from billing.accounts.person_check import check_person
from billing.model import Account, Directory, Occupancy, Person
from billing.people_files.columns import PEOPLE
from billing.people_files.plan import (
    FileKind,
    ImportPlan,
    Item,
    ItemKind,
    SavePerson,
    SaveStay,
    Step,
    differences,
    plan_of,
)
from billing.people_files.reading import Row, Sheet
from domain.catalogue.accounts import LANGUAGE_WORDS
from domain.faults import Fault
from domain.site import RoomKind

FIELDS = ("name", "phone", "email", "language")
DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?|(\d{4})(\d{2})(\d{2})")
EARLIEST, LATEST = date(1990, 1, 1), date(2200, 1, 1)
Planned = list[tuple[Item, Step | None]]


@dataclass(slots=True)
class _Wanted:
    """What the file says of one person."""

    person: Person
    row: Row
    stays: list[tuple[Row, Occupancy]] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    directory: Directory
    columns: frozenset[str]
    today: date
    faults: list[Fault] = field(default_factory=list)

    def add(self, row: Row, wanted: dict[str, _Wanted]) -> None:
        """Read a row into what the file says of its person."""
        person, faults = self._person(row)
        before = wanted.get(person.id)
        if before is not None and before.person != person:
            words = f"{person.id} stands in row {before.row.number} with something else"
            names = ", ".join(differences(before.person, person, FIELDS))
            faults.append(Fault(row.at("person"), f"{words}: {names}"))
        stay = self._stay(row, person.id, faults)
        self.faults += faults
        if not faults:
            here = wanted.setdefault(person.id, _Wanted(person, row))
            here.stays += [(row, stay)] if stay else []

    def _person(self, row: Row) -> tuple[Person, list[Fault]]:
        known = self.directory.person(row.get("person"))
        base = known or Person(row.get("person"), "")
        given = {name: row.get(name) for name in FIELDS if name in self.columns}
        word = given.get("language", "")
        given["language"] = LANGUAGE_WORDS.get(word.lower(), word) or base.language
        return check_person(replace(base, **given), row.source)

    def _stay(self, row: Row, person: str, faults: list[Fault]) -> Occupancy | None:
        since, until = self._day(row, "since", faults), self._day(row, "until", faults)
        named = [column for column in ("account", "building", "room") if row.get(column)]
        if not named:
            if since or until:
                faults.append(Fault(row.at("room"), "a day is given, but no room"))
            return None
        account = self._account(row, faults)
        if account is None or faults:
            return None
        stay = self._known_or_new(row, person, account, since, until)
        faults += [Fault(row.at("until"), one.message) for one in occupancy_faults(stay)]
        return stay

    def _known_or_new(
        self, row: Row, person: str, account: Account, since: date | None, until: date | None
    ) -> Occupancy:
        there = self.directory.occupancies(account_id=account.id, person_id=person)
        if since is None:
            begun = [one for one in there if one.until is None]
            known = begun[-1] if begun else None
        else:
            known = next((one for one in there if one.since == since), None)
        if known is None:
            stay = Occupancy(person, account.id, since or self.today, until)
            if account.closed_at is not None:
                words = f"the account {account.id} is closed"
                self.faults.append(Fault(row.at("account"), words))
            return stay
        return replace(known, until=until) if "until" in self.columns else known

    def _account(self, row: Row, faults: list[Fault]) -> Account | None:
        name, building, room = row.get("account"), row.get("building"), row.get("room")
        if not name:
            found = self.directory.account_of_room(building, room)
            if found is None:
                where = f"building {building!r} room {room!r}"
                faults.append(Fault(row.at("room"), f"no open account of {where}"))
            return found
        found = self.directory.account(name)
        if found is None:
            faults.append(Fault(row.at("account"), f"no account {name!r}"))
        elif (building or found.building, room or found.room) != (found.building, found.room):
            words = f"{name} is of {found.building} {found.room}, not of {building} {room}"
            faults.append(Fault(row.at("account"), words))
        return found

    def _day(self, row: Row, column: str, faults: list[Fault]) -> date | None:
        text = row.get(column)
        if not text:
            return None
        match = DAY.fullmatch(text)
        try:
            day = date(*(int(part) for part in match.groups() if part)) if match else None
        except ValueError:
            day = None
        if day is None or not EARLIEST <= day < LATEST:
            words = f"must be a day such as 2026-09-01 (given: {text!r})"
            faults.append(Fault(row.at(column), words))
        return day


def plan_people(
    sheet: Sheet, file: str, directory: Directory, today: date
) -> tuple[ImportPlan | None, list[Fault]]:
    """Hold a file of people against the directory; give what would be done, or every fault."""
    reader = _Reader(directory, sheet.columns, today)
    wanted: dict[str, _Wanted] = {}
    for row in sheet.rows:
        reader.add(row, wanted)
    planned: Planned = []
    faults = reader.faults
    for one in wanted.values():
        lines, wrong = _plan_person(one, directory)
        planned += lines
        faults += wrong
    return (None, faults) if faults else (plan_of(FileKind.PEOPLE, file, planned), [])


def people_rows(directory: Directory, today: date, history: bool) -> list[dict[str, str]]:
    """Return everybody as rows of the file: a row a stay, and one where there is none.

    Without `history`, stays that are over are left out.
    """
    rows = []
    for person in directory.people():
        stays = [
            stay
            for stay in directory.occupancies(person_id=person.id)
            if history or stay.until is None or stay.until > today
        ]
        if person.name or stays:
            shown: Sequence[Occupancy | None] = stays or [None]
            rows += [_row_of(person, stay, directory) for stay in shown]
    return rows


def _row_of(person: Person, stay: Occupancy | None, directory: Directory) -> dict[str, str]:
    account = directory.account(stay.account) if stay else None
    values = (
        person.id, person.name, person.phone, person.email, person.language,
        stay.account if stay else "", account.building if account else "",
        account.room if account else "", stay.since.isoformat() if stay else "",
        stay.until.isoformat() if stay and stay.until else "",
    )  # fmt: skip
    return dict(zip(PEOPLE.names, values, strict=True))


def _plan_person(wanted: _Wanted, directory: Directory) -> tuple[Planned, list[Fault]]:
    before = directory.person(wanted.person.id)
    subject, number = wanted.person.id, wanted.row.number
    planned: Planned = []
    if before is None:
        planned.append((Item(ItemKind.ADDED, number, subject), SavePerson(None, wanted.person)))
    elif before != wanted.person:
        changed = differences(before, wanted.person, FIELDS)
        item = Item(ItemKind.CHANGED, number, subject, changed)
        planned.append((item, SavePerson(before, wanted.person)))
    there = {(stay.account, stay.since): stay for stay in directory.occupancies(person_id=subject)}
    faults: list[Fault] = []
    final = dict(there)
    for row, stay in wanted.stays:
        key = (stay.account, stay.since)
        known = there.get(key)
        if key in {(one.account, one.since) for other, one in wanted.stays if other is not row}:
            faults.append(Fault(row.at("person"), f"the stay of {subject} stands twice"))
        ended = _ended_by(stay, wanted.stays, final.values(), directory) if known is None else []
        for other in ended:
            if other.since >= stay.since:
                words = f"{subject} occupies {other.account} from {other.since} on: give its until"
                faults.append(Fault(row.at("since"), words))
                continue
            after = replace(other, until=stay.since)
            final[(other.account, other.since)] = after
            planned.append(_stay_line(row, other, after))
        final[key] = stay
        planned.append(_stay_line(row, known, stay))
    faults += _overlap_faults(wanted, list(final.values()))
    if before == wanted.person and all(item.kind is ItemKind.UNCHANGED for item, _ in planned):
        planned = [(Item(ItemKind.UNCHANGED, number, subject), None)]
    else:
        planned = [line for line in planned if line[0].kind is not ItemKind.UNCHANGED]
    return planned, faults


def _ended_by(
    stay: Occupancy,
    listed: Sequence[tuple[Row, Occupancy]],
    final: Iterable[Occupancy],
    directory: Directory,
) -> list[Occupancy]:
    """Return the stays that a new one ends: a person sleeps in one dormitory room.

    Not those that the file itself names as going on, and not shops.
    """
    if stay.until is not None or not _is_dorm(stay.account, directory):
        return []
    kept = {(one.account, one.since) for _, one in listed}
    return [
        other
        for other in final
        if other.until is None
        and other.account != stay.account
        and (other.account, other.since) not in kept
        and _is_dorm(other.account, directory)
    ]


def _is_dorm(account_id: str, directory: Directory) -> bool:
    account = directory.account(account_id)
    return account is not None and account.kind is RoomKind.DORM


def _stay_line(row: Row, before: Occupancy | None, after: Occupancy) -> tuple[Item, Step | None]:
    subject = f"{after.person} {after.account}"
    if before is None:
        fields: dict[str, tuple[Any, Any]]
        fields = {"since": (None, after.since), "until": (None, after.until)}
        return Item(ItemKind.MOVED_IN, row.number, subject, fields), SaveStay(None, after)
    if before == after:
        return Item(ItemKind.UNCHANGED, row.number, subject), None
    fields = {"until": (before.until, after.until)}
    kind = ItemKind.MOVED_OUT if before.until is None else ItemKind.CHANGED
    return Item(kind, row.number, subject, fields), SaveStay(before, after)


def _overlap_faults(wanted: _Wanted, final: list[Occupancy]) -> list[Fault]:
    faults = []
    for row, stay in wanted.stays:
        others = [one for one in final if (one.account, one.since) != (stay.account, stay.since)]
        other = overlapping(stay, others)
        if other is not None:
            until = f"until {other.until}" if other.until else "on"
            words = f"{stay.person} occupies {stay.account} from {other.since} {until} already"
            faults.append(Fault(row.at("since"), words))
    return faults
