"""The site: its buses and its meters, as checked values."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RoomKind(StrEnum):
    """What a metered room is used as."""

    DORM = "dorm"
    SHOP = "shop"
    PUBLIC = "public"


class Parity(StrEnum):
    """Parity of a serial character."""

    NONE = "N"
    EVEN = "E"
    ODD = "O"


class Bus(_Frozen):
    """One RS-485 bus and how it is reached.

    `link` serial: `port` is a device such as /dev/ttyUSB0. `tcp`: a gateway that speaks Modbus TCP
    (MBAP). `rtu-over-tcp`: a gateway that passes raw RTU frames. `baud`, `parity` and `stop_bits`
    describe the RS-485 side in every case: they give the wire's limit.
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")]
    link: Literal["serial", "tcp", "rtu-over-tcp"]
    port: str = ""
    host: str = ""
    tcp_port: Annotated[int, Field(ge=1, le=65535)] = 502
    baud: Annotated[int, Field(ge=300, le=921_600)] = 9600
    parity: Parity = Parity.EVEN
    stop_bits: Annotated[int, Field(ge=1, le=2)] = 1
    reply_delay_s: Annotated[float, Field(ge=0, le=5)] = 0.02
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 0.5


class Meter(_Frozen):
    """One meter: where it hangs, what it is and which room it feeds.

    `group` names the policy group (default: the room's kind). `head` marks the meter that measures
    a whole bus. `shed_priority`: lower is shed first, null is never shed.
    """

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")]
    bus: str
    unit_id: Annotated[int, Field(ge=1, le=247)]
    profile: str
    building: Annotated[str, Field(min_length=1)]
    floor: str = ""
    room: Annotated[str, Field(min_length=1)]
    kind: RoomKind
    phases: Literal[1, 3] = 1
    rated_current_a: Annotated[float, Field(gt=0, le=1000)]
    group: str = ""
    head: bool = False
    shed_priority: int | None = None

    @property
    def policy_group(self) -> str:
        """The name of the policy group that rules this meter."""
        return self.group or self.kind.value


class Site(_Frozen):
    """A whole site: its name, time zone (IANA), currency (ISO 4217), buses and meters."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")]
    title: str = ""
    time_zone: str
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "CNY"
    buses: tuple[Bus, ...]
    meters: tuple[Meter, ...] = ()

    def meter(self, name: str) -> Meter | None:
        """Return the meter of that name, or None."""
        return next((meter for meter in self.meters if meter.name == name), None)

    def meters_on(self, bus: str) -> tuple[Meter, ...]:
        """Return the meters of one bus in roster order."""
        return tuple(meter for meter in self.meters if meter.bus == bus)
