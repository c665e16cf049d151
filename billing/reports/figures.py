"""What one pass over the entries of a period finds out: everything that the reports show."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime

from billing.reports.period import Period
from billing.reports.source import Booked
from billing.reports.use import Use, UseKey
from domain.books import EntryKind, Unit


@dataclass(slots=True)
class Tally:
    """Entries of one kind on one account: how many, and the sum of what they moved on it."""

    entries: int = 0
    amount: int = 0


@dataclass(slots=True)
class Turnover:
    """What went up and what went down on an account, both as positive numbers."""

    up: int = 0
    down: int = 0


@dataclass(slots=True)
class Scan:
    """Everything about a period: balances before and after, and what moved between.

    `moved` is by (account, kind), `tills` by (day, account, kind) for clearing and cash, `used` by
    UseKey, `used_by_day` by the local day it was used on, `fees` by (account, fee), `late` by
    kind: entries that happened before the period and were booked in it. `breaks` are accounts whose
    opening balance and movements do not give the closing balance that the books wrote down.
    """

    period: Period
    made_at: datetime
    first_number: int
    end_number: int
    units: dict[str, Unit] = field(default_factory=dict)
    opening: dict[str, int] = field(default_factory=dict)
    closing: dict[str, int] = field(default_factory=dict)
    moved: dict[tuple[str, EntryKind], Tally] = field(default_factory=lambda: defaultdict(Tally))
    turnover: dict[str, Turnover] = field(default_factory=lambda: defaultdict(Turnover))
    tills: dict[tuple[date, str, EntryKind], Tally] = field(
        default_factory=lambda: defaultdict(Tally)
    )
    used: dict[UseKey, Use] = field(default_factory=lambda: defaultdict(Use))
    used_by_day: dict[date, Use] = field(default_factory=lambda: defaultdict(Use))
    fees: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    late: dict[EntryKind, Tally] = field(default_factory=lambda: defaultdict(Tally))
    below_zero_since: dict[str, datetime] = field(default_factory=dict)
    listed: list[Booked] = field(default_factory=list)
    entries: int = 0
    breaks: list[str] = field(default_factory=list)

    def of_kind(self, *kinds: EntryKind) -> Iterator[Booked]:
        """Return the listed entries of some kinds, in the order they were booked."""
        return (booked for booked in self.listed if booked.kind in kinds)
