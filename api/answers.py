"""What is answered: the shapes of the JSON, and how the station's values become them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from api.deps import CommandRequest
from api.plain import plain
from domain.causes import CauseKind, RuleMode, TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.events import Event, EventKind, Severity
from domain.quantities import QUANTITIES, SWEEP_QUANTITIES
from domain.site import Meter, RoomKind

Value = float | int | bool | str | None


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Problem(_Answer):
    """What went wrong, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = Field(
        default_factory=list, description="every fault: where, message and maybe subject"
    )


class MeterAnswer(_Answer):
    """A meter of the roster; `group` is the policy group that rules it."""

    name: str
    bus: str
    unit_id: int
    profile: str
    building: str
    floor: str
    room: str
    kind: RoomKind
    phases: Literal[1, 3]
    rated_current_a: float
    group: str
    head: bool
    shed_priority: int | None

    @classmethod
    def of(cls, meter: Meter) -> Self:
        """Tell a meter."""
        return cls(**meter.model_dump(exclude={"group"}), group=meter.policy_group)


class MeterList(_Answer):
    """Meters that fit; `count` is how many fit, of which `meters` are those asked for."""

    count: int
    meters: list[MeterAnswer]


class LatestValue(_Answer):
    """The last value that was really read, when, and how many seconds ago; null: never."""

    value: Value
    unit: str
    time: datetime | None
    age_s: float | None


class LatestAnswer(_Answer):
    """The latest of a meter: when it was last asked, what that was worth, its values."""

    meter: str
    time: datetime | None
    age_s: float | None
    quality: str | None
    values: dict[str, LatestValue]

    @classmethod
    def of(cls, row: Mapping[str, Any], now: datetime) -> Self:
        """Tell a row of the station's latest table."""
        known = row["values"]
        return cls(
            meter=row["meter"],
            time=row["time"],
            age_s=_age_s(row["time"], now),
            quality=row["quality"],
            values={
                name: _latest(name, known.get(name, (None, None)), now) for name in SWEEP_QUANTITIES
            },
        )


class LatestList(_Answer):
    """The latest of the meters that fit."""

    time: datetime
    count: int
    meters: list[LatestAnswer]


class ReadingsAnswer(_Answer):
    """Readings of a meter; each has its `time` and the quantities, null where not known."""

    meter: str
    start: datetime
    end: datetime
    resolution: str
    quantities: list[str]
    readings: list[dict[str, Value]]
    count: int


class CauseAnswer(_Answer):
    """A reason for a relay to be open, with what it rests on."""

    id: str
    meter: str
    kind: CauseKind
    mode: RuleMode
    shadow: bool
    open: bool
    since: datetime
    until: datetime | None
    cleared_at: datetime | None
    cleared_by: str | None
    raised_by: str
    reason: str
    evidence: dict[str, Any] | None

    @classmethod
    def of(cls, cause: TripCause) -> Self:
        """Tell a cause."""
        return cls(
            id=cause.id,
            meter=cause.meter,
            kind=cause.kind,
            mode=cause.mode,
            shadow=cause.shadow,
            open=cause.cleared_at is None,
            since=cause.since,
            until=cause.until,
            cleared_at=cause.cleared_at,
            cleared_by=cause.cleared_by,
            raised_by=cause.raised_by,
            reason=cause.reason,
            evidence=plain(cause.evidence.as_dict()) if cause.evidence else None,
        )


class CauseList(_Answer):
    """Trip causes, newest first."""

    count: int
    causes: list[CauseAnswer]


class EventAnswer(_Answer):
    """Something that happened."""

    time: datetime
    kind: EventKind
    severity: Severity
    subject: str
    message: str
    actor: str
    group: str
    details: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> Self:
        """Tell an event."""
        return cls(
            time=event.time,
            kind=event.kind,
            severity=event.severity,
            subject=event.subject,
            message=event.message,
            actor=event.actor,
            group=event.group,
            details=plain(event.details),
        )


class EventList(_Answer):
    """Events, newest first."""

    count: int
    events: list[EventAnswer]


class ReceiptAnswer(_Answer):
    """How a command ended: confirmed by read-back, refused, expired or unknown."""

    status: ReceiptStatus
    reason: str
    relay_closed: Annotated[bool | None, Field(description="as read back; null: can't be told")]
    finished_at: datetime
    writes: int
    proof: dict[str, Any]


class CommandAnswer(_Answer):
    """A command and its receipt; null times and receipt: it is still on its way."""

    id: str
    meter: str
    action: Action
    reason: str
    requested_by: str
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    cause_id: str | None = None
    receipt: ReceiptAnswer | None = None

    @classmethod
    def of(cls, command: Command, receipt: Receipt | None) -> Self:
        """Tell a command."""
        return cls(
            id=command.id,
            meter=command.meter,
            action=command.action,
            reason=command.reason,
            requested_by=command.requested_by,
            issued_at=command.issued_at,
            expires_at=command.expires_at,
            cause_id=command.cause_id,
            receipt=_receipt(receipt) if receipt else None,
        )

    @classmethod
    def pending(cls, request: CommandRequest) -> Self:
        """Tell a command that has no receipt yet."""
        return cls(
            id=request.id,
            meter=request.meter,
            action=request.action,
            reason=request.reason,
            requested_by=request.requested_by,
        )


class CommandList(_Answer):
    """Commands, newest first."""

    count: int
    commands: list[CommandAnswer]


class BusAnswer(_Answer):
    """How a bus does; counters count from the start of the service, null is not known yet."""

    bus: str
    link: str
    baud: int
    link_up: bool | None
    meters: int
    dead_meters: int
    silent: list[str]
    scans: int
    scan_s: float | None
    wire_s: float | None
    wire_share: float | None
    requests: int
    retries: int
    timeouts: int
    bad_replies: int


class BusList(_Answer):
    """Every bus of the site."""

    count: int
    buses: list[BusAnswer]


class ApprovalList(_Answer):
    """Mass actions that wait for a second person."""

    count: int
    approvals: list[dict[str, Any]]


class HealthAnswer(_Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class ReadyAnswer(_Answer):
    """Whether the station can do its work, and if not, why."""

    ready: bool
    reasons: list[str]


def _age_s(time: datetime | None, now: datetime) -> float | None:
    return None if time is None else round((now - time).total_seconds(), 3)


def _latest(name: str, known: tuple[Any, datetime | None], now: datetime) -> LatestValue:
    value, time = known
    unit = QUANTITIES[name].unit
    return LatestValue(value=plain(value), unit=unit, time=time, age_s=_age_s(time, now))


def _receipt(receipt: Receipt) -> ReceiptAnswer:
    return ReceiptAnswer(
        status=receipt.status,
        reason=receipt.reason,
        relay_closed=receipt.relay_closed,
        finished_at=receipt.finished_at,
        writes=receipt.writes,
        proof=plain(receipt.proof),
    )
