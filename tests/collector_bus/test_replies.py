"""Which bytes are accepted as a reply: the codecs alone, on literal frames."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from collector.modbus import MbapCodec, RtuCodec, StreamDamaged, WireCounts
from collector.request import Answer, Request

READ = Request(unit=5, function=3, address=0x000B, count=2)
TRIP = Request(unit=5, function=16, address=0x0057, count=2, words=(1, 1))
COIL = Request(unit=5, function=5, address=0, words=(0xFF00,))
GOOD = "05 03 04 08 FC 00 DA"


def rtu(text: str) -> bytes:
    """A frame with its checksum."""
    body = bytes.fromhex(text)
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def mbap(transaction: int, text: str) -> bytes:
    """A frame with its header."""
    body = bytes.fromhex(text)
    return transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


def found(request: Request, *chunks: bytes) -> tuple[Answer | None, WireCounts, RtuCodec]:
    """What the RTU codec makes of chunks as they come in."""
    counts = WireCounts()
    codec, data = RtuCodec(counts), bytearray()
    codec.begin()
    sent, answer = codec.encode(request), None
    for chunk in chunks:
        data += chunk
        answer = codec.search(data, request, sent)
        if answer is not None:
            break
    return answer, counts, codec


def test_requests_are_framed_as_the_standard_says() -> None:
    codec = RtuCodec(WireCounts())
    assert codec.encode(Request(0x11, 3, 0x006B, 3)) == bytes.fromhex("11 03 006B 0003 7687")
    assert codec.encode(TRIP)[:-2] == bytes.fromhex("05 10 0057 0002 04 0001 0001")
    assert codec.encode(COIL)[:-2] == bytes.fromhex("05 05 0000 FF00")
    assert codec.encode(Request(5, 6, 1, words=(3,)))[:-2] == bytes.fromhex("05 06 0001 0003")
    assert codec.encode(Request(5, 1, 0, 3))[:-2] == bytes.fromhex("05 01 0000 0003")


def test_a_reply_that_fits_is_accepted() -> None:
    assert found(READ, rtu(GOOD))[0] == Answer((0x08FC, 0x00DA))
    assert found(TRIP, rtu("05 10 00 57 00 02"))[0] == Answer((1, 1))
    assert found(COIL, rtu("05 05 00 00 FF 00"))[0] == Answer((0xFF00,))
    assert found(Request(5, 1, 0, 3), rtu("05 01 01 05"))[0] == Answer((1, 0, 1))
    assert found(READ, rtu("05 83 02"))[0] == Answer((), 2)


@pytest.mark.parametrize(
    ("frame", "request_"),
    [
        ("05 04 04 08 FC 00 DA", READ),  # another function
        ("05 03 02 08 FC", READ),  # one register short
        ("05 03 06 08 FC 00 DA 00 00", READ),  # one too many
        ("05 84 02", READ),  # an exception to something else
        ("05 83 00", READ),  # an exception that is none
        ("05 10 00 58 00 02", TRIP),  # another address
        ("05 10 00 57 00 01", TRIP),  # another count
        ("05 05 00 00 00 00", COIL),  # off was not asked for
        ("05 05 00 01 FF 00", COIL),
    ],
)
def test_a_reply_of_this_unit_that_does_not_fit_is_rejected(frame: str, request_: Request) -> None:
    answer, counts, codec = found(request_, rtu(frame))
    assert answer is None
    assert counts.rejected == 1 and len(codec.strays) == 1


def test_the_right_reply_after_a_wrong_one_is_taken() -> None:
    answer, counts, _ = found(READ, rtu("05 03 02 08 FC") + rtu("06 03 04 11 11 22 22") + rtu(GOOD))
    assert answer == Answer((0x08FC, 0x00DA))
    assert (counts.rejected, counts.foreign) == (1, 1)


def test_noise_that_looks_like_the_head_of_a_long_frame_does_not_hide_the_reply() -> None:
    assert found(READ, bytes.fromhex("05 03 FA") + rtu(GOOD))[0] == Answer((0x08FC, 0x00DA))


def test_an_echo_is_taken_out_before_the_reply() -> None:
    for request, reply in ((READ, GOOD), (TRIP, "05 10 00 57 00 02")):
        echo = RtuCodec(WireCounts()).encode(request)
        answer, counts, codec = found(request, echo, rtu(reply))
        assert answer is not None and codec.echoing is True and counts.echoes == 1


def test_once_an_echo_is_known_a_single_copy_of_a_coil_write_is_no_reply() -> None:
    codec, data = RtuCodec(WireCounts()), bytearray()
    codec.echoing = True
    codec.begin()
    sent = codec.encode(COIL)
    data += sent
    assert codec.search(data, COIL, sent) is None
    data += sent
    assert codec.search(data, COIL, sent) == Answer((0xFF00,))


def test_an_adapter_that_stops_echoing_is_noticed() -> None:
    codec = RtuCodec(WireCounts())
    codec.echoing = True
    codec.begin()
    assert codec.search(bytearray(rtu(GOOD)), READ, codec.encode(READ)) is not None
    assert codec.echoing is False


@pytest.mark.parametrize(
    ("left", "note", "count"),
    [
        ("", "no reply", None),
        ("05 03 04 08 FC 00 DA 00 00", "reply with a bad checksum", "crc_errors"),
        ("05 03 04 08", "reply cut short, 4 of 9 bytes", "truncated"),
        ("FF 00 FF", "no reply, 3 bytes of noise", "noise_bytes"),
    ],
)
def test_what_is_left_when_time_runs_out_is_named(left: str, note: str, count: str | None) -> None:
    counts = WireCounts()
    data = bytearray.fromhex(left)
    assert RtuCodec(counts).give_up(data, READ)[0] == note
    assert not data
    if count is not None:
        assert getattr(counts, count) >= 1


@given(
    before=st.binary(max_size=40),
    after=st.binary(max_size=10),
    words=st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=2),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_whatever_surrounds_it_and_however_it_is_cut_the_reply_is_found(
    before: bytes, after: bytes, words: list[int], cuts: list[int]
) -> None:
    body = bytes([5, 3, 4, *(byte for word in words for byte in word.to_bytes(2, "big"))])
    stream = before + rtu(body.hex()) + after
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert found(READ, *chunks)[0] == Answer(tuple(words))


@given(st.binary(max_size=300))
def test_noise_alone_is_never_a_reply_and_never_grows(noise: bytes) -> None:
    codec, data = RtuCodec(WireCounts()), bytearray()
    codec.begin()
    for _ in range(8):
        data += noise
        # One frame in 65,536 x 65,536 would fit by chance; none of these has unit 5's checksum.
        assert codec.search(data, READ, codec.encode(READ)) is None
    assert len(data) <= 1024 + 300


def test_modbus_tcp_takes_the_reply_of_its_own_transaction_only() -> None:
    counts = WireCounts()
    codec = MbapCodec(counts)
    first, second = codec.encode(READ), codec.encode(READ)
    assert first[:2] == b"\x00\x01" and second[:2] == b"\x00\x02"
    late = mbap(1, "05 03 04 11 11 22 22")
    other = mbap(2, "06 03 04 11 11 22 22")
    data = bytearray(late + other + mbap(2, GOOD))
    assert codec.search(data, READ, second) == Answer((0x08FC, 0x00DA))
    assert (counts.rejected, counts.foreign) == (1, 1) and not data


def test_modbus_tcp_waits_for_the_rest_of_a_frame() -> None:
    codec = MbapCodec(WireCounts())
    sent = codec.encode(READ)
    frame, data = mbap(1, GOOD), bytearray()
    for byte in frame[:-1]:
        data.append(byte)
        assert codec.search(data, READ, sent) is None
    data.append(frame[-1])
    assert codec.search(data, READ, sent) == Answer((0x08FC, 0x00DA))


@pytest.mark.parametrize("junk", ["00 01 00 01 00 06 05 03", "00 01 00 00 00 01 05 03"])
def test_a_stream_that_is_no_modbus_tcp_is_said_to_be_damaged(junk: str) -> None:
    codec = MbapCodec(WireCounts())
    sent = codec.encode(READ)
    with pytest.raises(StreamDamaged):
        codec.search(bytearray.fromhex(junk), READ, sent)


def test_transaction_ids_go_round_without_zero() -> None:
    codec = MbapCodec(WireCounts())
    ids = {codec.encode(READ)[:2] for _ in range(70_000)}
    assert len(ids) == 65_535 and b"\0\0" not in ids
