"""Relay commands carried out and proven: nothing is done until the meter says so itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from collector.meter_port import MeterPort
from collector.profile import Expect, RelayAction, Write
from collector.relay_proof import (
    Attempt,
    Ending,
    action_of,
    is_expired,
    log_write,
    proven_text,
    read_step,
    refused,
    settle_s,
    state_text,
    unproven,
    write_text,
)
from collector.request import (
    ACKNOWLEDGE,
    BUSY,
    CONFIGURATION_CODES,
    GATEWAY_CODES,
    Outcome,
    Priority,
    Reply,
    exception_text,
)
from domain.commands import Command, Receipt, ReceiptStatus
from domain.events import Event, EventKind, Severity

RELAY = "relay_closed"
# A meter that does not answer its read-back is not asked more often than this in a row.
MISSED_READ_BACKS_MOST = 2


class RelayWorker:
    """Carries out commands for the meters of one bus, one at a time for each meter.

    `on_moved` is told each meter whose relay may have moved, so that it is read again soon.
    """

    def __init__(
        self,
        bus: str,
        ports: Mapping[str, MeterPort],
        seal_key: bytes,
        on_event: Callable[[Event], None],
        on_moved: Callable[[str], None],
    ) -> None:
        self._bus, self._ports, self._seal_key = bus, ports, seal_key
        self._on_event, self._on_moved = on_event, on_moved
        self._locks = {name: asyncio.Lock() for name in ports}
        self._told: set[tuple[str, int]] = set()
        self.done = 0
        self.unproven = 0

    async def execute(self, command: Command, port: MeterPort) -> Receipt:
        """Carry a command out and prove it. Field faults end in the receipt, never in a raise."""
        attempt = Attempt()
        ending = self._complaint(command, port)
        if ending is None:
            async with self._locks[command.meter]:
                ending = await self._carry_out(command, port, attempt)
            self._on_moved(command.meter)
        self.done += 1
        self.unproven += ending.status is ReceiptStatus.UNKNOWN
        return Receipt(
            command.id, command.meter, command.action, ending.status, ending.reason,
            attempt.relay_closed, port.owner.clock.now(), attempt.writes,
            {"bus": self._bus, "unit_id": port.meter.unit_id, "steps": attempt.steps},
        )  # fmt: skip

    def _complaint(self, command: Command, port: MeterPort) -> Ending | None:
        """Say why a command is not even begun: altered, expired, no relay, a forbidden write."""
        if not command.is_intact(self._seal_key):
            return refused("the command was altered: its seal does not fit its content")
        if is_expired(command, port):
            return Ending(ReceiptStatus.EXPIRED, "expired before it was begun")
        if port.profile.relay is None:
            return refused(f"model {port.profile.name} has no relay")
        action = action_of(port, command.action)
        for write in action.writes if action is not None else ():
            if not port.profile.may_write(write):
                return refused(f"model {port.profile.name} forbids {write_text(write)}")
        return None

    async def _carry_out(self, command: Command, port: MeterPort, attempt: Attempt) -> Ending:
        action = action_of(port, command.action)
        if action is None:
            return await self._release_nothing(port, attempt)
        proven: bool | None = None
        for _ in range(port.owner.settings.write_attempts):
            attempt.unanswered = attempt.refusal = ""
            before = attempt.writes
            await self._write_all(command, port, action, attempt)
            if attempt.writes == before:
                break  # nothing went out: expired, refused or no link
            proven = await self._read_back(port, action.expect, attempt)
            if proven:
                return Ending(ReceiptStatus.CONFIRMED, proven_text(command, port, attempt))
            # Written again only where the read-back shows that an unanswered write did nothing.
            if proven is None or not attempt.unanswered:
                break
        return unproven(proven, attempt)

    async def _write_all(
        self, command: Command, port: MeterPort, action: RelayAction, attempt: Attempt
    ) -> None:
        """Send an action's writes in order; stops at the first that is not acknowledged."""
        await self._learn_echo(port, action)
        for number, write in enumerate(action.writes):
            if number:  # begun is finished, expired or not: half an action is worse than a late one
                await port.owner.clock.sleep(settle_s(port))
            elif is_expired(command, port):
                attempt.expired, attempt.refusal = True, "expired before it could be sent"
                return
            reply = await self._write(port, write, attempt)
            code = reply.exception_code
            if reply.is_ok or code == ACKNOWLEDGE:
                attempt.writes += 1
            elif code in GATEWAY_CODES or reply.outcome in (Outcome.TIMEOUT, Outcome.LINK_DOWN):
                attempt.writes += 1  # it may have arrived: only the read-back can tell
                attempt.unanswered = exception_text(code) if code else reply.note
                return
            else:
                attempt.refusal = self._refusal(port, write, reply)
                return

    async def _write(self, port: MeterPort, write: Write, attempt: Attempt) -> Reply:
        """Send one write; a meter that says it is busy is asked again a bounded number of times."""
        settings = port.owner.settings
        reply = await port.write(write, Priority.COMMAND)
        log_write(port, write, reply, attempt)
        for _ in range(settings.busy_retries):
            if reply.exception_code != BUSY:
                break
            port.owner.retries += 1
            await port.owner.clock.sleep(settings.busy_wait_s)
            reply = await port.write(write, Priority.COMMAND)
            log_write(port, write, reply, attempt)
        return reply

    async def _learn_echo(self, port: MeterPort, action: RelayAction) -> None:
        """Functions 5 and 6 are answered by their own echo: before the first of them, read once, to
        learn whether the adapter echoes."""
        if port.owner.echoing is None and any(w.function in (5, 6) for w in action.writes):
            await port.read([item.quantity for item in action.expect], Priority.COMMAND)

    async def _read_back(
        self, port: MeterPort, expect: Sequence[Expect], attempt: Attempt
    ) -> bool | None:
        """Read until the meter shows what was expected: True; something else: False; None where
        it can't be told."""
        settings = port.owner.settings
        quantities = list(dict.fromkeys([*(item.quantity for item in expect), RELAY]))
        proven: bool | None = None
        wait_s, missed = settle_s(port), 0
        for _ in range(settings.read_back_reads):
            await port.owner.clock.sleep(wait_s)
            wait_s = max(settings.read_back_gap_s, settle_s(port))
            readout = await port.read(quantities, Priority.READ_BACK)
            attempt.steps.append(read_step(readout))
            seen = [readout.values.get(item.quantity) for item in expect]
            relay_closed = readout.values.get(RELAY)
            if isinstance(relay_closed, bool):
                attempt.relay_closed = relay_closed
            if any(value is None for value in seen):
                missed += 1
                if missed >= MISSED_READ_BACKS_MOST:
                    break
                continue
            missed = 0
            proven = all(value == item.value for value, item in zip(seen, expect, strict=True))
            if proven:
                break
        if missed:
            return None  # an older reading proves nothing about now
        return proven

    async def _release_nothing(self, port: MeterPort, attempt: Attempt) -> Ending:
        """Release on a model without forced control writes nothing; its state is read for the
        receipt."""
        await self._read_back(port, (), attempt)
        if attempt.relay_closed is None:
            reason = "nothing to release on this model, and its relay could not be read"
            return Ending(ReceiptStatus.UNKNOWN, reason)
        state = state_text(attempt.relay_closed)
        reason = f"nothing to release: this model has no forced control; relay reads {state}"
        return Ending(ReceiptStatus.CONFIRMED, reason)

    def _refusal(self, port: MeterPort, write: Write, reply: Reply) -> str:
        """Put a refused write in words; a configuration fault is told once."""
        code = reply.exception_code
        if not code:
            return f"nothing was sent: {reply.note}"
        text = f"{write_text(write)} refused: {exception_text(code)}"
        if code in CONFIGURATION_CODES and (port.meter.name, code) not in self._told:
            self._told.add((port.meter.name, code))
            self._on_event(
                Event(
                    port.owner.clock.now(), EventKind.CONFIGURATION_FAULT, port.meter.name, text,
                    Severity.ALARM, group=self._bus,
                )
            )  # fmt: skip
        return text
