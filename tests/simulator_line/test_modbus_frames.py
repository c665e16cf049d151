"""Requests cut out of byte streams; the checksum against another implementation."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from simulator.modbus import MbapCodec, Request, RtuCodec, crc16, parse_pdu, read_reply

Framed = Callable[[str], bytes]


@given(st.binary(max_size=260))
def test_the_checksum_is_the_one_that_pymodbus_computes(data: bytes) -> None:
    assert crc16(data).to_bytes(2, "little") == FramerRTU.compute_CRC(data).to_bytes(2, "big")


def test_a_read_request_is_understood(framed: Framed) -> None:
    (found,) = RtuCodec().take(bytearray(framed("11 03 00 0b 00 06")))
    assert found[0] == Request(0x11, 3, 0x0B, 6, (), 8)


def test_a_write_of_two_registers_is_understood(framed: Framed) -> None:
    (found,) = RtuCodec().take(bytearray(framed("01 10 00 57 00 02 04 00 01 00 00")))
    assert found[0] == Request(1, 16, 0x57, 2, (1, 0), 13)


def test_a_request_may_come_in_pieces(framed: Framed) -> None:
    codec, data = RtuCodec(), bytearray()
    frame = framed("01 10 00 57 00 02 04 00 01 00 00")
    for byte in frame[:-1]:
        data.append(byte)
        assert codec.take(data) == []
    data.append(frame[-1])
    assert [request.words for request, _ in codec.take(data)] == [(1, 0)]
    assert not data


def test_two_requests_in_one_piece_are_both_found(framed: Framed) -> None:
    data = bytearray(framed("01 03 00 00 00 01") + framed("02 03 00 00 00 01"))
    assert [request.unit for request, _ in RtuCodec().take(data)] == [1, 2]


def test_a_damaged_request_is_skipped_and_the_next_one_found(framed: Framed) -> None:
    broken = bytearray(framed("01 03 00 00 00 01"))
    broken[3] ^= 1
    codec = RtuCodec()
    found = codec.take(broken + framed("02 03 00 00 00 01"))
    assert [request.unit for request, _ in found] == [2]
    assert codec.counts.damaged_bytes == 8


@given(st.binary(max_size=6))
def test_noise_before_a_request_is_skipped(noise: bytes) -> None:
    body = bytes.fromhex("2a 03 00 0b 00 06")
    frame = body + crc16(body).to_bytes(2, "little")
    codec, data = RtuCodec(), bytearray(noise + frame)
    found = codec.take(data)
    # Noise may look like the beginning of a longer frame: then the next request frees the line.
    found += codec.take(data + frame * 40) if not found else []
    assert 0x2A in [request.unit for request, _ in found]


def test_byte_counts_that_disagree_are_malformed() -> None:
    assert parse_pdu(1, bytes.fromhex("10 00 57 00 02 02 00 01")).malformed
    assert parse_pdu(1, bytes.fromhex("03 00 0b")).malformed


def test_the_energy_reset_of_pzem_is_a_frame_of_four_bytes(framed: Framed) -> None:
    (found,) = RtuCodec().take(bytearray(framed("01 42")))
    assert (found[0].function, found[0].rtu_bytes, found[0].malformed) == (0x42, 4, False)


def test_mbap_requests_keep_their_transaction_id() -> None:
    codec = MbapCodec()
    data = bytearray.fromhex("12 34 00 00 00 06 05 04 00 00 00 02 12 35 00")
    ((request, _),) = codec.take(data)
    assert (request.transaction, request.unit, request.function, request.size) == (0x1234, 5, 4, 2)
    assert data == bytes.fromhex("12 35 00")
    reply = codec.frame(request, read_reply(request, [1, 0xABCD]))
    assert reply.hex(" ") == "12 34 00 00 00 07 05 04 04 00 01 ab cd"


def test_a_stream_that_is_not_mbap_is_thrown_away(framed: Framed) -> None:
    codec, data = MbapCodec(), bytearray(framed("01 03 00 0b 00 06"))
    assert codec.take(data) == []
    assert not data
    assert codec.counts.damaged_bytes == 8


@pytest.mark.parametrize(
    ("words", "reply"), [([1, 0, 1], "01 01 05"), ([1] * 9, "01 02 ff 01"), ([0], "01 01 00")]
)
def test_coils_are_packed_lowest_first(words: list[int], reply: str) -> None:
    request = Request(1, 1, 0, len(words), (), 8)
    assert read_reply(request, words) == bytes.fromhex(reply)
