"""Rows 1 to 12 of the table of faults: what each bad input gets on a polled bus."""

from datetime import timedelta
from itertools import pairwise

import pytest
from leap_line import START, rig_of, running, values

from collector.field import PollSettings
from domain.events import EventKind
from simulator.faults import FaultKind

DDSY = "acrel-ddsy1352"
SLOW_SOON = PollSettings(slow_every_s=1.0)


def climbing(at_s: float) -> float:
    return 100.0 + at_s


async def test_row_1_a_truncated_frame_is_a_timeout_without_a_value(profiles) -> None:
    rig = rig_of(profiles, [DDSY] * 2)
    rig.add(FaultKind.TRUNCATED, meter="m1", size_bytes=9, count=1)
    async with running(rig):
        await rig.until(lambda: len(rig.sweeps) >= 2)
    assert values(rig.sweeps[0], "m1")["quality"] == "timeout"
    assert values(rig.sweeps[0], "m1")["power_w"] is None
    assert values(rig.sweeps[1], "m1")["quality"] == "good"
    assert rig.runner.health().truncated == 1


async def test_row_2_a_bad_checksum_is_dropped_and_counted(profiles) -> None:
    rig = rig_of(profiles, [DDSY] * 2)
    rig.add(FaultKind.BAD_CRC, meter="m1", count=3)
    async with running(rig):
        await rig.until(lambda: len(rig.sweeps) >= 5)
    qualities = [values(sweep, "m1")["quality"] for sweep in rig.sweeps]
    assert qualities.count("timeout") >= 2
    assert rig.runner.health().crc_errors == 3
    assert [values(sweep, "m2")["quality"] for sweep in rig.sweeps] == ["good"] * len(rig.sweeps)


@pytest.mark.parametrize("kind", [FaultKind.NOISE_BEFORE, FaultKind.NOISE_AFTER])
@pytest.mark.parametrize("piece", [None, 1, 5])
async def test_row_3_noise_around_a_frame_is_passed_over(profiles, kind, piece) -> None:
    rig = rig_of(profiles, [DDSY] * 2, settings=SLOW_SOON)
    rig.link.piece = piece
    for size in (1, 3, 7, 20):
        rig.add(kind, size_bytes=size, count=10)
    async with running(rig):
        await rig.more_rounds(12)
    assert all(set(sweep.frame["quality"]) == {"good"} for sweep in rig.sweeps)
    assert all(set(sweep.frame["power_w"]) == {500.0} for sweep in rig.sweeps)
    assert rig.runner.health().noise_bytes >= 20


async def test_row_4_a_reply_of_another_unit_is_ignored_and_waiting_goes_on(profiles) -> None:
    rig = rig_of(profiles, [DDSY] * 2)
    rig.add(FaultKind.WRONG_UNIT, meter="m1", then_reply=True)
    async with running(rig):
        await rig.until(lambda: len(rig.sweeps) >= 3)
    assert all(values(sweep, "m1")["quality"] == "good" for sweep in rig.sweeps)
    assert rig.runner.health().foreign_replies >= 3


async def test_row_4_a_reply_of_another_unit_alone_is_a_timeout(profiles) -> None:
    rig = rig_of(profiles, [DDSY] * 2)
    rig.add(FaultKind.WRONG_UNIT, meter="m1", count=1)
    async with running(rig):
        await rig.until(lambda: len(rig.sweeps) >= 1)
    assert values(rig.sweeps[0], "m1")["quality"] == "timeout"


@pytest.mark.parametrize("link", ["rtu-over-tcp", "tcp", "serial"])
@pytest.mark.parametrize("kind", [FaultKind.WRONG_FUNCTION, FaultKind.WRONG_LENGTH])
async def test_row_5_a_wrong_function_or_length_is_rejected_and_the_line_drained(
    profiles, kind, link: str
) -> None:
    rig = rig_of(profiles, [DDSY] * 2, link=link)
    rig.add(kind, meter="m1", count=1)
    async with running(rig):
        await rig.until(lambda: len(rig.sweeps) >= 2)
    assert values(rig.sweeps[0], "m1")["quality"] == "timeout"
    assert values(rig.sweeps[1], "m1")["quality"] == "good"
    assert rig.runner.health().rejected_replies == 1


