"""One virtual meter: measuring, counting, and its relay, for every model that has one."""

import struct
from collections.abc import Callable, Mapping

import pytest

from collector.profile import Profile, RelayAction
from simulator.faults import FaultBook, FaultKind, FaultSpec
from simulator.meter import VirtualMeter
from simulator.modbus import Request
from simulator.scripted import ScriptedLoads

MakeMeter = Callable[..., VirtualMeter]
MakeRequest = Callable[..., Request]
WITH_RELAY = ("acrel-ddsy1352", "acrel-adf400l", "hiking-dds238", "eastron-sdm320c")
WITH_FORCED_CONTROL = ("acrel-ddsy1352", "acrel-adf400l")


def words(pdu: bytes) -> tuple[int, ...]:
    assert pdu[0] < 0x80, pdu.hex(" ")
    return struct.unpack(f">{pdu[1] // 2}H", pdu[2:])


def do(meter: VirtualMeter, action: RelayAction | None, write: MakeRequest, at_s: float) -> None:
    assert action is not None
    for step in action.writes:
        pdu = meter.answer(write(step.address, *step.words, function=step.function), at_s)
        assert pdu[0] == step.function, pdu.hex(" ")


def test_a_meter_shows_what_its_room_draws(
    make_meter: MakeMeter, loads: ScriptedLoads, read: MakeRequest
) -> None:
    loads.set("room-1", 1500, 200, 230.0)
    # V x0.1, A x0.01, W, -, VA, PF x0.001
    assert words(make_meter().answer(read(0x0B, 6), 0)) == (2300, 658, 1500, 0, 1513, 991)


def test_energy_is_power_over_time_in_the_models_resolution(
    make_meter: MakeMeter, loads: ScriptedLoads, read: MakeRequest
) -> None:
    loads.set("room-1", 1000)
    meter = make_meter(energy_wh=5000)
    meter.answer(read(0x0215, 2), 0)
    # 35 Wh are counted by then, and shown in steps of 10 Wh.
    assert words(meter.answer(read(0x0215, 2), 126)) == (0, 503 + 1)
    assert meter.state(126).energy_wh == pytest.approx(5035)
    assert words(meter.answer(read(0x0215, 2), 3600)) == (0, 600)


def test_reads_within_a_tenth_of_a_second_see_the_same(
    make_meter: MakeMeter, loads: ScriptedLoads, read: MakeRequest
) -> None:
    meter = make_meter()
    loads.set("room-1", 100)
    meter.answer(read(0x0D), 10.0)
    loads.set("room-1", 200)
    assert words(meter.answer(read(0x0D), 10.05)) == (100,)
    assert words(meter.answer(read(0x0D), 10.1)) == (200,)


def test_an_open_relay_carries_nothing_and_counts_nothing(
    make_meter: MakeMeter, loads: ScriptedLoads, read: MakeRequest
) -> None:
    loads.set("room-1", 1500)
    meter = make_meter(relay_closed=False, energy_wh=700)
    meter.answer(read(0x0D), 0)
    assert words(meter.answer(read(0x0B, 3), 3600)) == (2300, 0, 0)
    assert meter.state(3600).energy_wh == 700
    assert loads.moves == [("room-1", False, 0)]


@pytest.mark.parametrize("model", WITH_RELAY)
def test_trip_and_close_move_the_relay_and_the_room_is_told(
    model: str,
    make_meter: MakeMeter,
    profiles: Mapping[str, Profile],
    loads: ScriptedLoads,
    write: MakeRequest,
) -> None:
    relay = profiles[model].relay
    assert relay is not None
    meter = make_meter(model, relay_travel_s=0.05)
    do(meter, relay.trip, write, 10.0)
    assert meter.state(10.04).relay_closed
    assert not meter.state(10.06).relay_closed
    do(meter, relay.close, write, 20.0)
    assert meter.state(20.2).relay_closed
    assert not meter.state(20.2).forced_control
    assert loads.moves == [("room-1", False, 10.05), ("room-1", True, 20.05)]
    assert meter.relay_writes == 1 + len(relay.close.writes)


