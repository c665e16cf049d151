"""What the supervisor has to say for itself, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from control.book import Book
from control.core import Core
from control.desired import suspended
from control.limits import Approval
from control.standing import Standing
from domain.causes import TripCause
from domain.ports import KeepPower


@dataclass(frozen=True, slots=True)
class MeterStatus:
    """One meter: what its relay shall be and is (None = cannot tell: not read, or not lately).

    `wait` says what an outstanding action waits for: meter, approval, turn, back-off, ledger,
    configuration, read-back, or nothing.
    """

    meter: str
    shall_be_closed: bool
    relay_closed: bool | None
    seen_at: datetime | None
    causes: tuple[TripCause, ...]
    suspended: tuple[TripCause, ...]
    keep_power: KeepPower | None
    wait: str
    unproven: bool
    alarmed: bool
    restores_today: int
    locked: bool


@dataclass(frozen=True, slots=True)
class Status:
    """The whole supervisor: every meter, open questions, and the counters that bound it."""

    meters: Mapping[str, MeterStatus]
    approvals: tuple[Approval, ...]
    trips_last_minute: int
    orders_last_minute: int
    unproven: int
    rows_owed: int
    verdicts_waiting: int
    stale_refused: int


def meter_status(core: Core, standing: Standing) -> MeterStatus:
    """Return the status of one meter."""
    now, control = core.clock.now(), core.policy.control
    causes = tuple(standing.causes.values())
    heard = standing.alive_at
    is_stale = heard is None or (now - heard).total_seconds() > control.stale_after_s
    return MeterStatus(
        meter=standing.name,
        shall_be_closed=not core.held(standing),
        relay_closed=None if is_stale or standing.unproven else standing.closed,
        seen_at=standing.seen_at,
        causes=causes,
        suspended=tuple(suspended(causes, standing.keep, control, now)),
        keep_power=standing.keep,
        wait=standing.wait,
        unproven=standing.unproven,
        alarmed=standing.alarmed,
        restores_today=len(standing.restores),
        locked=bool(standing.locked),
    )


def status_of(core: Core, book: Book) -> Status:
    """Return the status of everything."""
    now_s = core.clock.monotonic()
    meters = {name: meter_status(core, one) for name, one in core.standings.items()}
    return Status(
        meters=meters,
        approvals=tuple(core.approvals.pending.values()),
        trips_last_minute=core.trips.count(now_s),
        orders_last_minute=core.by_hand.count(now_s),
        unproven=sum(one.unproven for one in meters.values()),
        rows_owed=core.journal.owed,
        verdicts_waiting=book.waiting,
        stale_refused=book.stale_refused,
    )
