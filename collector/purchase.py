"""Purchases written to prepaid meters: once each, and believed only when the meter counts them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.encode import split_words
from collector.meter_port import MeterPort
from collector.profile import Profile, PurchaseField, PurchaseWrite, Write
from collector.relay_proof import read_step, write_text
from collector.request import (
    ACKNOWLEDGE,
    GATEWAY_CODES,
    WAIT_CODES,
    Outcome,
    Priority,
    Reply,
    exception_text,
)
from domain.purchases import PrepaidReading, Purchase, PurchaseReceipt, PurchaseStatus

ENERGY = "energy_wh"
# A meter that does not answer its read-back is not asked more often than this in a row.
MISSED_READ_BACKS_MOST = 2


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, and why."""

    status: PurchaseStatus
    reason: str


@dataclass(slots=True)
class Attempt:
    """What has happened so far: what was sent, what the meter showed last."""

    writes: int = 0
    remaining_minor: int | None = None
    count: int | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)


class PurchaseWorker:
    """Writes purchases to the meters of one bus, one at a time for each meter.

    A purchase is sent once and never again, whatever comes back: a second write is the caller's
    decision, after a read-back. `on_written` is told each meter whose balance may have moved.
    """

    def __init__(
        self,
        bus: str,
        ports: Mapping[str, MeterPort],
        seal_key: bytes,
        on_written: Callable[[str], None],
    ) -> None:
        self._bus, self._seal_key, self._on_written = bus, seal_key, on_written
        self._locks = {name: asyncio.Lock() for name in ports}

    async def purchase(self, purchase: Purchase, port: MeterPort) -> PurchaseReceipt:
        """Carry a purchase out and prove it. Field faults end in the receipt, never in a raise."""
        attempt = Attempt()
        async with self._locks[purchase.meter]:
            ending = self._complaint(purchase, port)
            if ending is None:
                ending = await self._carry_out(purchase, port, attempt)
        if attempt.writes:
            self._on_written(purchase.meter)
        return PurchaseReceipt(
            purchase.id, purchase.meter, ending.status, ending.reason, port.owner.clock.now(),
            attempt.writes, attempt.remaining_minor, attempt.count,
            {"bus": self._bus, "unit_id": port.meter.unit_id, "steps": attempt.steps},
        )  # fmt: skip

    async def read(self, port: MeterPort) -> PrepaidReading:
        """Read what the meter holds, how many purchases it has counted, and its energy."""
        prepay = port.profile.prepay
        name, clock = port.meter.name, port.owner.clock
        if prepay is None:
            note = f"model {port.profile.name} keeps no balance"
            return PrepaidReading(name, clock.now(), note=note)
        wanted = (prepay.remaining, prepay.count, ENERGY)
        readout = await port.read_patiently(wanted, Priority.ASKED)
        remaining, count, energy = (whole(readout.values.get(one)) for one in wanted)
        write = prepay.write
        return PrepaidReading(
            name, readout.time, remaining, count, energy,
            writable=write is not None,
            amount_most_minor=write.amount_most_minor if write else None,
            remaining_most_minor=write.remaining_most_minor if write else None,
            step_minor=write.amount.factor if write else 1,
            note=readout.note or "; ".join(str(fault) for fault in readout.faults),
        )  # fmt: skip

    def _complaint(self, purchase: Purchase, port: MeterPort) -> Ending | None:
        """Say why a purchase is not even begun: altered, expired, not for this model."""
        if not purchase.is_intact(self._seal_key):
            return refused("the purchase was altered: its seal does not fit its content")
        if port.owner.clock.now() >= purchase.expires_at:
            return Ending(PurchaseStatus.EXPIRED, "expired before it was begun")
        prepay = port.profile.prepay
        if prepay is None or prepay.write is None:
            return refused(f"model {port.profile.name} takes no purchases")
        fault = amount_fault(purchase, prepay.write)
        if fault:
            return refused(fault)
        if not port.profile.may_write(purchase_write(port.profile, prepay.write, purchase)):
            return refused(f"model {port.profile.name} forbids the write of a purchase")
        return None

    async def _carry_out(self, purchase: Purchase, port: MeterPort, attempt: Attempt) -> Ending:
        prepay = port.profile.prepay
        assert prepay is not None and prepay.write is not None  # noqa: S101 - _complaint saw to it
        if not await self._look(port, attempt, Priority.COMMAND):
            return Ending(PurchaseStatus.WAITING, "the meter could not be read; nothing was sent")
        ready = self._ready(purchase, attempt, prepay.write)
        if ready is not None:
            return ready
        if port.owner.clock.now() >= purchase.expires_at:
            return Ending(PurchaseStatus.EXPIRED, "expired before it could be sent")
        write = purchase_write(port.profile, prepay.write, purchase)
        reply = await port.write(write, Priority.COMMAND)
        attempt.steps.append(write_step(port, write, reply))
        code = reply.exception_code
        if reply.outcome is Outcome.NOT_SENT:
            return Ending(PurchaseStatus.WAITING, f"nothing was sent: {reply.note}")
        attempt.writes = 1
        trouble = ""
        if not reply.is_ok:
            trouble = exception_text(code) if code else reply.note or reply.outcome.value
        said_no = code not in {0, ACKNOWLEDGE} | GATEWAY_CODES
        seen = await self._read_back(
            purchase, port, attempt, prepay.write.settle_s, patient=not said_no
        )
        return judged(purchase, attempt, seen, trouble, said_no, code)

    def _ready(self, purchase: Purchase, attempt: Attempt, write: PurchaseWrite) -> Ending | None:
        """Say why the write must not go out, given what the meter shows before it; else None."""
        count, remaining = attempt.count, attempt.remaining_minor
        assert count is not None and remaining is not None  # noqa: S101 - _look saw to it
        if count == purchase.sequence and purchase.fits(remaining):
            return Ending(PurchaseStatus.CONFIRMED, f"the meter counts purchase {count} already")
        if count != purchase.count_before:
            reason = (
                f"the meter counts {count} purchases, this one was made ready at"
                f" {purchase.count_before}; nothing was sent"
            )
            # It may have been written before, and others after it.
            past = count > purchase.count_before
            return Ending(PurchaseStatus.UNKNOWN, reason) if past else refused(reason)
        if remaining + purchase.amount_minor > write.remaining_most_minor:
            return refused(f"the meter can hold {write.remaining_most_minor} at the most")
        return None

    async def _read_back(
        self,
        purchase: Purchase,
        port: MeterPort,
        attempt: Attempt,
        settle_s: float,
        *,
        patient: bool,
    ) -> bool:
        """Read until the meter counts the purchase, a bounded number of times; say whether the last
        read told anything."""
        settings = port.owner.settings
        wait_s, missed = settle_s, 0
        for _ in range(settings.read_back_reads):
            await port.owner.clock.sleep(wait_s)
            wait_s = max(settings.read_back_gap_s, settle_s)
            if not await self._look(port, attempt, Priority.READ_BACK):
                missed += 1
                if missed >= MISSED_READ_BACKS_MOST:
                    break
                continue
            missed = 0
            if not patient or counted_or_moved_on(purchase, attempt):
                break
        return not missed

    async def _look(self, port: MeterPort, attempt: Attempt, priority: Priority) -> bool:
        """Read remaining amount and count; False where either can't be told."""
        prepay = port.profile.prepay
        assert prepay is not None  # noqa: S101 - asked only of a model with prepayment
        readout = await port.read((prepay.remaining, prepay.count), priority)
        attempt.steps.append(read_step(readout))
        remaining = whole(readout.values.get(prepay.remaining))
        count = whole(readout.values.get(prepay.count))
        if remaining is None or count is None:
            return False
        attempt.remaining_minor, attempt.count = remaining, count
        return True


