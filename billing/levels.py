"""Low-balance levels: the policy, and the pure step from a balance to what has to be told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from billing.nocut import NoCutCalendar
from domain.money import MICRO

Money = Annotated[Decimal, Field(ge=-10_000, le=10_000, max_digits=9, decimal_places=2)]
DaysLeft = Annotated[float, Field(gt=0, le=90)]


class Level(StrEnum):
    """How a balance stands, from enough to arrears."""

    ENOUGH = "enough"
    REMIND = "remind"
    WARN = "warn"
    LAST = "last"
    ARREARS = "arrears"


# The levels that people are told of, from the mildest on.
TOLD: tuple[Level, ...] = (Level.REMIND, Level.WARN, Level.LAST, Level.ARREARS)
# A message of one of these is the warning that must come before a cut.
WARNINGS = (Level.LAST, Level.ARREARS)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Threshold(_Frozen):
    """A level is reached below an amount of money (currency units), below so many days left, or,
    where both are given, below either."""

    money: Money | None = None
    days: DaysLeft | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.money is None and self.days is None:
            raise ValueError("needs money or days")
        return self


class LevelPolicy(_Frozen):
    """Three levels before arrears, and the conditions of a cut.

    A level is told once; it is told again only after the balance has risen `rearm_money` (or
    `rearm_days`) above it. Arrears begin below zero minus the account's credit limit. A cut needs
    a last warning that was sent, or tried, `warning_before_minutes` ago; `warning_urgent` lets
    that warning go out in quiet hours. No cut rests on a meter silent for `stale_after_s`; at most
    `cuts_a_minute` rooms are added a minute, so that a Monday morning needs no second person.
    """

    remind: Threshold = Threshold(money=Decimal(20))
    warn: Threshold = Threshold(money=Decimal(10))
    last: Threshold = Threshold(money=Decimal(5))
    rearm_money: Annotated[Money, Field(ge=0)] = Decimal(1)
    rearm_days: Annotated[float, Field(ge=0, le=30)] = 1.0
    no_cut: NoCutCalendar = NoCutCalendar()
    warning_before_minutes: Annotated[int, Field(ge=0, le=20_160)] = 120
    warning_urgent: bool = False
    stale_after_s: Annotated[float, Field(gt=0, le=86_400)] = 900.0
    cuts_a_minute: Annotated[int, Field(ge=1, le=10_000)] = 15

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        faults = []
        for unit in ("money", "days"):
            given = [
                (name, value)
                for name in ("remind", "warn", "last")
                if (value := getattr(getattr(self, name), unit)) is not None
            ]
            for (above, high), (below, low) in pairwise(given):
                if low >= high:
                    faults.append(
                        f"{below}.{unit} ({low:g}) must be less than {above}.{unit} ({high:g})"
                    )
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def threshold(self, level: Level) -> Threshold:
        """Return the threshold of one of the three levels before arrears."""
        found: Threshold = getattr(self, level.value)
        return found


@dataclass(frozen=True, slots=True)
class Told:
    """A level that people were told of: the arming it belongs to, when, and who.

    `skipped`: a graver level was told in its place. `queued`: the messages are known to be in the
    outbox; until then they are handed over again, under the same topic.
    """

    arming: int
    at: datetime
    people: tuple[str, ...] = ()
    skipped: bool = False
    queued: bool = False


@dataclass(frozen=True, slots=True)
class LevelState:
    """What is remembered of an account across restarts.

    `arming` counts how often a level was armed again. From `cut_at` on arrears hold its relays
    open, until the debt is paid.
    """

    account: str
    arming: int = 0
    told: Mapping[Level, Told] = field(default_factory=dict)
    arrears_since: datetime | None = None
    cut_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands now; of `days_left` None means that it can't be told."""

    balance_micro: int
    credit_limit_micro: int = 0
    days_left: float | None = None

    @property
    def is_arrears(self) -> bool:
        """More has been used than was paid and lent."""
        return self.balance_micro < -self.credit_limit_micro


def level_of(policy: LevelPolicy, standing: Standing) -> Level:
    """Return the gravest level that an account has reached."""
    if standing.is_arrears:
        return Level.ARREARS
    return next(
        (lv for lv in (Level.LAST, Level.WARN, Level.REMIND) if _is_below(policy, lv, standing)),
        Level.ENOUGH,
    )


def _is_below(policy: LevelPolicy, level: Level, standing: Standing) -> bool:
    limit = policy.threshold(level)
    poor = limit.money is not None and standing.balance_micro < int(limit.money * MICRO)
    days = standing.days_left
    return poor or (limit.days is not None and days is not None and days < limit.days)


def _is_well_above(policy: LevelPolicy, level: Level, standing: Standing) -> bool:
    """Say whether a level may be told anew: nothing that hovers around it comes here."""
    margin = int(policy.rearm_money * MICRO)
    if level is Level.ARREARS:
        return standing.balance_micro >= margin - standing.credit_limit_micro
    limit = policy.threshold(level)
    if limit.money is not None and standing.balance_micro < int(limit.money * MICRO) + margin:
        return False
    if limit.days is None:
        return True
    # Without a forecast nobody knows that it has risen, unless money alone says so.
    if standing.days_left is None:
        return limit.money is not None
    return standing.days_left >= limit.days + policy.rearm_days


def rearmed(policy: LevelPolicy, state: LevelState, standing: Standing) -> LevelState:
    """Forget the levels that an account has left well behind, so that they are told again."""
    left = [level for level in state.told if _is_well_above(policy, level, standing)]
    return without(state, left)


def without(state: LevelState, levels: Iterable[Level]) -> LevelState:
    """Arm levels again; the messages of a later telling are then others than those of this one."""
    gone = set(levels) & set(state.told)
    if not gone:
        return state
    kept = {level: told for level, told in state.told.items() if level not in gone}
    return replace(state, told=kept, arming=state.arming + 1)


def with_told(
    state: LevelState, level: Level, people: Iterable[str], now: datetime
) -> tuple[LevelState, tuple[str, ...]]:
    """Note that a level is told, and return who has to be told of it now.

    Milder levels that were jumped over count as told: nobody gets three messages at once. With
    nobody to tell there is nothing to queue.
    """
    known = state.told.get(level, Told(state.arming, now))
    if known.skipped:
        return state, ()  # it rose from a graver level, of which everybody was told
    new = tuple(person for person in people if person not in known.people)
    everybody = (*known.people, *new)
    queued = not everybody or (known.queued and not new)
    told = {mild: Told(state.arming, now, skipped=True) for mild in TOLD[: TOLD.index(level)]}
    told |= dict(state.told)
    told[level] = replace(known, people=everybody, queued=queued)
    return replace(state, told=told), () if queued else (new if known.queued else everybody)


def with_queued(state: LevelState, level: Level) -> LevelState:
    """Note that the messages of a level are in the outbox."""
    told = dict(state.told)
    if level in told:
        told[level] = replace(told[level], queued=True)
    return replace(state, told=told)


def topic_of(account: str, level: Level, told: Told) -> str:
    """Return the topic of a level's messages, which stays the same for one arming."""
    return f"level:{account}:{level.value}:{told.arming}"
