"""A made-up campus whose books are full of random but valid entries, and plain ways to keep them.

`make_entries` is a generator of entries in the order they are booked, each with its moment; the
same seed gives the same entries. `Listed` is an EntrySource over a list.
"""

import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from billing.model import Account, Occupancy, Person, RegisterSpan
from billing.reports.source import BookBalance, Booked, Move
from domain.books import BookAccount, Entry, EntryKind, Leg, Unit
from domain.money import exact_price, round_half_even
from domain.site import RoomKind

SHANGHAI = ZoneInfo("Asia/Shanghai")
CHANNELS = ("wechat", "alipay", "unionpay", "campus-card")
# Entries come in bunches, as they do where charges are posted every so often.
SLOT = timedelta(hours=2)
RATES = {"peak": "0.8583", "flat": "0.5583", "valley": "0.3083"}


@dataclass(slots=True)
class MadeDirectory:
    """Accounts and people by hand."""

    made: list[Account]
    persons: list[Person] = field(default_factory=list)
    lived: list[Occupancy] = field(default_factory=list)

    def account(self, account_id: str) -> Account | None:
        return next((one for one in self.made if one.id == account_id), None)

    def accounts(self, *, open_only: bool = True) -> Sequence[Account]:
        return [one for one in self.made if not (open_only and one.closed_at)]

    def account_of_room(self, building: str, room: str) -> Account | None:
        return next((a for a in self.made if (a.building, a.room) == (building, room)), None)

    def account_of_meter(self, meter: str, at: datetime | None = None) -> Account | None:
        return None

    def registers(self, account_id: str) -> Sequence[RegisterSpan]:
        return ()

    def registers_of_meter(self, meter: str) -> Sequence[RegisterSpan]:
        return ()

    def person(self, person_id: str) -> Person | None:
        return next((one for one in self.persons if one.id == person_id), None)

    def people(self) -> Sequence[Person]:
        return self.persons

    def occupants(self, account_id: str, on: date | None = None) -> Sequence[Person]:
        found = [
            self.person(one.person)
            for one in self.lived
            if one.account == account_id
            and (on is None or (one.since <= on and (one.until is None or on < one.until)))
        ]
        return [person for person in found if person]

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> Sequence[Occupancy]:
        return [
            one
            for one in self.lived
            if account_id in (None, one.account) and person_id in (None, one.person)
        ]


def campus(rooms: int = 6, shops: int = 1) -> MadeDirectory:
    """Return rooms spread over two buildings, and some shops; two people live in each room."""
    made, persons, lived = [], [], []
    for number in range(rooms):
        building = f"B{number % 2 + 1}"
        account = Account(
            f"b{number % 2 + 1}-{101 + number}", building, str(101 + number), RoomKind.DORM, "dorm"
        )
        made.append(account)
        for bed in ("a", "b"):
            person = Person(f"2026{number:03d}{bed}", f"学生{number}{bed}")
            persons.append(person)
            lived.append(Occupancy(person.id, account.id, date(2026, 9, 1)))
    made += [
        Account(
            f"s-{number}", "S", str(number), RoomKind.SHOP, "shop", credit_limit_micro=50_000_000
        )
        for number in range(1, shops + 1)
    ]
    return MadeDirectory(made, persons, lived)


def book_accounts(directory: MadeDirectory) -> list[BookAccount]:
    """Return every account of the books that the made entries move."""
    rooms = [BookAccount(f"room:{one.id}") for one in directory.made]
    free = [BookAccount(f"free:{one.id}", Unit.WH) for one in directory.made]
    house = [BookAccount(f"clearing:{channel}") for channel in CHANNELS]
    house += [BookAccount(name) for name in ("cash:wang", "cash:li", "revenue:energy")]
    house += [BookAccount("revenue:fee"), BookAccount("suspense")]
    wh = [BookAccount(f"free:{name}", Unit.WH) for name in ("granted", "used", "expired")]
    return [*rooms, *free, *house, *wh]


def entry(
    entry_id: str,
    kind: EntryKind,
    at: datetime,
    legs: Mapping[str, int],
    reference: str = "",
    actor: str = "system",
    description: str = "",
    /,
    **details: Any,
) -> Entry:
    """Make an entry of a few words."""
    made = tuple(Leg(account, amount) for account, amount in legs.items())
    return Entry(entry_id, at, kind, made, actor, description, reference, details)