def judged(
    purchase: Purchase, attempt: Attempt, seen: bool, trouble: str, said_no: bool, code: int
) -> Ending:
    """Say how a purchase that was sent has ended, by what the meter shows afterwards."""
    after = f" ({trouble})" if trouble else ""
    if not seen or attempt.count is None or attempt.remaining_minor is None:
        return Ending(PurchaseStatus.UNKNOWN, f"sent, and the meter could not be read back{after}")
    shows = f"the meter counts {attempt.count} and holds {attempt.remaining_minor}"
    if attempt.count == purchase.sequence and purchase.fits(attempt.remaining_minor):
        text = f"; the write was not acknowledged{after}" if trouble else ""
        return Ending(PurchaseStatus.CONFIRMED, shows + text)
    if attempt.count == purchase.count_before and said_no:
        status = PurchaseStatus.WAITING if code in WAIT_CODES else PurchaseStatus.REFUSED
        return Ending(status, f"the meter did not take it: {trouble}; {shows}")
    if attempt.count == purchase.count_before:
        return Ending(PurchaseStatus.UNKNOWN, f"sent{after}, and {shows} so far")
    return Ending(PurchaseStatus.UNKNOWN, f"sent{after}, but {shows}: not what this one leaves")


def counted_or_moved_on(purchase: Purchase, attempt: Attempt) -> bool:
    """Say whether another read would tell no more. Count and amount may come in two reads: a
    counted purchase whose amount does not fit yet is looked at again."""
    if attempt.count == purchase.sequence:
        return attempt.remaining_minor is not None and purchase.fits(attempt.remaining_minor)
    return attempt.count != purchase.count_before


def amount_fault(purchase: Purchase, write: PurchaseWrite) -> str:
    """Say what is wrong with an amount or a count for this model; nothing is rounded."""
    if not 0 < purchase.amount_minor <= write.amount_most_minor:
        return f"the amount must be from 1 to {write.amount_most_minor} minor units"
    if purchase.amount_minor % write.amount.factor:
        return f"the amount must be a multiple of {write.amount.factor} minor units"
    if purchase.sequence >= 1 << 16 * write.sequence.encoding.words:
        return f"the meter can't count beyond {purchase.count_before} purchases"
    return ""


def purchase_write(profile: Profile, write: PurchaseWrite, purchase: Purchase) -> Write:
    """Return the one write that carries a purchase."""

    def words(part: PurchaseField, value: int) -> tuple[int, ...]:
        return split_words(value, part.encoding.words, profile.word_order)

    amount = words(write.amount, purchase.amount_minor // write.amount.factor)
    sequence = words(write.sequence, purchase.sequence)
    amount_first = write.amount.address < write.sequence.address
    both = amount + sequence if amount_first else sequence + amount
    return Write(function=write.function, address=write.span.first, words=both)


def whole(value: object) -> int | None:
    """Return a value that is a number as the whole number it stands for."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value)


def refused(reason: str) -> Ending:
    """Return the ending of a purchase that was not done."""
    return Ending(PurchaseStatus.REFUSED, reason)


def write_step(port: MeterPort, write: Write, reply: Reply) -> dict[str, Any]:
    """Return a write and its answer as a step of the proof."""
    code = reply.exception_code
    return {
        "time": port.owner.clock.now().isoformat(),
        "write": write_text(write),
        "words": [f"0x{word:04X}" for word in write.words],
        "outcome": exception_text(code) if code else reply.note or reply.outcome.value,
    }
