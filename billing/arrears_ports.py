"""What the keeper of arrears needs from the rest, and what it shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from billing.levels import Level, LevelState
from domain.messages import Notice


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a topic's messages: how many there are, when the first was sent or tried."""

    messages: int
    first_at: datetime | None


class LevelStore(Protocol):
    """Keeps the states of accounts. Calls block; they raise StoreUnavailable.

    `save` returns once the states are durable. `tried` tells about the messages of some topics;
    one without messages is left out.
    """

    def states(self) -> Sequence[LevelState]: ...

    def save(self, states: Sequence[LevelState]) -> None: ...

    def tried(self, topics: Sequence[str]) -> Mapping[str, Tried]: ...


# Puts notices into the outbox; returns once they are durable. Raises StoreUnavailable.
Tell = Callable[[Sequence[Notice]], object]
# Takes back what was not sent yet of these topics. Raises StoreUnavailable.
Withdraw = Callable[[Sequence[str]], object]

# Why a room in arrears is not cut now: nobody can tell its balance; its meter holds the balance
# and cuts by itself; the no-cut calendar; the warning is too fresh; no warning was even tried;
# the meter's data are stale; keep-power; others come first this minute; no meter counts for it.
HELD_BACK = (
    "balance-unknown",
    "meter-side",
    "calendar",
    "warning",
    "untold",
    "stale",
    "keep-power",
    "turn",
    "no-meter",
)


@dataclass(frozen=True, slots=True)
class LevelView:
    """How an account stands, for people; `level` None = its balance is not known.

    `cut_due` is when it may be cut unless somebody pays, `cut_at` since when it is. `held_back`
    is one of HELD_BACK, or empty.
    """

    account: str
    level: Level | None
    balance_micro: int | None
    credit_limit_micro: int
    days_left: float | None
    arrears_since: datetime | None = None
    cut_due: datetime | None = None
    cut_at: datetime | None = None
    held_back: str = ""
