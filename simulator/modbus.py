"""Modbus as a meter sees it: requests cut out of a byte stream, replies put into frames.

Written without a Modbus library on purpose: the collector uses one, and two ends that share their
code would share its mistakes. Both transports are here: RTU (checksum, no transaction id) and
MBAP (Modbus TCP).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

READ_COILS = 1
READ_HOLDING = 3
READ_INPUT = 4
WRITE_COIL = 5
WRITE_REGISTER = 6
WRITE_REGISTERS = 16
RESET_ENERGY = 0x42  # a vendor function of PZEM meters: no address, no data
WRITE_FUNCTIONS = frozenset({WRITE_COIL, WRITE_REGISTER, WRITE_REGISTERS, RESET_ENERGY})
SPACE_OF_READ = {READ_COILS: "coil", READ_HOLDING: "holding", READ_INPUT: "input"}

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3

RTU_SHORTEST = 4
RTU_LONGEST = 256
MBAP_HEADER_BYTES = 7
MBAP_PDU_LONGEST = 253


class Request(NamedTuple):
    """One request: reads carry `size` (registers or coils), writes carry `words`.

    `malformed`: its byte counts disagree. `rtu_bytes` is its length on the RS-485 side, whatever
    the transport; `transaction` is MBAP's.
    """

    unit: int
    function: int
    address: int
    size: int
    words: tuple[int, ...]
    rtu_bytes: int
    malformed: bool = False
    transaction: int = 0

    @property
    def is_write(self) -> bool:
        """Say whether this changes the meter."""
        return self.function in WRITE_FUNCTIONS


def _byte_table() -> list[int]:
    table = []
    for index in range(256):
        crc = index
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return table


_BYTES = _byte_table()
# Two bytes a step: a reply's checksum costs 1 us instead of 10.
_PAIRS = [
    _BYTES[(_BYTES[pair & 0xFF] ^ pair >> 8) & 0xFF] ^ _BYTES[pair & 0xFF] >> 8
    for pair in range(65_536)
]


def crc16(data: bytes) -> int:
    """Return the Modbus checksum; it goes on the wire low byte first."""
    crc = 0xFFFF
    pairs = len(data) // 2
    for pair in struct.unpack_from(f"<{pairs}H", data):
        crc = _PAIRS[crc ^ pair]
    if len(data) % 2:
        crc = crc >> 8 ^ _BYTES[(crc ^ data[-1]) & 0xFF]
    return crc


def read_reply(request: Request, words: list[int]) -> bytes:
    """Return the PDU that answers a read with these registers, or coils (0 or not 0)."""
    if request.function == READ_COILS:
        bits = sum(1 << place for place, word in enumerate(words) if word)
        data = bits.to_bytes((len(words) + 7) // 8, "little")
    else:
        data = struct.pack(f">{len(words)}H", *words)
    return bytes((request.function, len(data))) + data


def write_reply(request: Request) -> bytes:
    """Return the PDU that acknowledges a write."""
    if request.function == RESET_ENERGY:
        return bytes((RESET_ENERGY,))
    last = len(request.words) if request.function == WRITE_REGISTERS else request.words[0]
    return struct.pack(">BHH", request.function, request.address, last)


def exception_reply(request: Request, code: int) -> bytes:
    """Return the PDU of a Modbus exception."""
    return bytes((request.function | 0x80, code))


def parse_pdu(unit: int, pdu: bytes, transaction: int = 0) -> Request:
    """Read a request PDU; one whose lengths disagree is marked malformed. Never raises."""
    function, rtu_bytes = pdu[0], len(pdu) + 3
    if function == WRITE_REGISTERS and len(pdu) >= 6:
        address, count, size = struct.unpack_from(">HHB", pdu, 1)
        if size != 2 * count or len(pdu) != 6 + size or not 1 <= count <= 123:
            return Request(unit, function, address, 0, (), rtu_bytes, True, transaction)
        words = struct.unpack_from(f">{count}H", pdu, 6)
        return Request(unit, function, address, count, words, rtu_bytes, False, transaction)
    if function == RESET_ENERGY:
        return Request(unit, function, 0, 0, (), rtu_bytes, len(pdu) != 1, transaction)
    if len(pdu) != 5:
        return Request(unit, function, 0, 0, (), rtu_bytes, True, transaction)
    address, last = struct.unpack_from(">HH", pdu, 1)
    if function in (WRITE_COIL, WRITE_REGISTER):
        return Request(unit, function, address, 1, (last,), rtu_bytes, False, transaction)
    return Request(unit, function, address, last, (), rtu_bytes, False, transaction)


@dataclass(slots=True)
class RequestCounts:
    """What came in: whole requests, frames with a bad checksum, bytes thrown away."""

    requests: int = 0
    damaged_bytes: int = 0


class Codec(Protocol):
    """One transport: cuts requests out of a stream (`take`) and frames replies (`frame`)."""

    counts: RequestCounts

    def take(self, data: bytearray) -> list[tuple[Request, bytes]]: ...

    def frame(self, request: Request, pdu: bytes, unit: int | None = None) -> bytes: ...


class RtuCodec:
    """Modbus RTU over a byte stream; requests are found by length and checksum."""

    def __init__(self) -> None:
        self.counts = RequestCounts()

    def take(self, data: bytearray) -> list[tuple[Request, bytes]]:
        """Consume all whole requests from `data`; noise is skipped, a half frame is left there."""
        found: list[tuple[Request, bytes]] = []
        start = 0
        while len(data) - start >= RTU_SHORTEST:
            length = _rtu_length(data, start)
            frame = bytes(data[start : start + length])
            request = _parse_rtu(frame) if length else None
            if request is not None:
                found.append((request, frame))
                start += length
            elif length and start + length > len(data) and len(data) - start < RTU_LONGEST:
                break
            else:
                start += 1
                self.counts.damaged_bytes += 1
        del data[:start]
        self.counts.requests += len(found)
        return found

    def frame(self, request: Request, pdu: bytes, unit: int | None = None) -> bytes:
        """Return the reply frame with its checksum, from the asked unit or another one."""
        body = bytes((request.unit if unit is None else unit,)) + pdu
        return body + crc16(body).to_bytes(2, "little")


def _rtu_length(data: bytearray, start: int) -> int:
    """Return how long the request that starts here would be, 0 if it can't be one."""
    function = data[start + 1]
    if 1 <= function <= 6:
        return 8
    if function in (15, 16):
        return 9 + data[start + 6] if len(data) - start > 6 else 9
    # A function with no fixed length: whatever is here is taken as one frame.
    return 4 if function == RESET_ENERGY else min(len(data) - start, RTU_LONGEST)


