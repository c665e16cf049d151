"""What a healthy bus gives: full rows, the wire's own pace, slow quantities in turn."""

from datetime import timedelta
from itertools import pairwise

import pytest
from leap_line import START, rig_of, running, values

from collector.field import PollSettings
from collector.wire import WireTiming
from domain.frame import SWEEP_SCHEMA, Quality

DDSY = "acrel-ddsy1352"


async def test_the_first_sweep_reads_everything_and_the_next_only_what_is_fast(profiles) -> None:
    async with running(rig_of(profiles, [DDSY] * 3)) as rig:
        await rig.until(lambda: len(rig.sweeps) >= 2)
    first, second = rig.sweeps[:2]
    assert first.frame.schema == SWEEP_SCHEMA
    assert values(first, "m2") | {"time": None} == {
        "time": None, "meter": "m2", "voltage_v": 230.0, "current_a": 2.17, "power_w": 500.0,
        "power_factor": 1.0, "frequency_hz": None, "energy_wh": 50_000, "balance_minor": 0,
        "relay_closed": True, "quality": "good",
    }  # fmt: skip
    assert values(second, "m2")["power_w"] == 500.0
    assert values(second, "m2")["energy_wh"] is None
    assert values(second, "m2")["relay_closed"] is None


async def test_a_row_carries_the_time_its_own_reply_ended(profiles) -> None:
    async with running(rig_of(profiles, [DDSY] * 3)) as rig:
        await rig.until(lambda: len(rig.sweeps) >= 2)
    sweep = rig.sweeps[1]
    one_s = WireTiming.of(rig.bus).read_s(6)
    times = sweep.frame["time"].to_list()
    gaps_s = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert gaps_s == pytest.approx([one_s, one_s], abs=0.0011)
    assert sweep.started_at < times[0] and times[-1] - sweep.ended_at <= timedelta(milliseconds=1)


async def test_a_fast_sweep_of_27_meters_takes_its_wire_time_of_1_4_seconds(profiles) -> None:
    settings = PollSettings(slow_every_s=3600)
    async with running(rig_of(profiles, [DDSY] * 27, settings=settings)) as rig:
        sweep = (await rig.more_rounds(1))[0]
    measured_s = (sweep.ended_at - sweep.started_at).total_seconds()
    assert sweep.wire_time_s == pytest.approx(1.42, abs=0.02)
    assert measured_s == pytest.approx(sweep.wire_time_s, rel=0.01)


async def test_a_serial_line_is_given_its_silence_before_every_request(profiles) -> None:
    async with running(rig_of(profiles, [DDSY] * 3, link="serial")) as rig:
        await rig.until(lambda: len(rig.sweeps) >= 2)
    timing = WireTiming.of(rig.bus)
    # The request itself and its silence, the meter's delay, the reply, and silence once more.
    least_s = timing.read_s(6)
    sent_s = [at_s for at_s, _ in rig.link.sent][-4:]
    gaps_s = [later - earlier for earlier, later in pairwise(sent_s)]
    assert all(gap_s >= least_s - 1e-9 for gap_s in gaps_s)


async def test_slow_quantities_come_once_a_period_and_are_spread_over_the_sweeps(profiles) -> None:
    settings = PollSettings(slow_every_s=10.0)
    async with running(rig_of(profiles, [DDSY] * 12, settings=settings)) as rig:
        await rig.pass_s(31)
        sweeps = [s for s in rig.rounds[1:] if s.started_at >= START + timedelta(seconds=11)]
    read = [sweep.frame["energy_wh"].is_not_null().sum() for sweep in sweeps]
    per_meter = sum(read) / 12
    assert 1.5 <= per_meter <= 2.5  # 20 seconds, twice a period of 10
    assert max(read) <= 3  # never all at once


async def test_sweeps_on_a_plan_do_not_drift(profiles) -> None:
    settings = PollSettings(sweep_every_s=2.0)
    async with running(rig_of(profiles, [DDSY] * 4, settings=settings)) as rig:
        await rig.until(lambda: len(rig.sweeps) >= 6)
    starts_s = [(sweep.started_at - START).total_seconds() for sweep in rig.sweeps]
    assert starts_s == pytest.approx([0, 2, 4, 6, 8, 10], abs=0.001)


