"""One question to one meter and what came of it; nothing here knows sockets or checksums."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

READS = (1, 3, 4)
WRITES = (5, 6, 16)
COIL_ON = 0xFF00


class Priority(IntEnum):
    """Who goes first on a bus; a lower number pre-empts a higher one between transactions."""

    COMMAND = 0
    READ_BACK = 1
    CONFIRM = 2
    ASKED = 3
    POLL = 4


class Outcome(StrEnum):
    """How a transaction ended."""

    OK = "ok"
    EXCEPTION = "exception"  # the unit (or its gateway) answered with an exception code
    TIMEOUT = "timeout"  # nothing acceptable came; the line has been drained since
    LINK_DOWN = "link-down"  # the line or socket went away; a write may have been sent
    NOT_SENT = "not-sent"  # refused before anything went out: no link, queue full, stopping


@dataclass(frozen=True, slots=True)
class Request:
    """A read (functions 1, 3, 4: `count` coils or registers) or a write (5, 6, 16: `words`)."""

    unit: int
    function: int
    address: int
    count: int = 1
    words: tuple[int, ...] = ()

    @property
    def is_write(self) -> bool:
        """Say whether this changes the meter."""
        return self.function in WRITES

    @property
    def request_bytes(self) -> int:
        """Length of the RTU request frame."""
        return 9 + 2 * len(self.words) if self.function == 16 else 8

    @property
    def reply_bytes(self) -> int:
        """Length of the RTU reply frame when the meter does what it is asked."""
        if self.is_write:
            return 8
        return 5 + (-(-self.count // 8) if self.function == 1 else 2 * self.count)

    @property
    def shape(self) -> tuple[int, int]:
        """What RTU replies can be told apart by besides the unit: function and length."""
        return self.function, self.reply_bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame that was accepted: the words read (or echoed), or an exception code."""

    words: tuple[int, ...]
    exception_code: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request came to: words when OK, the code when EXCEPTION, in words when neither.

    `wire_s` is the calculated wire time, the waits of a timeout included; `ended_s` is the
    monotonic time the reply ended; `came` says that the reply of a timed-out request was seen,
    damaged or too late, so that none is owed.
    """

    outcome: Outcome
    words: tuple[int, ...] = ()
    exception_code: int = 0
    note: str = ""
    wire_s: float = 0.0
    ended_s: float = 0.0
    came: bool = False

    @property
    def is_ok(self) -> bool:
        """Say whether the meter answered with what was asked for."""
        return self.outcome is Outcome.OK


# Exception codes of the Modbus standard and what this program makes of them.
ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
DEVICE_FAILURE = 4
ACKNOWLEDGE = 5
BUSY = 6
GATEWAY_PATH = 0x0A
GATEWAY_TARGET = 0x0B

CONFIGURATION_CODES = frozenset({ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE})
WAIT_CODES = frozenset({ACKNOWLEDGE, BUSY})
GATEWAY_CODES = frozenset({GATEWAY_PATH, GATEWAY_TARGET})

EXCEPTION_TEXT = {
    ILLEGAL_FUNCTION: "illegal function",
    ILLEGAL_ADDRESS: "illegal address",
    ILLEGAL_VALUE: "illegal value",
    DEVICE_FAILURE: "device failure",
    ACKNOWLEDGE: "accepted, still working",
    BUSY: "busy",
    GATEWAY_PATH: "gateway has no path",
    GATEWAY_TARGET: "gateway got no answer from the meter",
}


def exception_text(code: int) -> str:
    """Say what an exception code means."""
    return f"exception {code} ({EXCEPTION_TEXT.get(code, 'unknown')})"