# Polling repeats the same few requests for ever.
@lru_cache(maxsize=16_384)
def _parse_rtu(frame: bytes) -> Request | None:
    """Return the request of a frame whose checksum fits, else None."""
    if len(frame) < RTU_SHORTEST or crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
        return None
    return parse_pdu(frame[0], frame[1:-2])


class MbapCodec:
    """Modbus TCP: a header with transaction id and length before each PDU."""

    def __init__(self) -> None:
        self.counts = RequestCounts()

    def take(self, data: bytearray) -> list[tuple[Request, bytes]]:
        """Consume all whole requests; a stream that is not Modbus TCP is thrown away."""
        found: list[tuple[Request, bytes]] = []
        while len(data) > MBAP_HEADER_BYTES:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", data)
            if protocol or not 2 <= length <= MBAP_PDU_LONGEST + 1:
                self.counts.damaged_bytes += len(data)
                data.clear()
                break
            if len(data) < 6 + length:
                break
            frame = bytes(data[: 6 + length])
            del data[: 6 + length]
            found.append((parse_pdu(unit, frame[MBAP_HEADER_BYTES:], transaction), frame))
        self.counts.requests += len(found)
        return found

    def frame(self, request: Request, pdu: bytes, unit: int | None = None) -> bytes:
        """Return the reply with the request's transaction id."""
        unit = request.unit if unit is None else unit
        return struct.pack(">HHHB", request.transaction, 0, len(pdu) + 1, unit) + pdu


CODECS: dict[str, Callable[[], Codec]] = {
    "serial": RtuCodec,
    "rtu-over-tcp": RtuCodec,
    "tcp": MbapCodec,
}