@pytest.mark.parametrize("model", WITH_FORCED_CONTROL)
def test_keep_power_is_a_forced_close_until_released(
    model: str, make_meter: MakeMeter, profiles: Mapping[str, Profile], write: MakeRequest
) -> None:
    relay = profiles[model].relay
    assert relay is not None
    meter = make_meter(model)
    do(meter, relay.keep_power, write, 1.0)
    assert (meter.state(2).relay_closed, meter.state(2).forced_control) == (True, True)
    do(meter, relay.release, write, 3.0)
    assert (meter.state(4).relay_closed, meter.state(4).forced_control) == (True, False)


@pytest.mark.parametrize("model", WITH_FORCED_CONTROL)
def test_a_forced_trip_holds_until_release_and_automatic_closes_again(
    model: str, make_meter: MakeMeter, profiles: Mapping[str, Profile], write: MakeRequest
) -> None:
    relay = profiles[model].relay
    assert relay is not None
    meter = make_meter(model)
    do(meter, relay.trip, write, 1.0)
    assert (meter.state(2).relay_closed, meter.state(2).forced_control) == (False, True)
    do(meter, relay.release, write, 3.0)
    assert (meter.state(4).relay_closed, meter.state(4).forced_control) == (True, False)


def test_the_status_word_of_the_acrel_meter_follows_the_relay(
    make_meter: MakeMeter, read: MakeRequest, write: MakeRequest
) -> None:
    meter = make_meter()
    assert words(meter.answer(read(0x224), 0)) == (0x2000,)
    meter.answer(write(0x57, 1, 1), 1)
    assert words(meter.answer(read(0x224), 2)) == (0x0008,)
    meter.answer(write(0x57, 1, 0), 3)
    assert words(meter.answer(read(0x224), 4)) == (0x2009,)
    assert words(meter.answer(read(0x57, 2), 4)) == (1, 0)


def test_any_second_word_releases_where_the_first_one_does(
    make_meter: MakeMeter, write: MakeRequest
) -> None:
    meter = make_meter()
    meter.answer(write(0x57, 1, 0), 1)
    assert meter.state(2).forced_control
    meter.answer(write(0x57, 0, 1), 3)
    assert not meter.state(4).forced_control
    assert meter.state(4).relay_closed


def test_the_hiking_relay_refuses_function_6(
    make_meter: MakeMeter, read: MakeRequest, write: MakeRequest
) -> None:
    meter = make_meter("hiking-dds238")
    assert meter.answer(write(0x1A, 0, function=6), 0).hex() == "8601"
    assert words(meter.answer(read(0x1A), 1)) == (1,)
    meter.answer(write(0x1A, 0), 2)
    assert words(meter.answer(read(0x1A), 3)) == (0,)


def test_writing_zero_to_the_hiking_counter_erases_it(
    make_meter: MakeMeter, read: MakeRequest, write: MakeRequest
) -> None:
    meter = make_meter("hiking-dds238", energy_wh=123_450)
    assert words(meter.answer(read(0, 2), 0)) == (0, 12_345)
    assert meter.answer(write(0, 7), 1).hex() == "9002"
    meter.answer(write(0, 0), 2)
    assert words(meter.answer(read(0, 2), 3)) == (0, 0)


def test_function_66_resets_the_energy_of_a_pzem(make_meter: MakeMeter, read: MakeRequest) -> None:
    meter = make_meter("pzem-016", energy_wh=4321)
    assert words(meter.answer(read(5, 2, function=4), 0)) == (4321, 0)
    assert meter.answer(Request(1, 0x42, 0, 0, (), 4), 1).hex() == "42"
    assert words(meter.answer(read(5, 2, function=4), 1)) == (0, 0)


