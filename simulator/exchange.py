"""One request on the line: who answers, when, and what the faults make of the reply. No sockets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.faults import FaultBook, FaultKind, FaultSpec
from simulator.meter import VirtualMeter
from simulator.modbus import WRITE_REGISTERS, Codec, Request, exception_reply, write_reply
from simulator.pacing import LinePacer

BROADCAST = 0
_ECHO = frozenset({FaultKind.ECHO})
_DEAD = frozenset({FaultKind.DEAD})
_WRITES = frozenset({FaultKind.WRITE_LOST, FaultKind.WRITE_UNANSWERED})
_REPLIES = frozenset(
    {
        FaultKind.SLOW,
        FaultKind.LATE,
        FaultKind.TRUNCATED,
        FaultKind.BAD_CRC,
        FaultKind.NOISE_BEFORE,
        FaultKind.NOISE_AFTER,
        FaultKind.WRONG_UNIT,
        FaultKind.WRONG_FUNCTION,
        FaultKind.WRONG_LENGTH,
        FaultKind.DUPLICATE,
        FaultKind.EXCEPTION,
    }
)
_OTHER_FUNCTION = {1: 2, 3: 4, 4: 3, 5: 6, 6: 5, WRITE_REGISTERS: 15}

Emit = Callable[[float, bytes], object]
Struck = Mapping[FaultKind, FaultSpec]
_NOTHING: Struck = {}


@dataclass(slots=True)
class Exchange:
    """The line of one bus: its meters by unit id, its pacer, its faults.

    `reply_delay_s` is what a meter takes to begin its answer. `emit(when, bytes)` is called for
    everything that comes back, in order of thinking, not of time.
    """

    bus: str
    meters: Mapping[int, VirtualMeter]
    faults: FaultBook
    pacer: LinePacer
    reply_delay_s: float

    def carry(
        self, request: Request, raw: bytes, codec: Codec, now_s: float, campus_s: float, emit: Emit
    ) -> None:
        """Carry out one request that arrived at monotonic `now_s`, campus time `campus_s`."""
        end_s = self.pacer.request_end_s(now_s, request.rtu_bytes)
        at_s = campus_s + end_s - now_s
        meter = self.meters.get(request.unit)
        name = meter.name if meter else ""
        if self.faults.busy and self._strike(_ECHO, name, request, at_s):
            emit(end_s, raw)
        if request.unit == BROADCAST:
            self._broadcast(request, at_s)
            return
        if meter is None:
            return
        if not self.faults.busy:
            pdu = meter.answer(request, at_s + self.reply_delay_s)
            self._reply(request, codec, pdu, end_s, emit)
            return
        if self._strike(_DEAD, name, request, at_s):
            return
        at_s += self.reply_delay_s
        writes = self._strike(_WRITES, name, request, at_s) if request.is_write else _NOTHING
        struck = self._strike(_REPLIES, name, request, at_s)
        pdu = _answer(meter, request, at_s, writes, struck)
        if FaultKind.WRITE_UNANSWERED in writes:
            return
        if struck:
            self._disturbed_reply(request, codec, pdu, struck, now_s, end_s, emit)
        else:
            self._reply(request, codec, pdu, end_s, emit)

    def _reply(self, request: Request, codec: Codec, pdu: bytes, end_s: float, emit: Emit) -> None:
        # On the RS-485 side a PDU has a unit and a checksum around it, whatever the transport.
        reply_end_s = self.pacer.reply_end_s(end_s, len(pdu) + 3, self.reply_delay_s)
        emit(reply_end_s, codec.frame(request, pdu))

    def _disturbed_reply(
        self,
        request: Request,
        codec: Codec,
        pdu: bytes,
        struck: Struck,
        now_s: float,
        end_s: float,
        emit: Emit,
    ) -> None:
        """Send what the faults leave of a reply."""
        frame = self._damage(request, codec, pdu, struck)
        rtu_bytes = len(frame) - len(codec.frame(request, pdu)) + len(pdu) + 3
        late = struck.get(FaultKind.LATE)
        if late is not None:
            # The meter sleeps; the line is free for others meanwhile.
            emit(now_s + late.delay_s, frame)
            return
        slow = struck.get(FaultKind.SLOW)
        delay_s = self.reply_delay_s + (slow.delay_s if slow else 0.0)
        emit(self.pacer.reply_end_s(end_s, rtu_bytes, delay_s), frame)
        wrong = struck.get(FaultKind.WRONG_UNIT)
        if FaultKind.DUPLICATE in struck or (wrong is not None and wrong.then_reply):
            # free_at_s is the end of the first frame and its silence.
            second = frame if wrong is None else codec.frame(request, pdu)
            emit(self.pacer.reply_end_s(max(end_s, self.pacer.free_at_s), rtu_bytes, 0), second)

    def _damage(self, request: Request, codec: Codec, pdu: bytes, struck: Struck) -> bytes:
        """Return the frame as it comes out of the line. Bad checksums are RTU's alone."""
        if FaultKind.WRONG_FUNCTION in struck:
            pdu = bytes((_OTHER_FUNCTION.get(pdu[0], pdu[0] ^ 1),)) + pdu[1:]
        if FaultKind.WRONG_LENGTH in struck:
            pdu = _shortened(request, pdu)
        unit = request.unit % 247 + 1 if FaultKind.WRONG_UNIT in struck else None
        frame = codec.frame(request, pdu, unit)
        if FaultKind.BAD_CRC in struck:
            frame = frame[:-1] + bytes((frame[-1] ^ 0x55,))
        if (cut := struck.get(FaultKind.TRUNCATED)) is not None:
            frame = frame[: min(cut.size_bytes, len(frame) - 1)]
        if (before := struck.get(FaultKind.NOISE_BEFORE)) is not None:
            frame = self.faults.random_bytes(before.size_bytes) + frame
        if (after := struck.get(FaultKind.NOISE_AFTER)) is not None:
            frame += self.faults.random_bytes(after.size_bytes)
        return frame

    def _broadcast(self, request: Request, at_s: float) -> None:
        """Let every meter that hears it carry out a write; nobody answers."""
        if not request.is_write:
            return
        for meter in self.meters.values():
            if not self._strike(_DEAD, meter.name, request, at_s):
                meter.answer(request, at_s)

    def _strike(
        self, kinds: frozenset[FaultKind], meter: str, request: Request, at_s: float
    ) -> Struck:
        found = self.faults.strike(kinds, meter, self.bus, at_s, request.function)
        return {spec.kind: spec for spec in found}


def _answer(
    meter: VirtualMeter, request: Request, at_s: float, writes: Struck, struck: Struck
) -> bytes:
    if (refusal := struck.get(FaultKind.EXCEPTION)) is not None:
        return exception_reply(request, refusal.code)
    if FaultKind.WRITE_LOST in writes and request.words:
        return write_reply(request)
    return meter.answer(request, at_s)


def _shortened(request: Request, pdu: bytes) -> bytes:
    """Return a PDU one register shorter, with a byte count that fits it."""
    if pdu[0] & 0x80 or request.is_write or pdu[1] < 3:
        return pdu + b"\x00\x00" if len(pdu) < 4 else pdu[:-2]
    return bytes((pdu[0], pdu[1] - 2)) + pdu[2:-2]
