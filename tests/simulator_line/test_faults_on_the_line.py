"""Every fault, as it is seen from the master's side of the line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from collector.wire import WireTiming
from domain.site import Parity
from simulator.faults import FaultBook, FaultKind, FaultSpec
from simulator.meter import VirtualMeter
from simulator.modbus import crc16
from simulator.pacing import LinePacer
from simulator.scripted import ScriptedLoads

MakeMeter = Callable[..., VirtualMeter]
READ_POWER = "01 03 00 0d 00 01"
POWER_500_W = "01 03 02 01 f4"
TRIP = "01 10 00 57 00 02 04 00 01 00 01"
TRIP_DONE = "01 10 00 57 00 02"
CHARACTER_S = 11 / 9600


class Bench:
    """Three rooms of 500 W on one bus, their counters at 10 kWh."""

    def __init__(self, make_meter: MakeMeter, talk: Callable[..., object]) -> None:
        self.faults = FaultBook(seed=1)
        self.meters = [
            make_meter(unit=unit, relay_travel_s=0, energy_wh=10_000) for unit in (1, 2, 3)
        ]
        self._talk = talk
        self.line = talk(self.meters, self.faults, LinePacer(None))

    def paced(self) -> None:
        timing = WireTiming(9600, Parity.EVEN, 1)
        self.line = self._talk(self.meters, self.faults, LinePacer(timing))

    def fault(self, kind: FaultKind, **more: object) -> None:
        self.faults.add(FaultSpec.model_validate({"kind": kind, "meter": "room-1", **more}))

    def hear(self, body: str, at_s: float = 0.0) -> str:
        heard: str = self.line.hear(body, at_s)  # type: ignore[attr-defined]
        return heard

    def ask(self, body: str, at_s: float = 0.0) -> list[tuple[float, bytes]]:
        came: list[tuple[float, bytes]] = self.line.ask(body, at_s)  # type: ignore[attr-defined]
        return came


@pytest.fixture
def bench(make_meter: MakeMeter, talk: Callable[..., object], loads: ScriptedLoads) -> Bench:
    for unit in (1, 2, 3):
        loads.set(f"room-{unit}", 500)
    return Bench(make_meter, talk)


def test_without_faults_a_meter_answers(bench: Bench) -> None:
    assert bench.hear(READ_POWER) == POWER_500_W


def test_a_missing_unit_is_silent(bench: Bench) -> None:
    assert bench.ask("09 03 00 0d 00 01") == []


def test_a_broadcast_is_done_by_all_and_answered_by_none(bench: Bench) -> None:
    assert bench.ask("00" + TRIP[2:]) == []
    assert [meter.state(1).relay_closed for meter in bench.meters] == [False, False, False]


def test_a_dead_meter_is_silent_and_its_neighbour_is_not(bench: Bench) -> None:
    bench.fault(FaultKind.DEAD)
    assert bench.ask(READ_POWER) == []
    assert bench.ask(TRIP) == []
    assert bench.meters[0].state(1).relay_closed
    assert bench.hear("02 03 00 0d 00 01") == "02 03 02 01 f4"


def test_a_slow_meter_answers_later_and_holds_the_line(bench: Bench) -> None:
    bench.paced()
    bench.fault(FaultKind.SLOW, delay_s=0.3, count=1)
    ((slow_s, _),) = bench.ask(READ_POWER, 0.0)
    assert slow_s == pytest.approx(0.02 + 0.3 + 15 * CHARACTER_S)
    ((next_s, _),) = bench.ask("02 03 00 0d 00 01", 0.1)
    assert next_s == pytest.approx(slow_s + 0.02 + 18.5 * CHARACTER_S)


def test_a_late_reply_comes_while_the_line_is_free_for_others(bench: Bench) -> None:
    bench.paced()
    bench.fault(FaultKind.LATE, delay_s=0.8, count=1)
    ((late_s, late),) = bench.ask(READ_POWER, 0.0)
    assert late_s == pytest.approx(0.8)
    assert late[:-2].hex(" ") == POWER_500_W
    ((next_s, _),) = bench.ask("02 03 00 0d 00 01", 0.5)
    assert next_s < 0.6


def test_a_truncated_frame_lacks_its_end(bench: Bench) -> None:
    bench.fault(FaultKind.TRUNCATED, size_bytes=4)
    assert bench.ask(READ_POWER)[0][1].hex(" ") == "01 03 02 01"


def test_a_bad_checksum_is_bad_and_the_rest_is_whole(bench: Bench) -> None:
    bench.fault(FaultKind.BAD_CRC)
    ((_, data),) = bench.ask(READ_POWER)
    assert data[:-2].hex(" ") == POWER_500_W
    assert crc16(data[:-2]) != int.from_bytes(data[-2:], "little")


@pytest.mark.parametrize(
    ("kind", "place"),
    [(FaultKind.NOISE_BEFORE, slice(5, None)), (FaultKind.NOISE_AFTER, slice(None, -5))],
)
def test_noise_lies_around_a_whole_frame(bench: Bench, kind: FaultKind, place: slice) -> None:
    bench.fault(kind, size_bytes=5)
    ((_, data),) = bench.ask(READ_POWER)
    assert len(data) == 12
    assert data[place][:-2].hex(" ") == POWER_500_W


def test_an_echoing_bus_returns_the_request_before_the_reply(
    bench: Bench, framed: Callable[[str], bytes]
) -> None:
    bench.paced()
    bench.fault(FaultKind.ECHO, meter=None, bus="bus-1")
    (echo_s, echo), (reply_s, reply) = bench.ask(READ_POWER)
    assert echo == framed(READ_POWER)
    assert echo_s == pytest.approx(8 * CHARACTER_S)
    assert reply[:-2].hex(" ") == POWER_500_W
    assert reply_s > echo_s + 0.02
    # A unit that isn't there "answers" with its own request, too.
    assert len(bench.ask("09 03 00 0d 00 01", 1.0)) == 1


def test_a_reply_may_come_from_the_wrong_unit_with_the_right_one_after_it(bench: Bench) -> None:
    bench.fault(FaultKind.WRONG_UNIT, count=1)
    assert bench.hear(READ_POWER) == "02" + POWER_500_W[2:]
    bench.fault(FaultKind.WRONG_UNIT, count=1, then_reply=True)
    frames = [data[:-2].hex(" ") for _, data in bench.ask(READ_POWER)]
    assert frames == ["02" + POWER_500_W[2:], POWER_500_W]


def test_a_reply_may_carry_another_function(bench: Bench) -> None:
    bench.fault(FaultKind.WRONG_FUNCTION)
    assert bench.hear(READ_POWER) == "01 04 02 01 f4"


def test_a_reply_may_be_a_register_short(bench: Bench) -> None:
    bench.fault(FaultKind.WRONG_LENGTH)
    assert bench.hear("01 03 00 0d 00 03") == "01 03 04 01 f4 00 00"


def test_a_duplicate_follows_its_frame_after_a_silence(bench: Bench) -> None:
    bench.paced()
    bench.fault(FaultKind.DUPLICATE)
    (first_s, first), (second_s, second) = bench.ask(READ_POWER)
    assert first == second
    assert second_s - first_s == pytest.approx((3.5 + 7) * CHARACTER_S)


def test_an_exception_refuses_without_doing(bench: Bench) -> None:
    bench.fault(FaultKind.EXCEPTION, code=6)
    assert bench.hear(READ_POWER) == "01 83 06"
    assert bench.hear(TRIP) == "01 90 06"
    assert bench.meters[0].state(1).relay_closed


def test_a_hole_answers_exception_2_only_where_it_is_touched(bench: Bench) -> None:
    bench.fault(FaultKind.HOLE, first=0x0E, last=0x0E)
    bench.fault(FaultKind.HOLE, first=0x300, last=0x300)
    assert bench.hear("01 03 00 0b 00 06") == "01 83 02"
    assert bench.hear(READ_POWER) == POWER_500_W


def test_a_lost_write_is_acknowledged_and_changes_nothing(bench: Bench) -> None:
    bench.fault(FaultKind.WRITE_LOST, count=1)
    assert bench.hear(TRIP) == TRIP_DONE
    assert bench.meters[0].state(1).relay_closed
    assert bench.meters[0].relay_writes == 0
    assert bench.hear(TRIP) == TRIP_DONE
    assert not bench.meters[0].state(2).relay_closed


def test_reads_do_not_use_up_a_fault_of_writes(bench: Bench) -> None:
    bench.fault(FaultKind.WRITE_LOST, count=1)
    bench.hear(READ_POWER)
    bench.hear(TRIP)
    assert bench.meters[0].state(1).relay_closed


def test_an_unanswered_write_is_done(bench: Bench) -> None:
    bench.fault(FaultKind.WRITE_UNANSWERED, count=1)
    assert bench.ask(TRIP) == []
    assert not bench.meters[0].state(1).relay_closed
    assert bench.meters[0].relay_writes == 1


@pytest.mark.parametrize(
    ("value", "shown"), [(12_000, "2e e0"), ("huge", "7f ff"), ("nan", "ff ff"), (-1, "ff ff")]
)
def test_a_glitch_shows_a_false_value_once(bench: Bench, value: float | str, shown: str) -> None:
    bench.fault(FaultKind.GLITCH, quantity="power_w", value=value, count=1)
    bench.hear("01 03 00 0b 00 01")  # the voltage alone: nothing of power in it
    assert bench.hear(READ_POWER) == "01 03 02 " + shown
    assert bench.hear(READ_POWER) == POWER_500_W
    assert bench.meters[0].state(0).power_w == 500


def energy(bench: Bench, at_s: float) -> int:
    return int(bench.hear("01 03 02 15 00 02", at_s)[9:].replace(" ", ""), 16) * 10


@pytest.mark.parametrize(
    ("kind", "energy_wh", "shown_wh"),
    [
        (FaultKind.ENERGY_BACKWARD, 3000, 7000),
        (FaultKind.METER_SWAP, 250_000, 250_000),
        (FaultKind.ROLLOVER, 0, 0),
    ],
)
def test_the_counter_changes_once_and_counts_on_from_there(
    bench: Bench, kind: FaultKind, energy_wh: float, shown_wh: int
) -> None:
    assert energy(bench, 0) == 10_000
    bench.fault(kind, energy_wh=energy_wh)
    assert energy(bench, 1) == shown_wh
    # 500 W for an hour.
    assert energy(bench, 3601) == shown_wh + 500


def test_a_relay_moves_by_itself_once(bench: Bench, loads: ScriptedLoads) -> None:
    bench.fault(FaultKind.RELAY_ALONE, closed=False)
    assert bench.hear(READ_POWER, 1) == "01 03 02 00 00"
    assert loads.moves == [("room-1", False, 1)]
    bench.hear("01 10 00 57 00 02 04 00 01 00 00", 2)
    assert bench.hear(READ_POWER, 3) == POWER_500_W


def test_a_stuck_relay_acknowledges_and_stays(bench: Bench) -> None:
    bench.fault(FaultKind.RELAY_STUCK, duration_s=10)
    assert bench.hear(TRIP, 1) == TRIP_DONE
    assert bench.hear(READ_POWER, 2) == POWER_500_W
    assert bench.meters[0].state(2).relay_closed
    bench.hear(TRIP, 20)
    assert bench.hear(READ_POWER, 21) == "01 03 02 00 00"


def test_a_bypassed_relay_is_open_and_carries_current(bench: Bench, loads: ScriptedLoads) -> None:
    bench.fault(FaultKind.RELAY_BYPASSED)
    bench.hear(TRIP, 1)
    state = bench.meters[0].state(2)
    assert (state.relay_closed, state.power_w) == (False, 500)
    assert bench.hear(READ_POWER, 2) == POWER_500_W
    assert loads.moves == []  # the people in the room notice nothing
    bench.faults.clear()
    assert bench.hear(READ_POWER, 3) == "01 03 02 00 00"
    assert loads.moves == [("room-1", False, 3)]


def test_a_bypassed_meter_sees_nothing_and_cannot_cut(bench: Bench, loads: ScriptedLoads) -> None:
    bench.fault(FaultKind.METER_BYPASSED)
    assert bench.hear(READ_POWER) == "01 03 02 00 00"
    bench.hear(TRIP, 1)
    assert bench.meters[0].draw(2).power_w == 500
    assert loads.moves == []


def test_reverse_power_is_negative_and_counted_as_export(bench: Bench) -> None:
    bench.fault(FaultKind.REVERSE_POWER)
    before_wh = bench.meters[0].state(0).energy_wh
    assert bench.hear(READ_POWER, 0) == "01 03 02 fe 0c"
    bench.hear(READ_POWER, 3600)
    assert bench.meters[0].state(3600).energy_wh == before_wh


def test_every_kind_of_fault_is_tested_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [kind.name for kind in FaultKind if f"FaultKind.{kind.name}" not in text] == []


def test_requests_are_counted_by_meter(bench: Bench) -> None:
    bench.hear(READ_POWER)
    bench.hear(TRIP)
    assert (bench.meters[0].requests, bench.meters[1].requests) == (2, 0)