@pytest.mark.parametrize("link", ["rtu-over-tcp", "tcp", "serial"])
async def test_row_6_a_late_reply_of_the_same_shape_is_never_the_next_ones(profiles, link) -> None:
    rig = rig_of(profiles, [DDSY] * 2, link=link, watts=climbing)
    for start_s, delay_s in ((2, 0.45), (8, 0.8), (20, 1.3), (30, 3.1), (45, 0.6)):
        start = START.timestamp() + start_s
        rig.add(FaultKind.LATE, start_s=start, delay_s=delay_s, duration_s=0.5)
    async with running(rig):
        await rig.pass_s(70)
    late = 0
    for sweep in rig.sweeps:
        for row in sweep.frame.to_dicts():
            late += row["quality"] == "timeout"
            if row["quality"] == "good":
                true_w = climbing((row["time"] - START).total_seconds())
                assert row["power_w"] == pytest.approx(true_w, abs=1.2)
    assert late >= 5


@pytest.mark.parametrize("link", ["rtu-over-tcp", "tcp", "serial"])
async def test_row_7_a_doubled_reply_is_one_value(profiles, link: str) -> None:
    # A single meter: the double of one reply has all the marks of the next one.
    rig = rig_of(profiles, [DDSY], link=link, watts=lambda at_s: 100.0 + 50 * at_s)
    rig.add(FaultKind.DUPLICATE)
    async with running(rig):
        await rig.pass_s(12)
    assert len(rig.sweeps) > 20
    times = [values(sweep, "m1")["time"] for sweep in rig.sweeps]
    # Two values closer than a question and its answer would be one answer taken twice.
    assert all(later - earlier > timedelta(seconds=0.05) for earlier, later in pairwise(times))
    for sweep in rig.sweeps:
        row = values(sweep, "m1")
        true_w = 100.0 + 50 * (row["time"] - START).total_seconds()
        assert row["quality"] == "good"
        # At most the reply's own time and the meter's 0.1 s of measuring old.
        assert 0 <= true_w - row["power_w"] <= 50 * 0.15 + 1


@pytest.mark.parametrize("code", [1, 2, 3, 4, 7])
async def test_row_8_an_exception_is_bad_quality_without_a_value(profiles, code: int) -> None:
    rig = rig_of(profiles, [DDSY] * 2)
    rig.add(FaultKind.EXCEPTION, meter="m1", code=code)
    async with running(rig):
        await rig.until(lambda: len(rig.sweeps) >= 3)
    for sweep in rig.sweeps:
        row = values(sweep, "m1")
        assert row["quality"] == "exception"
        assert row["power_w"] is row["energy_wh"] is row["relay_closed"] is None
        assert values(sweep, "m2")["quality"] == "good"


async def test_row_9_with_a_dead_meter_its_bus_goes_on_and_one_alarm_is_raised(profiles) -> None:
    rig = rig_of(profiles, [DDSY] * 6)
    rig.add(FaultKind.DEAD, meter="m4")
    async with running(rig):
        await rig.pass_s(90)
    assert rig.kinds() == [EventKind.METER_SILENT]
    others = ["m1", "m2", "m3", "m5", "m6"]
    assert all(values(s, m)["quality"] == "good" for s in rig.sweeps for m in others)


async def test_row_10_energy_that_goes_back_for_one_reading_is_held_and_forgotten(
    profiles,
) -> None:
    rig = rig_of(profiles, [DDSY], settings=SLOW_SOON)
    async with running(rig):
        await rig.pass_s(3)
        rig.add(FaultKind.GLITCH, meter="m1", quantity="energy_wh", value=10.0, count=1)
        await rig.pass_s(8)
    energies = [values(sweep, "m1")["energy_wh"] for sweep in rig.sweeps]
    known = [energy for energy in energies if energy is not None]
    assert known == sorted(known) and known[0] == 50_000
    assert rig.kinds("m1") == [EventKind.VALUE_HELD]
    held = next(e for e in rig.events if e.kind is EventKind.VALUE_HELD)
    assert held.details == {"quantity": "energy_wh", "value": 10}