class Maker:
    """Makes one random valid entry after the other."""

    def __init__(self, seed: int, directory: MadeDirectory) -> None:
        self._random = random.Random(seed)
        self._directory = directory
        self._number = 0
        self._taken: list[Entry] = []
        self._makers = (
            [self.charge] * 8
            + [self.recharge] * 3
            + [self.free_grant, self.free_use, self.free_expiry, self.fee]
            + [self.refund, self.transfer, self.room_move, self.adjustment, self.reversal]
        )

    def any(self, at: datetime) -> Entry | None:
        """Make an entry of any kind; None where it would move nothing."""
        return self._random.choice(self._makers)(at)

    def charge(self, at: datetime) -> Entry | None:
        """Charge an hour or two, now and then a correction or something of last month."""
        account = self._account()
        lines = [self._line(account, band) for band in self._some(list(RATES))]
        amount = sum(line["amount_micro"] for line in lines)
        if not amount:
            return None
        happened = at - timedelta(days=self._random.choice([0] * 9 + [33]))
        month = f"{happened.astimezone(SHANGHAI):%Y-%m}"
        legs = {f"room:{account.id}": -amount, "revenue:energy": amount}
        made = entry(
            self._id("charge"), EntryKind.CHARGE, happened, legs, month,
            building=account.building, kind=account.kind.value, lines=lines,
        )  # fmt: skip
        self._taken.append(made)
        return made

    def recharge(self, at: datetime) -> Entry:
        """Recharge a room by some channel or in cash."""
        account, fen = self._account(), self._random.randint(1, 1_000)
        book = self._random.choice([*(f"clearing:{c}" for c in CHANNELS), "cash:wang", "cash:li"])
        legs = {f"room:{account.id}": fen * 10_000, book: -fen * 10_000}
        channel = "cash" if book.startswith("cash:") else book.removeprefix("clearing:")
        made = entry(
            self._id("recharge"), EntryKind.RECHARGE, at, legs, channel=channel,
            order=f"O{self._number}", provider_ref=f"P{self._number}", amount_minor=fen,
            person=None, shift="shift-1" if channel == "cash" else None,
            building=account.building, kind=account.kind.value,
        )  # fmt: skip
        self._taken.append(made)
        return made

    def refund(self, at: datetime) -> Entry:
        """Give something back."""
        account, fen = self._account(), self._random.randint(1, 2_000)
        book = self._random.choice([*(f"clearing:{c}" for c in CHANNELS), "cash:wang"])
        legs = {f"room:{account.id}": -fen * 10_000, book: fen * 10_000}
        return entry(self._id("refund"), EntryKind.REFUND, at, legs, f"O{self._number}", "zhang")

    def transfer(self, at: datetime) -> Entry:
        """Move money between two rooms."""
        return self._between(EntryKind.TRANSFER, at)

    def room_move(self, at: datetime) -> Entry:
        """Move what somebody has to his new room."""
        return self._between(EntryKind.ROOM_MOVE, at)

    def adjustment(self, at: datetime) -> Entry:
        """Put something right by hand."""
        account, amount = self._account(), self._random.choice([-1, 1]) * 10_000
        other = self._random.choice(["suspense", "revenue:energy", "clearing:wechat"])
        legs = {f"room:{account.id}": amount, other: -amount}
        return entry(
            self._id("adjustment"), EntryKind.ADJUSTMENT, at, legs, "", "zhang", "by hand",
            requested_by="zhang", approved_by="chen",
        )  # fmt: skip

    def reversal(self, at: datetime) -> Entry | None:
        """Undo an earlier charge or recharge."""
        if not self._taken:
            return None
        undone = self._taken.pop(self._random.randrange(len(self._taken)))
        legs = {leg.account: -leg.amount for leg in undone.legs}
        return entry(
            self._id("reversal"), EntryKind.REVERSAL, at, legs, undone.id, "zhang", "wrong",
            reverses=undone.kind.value,
        )  # fmt: skip

    def fee(self, at: datetime) -> Entry:
        """Book a shop's service fee."""
        account, amount = self._directory.made[-1], self._random.randint(1, 10**8)
        legs = {f"room:{account.id}": -amount, "revenue:fee": amount}
        return entry(self._id("fee"), EntryKind.FEE, at, legs, fee="service")

    def free_grant(self, at: datetime) -> Entry:
        """Grant free energy."""
        return self._free(EntryKind.FREE_GRANT, "granted", at, self._random.randint(1, 16_000))

    def free_use(self, at: datetime) -> Entry:
        """Use free energy."""
        return self._free(EntryKind.FREE_USE, "used", at, -self._random.randint(1, 900))

    def free_expiry(self, at: datetime) -> Entry:
        """Let free energy expire."""
        return self._free(EntryKind.FREE_EXPIRY, "expired", at, -self._random.randint(1, 900))

    def _free(self, kind: EntryKind, house: str, at: datetime, energy_wh: int) -> Entry:
        account = self._account()
        legs = {f"free:{account.id}": energy_wh, f"free:{house}": -energy_wh}
        return entry(self._id(kind.value), kind, at, legs, building=account.building)

    def _between(self, kind: EntryKind, at: datetime) -> Entry:
        one, other = self._random.sample(self._directory.made, 2)
        amount = self._random.randint(1, 10**8)
        legs = {f"room:{one.id}": -amount, f"room:{other.id}": amount}
        return entry(self._id(kind.value), kind, at, legs, requested_by="li", approved_by="chen")

    def _line(self, account: Account, band: str) -> dict[str, Any]:
        energy = self._random.randint(-50, 1_500)
        free = self._random.choice([0, 0, max(energy, 0) // 3])
        rate = RATES[band]
        amount = round_half_even(exact_price(energy - free, Decimal(rate)))
        return {
            "tariff": account.tariff, "version": self._random.choice([1, 2]), "band": band,
            "tier": self._random.choice([1, 2]), "energy_wh": energy, "free_wh": free,
            "rate": rate, "amount_micro": amount,
        }  # fmt: skip

    def _some(self, things: list[str]) -> list[str]:
        return self._random.sample(things, self._random.randint(1, len(things)))

    def _account(self) -> Account:
        return self._random.choice(self._directory.made)

    def _id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}:{self._number}"


def make_entries(
    seed: int, directory: MadeDirectory, start: datetime, end: datetime, entries: int
) -> Iterator[tuple[datetime, Entry]]:
    """Make about so many entries, spread over a time, with the moments they are booked at."""
    maker = Maker(seed, directory)
    steps = random.Random(seed + 1)
    slots = int((end - start) / SLOT)
    for slot in sorted(steps.randrange(slots) for _ in range(entries)):
        moment = start + slot * SLOT
        made = maker.any(moment)
        if made is not None:
            yield moment, made


class Listed:
    """Entries in a list, as reports read them."""

    def __init__(self, entries: Sequence[tuple[datetime, Entry]] = ()) -> None:
        self.posted: list[Booked] = []
        self._balances: dict[str, int] = {}
        for booked_at, one in entries:
            self.add(booked_at, one)

    def add(self, booked_at: datetime, one: Entry) -> Booked:
        """Book an entry at a moment."""
        for leg in one.legs:
            self._balances[leg.account] = self._balances.get(leg.account, 0) + leg.amount
        legs = tuple(Move(leg.account, leg.amount, self._balances[leg.account]) for leg in one.legs)
        booked = Booked(
            len(self.posted) + 1, one.id, one.time, booked_at, one.kind, one.actor,
            one.description, one.reference, one.details, legs,
        )  # fmt: skip
        self.posted.append(booked)
        return booked

    def cut(self, moment: datetime) -> int:
        for posted in self.posted:
            if posted.booked_at >= moment:
                return posted.number
        return len(self.posted) + 1

    def page(self, first: int, end: int, limit: int) -> Sequence[Booked]:
        numbers = [posted.number for posted in self.posted]
        found = self.posted[bisect_left(numbers, first) : bisect_left(numbers, end)]
        return found[:limit]

    def balances_before(self, number: int) -> Mapping[str, BookBalance]:
        found = {}
        for posted in self.posted[: number - 1]:
            for account, _, balance in posted.legs:
                unit = Unit.WH if account.startswith("free:") else Unit.MICRO
                found[account] = BookBalance(unit, balance)
        return found

    def below_zero_since(self, account: str, number: int) -> datetime | None:
        since = None
        for posted in self.posted[: number - 1]:
            for below in (leg.balance < 0 for leg in posted.legs if leg.account == account):
                since = (since or posted.booked_at) if below else None
        return since

    def entry(self, entry_id: str) -> Booked | None:
        return next((one for one in self.posted if one.id == entry_id), None)


def at(text: str) -> datetime:
    """Return a moment of the site's local time, "11-03 08:30", in UTC."""
    moment = datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M")  # noqa: DTZ007 - zone follows
    return moment.replace(tzinfo=SHANGHAI).astimezone(UTC)
