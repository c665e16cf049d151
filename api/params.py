"""What may be asked for: query parameters and bodies, checked, unknown names refused."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from api.formats import Format
from domain.causes import CauseKind
from domain.commands import Action, by_occupant
from domain.events import EventKind
from domain.ports import Resolution
from domain.site import RoomKind

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
LIST_MOST = 10_000
METERS_MOST = 100_000
# Names that the station itself acts under; a person who used one would count as the machine.
OWN_NAMES = frozenset({"supervisor", "system"})


def parse_moment(value: object) -> datetime:
    """Read an ISO 8601 time; one without an offset is UTC. Raises ValueError with what to do."""
    words = "is not an ISO 8601 time such as 2026-05-01T08:00:00Z; in a URL write + as %2B"
    try:
        moment = datetime.fromisoformat(str(value))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} {words}") from None
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"{value!r} is not between {EARLIEST:%Y} and {LATEST:%Y}")
    return moment


def _person(name: str) -> str:
    if by_occupant(name):
        raise ValueError(f"{name!r} is how orders of occupants are recorded; give a person's name")
    if name.casefold() in OWN_NAMES:
        raise ValueError(f"{name!r} is what the station calls itself; give the name of a person")
    return name


Moment = Annotated[
    datetime,
    BeforeValidator(parse_moment),
    Field(description="ISO 8601 with an offset; without one it is UTC"),
]
# No control characters: they have no place in an audit trail, and PostgreSQL refuses some.
Words = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
Person = Annotated[Words, Field(max_length=200), AfterValidator(_person)]
CommandId = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._:-]+$")]
Limit = Annotated[int, Field(ge=1, le=LIST_MOST, description="most rows to give, newest first")]
MeterName = Annotated[str, Field(max_length=200, description="the meter's name in the roster")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class MeterQuery(_Strict):
    """Which meters: all filters must fit."""

    building: str | None = None
    bus: str | None = None
    room: str | None = None
    floor: str | None = None
    kind: RoomKind | None = None
    limit: Annotated[int, Field(ge=1, le=METERS_MOST)] = 10_000
    offset: Annotated[int, Field(ge=0)] = 0


class ReadingsQuery(_Strict):
    """Which samples of a meter, and in what shape."""

    start: Moment | None = Field(None, description="first time; default: an hour before the end")
    end: Moment | None = Field(None, description="time before which to stop; default: now")
    resolution: Resolution = Resolution.RAW
    quantities: str | None = Field(None, description="names with commas between; default: all")
    format: Format | None = Field(None, description="wins over the Accept header")


class CauseQuery(_Strict):
    """Which trip causes."""

    meter: MeterName | None = None
    kind: CauseKind | None = None
    open: bool = Field(False, description="true: only causes that have not been cleared")
    since: Moment | None = Field(None, description="only causes raised from then on")
    shadow: bool = Field(False, description="true: causes of the rules on trial, never acted on")
    limit: Limit = 100


class EventQuery(_Strict):
    """Which events."""

    subject: str | None = Field(None, description="the meter, bus or site it is about")
    kind: EventKind | None = None
    since: Moment | None = Field(None, description="only events from then on")
    limit: Limit = 100


class CommandQuery(_Strict):
    """Which commands."""

    meter: MeterName | None = None
    since: Moment | None = Field(None, description="only commands issued from then on")
    limit: Limit = 100


class CommandBody(_Strict):
    """An order to a meter's relay."""

    meter: MeterName
    action: Action
    reason: Words
    requested_by: Annotated[
        Person | None, Field(description="needed with the station's token; else it is the user")
    ] = None


class ApprovalBody(_Strict):
    """A second person's yes to what is held back."""

    approved_by: Annotated[
        Person | None, Field(description="needed with the station's token; else it is the user")
    ] = None
    reason: Words
