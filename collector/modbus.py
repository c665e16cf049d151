"""Frames in, frames out: the collector's only file that knows pymodbus.

pymodbus builds and decodes the PDUs and the checksum; which reply is accepted is decided here,
because its own client takes a late reply for the next one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from pymodbus.framer.rtu import FramerRTU
from pymodbus.framer.socket import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, WriteSingleCoilRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from collector.request import COIL_ON, Answer, Request

# Longest input kept while a reply is looked for; the standard's longest RTU frame is 256 bytes.
INPUT_MOST_BYTES = 1024
SHORTEST_RTU = 5
STRAYS_MOST = 16
MBAP_HEADER = 7
MBAP_LENGTH_MOST = 254
_READ_REPLIES = (1, 2, 3, 4)
_WRITE_REPLIES = (5, 6, 15, 16)

_decoder = DecodePDU(False)
_rtu = FramerRTU(_decoder)
_mbap = FramerSocket(_decoder)


@dataclass(slots=True)
class WireCounts:
    """What was seen on the wire besides good replies, counted since the start."""

    crc_errors: int = 0
    truncated: int = 0
    noise_bytes: int = 0
    foreign: int = 0  # valid frames of another unit
    rejected: int = 0  # this unit, but another function, length, address or transaction
    echoes: int = 0
    timeouts: int = 0
    late: int = 0  # replies that came in the silent window after their timeout
    exceptions: dict[int, int] = field(default_factory=dict)


class StreamDamaged(Exception):
    """A TCP stream no longer lies on frame borders; only a new connection helps."""


class Codec(Protocol):
    """How requests become bytes and replies are found in what came in.

    `begin` forgets the last request. `search` consumes from `data` all that is settled and returns
    the accepted answer, or None while there is none yet. `give_up` classifies and drops what is
    left once no answer is waited for: in words, and whether it was the reply, damaged. `strays`
    are the units and shapes of valid frames that were not wanted. `echoing` says whether the
    adapter repeats what is sent (None: not yet known). `is_stream`: frames have borders, input
    must never be thrown away.
    """

    echoing: bool | None
    is_stream: bool
    strays: list[tuple[int, tuple[int, int]]]

    def begin(self) -> None: ...

    def encode(self, request: Request) -> bytes: ...

    def search(self, data: bytearray, request: Request, sent: bytes) -> Answer | None: ...

    def give_up(self, data: bytearray, request: Request) -> tuple[str, bool]: ...


@lru_cache(maxsize=8192)
def _payload(request: Request) -> bytes:
    """Build the request PDU, function code included."""
    pdu = _BUILDERS[request.function](request)
    return bytes([request.function]) + pdu.encode()


_BUILDERS: dict[int, Callable[[Request], ModbusPDU]] = {
    1: lambda r: ReadCoilsRequest(address=r.address, count=r.count),
    3: lambda r: ReadHoldingRegistersRequest(address=r.address, count=r.count),
    4: lambda r: ReadInputRegistersRequest(address=r.address, count=r.count),
    5: lambda r: WriteSingleCoilRequest(address=r.address, bits=[r.words[0] == COIL_ON]),
    6: lambda r: WriteSingleRegisterRequest(address=r.address, registers=r.words),
    16: lambda r: WriteMultipleRegistersRequest(address=r.address, registers=r.words),
}


@lru_cache(maxsize=8192)
def _rtu_frame(request: Request) -> bytes:
    return _rtu.encode(_payload(request), request.unit, 0)


def judge(request: Request, payload: bytes) -> Answer | None:
    """Accept the PDU of this request's own unit, or return None: wrong function, byte count,
    address or value. `payload` starts with the function code."""
    function = payload[0]
    if function == request.function | 0x80:
        return Answer((), payload[1]) if len(payload) == 2 and payload[1] else None
    # Unit and checksum are two bytes and one that a PDU does not have.
    if function != request.function or len(payload) != request.reply_bytes - 3:
        return None
    if function in _READ_REPLIES and payload[1] != len(payload) - 2:
        return None
    pdu = _decoder.decode(payload)
    if pdu is None:
        return None
    if request.is_write:
        return Answer(request.words) if _echoes(request, pdu) else None
    if function == 1:
        return Answer(tuple(int(bit) for bit in pdu.bits[: request.count]))
    return Answer(tuple(pdu.registers))


def _echoes(request: Request, pdu: ModbusPDU) -> bool:
    """Say whether a write's reply repeats the address and the count or value that was sent."""
    if pdu.address != request.address:
        return False
    if request.function == 16:
        return pdu.count == len(request.words)
    if request.function == 5:
        return list(pdu.bits) == [request.words[0] == COIL_ON]
    return list(pdu.registers) == list(request.words)