@pytest.mark.parametrize(
    ("kind", "particulars", "start_wh", "event"),
    [
        (FaultKind.ROLLOVER, {}, 999_999_990, EventKind.COUNTER_ROLLOVER),
        (FaultKind.ROLLOVER, {}, 345_670, EventKind.COUNTER_RESET),
        (FaultKind.METER_SWAP, {"energy_wh": 1_234_560}, 345_670, EventKind.METER_SWAP),
        (FaultKind.METER_SWAP, {"energy_wh": 120_000}, 345_670, EventKind.METER_SWAP),
    ],
)
async def test_row_11_rollover_reset_and_swap_are_events_of_their_own(
    profiles, kind, particulars, start_wh: int, event: EventKind
) -> None:
    rig = rig_of(profiles, [DDSY], settings=SLOW_SOON, energy_wh=start_wh)
    async with running(rig):
        await rig.pass_s(3)
        rig.add(kind, meter="m1", **particulars)
        await rig.pass_s(8)
    assert rig.kinds("m1") == [EventKind.VALUE_HELD, event]
    told = rig.events[-1]
    assert told.details["before_wh"] == pytest.approx(start_wh, abs=10)
    assert values(rig.sweeps[-1], "m1")["quality"] == "good"


@pytest.mark.parametrize(
    ("model", "quantity", "value"),
    [
        ("eastron-sdm120", "power_w", "nan"),
        ("eastron-sdm120", "voltage_v", "inf"),
        ("eastron-sdm120", "power_w", 1e30),
        (DDSY, "current_a", 600.0),
        (DDSY, "voltage_v", 480.0),
        ("hiking-dds238", "power_w", 30_000.0),
    ],
)
async def test_row_12_what_cannot_be_true_is_held(profiles, model, quantity, value) -> None:
    rig = rig_of(profiles, [model])
    async with running(rig):
        await rig.more_rounds(1)
        glitch = rig.add(FaultKind.GLITCH, meter="m1", quantity=quantity, value=value)
        held = (await rig.more_rounds(3))[-1]
        rig.faults.remove(glitch)
        after = (await rig.more_rounds(1))[0]
    row = values(held, "m1")
    assert row["quality"] == "held"
    assert row[quantity] is None
    kept = "current_a" if quantity != "current_a" else "power_w"
    assert row[kept] is not None, "the rest of the row is kept"
    assert rig.kinds("m1") == [EventKind.VALUE_HELD], "told once, however long it lasts"
    assert values(after, "m1")["quality"] == "good"


async def test_a_jump_of_the_wall_clock_holds_no_value_and_stops_no_sweep(profiles) -> None:
    rig = rig_of(profiles, [DDSY] * 2, settings=SLOW_SOON)
    async with running(rig):
        await rig.pass_s(3)
        for hours in (1, -2, 24 * 365, -24 * 365 * 50):
            rig.clock.jump(rig.clock.now() + timedelta(hours=hours))
            sweep = (await rig.more_rounds(2))[-1]
            assert set(sweep.frame["quality"]) == {"good"}
    assert rig.events == []


async def test_a_swap_while_the_service_was_down_is_noticed(profiles) -> None:
    known = {"m1": (900_000, 3600.0), "m2": (49_500, 3600.0)}
    rig = rig_of(profiles, [DDSY] * 2, settings=SLOW_SOON, known_energy=known)
    async with running(rig):
        await rig.pass_s(5)
    assert rig.kinds("m1") == [EventKind.VALUE_HELD, EventKind.METER_SWAP]
    assert rig.kinds("m2") == [], "500 Wh in an hour are no surprise"
