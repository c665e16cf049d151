"""What the HTTP face needs from the station: ports and small callables, wired in app/."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from api.billing_deps import BillingDeps
from api.identity.service import Identity
from billing.model import Directory
from domain.clock import Clock
from domain.commands import Action, Command, Receipt
from domain.errors import UnknownSubject
from domain.ports import Ledger, StreamStats, TimeSeries
from domain.site import Site


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """An order from outside: `id` is the client's own, and becomes the id of the command."""

    id: str
    meter: str
    action: Action
    reason: str
    requested_by: str


@dataclass(frozen=True, slots=True)
class BusStats:
    """One bus as /buses and /metrics show it; what is not known yet is None.

    `scan_s` is the time of the last whole sweep, `wire_s` the calculated wire time of what was
    sent in it, `wire_share` the share of time the wire was busy (0-1). The rest are counters since
    the start, but `meters`, `dead_meters` (given up, probed now and then) and `scans` of now.
    """

    bus: str
    meters: int
    dead_meters: int = 0
    link_up: bool | None = None
    scans: int = 0
    scan_s: float | None = None
    wire_s: float | None = None
    wire_share: float | None = None
    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    bad_replies: int = 0
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StationStats:
    """What the station has done since its start, as /metrics shows it.

    `rule_seconds` is the time spent judging `sweeps_judged` sweeps; the quantiles are of the last
    few thousand. `trips` counts by cause kind, `commands` by receipt status.
    """

    sweeps: int = 0
    readings_acknowledged: int = 0
    readings_refused: int = 0
    readings_stored: int = 0
    sweeps_judged: int = 0
    rule_seconds: float = 0.0
    rule_latency_p50_s: float | None = None
    rule_latency_p99_s: float | None = None
    trips: Mapping[str, int] = field(default_factory=dict)
    commands: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Limits on what one request may ask for.

    `raw_range_most_days` bounds a range of raw samples, `range_most_days` one of rollups.
    `command_wait_s` is how long a command's answer waits for its receipt, `probe_wait_s` how long
    /readyz waits for a store, `stop_wait_s` how long a stop waits for open commands.
    """

    rows_most: int = 2_000_000
    json_rows_most: int = 100_000
    range_most_days: float = 3_700.0
    raw_range_most_days: float = 31.0
    chunk_rows: int = 20_000
    command_wait_s: float = 30.0
    commands_in_flight: int = 200
    probe_wait_s: float = 3.0
    stop_wait_s: float = 5.0
    body_bytes_most: int = 65_536
    import_bytes_most: int = 6_000_000


@dataclass(frozen=True, slots=True)
class ApiDeps:
    """Everything the API touches.

    `latest(meters | None)` gives rows {meter, time, quality, values {quantity: (value, time)}}.
    `submit_command` ends when there is a receipt (or None where none is to be had) and is awaited
    on the API's own event loop; it raises CommandRefused and UnknownSubject. `approve(id, who,
    reason)` lets a held mass action go on; both approval callables or neither. `readiness` adds
    reasons why the station is not ready, beside those the API finds itself. `open_reads` and
    `open_writes` lift the token for a demo on loopback; without `access_token` nothing but
    what these two open can be asked for.
    """

    site: Callable[[], Site]
    series: TimeSeries
    ledger: Ledger
    clock: Clock
    latest: Callable[[Sequence[str] | None], Sequence[Mapping[str, Any]]]
    stream_stats: Callable[[], StreamStats]
    bus_stats: Callable[[], Sequence[BusStats]]
    station_stats: Callable[[], StationStats]
    submit_command: Callable[[CommandRequest], Awaitable[tuple[Command, Receipt | None]]]
    field_alive: Callable[[], bool]
    readiness: Callable[[], Sequence[str]] = tuple
    approvals: Callable[[], Sequence[Mapping[str, Any]]] | None = None
    approve: Callable[[str, str, str], Awaitable[Mapping[str, Any]]] | None = None
    access_token: str = ""
    open_reads: bool = False
    open_writes: bool = False
    version: str = "0"
    limits: ApiLimits = field(default_factory=ApiLimits)
    billing: BillingDeps | None = None
    identity: Identity | None = None

    def people(self) -> Identity:
        """Return the users and sign-ins. Raises UnknownSubject where the station has none."""
        if self.identity is None:
            raise UnknownSubject("this station has no users; it has its access token alone")
        return self.identity

    def directory(self) -> Directory:
        """Return the directory of accounts. Raises UnknownSubject where no money is kept."""
        return self.money().directory

    def money(self) -> BillingDeps:
        """Return what the routes about money need. Raises UnknownSubject where none is kept."""
        if self.billing is None:
            raise UnknownSubject("this station keeps no accounts")
        return self.billing

    def today(self) -> date:
        """Return the day at the site."""
        return self.clock.now().astimezone(ZoneInfo(self.site().time_zone)).date()
