"""What a relay command leaves behind: its steps on the wire, and its ending in words."""

from dataclasses import dataclass, field
from typing import Any

from collector.meter_port import MeterPort, Readout
from collector.profile import RelayAction, Write
from collector.request import Reply, exception_text
from domain.commands import Action, Command, ReceiptStatus


@dataclass(slots=True)
class Attempt:
    """What has happened to a command so far; `steps` becomes the proof of its receipt."""

    writes: int = 0
    unanswered: str = ""
    refusal: str = ""
    expired: bool = False
    relay_closed: bool | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended, and why."""

    status: ReceiptStatus
    reason: str


def action_of(port: MeterPort, action: Action) -> RelayAction | None:
    """Return the model's action. Keeping power is closing where there is no forced control; the
    station holds it then. None: nothing to write (release without forced control)."""
    relay = port.profile.relay
    if relay is None:
        return None
    return {
        Action.TRIP: relay.trip,
        Action.CLOSE: relay.close,
        Action.KEEP_POWER: relay.keep_power or relay.close,
        Action.RELEASE: relay.release,
    }[action]


def settle_s(port: MeterPort) -> float:
    """Time the meter's relay needs to move, s."""
    return port.profile.relay.settle_s if port.profile.relay is not None else 0.0


def is_expired(command: Command, port: MeterPort) -> bool:
    """Say whether a command may no longer be sent."""
    return port.owner.clock.now() >= command.expires_at


def refused(reason: str) -> Ending:
    """Return the ending of a command that was not done."""
    return Ending(ReceiptStatus.REFUSED, reason)


def state_text(relay_closed: bool | None) -> str:
    """Name a relay state as read back."""
    return {True: "closed", False: "open", None: "nothing"}[relay_closed]


def write_text(write: Write) -> str:
    """Name a write by function and address."""
    return f"function {write.function} at 0x{write.address:04X}"


def proven_text(command: Command, port: MeterPort, attempt: Attempt) -> str:
    """Put a proven command in words."""
    text = f"relay reads {state_text(attempt.relay_closed)}"
    if attempt.unanswered:
        text += f"; the write was not acknowledged ({attempt.unanswered})"
    relay = port.profile.relay
    if command.action is Action.KEEP_POWER and relay is not None and relay.keep_power is None:
        text += "; this model has no forced control, the station keeps the power"
    return text


def unproven(proven: bool | None, attempt: Attempt) -> Ending:
    """Name the end of a command whose read-back did not show what was expected."""
    if not attempt.writes:
        status = ReceiptStatus.EXPIRED if attempt.expired else ReceiptStatus.REFUSED
        return Ending(status, attempt.refusal)
    reading = f"relay reads {state_text(attempt.relay_closed)}"
    if proven is None:
        cause = attempt.refusal or attempt.unanswered
        text = "the meter could not be read back" + (f" ({cause})" if cause else "")
        return Ending(ReceiptStatus.UNKNOWN, text)
    if attempt.refusal:
        return refused(f"{attempt.refusal}; {reading}")
    if attempt.unanswered:
        return Ending(ReceiptStatus.UNKNOWN, f"no answer to the write; {reading} so far")
    return refused(f"the meter took the command and did not follow it: {reading}")


def log_write(port: MeterPort, write: Write, reply: Reply, attempt: Attempt) -> None:
    """Add a write and its answer to the proof."""
    code = reply.exception_code
    attempt.steps.append(
        {
            "time": port.owner.clock.now().isoformat(),
            "write": write_text(write),
            "words": [f"0x{word:04X}" for word in write.words],
            "outcome": exception_text(code) if code else reply.note or reply.outcome.value,
        }
    )


def read_step(readout: Readout) -> dict[str, Any]:
    """Return a read-back as a step of the proof: raw words and what they mean."""
    return {
        "time": readout.time.isoformat(),
        "read": {
            f"{block.space} 0x{block.address:04X}": [f"0x{word:04X}" for word in words]
            for block, words in readout.words.items()
        },
        "values": dict(readout.values),
        "outcome": readout.note or readout.quality.value,
    }
