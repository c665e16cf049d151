"""What the supervisor knows and wants of one meter. Changed only on the field's event loop."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from domain.causes import TripCause
from domain.commands import Action, Command, Receipt
from domain.ports import KeepPower
from domain.site import Meter

Wait = Literal["", "meter", "approval", "turn", "back-off", "ledger", "configuration", "read-back"]


@dataclass(slots=True, eq=False)
class Ticket:
    """A person's order that waits for its proof; `deadline_s` is monotonic."""

    command: Command
    future: "asyncio.Future[tuple[Command, Receipt]]"
    deadline_s: float
    cause_id: str | None = None


@dataclass(slots=True, eq=False)
class Order:
    """A command being carried out: how often it was sent and when it may be sent again."""

    command: Command
    ticket: Ticket | None = None
    tries: int = 0
    writes: int = 0
    next_at_s: float = 0.0


@dataclass(slots=True, eq=False)
class Effort:
    """The pursuit of one action through as many commands as it takes."""

    action: Action
    key: str
    failures: int = 0
    not_before_s: float = 0.0
    admitted: bool = False


@dataclass(frozen=True, slots=True)
class Goal:
    """The next thing to do: an action, the cause it is done for, the person who waits for it."""

    action: Action
    cause: TripCause | None = None
    ticket: Ticket | None = None


@dataclass(slots=True, eq=False)
class Standing:
    """One meter: its open causes, its relay as last read, what is being done about it.

    `closed` is the last known relay state (None = not known) at `seen_at`; `unproven` says that a
    write's effect is unknown, so that the relay is read before anything else is written.
    `denied` are load causes that their rule took back while the relay may already be open.
    `own_lock` is the forced control that the meter itself is still owed.
    """

    meter: Meter
    causes: dict[str, TripCause] = field(default_factory=dict)
    keep: KeepPower | None = None
    closed: bool | None = None
    seen_at: datetime | None = None
    opened_at: datetime | None = None
    opened_by_us: bool = False
    alive_at: datetime | None = None
    unproven: bool = False
    executing: bool = False
    order: Order | None = None
    ticket: Ticket | None = None
    effort: Effort | None = None
    own_lock: Action | None = None
    restores: list[datetime] = field(default_factory=list)
    locked: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)
    alone_at_s: list[float] = field(default_factory=list)
    alarmed: bool = False
    read_misses: int = 0
    read_at_s: float = 0.0
    wait: Wait = ""
    dirty: bool = False
    wake_at_s: float | None = None
    task: "asyncio.Task[None] | None" = None
    change: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        """The meter's name."""
        return self.meter.name

    def see(self, closed: bool, at: datetime) -> None:
        """Take a relay state read at this time."""
        self.closed, self.seen_at = closed, at
        self.unproven, self.read_misses, self.read_at_s = False, 0, 0.0
        if closed:
            self.opened_at, self.opened_by_us = None, False
        elif self.opened_at is None:
            self.opened_at = at

    def doubt(self, at: datetime) -> None:
        """Take note that a write of this time may or may not have moved the relay."""
        self.closed, self.seen_at, self.unproven = None, at, True

    def put(self, causes: Iterable[TripCause]) -> None:
        """Take causes as they now stand in the ledger; cleared ones go."""
        for cause in causes:
            if cause.cleared_at is None:
                self.causes[cause.id] = cause
                continue
            self.causes.pop(cause.id, None)
            for marks in (self.locked, self.denied, self.reported):
                marks.discard(cause.id)