async def test_a_sweep_that_takes_too_long_skips_ticks_and_never_piles_up(profiles) -> None:
    settings = PollSettings(sweep_every_s=1.0, slow_every_s=3600)
    async with running(rig_of(profiles, [DDSY] * 27, settings=settings)) as rig:
        await rig.until(lambda: len(rig.sweeps) >= 4)
    starts_s = [(sweep.started_at - START).total_seconds() for sweep in rig.sweeps]
    # The first reads everything (3.5 s), the others take 1.4 s each.
    assert starts_s == pytest.approx([0, 4, 6, 8], abs=0.001)


async def test_every_sweep_has_an_id_of_its_own_also_after_a_restart(profiles) -> None:
    ids: list[str] = []
    for _ in range(2):
        async with running(rig_of(profiles, [DDSY])) as rig:
            await rig.until(lambda rig=rig: len(rig.sweeps) >= 5)
        ids += [sweep.id for sweep in rig.sweeps]
    assert len(set(ids)) == len(ids)


async def test_a_confirming_read_goes_ahead_of_the_round_and_gives_one_row_a_read(profiles) -> None:
    async with running(rig_of(profiles, [DDSY] * 27)) as rig:
        await rig.until(lambda: len(rig.rounds) >= 1)
        asked_at, rounds = rig.clock.now(), len(rig.rounds)
        assert rig.runner.confirm("m20", 2)
        assert not rig.runner.confirm("m20", 2), "a meter is confirmed once at a time"
        await rig.until(lambda: sum(sweep.confirming for sweep in rig.sweeps) >= 2)
        assert len(rig.rounds) == rounds, "the round is still under way"
    confirming = [sweep for sweep in rig.sweeps if sweep.confirming]
    assert [sweep.frame["meter"].to_list() for sweep in confirming] == [["m20"], ["m20"]]
    assert confirming[0].ended_at - asked_at < timedelta(seconds=0.2)
    assert values(confirming[1], "m20")["power_w"] == 500.0


async def test_an_unknown_meter_is_not_confirmed(profiles) -> None:
    async with running(rig_of(profiles, [DDSY])) as rig:
        await rig.until(lambda: len(rig.rounds) >= 1)
        assert not rig.runner.confirm("nobody")


async def test_reading_one_meter_gives_all_its_quantities_and_registers(profiles) -> None:
    async with running(rig_of(profiles, [DDSY] * 2), poll=False) as rig:
        readout = await rig.runner.read_once("m2", raw=True)
        plain = await rig.runner.read_once("m2", ["power_w"])
    assert readout.quality is Quality.GOOD
    assert readout.values["energy_tariff1_wh"] == 50_000
    assert set(readout.values) == set(profiles[DDSY].quantities())
    assert sum(block.count for block in readout.words) >= 20
    assert plain.values == {"power_w": 500.0} and plain.words == {}
    assert rig.sweeps == []


@pytest.mark.parametrize("link", ["rtu-over-tcp", "tcp", "serial"])
async def test_every_shipped_model_is_read_whole_on_every_kind_of_link(profiles, link: str) -> None:
    models = sorted(profiles)
    async with running(rig_of(profiles, models, link=link)) as rig:
        await rig.until(lambda: len(rig.sweeps) >= 1)
    assert set(rig.sweeps[0].frame["quality"]) == {"good"}
    assert rig.sweeps[0].frame["power_w"].to_list() == pytest.approx([500.0] * len(models), abs=0.1)
    assert rig.runner.health().timeouts == 0


async def test_health_counts_what_the_bus_does(profiles) -> None:
    async with running(rig_of(profiles, [DDSY] * 27)) as rig:
        await rig.more_rounds(1)
        health = rig.runner.health()
    assert health.link_up and health.meters == 27 and health.silent_meters == ()
    assert health.sweeps >= 2 and health.timeouts == 0 and health.crc_errors == 0
    assert health.sweep_s == pytest.approx(health.wire_s, rel=0.01)
    assert health.wire_share == pytest.approx(1.0, abs=0.02)
    frames = rig.runner.frames()
    assert {frame.direction for frame in frames} == {"sent", "received"}
    assert len(frames) <= PollSettings().frame_log
    assert " 03 " in str(frames[0])
