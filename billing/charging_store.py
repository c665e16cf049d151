"""What charging keeps durably, as values, and the port that keeps it beside the books."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from billing.chain import Decision, Reading
from billing.rating import NO_CARRY, Carry, Line
from billing.tariff import TariffVersion
from domain.books import BookAccount, Entry, Posted


class RegisterKey(NamedTuple):
    """A register span: its meter and when it began to count."""

    meter: str
    since: datetime


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """How far a register is settled: its newest booked reading and all energy counted till then."""

    key: RegisterKey
    account: str
    last: Reading
    counted_wh: int


@dataclass(frozen=True, slots=True)
class DayRow:
    """The accepted readings of a register on a local day that are kept."""

    key: RegisterKey
    day: date
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class MonthRow:
    """What the books hold of an account's month, and what the month hands to the next.

    `number` counts the entries made, so that each has an id of its own. `until_ms` is how far use
    was booked. `final` says that the month is over and everything of it is in the books.
    """

    account: str
    month: str
    number: int = 0
    lines: tuple[Line, ...] = ()
    amount_micro: int = 0
    energy_wh: int = 0
    granted_wh: int = 0
    used_wh: int = 0
    expired_wh: int = 0
    fees_micro: Mapping[str, int] = field(default_factory=dict)
    carry: Carry = NO_CARRY
    until_ms: int | None = None
    final: bool = False


class ReviewState(StrEnum):
    """Where a held jump of a counter stands."""

    OPEN = "open"
    EXPLAINED = "explained"  # counted by itself: the size of the register tells
    DECIDED = "decided"
    GONE = "gone"  # later readings showed that there was no jump


@dataclass(frozen=True, slots=True)
class Review:
    """A jump of a counter that normal use can't make, with its evidence.

    `possible_wh` is the most that can have flowed between the two readings. `suggestion` is the
    decision that fits best, None where none is at hand.
    """

    id: str
    key: RegisterKey
    account: str
    found_at: datetime
    before: Reading
    after: Reading
    possible_wh: int
    suggestion: Decision | None = None
    state: ReviewState = ReviewState.OPEN
    decision: Decision | None = None
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""

    @property
    def difference_wh(self) -> int:
        """What the counter says was used, Wh; negative where it went back."""
        return self.after.energy_wh - self.before.energy_wh

    @property
    def counted_wh(self) -> int:
        """What is billed of it, Wh."""
        if self.decision is None or self.state is ReviewState.GONE:
            return 0
        return self.decision.energy_between(self.before.energy_wh, self.after.energy_wh)

    def decided(self, decision: Decision, by: str, at: datetime, reason: str) -> "Review":
        """Return it with a decision."""
        return replace(
            self, state=ReviewState.DECIDED, decision=decision, decided_by=by, decided_at=at,
            reason=reason,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SavedVersion:
    """A version of a tariff as it was saved; a withdrawn one never came into force."""

    tariff: str
    title: str
    kind: str
    version: TariffVersion
    saved_at: datetime
    actor: str
    reason: str
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one settlement writes, all or nothing: rows, and entries in the books."""

    account: str
    months: tuple[MonthRow, ...] = ()
    days: tuple[DayRow, ...] = ()
    registers: tuple[RegisterRow, ...] = ()
    reviews: tuple[Review, ...] = ()
    entries: tuple[Entry, ...] = ()
    opens: tuple[BookAccount, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether there is nothing to write."""
        return not (self.months or self.days or self.registers or self.reviews or self.entries)


class ChargingStore(Protocol):
    """Keeps what charging needs beside the books. Thread-safe; reads block.

    `commit` writes a plan and books its entries in one transaction; its future ends once that is
    durable; it may raise EntryRefused. `days` are in order; `day_before` and `day_after` give the
    nearest day that has readings. `month_rows` come newest first, `unfinished` gives each account's
    first month that is not final, `billed_wh` the energy in all months of an account. Raises
    StoreUnavailable.
    """

    def commit(self, plan: Plan) -> "Future[Sequence[Posted]]": ...

    def registers(self) -> Sequence[RegisterRow]: ...

    def days(self, key: RegisterKey, first: date, last: date) -> Sequence[DayRow]: ...

    def day_before(self, key: RegisterKey, day: date) -> DayRow | None: ...

    def day_after(self, key: RegisterKey, day: date) -> DayRow | None: ...

    def month_row(self, account: str, month: str) -> MonthRow | None: ...

    def month_rows(self, account: str, limit: int = 1200) -> Sequence[MonthRow]: ...

    def billed_wh(self, account: str) -> int: ...

    def unfinished(self) -> Mapping[str, str]: ...

    def reviews(self, *, open_only: bool = False, limit: int = 10_000) -> Sequence[Review]: ...

    def review(self, review_id: str) -> Review | None: ...

    def tariff_versions(self) -> Sequence[SavedVersion]: ...

    def save_tariff(self, saved: SavedVersion, withdraw: int | None = None) -> "Future[None]": ...
