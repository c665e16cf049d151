"""A directory of a few rooms, written down."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from billing.model import Account, BalanceMode, Occupancy, Person, RegisterSpan
from billing.token_code import check_digit
from domain.site import RoomKind

OPENED = datetime(2026, 9, 1, tzinfo=UTC)


def room(number: str, mode: BalanceMode = BalanceMode.STATION) -> Account:
    return Account(f"a-{number}", "A", number, RoomKind.DORM, "dorm", mode=mode, opened_at=OPENED)


class Rooms:
    """a-101 and a-102 have their balance at the station, a-103 and a-104 in meters m1 and m2."""

    def __init__(self) -> None:
        self.table = {
            one.id: one
            for one in (
                room("101"), room("102"),
                room("103", BalanceMode.METER), room("104", BalanceMode.METER),
            )
        }  # fmt: skip
        self.spans = [
            RegisterSpan("m1", "a-103", OPENED, 0),
            RegisterSpan("m2", "a-104", OPENED, 0),
        ]
        self.living = {"a-101": [Person("s1", "Li")], "a-102": [Person("s2", "Wu")]}

    def account(self, account_id: str) -> Account | None:
        return self.table.get(account_id)

    def accounts(self, *, open_only: bool = True) -> Sequence[Account]:
        return [one for one in self.table.values() if not (open_only and one.closed_at)]

    def account_of_room(self, building: str, room: str) -> Account | None:
        return next((a for a in self.accounts() if (a.building, a.room) == (building, room)), None)

    def account_of_meter(self, meter: str, at: datetime | None = None) -> Account | None:
        span = next((span for span in self.spans if span.meter == meter and not span.until), None)
        return self.table[span.account] if span else None

    def registers(self, account_id: str) -> Sequence[RegisterSpan]:
        return [span for span in self.spans if span.account == account_id]

    def registers_of_meter(self, meter: str) -> Sequence[RegisterSpan]:
        return [span for span in self.spans if span.meter == meter]

    def person(self, person_id: str) -> Person | None:
        return next((one for one in self.people() if one.id == person_id), None)

    def people(self) -> Sequence[Person]:
        return [person for people in self.living.values() for person in people]

    def occupants(self, account_id: str, on: date | None = None) -> Sequence[Person]:
        return self.living.get(account_id, [])

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> Sequence[Occupancy]:
        return []


def guess(digits: str, by: int = 1) -> str:
    """Another well-formed token of the same serial: a forger's try."""
    plain = digits.replace("-", "")
    seal = (int(plain[11:19]) + by) % 100_000_000
    body = f"{plain[:11]}{seal:08d}"
    return body + check_digit(body)