def test_no_other_model_knows_function_66(make_meter: MakeMeter) -> None:
    assert make_meter().answer(Request(1, 0x42, 0, 0, (), 4), 1).hex() == "c201"


def test_the_coil_relay_answers_function_1_and_5(
    make_meter: MakeMeter, read: MakeRequest, write: MakeRequest
) -> None:
    meter = make_meter("eastron-sdm320c")
    assert meter.answer(read(0, 1, function=1), 0).hex() == "010101"
    assert meter.answer(write(0, 0, function=5), 1).hex() == "0500000000"
    assert meter.answer(read(0, 1, function=1), 2).hex() == "010100"
    assert meter.answer(write(0, 0x1234, function=5), 3).hex() == "8503"


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (Request(1, 4, 0x0B, 6, (), 8), "8401"),  # the model has no input registers
        (Request(1, 3, 0x0B, 0, (), 8), "8303"),
        (Request(1, 3, 0x0B, 126, (), 8), "8303"),
        (Request(1, 3, 0x0B, 49, (), 8), "8302"),  # the model takes 48
        (Request(1, 3, 0x4000, 1, (), 8), "8302"),
        (Request(1, 6, 0x0046, 1, (7,), 8), "8602"),  # the prepaid registers are read-only
        (Request(1, 16, 0x0057, 0, (), 9, malformed=True), "9003"),
        (Request(1, 43, 0, 0, (), 8), "ab01"),
    ],
)
def test_what_a_meter_does_not_have_is_a_modbus_exception(
    make_meter: MakeMeter, request_: Request, reply: str
) -> None:
    assert make_meter().answer(request_, 0).hex() == reply


def test_what_the_operator_may_set_is_kept_as_written(
    make_meter: MakeMeter, read: MakeRequest, write: MakeRequest
) -> None:
    meter = make_meter("acrel-adf400l")
    meter.answer(write(0x0509, 0, 2000), 0)
    assert words(meter.answer(read(0x0509, 4), 1)) == (0, 2000, 0, 0)


def test_a_balance_in_the_meter_is_shown_with_its_arrears(
    make_meter: MakeMeter, read: MakeRequest
) -> None:
    meter = make_meter(balance_minor=-5)
    assert words(meter.answer(read(0x021F, 2), 0)) == (0xFFFF, 0xFFFB)
    assert words(meter.answer(read(0x0224), 0)) == (0x2020,)


def test_a_meter_nobody_reads_for_hours_counts_what_flowed_meanwhile(
    make_meter: MakeMeter, loads: ScriptedLoads
) -> None:
    meter = make_meter()
    loads.set("room-1", 100)
    meter.state(0)
    loads.switch_on("room-1", "heater", at_s=1800, for_s=600)
    # 100 W for two hours and 1500 W for ten minutes, to a step of integration.
    assert meter.state(7200).energy_wh == pytest.approx(200 + 250, abs=13)


def test_time_that_falls_is_taken_as_the_latest(make_meter: MakeMeter) -> None:
    meter = make_meter(energy_wh=100)
    later = meter.state(7200).energy_wh
    assert meter.state(10).energy_wh == later


def test_the_meter_itself_can_move_its_relay(make_meter: MakeMeter, loads: ScriptedLoads) -> None:
    meter = make_meter()
    meter.move_relay(False, 5.0)
    assert not meter.state(5).relay_closed
    assert loads.moves == [("room-1", False, 5.0)]
    assert meter.relay_writes == 0


def test_faults_concern_only_the_meters_they_name(make_meter: MakeMeter) -> None:
    faults = FaultBook(specs=[FaultSpec(kind=FaultKind.REVERSE_POWER, meter="room-2")])
    first, second = make_meter(unit=1, faults=faults), make_meter(unit=2, faults=faults)
    assert first.state(1).power_w == 500
    assert second.state(1).power_w == -500
