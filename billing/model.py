"""Accounts, people, occupancies and meter registers: what all of billing speaks about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from domain.site import RoomKind


class BalanceMode(StrEnum):
    """Who holds the balance: the station's ledger, or the prepaid meter itself."""

    STATION = "station"
    METER = "meter"


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a room or shop. Its id is the room's id in every URL, e.g. `b1-305`.

    `tariff` names the tariff in force (its versions carry dates). `credit_limit_micro` is how far
    below zero it may be spent before arrears. At most one account of a (building, room) is open.
    """

    id: str
    building: str
    room: str
    kind: RoomKind
    tariff: str
    mode: BalanceMode = BalanceMode.STATION
    credit_limit_micro: int = 0
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    floor: str = ""
    area_m2: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who lives in a room or runs a shop. `id` is the student or staff number."""

    id: str
    name: str
    phone: str = ""
    email: str = ""
    language: str = "zh-CN"


@dataclass(frozen=True, slots=True)
class Occupancy:
    """A person occupies an account's room from a day on, until a day (the first day away)."""

    person: str
    account: str
    since: date
    until: date | None = None


@dataclass(frozen=True, slots=True)
class RegisterSpan:
    """A meter's register counts for an account from a reading on, until a last reading.

    A changed meter closes one span with its final reading and opens another with its first. `meter`
    is the roster's name, `serial` the device's own number where it is known.
    """

    meter: str
    account: str
    since: datetime
    first_wh: int
    until: datetime | None = None
    last_wh: int | None = None
    serial: str = ""


class Directory(Protocol):
    """Who lives where and which meter counts for whom. Thread-safe, quick (from memory)."""

    def account(self, account_id: str) -> Account | None: ...

    def accounts(self, *, open_only: bool = True) -> Sequence[Account]: ...

    def account_of_room(self, building: str, room: str) -> Account | None: ...

    def account_of_meter(self, meter: str, at: datetime | None = None) -> Account | None: ...

    def registers(self, account_id: str) -> Sequence[RegisterSpan]: ...

    def registers_of_meter(self, meter: str) -> Sequence[RegisterSpan]: ...

    def person(self, person_id: str) -> Person | None: ...

    def people(self) -> Sequence[Person]: ...

    def occupants(self, account_id: str, on: date | None = None) -> Sequence[Person]: ...

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> Sequence[Occupancy]: ...
