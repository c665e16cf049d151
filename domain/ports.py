"""The ports: small protocols that the stores and the field fulfil. Only app/ knows who does."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import polars as pl

from domain.causes import CauseKind, TripCause
from domain.commands import Command, Receipt
from domain.events import Event, EventKind
from domain.policy import Policy
from domain.purchases import PrepaidReading, Purchase, PurchaseReceipt
from domain.site import Meter, Site


class Resolution(StrEnum):
    """The tables of a TimeSeries: raw samples and three rollups."""

    RAW = "raw"
    MINUTE = "1m"
    HOUR = "1h"
    DAY = "1d"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that a store will never take: which row, and why. It is kept aside, not retried."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """Every record of a write ends accepted, rejected with a reason, or kept for another try."""

    accepted: int
    rejected: tuple[Rejected, ...] = ()
    kept: int = 0


class TimeSeries(Protocol):
    """Store of meter samples and their rollups. Thread-safe; calls block.

    `describe` tells the store the roster (tags). `write` takes frames of SWEEP_SCHEMA (raw) or
    ROLLUP_SCHEMA; writing a point (meter, time) again replaces it. `window` returns rows with
    start <= time < end, ordered by meter and time, all meters when `meters` is None. `latest`
    returns one row a meter: the last non-null value of each quantity and the time of the last row.
    Raises StoreUnavailable when the store can't be reached.
    """

    def describe(self, meters: Sequence[Meter]) -> None: ...

    def write(
        self, frame: pl.DataFrame, resolution: Resolution = Resolution.RAW
    ) -> WriteOutcome: ...

    def window(
        self,
        start: datetime,
        end: datetime,
        meters: Sequence[str] | None = None,
        quantities: Sequence[str] | None = None,
        resolution: Resolution = Resolution.RAW,
    ) -> pl.DataFrame: ...

    def latest(self, meters: Sequence[str] | None = None) -> pl.DataFrame: ...

    def prune(self, resolution: Resolution, older_than: datetime) -> int: ...

    def is_ready(self) -> bool: ...

    def close(self) -> None: ...


RETENTION: dict[Resolution, timedelta | None] = {
    Resolution.RAW: timedelta(days=30),
    Resolution.MINUTE: timedelta(days=730),
    Resolution.HOUR: None,
    Resolution.DAY: None,
}

ROLLUP_SCHEMA: dict[str, pl.DataType] = {
    "time": pl.Datetime("ms", "UTC"),
    "meter": pl.String(),
    "power_mean_w": pl.Float64(),
    "power_min_w": pl.Float64(),
    "power_max_w": pl.Float64(),
    "current_mean_a": pl.Float64(),
    "current_max_a": pl.Float64(),
    "voltage_mean_v": pl.Float64(),
    "voltage_min_v": pl.Float64(),
    "voltage_max_v": pl.Float64(),
    "power_factor_mean": pl.Float64(),
    "frequency_mean_hz": pl.Float64(),
    "energy_first_wh": pl.Int64(),
    "energy_last_wh": pl.Int64(),
    "balance_last_minor": pl.Int64(),
    "closed_ratio": pl.Float64(),
    "samples": pl.Int64(),
    "good_samples": pl.Int64(),
}


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One record of the stream: its id (unique for ever), its subject and its bytes."""

    id: str
    subject: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class StreamStats:
    """Counters of a stream since it was opened; `depth` records wait, in `depth_bytes` bytes."""

    depth: int
    depth_bytes: int
    published: int
    duplicates: int
    accepted: int
    rejected: int
    damaged: int
    refused_full: int


class Stream(Protocol):
    """A durable queue between the field and the stores. Thread-safe.

    `publish` returns a future that resolves once the record is on disk; publishing an id again
    changes nothing. It raises StreamFull at the limit and StoreUnavailable when the disk refuses.
    `take` leases up to `limit` records, oldest first; what is not settled is taken again after
    `release` or a restart. `settle` ends leased records: accepted ones leave, rejected ones move
    aside with their reason, kept ones return to the queue.
    `is_ready` says whether it takes records.
    """

    def publish(self, record: StreamRecord) -> Future[None]: ...

    def take(self, limit: int) -> list[StreamRecord]: ...

    def settle(
        self,
        accepted: Sequence[str] = (),
        rejected: Sequence[tuple[str, str]] = (),
        kept: Sequence[str] = (),
    ) -> None: ...

    def stats(self) -> StreamStats: ...

    def is_ready(self) -> bool: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class KeepPower:
    """A keep-power lock on a meter; `released_at` ends it."""

    meter: str
    since: datetime
    requested_by: str
    reason: str
    released_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Restore:
    """An automatic restore of a meter, counted against its daily allowance."""

    meter: str
    time: datetime
    cause_id: str


JournalRow = TripCause | Command | Receipt | Event | KeepPower | Restore


class Ledger(Protocol):
    """The SQL database of the site: roster, policy, trip causes, commands, receipts, events.

    One connection writes, on its own thread, in group commits; all reads are read-only.
    `record` returns a future that resolves once the rows are durable (TripCause and KeepPower
    rows replace the row of the same id or of the same meter and since; the others are only
    added, and adding the same id again changes nothing). Lists come newest first; `since` means
    from then on (of causes: raised from then on). Raises StoreUnavailable.
    """

    def save_site(self, site: Site, policy: Policy, actor: str) -> int: ...

    def save_policy(self, policy: Policy, actor: str, reason: str) -> int: ...

    def site(self) -> Site | None: ...

    def policy(self) -> Policy | None: ...

    def record(self, *rows: JournalRow) -> "Future[None]": ...

    def causes(
        self,
        *,
        open_only: bool = False,
        meter: str | None = None,
        since: datetime | None = None,
        shadow: bool | None = None,
        kind: CauseKind | None = None,
        limit: int = 1000,
    ) -> list[TripCause]: ...

    def cause(self, cause_id: str) -> TripCause | None: ...

    def commands(
        self, *, meter: str | None = None, since: datetime | None = None, limit: int = 1000
    ) -> list[tuple[Command, Receipt | None]]: ...

    def command(self, command_id: str) -> tuple[Command, Receipt | None] | None: ...

    def events(
        self,
        *,
        subject: str | None = None,
        kind: EventKind | None = None,
        since: datetime | None = None,
        limit: int = 1000,
    ) -> list[Event]: ...

    def keep_power(self) -> list[KeepPower]: ...

    def restores_since(self, since: datetime) -> list[Restore]: ...

    def secret(self, name: str) -> bytes: ...

    def is_ready(self) -> bool: ...

    def close(self) -> None: ...


class RelayDriver(Protocol):
    """Whoever can carry a command to a meter and prove it. Never raises for field faults."""

    async def execute(self, command: Command) -> Receipt: ...


class PrepayDriver(Protocol):
    """Whoever can write purchases to prepaid meters and read them back. Never raises for field
    faults. `purchase` writes at most once, whatever happens."""

    async def purchase(self, purchase: Purchase) -> PurchaseReceipt: ...

    async def read_prepaid(self, meter: str) -> PrepaidReading: ...