class RtuCodec:
    """Modbus RTU: no transaction id, so everything else must fit, echoes are stripped."""

    def __init__(self, counts: WireCounts) -> None:
        self._counts = counts
        self._echo_seen = False
        self.echoing: bool | None = None
        self.is_stream = False
        self.strays: list[tuple[int, tuple[int, int]]] = []

    def begin(self) -> None:
        """A new request goes out: its echo has not been seen, no stray frame either."""
        self._echo_seen = False
        self.strays.clear()

    def encode(self, request: Request) -> bytes:
        """Return the frame with its checksum."""
        return _rtu_frame(request)

    def search(self, data: bytearray, request: Request, sent: bytes) -> Answer | None:
        """Look for the reply at every offset: noise before it, foreign frames, echoes are passed.

        Only frames whose checksum fits are looked at; what may still become one is kept.
        """
        start = 0
        while len(data) - start >= SHORTEST_RTU:
            if self._strip_echo(data, start, request, sent):
                continue
            length = _rtu_length(data, start)
            if not length or start + length > len(data) or not _checks(data, start, length):
                start += 1
                continue
            frame = bytes(data[start : start + length])
            self._counts.noise_bytes += start
            del data[: start + length]
            start = 0
            answer = judge(request, frame[1:-2]) if frame[0] == request.unit else None
            if answer is not None:
                self._note_no_echo(request)
                return answer
            self._stray(frame, request)
        if len(data) > INPUT_MOST_BYTES:
            self._counts.noise_bytes += len(data) - INPUT_MOST_BYTES
            del data[:-INPUT_MOST_BYTES]
        return None

    def _stray(self, frame: bytes, request: Request) -> None:
        """Count a valid frame that was not wanted and keep its shape."""
        if frame[0] == request.unit:
            self._counts.rejected += 1
        else:
            self._counts.foreign += 1
        if len(self.strays) < STRAYS_MOST:
            self.strays.append((frame[0], (frame[1], len(frame))))

    def _strip_echo(self, data: bytearray, start: int, request: Request, sent: bytes) -> bool:
        """Take the request's own echo out. The reply of functions 5 and 6 equals the request:
        there the first copy counts as an echo only where the adapter is known to echo."""
        if self._echo_seen or not data.startswith(sent, start):
            return False
        if request.function in (5, 6) and not self.echoing:
            return False
        del data[start : start + len(sent)]
        self._echo_seen = True
        self.echoing = True
        self._counts.echoes += 1
        return True

    def _note_no_echo(self, request: Request) -> None:
        """A reply that came without an echo before it shows that the adapter does not echo."""
        if not self._echo_seen and request.function not in (5, 6):
            self.echoing = False

    def give_up(self, data: bytearray, request: Request) -> tuple[str, bool]:
        """Classify what was left when time ran out: damaged, cut short, or noise; drop it."""
        if not data:
            return "no reply", False
        header = data.find(bytes([request.unit, request.function]))
        size, counts = len(data), self._counts
        data.clear()
        if header < 0:
            counts.noise_bytes += size
            return f"no reply, {size} bytes of noise", False
        if size - header >= request.reply_bytes:
            counts.crc_errors += 1
            return "reply with a bad checksum", True
        counts.truncated += 1
        return f"reply cut short, {size - header} of {request.reply_bytes} bytes", True


def _rtu_length(data: bytearray, start: int) -> int:
    """Return the length of the reply frame that would start here, 0 if none can."""
    function = data[start + 1]
    if function & 0x80:
        return SHORTEST_RTU
    if function in _READ_REPLIES:
        return 5 + data[start + 2]
    return 8 if function in _WRITE_REPLIES else 0


def _checks(data: bytearray, start: int, length: int) -> bool:
    end = start + length - 2
    return FramerRTU.compute_CRC(bytes(data[start:end])) == data[end] << 8 | data[end + 1]


class MbapCodec:
    """Modbus TCP: a transaction id tells every reply apart; unit and content must fit as well."""

    def __init__(self, counts: WireCounts) -> None:
        self._counts = counts
        self._transaction = 0
        self.echoing: bool | None = False
        self.is_stream = True
        self.strays: list[tuple[int, tuple[int, int]]] = []

    def begin(self) -> None:
        """Nothing to forget: the transaction id tells requests apart."""

    def encode(self, request: Request) -> bytes:
        """Return the frame under the next transaction id (1 to 65535, round and round)."""
        self._transaction = self._transaction % 0xFFFF + 1
        return _mbap.encode(_payload(request), request.unit, self._transaction)

    def search(self, data: bytearray, request: Request, sent: bytes) -> Answer | None:
        """Take frames off the stream until the one of this transaction, unit and shape is met.

        Raises StreamDamaged where a header is no Modbus TCP header.
        """
        while len(data) >= MBAP_HEADER + 1:
            length = data[4] << 8 | data[5]
            if data[2] or data[3] or not 2 <= length <= MBAP_LENGTH_MOST:
                raise StreamDamaged(f"not a Modbus TCP header: {data[:7].hex(' ')}")
            if len(data) < 6 + length:
                return None
            frame = bytes(data[: 6 + length])
            del data[: 6 + length]
            if frame[:2] != sent[:2]:
                self._counts.rejected += 1
            elif frame[6] != request.unit:
                self._counts.foreign += 1
            elif (answer := judge(request, frame[MBAP_HEADER:])) is not None:
                return answer
            else:
                self._counts.rejected += 1
        return None

    def give_up(self, data: bytearray, request: Request) -> tuple[str, bool]:
        """Say what was left; a half frame stays, its rest may still come."""
        return (f"reply cut short, {len(data)} bytes" if data else "no reply"), False
