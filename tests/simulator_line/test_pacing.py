"""When bytes are on the line, worked out by hand."""

import asyncio
import time

import pytest

from collector.wire import WireTiming
from domain.site import Parity
from simulator.pacing import LinePacer, PreciseTimer

# 9600 8E1: a character is 11/9600 s, the silence 3.5 characters.
CHARACTER_S = 11 / 9600


def test_a_reply_has_passed_after_request_delay_and_its_own_bytes() -> None:
    pacer = LinePacer(WireTiming(9600, Parity.EVEN, 1))
    end_s = pacer.request_end_s(100.0, 8)
    assert end_s == pytest.approx(100.0 + 8 * CHARACTER_S)
    assert pacer.reply_end_s(end_s, 17, 0.02) == pytest.approx(100.0 + 25 * CHARACTER_S + 0.02)
    assert pacer.free_at_s == pytest.approx(100.0 + 28.5 * CHARACTER_S + 0.02)


def test_a_request_that_comes_early_waits_until_the_line_is_free() -> None:
    pacer = LinePacer(WireTiming(9600, Parity.EVEN, 1), free_at_s=100.5)
    assert pacer.request_end_s(100.0, 8) == pytest.approx(100.5 + 8 * CHARACTER_S)


def test_a_request_that_nobody_answers_takes_its_bytes_and_one_silence() -> None:
    pacer = LinePacer(WireTiming(9600, Parity.EVEN, 1))
    pacer.request_end_s(7.0, 8)
    assert pacer.free_at_s == pytest.approx(7.0 + 11.5 * CHARACTER_S)


def test_back_to_back_requests_take_the_time_that_the_collector_calculates() -> None:
    timing = WireTiming(9600, Parity.EVEN, 1, reply_delay_s=0.02)
    pacer = LinePacer(timing, free_at_s=50.0)
    for _ in range(27):
        pacer.reply_end_s(pacer.request_end_s(0.0, 8), 5 + 2 * 6, timing.reply_delay_s)
    assert pacer.free_at_s - 50.0 == pytest.approx(27 * timing.read_s(6))


def test_above_19200_baud_the_silence_is_fixed() -> None:
    pacer = LinePacer(WireTiming(115_200, Parity.NONE, 1))
    end_s = pacer.request_end_s(0.0, 8)
    assert end_s == pytest.approx(80 / 115_200)
    assert pacer.free_at_s == pytest.approx(end_s + 0.00175)


def test_without_pace_bytes_take_no_time_but_a_slow_meter_still_holds_the_line() -> None:
    pacer = LinePacer(None)
    assert pacer.reply_end_s(pacer.request_end_s(3.0, 8), 255, 0.0) == 3.0
    assert pacer.reply_end_s(3.0, 255, 0.5) == 3.5
    assert pacer.request_end_s(3.1, 8) == 3.5


async def test_the_timer_calls_in_order_of_time_and_not_before() -> None:
    timer = PreciseTimer(asyncio.get_running_loop())
    heard: list[tuple[bytes, float]] = []
    done = asyncio.Event()

    def hear(data: bytes) -> None:
        heard.append((data, time.monotonic()))
        if len(heard) == 3:
            done.set()

    start_s = time.monotonic()
    timer.call_at(start_s + 0.02, hear, b"last")
    timer.call_at(start_s + 0.01, hear, b"middle")
    timer.call_at(start_s - 1.0, hear, b"first")
    await asyncio.wait_for(done.wait(), 5)
    timer.close()
    assert [data for data, _ in heard] == [b"first", b"middle", b"last"]
    assert heard[1][1] >= start_s + 0.01
    assert heard[2][1] >= start_s + 0.02


async def test_the_timer_refuses_more_than_its_limit() -> None:
    timer = PreciseTimer(asyncio.get_running_loop(), most=1)
    timer.call_at(time.monotonic() + 60, lambda _: None, b"")
    with pytest.raises(BufferError):
        timer.call_at(time.monotonic() + 60, lambda _: None, b"")
    timer.close()
