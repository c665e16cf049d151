"""Sweeps in, verdicts out: all rules together, several buses, other policies, stored history."""

from datetime import timedelta

import polars as pl
import pytest

from domain.causes import CauseKind
from domain.policy import GroupPolicy, MalignantPolicy, OverpowerPolicy, Policy
from rules.engine import RuleEngine
from rules.replay import replay

IDLE, HEATER = (80.0, 0.90), (1080.0, 0.999)


@pytest.fixture
def engine(site):
    rooms = [site.meter(f"room-{n}", n) for n in (1, 2, 3)]
    return RuleEngine(rooms, site.policy(), site.zone)


def sweep_of(site, second, *readings, **more):
    at = site.start + timedelta(seconds=second)
    rows = [site.row(at, reading, f"room-{n}") for n, reading in enumerate(readings, 1)]
    return site.sweep(at, rows, **more)


def malignant(verdicts):
    return {v.meter: v.violated for v in verdicts if v.kind is CauseKind.MALIGNANT}


def test_only_the_room_with_the_heater_trips(engine, site):
    for second in range(3):
        engine.judge(sweep_of(site, second, IDLE, IDLE, IDLE))
    said = engine.judge(sweep_of(site, 3, IDLE, HEATER, IDLE))
    assert [(v.meter, v.suspect) for v in said] == [("room-2", True)]
    assert malignant(engine.judge(sweep_of(site, 4, IDLE, HEATER, IDLE))) == {"room-2": True}


def test_a_confirming_read_of_one_meter_settles_the_matter_ahead_of_the_round(engine, site):
    for second in range(3):
        engine.judge(sweep_of(site, second, IDLE, IDLE, IDLE))
    engine.judge(sweep_of(site, 3, IDLE, HEATER, IDLE))
    at = site.start + timedelta(seconds=3.5)
    again = site.sweep(at, [site.row(at, HEATER, "room-2")], confirming=True)
    assert malignant(engine.judge(again)) == {"room-2": True}


def test_every_meter_gets_a_first_word_from_every_rule(engine, site):
    said = engine.judge(sweep_of(site, 0, IDLE, IDLE, IDLE))
    kinds = {v.kind for v in said if v.meter == "room-3"}
    assert {CauseKind.MALIGNANT, CauseKind.OVERPOWER, CauseKind.SCHEDULE} <= kinds
    assert all(v.violated is not True for v in said)


def test_overpower_is_judged_by_the_same_engine(site):
    group = GroupPolicy(
        malignant=MalignantPolicy(mode="off"), overpower=OverpowerPolicy(limit_w=500, delay_s=3)
    )
    engine = RuleEngine([site.meter()], Policy(groups={"dorm": group}), site.zone)
    said = [engine.judge(sweep_of(site, second, HEATER)) for second in range(6)]
    over = [{v.violated for v in verdicts if v.rule == "overpower"} for verdicts in said]
    assert over[1] == set()
    assert over[4] == {True}


def test_meters_that_are_not_in_the_roster_are_passed_over(engine, site):
    at = site.start
    stranger = site.row(at, HEATER, "somebody-else")
    said = engine.judge(site.sweep(at, [stranger, site.row(at, IDLE, "room-2")]))
    assert "somebody-else" not in {v.meter for v in said}
    assert malignant(said) == {"room-2": False}


def test_a_meter_twice_in_one_frame_counts_as_two_samples(engine, site):
    for second in range(3):
        engine.judge(sweep_of(site, second, IDLE, IDLE, IDLE))
    rows = [site.row(site.start + timedelta(seconds=second), HEATER, "room-1") for second in (3, 4)]
    assert malignant(engine.judge_malignant(site.sweep(rows[1]["time"], rows)))["room-1"] is True


def test_an_empty_sweep_says_nothing_of_malignant_loads(engine, site):
    assert engine.judge_malignant(site.sweep(site.start, [])) == []


def test_another_policy_holds_from_the_next_sweep_on(engine, site):
    for second in range(3):
        engine.judge(sweep_of(site, second, IDLE, IDLE, IDLE))
    engine.set_policy(site.policy(step_w=1500))
    for second in range(3, 8):
        said = engine.judge(sweep_of(site, second, HEATER, IDLE, IDLE))
        assert malignant(said).get("room-1") is not True


def test_switching_the_rule_off_clears_what_it_said(engine, site):
    for second, load in enumerate([IDLE, IDLE, HEATER, HEATER]):
        engine.judge(sweep_of(site, second, load, IDLE, IDLE))
    engine.set_policy(site.policy(mode="off"))
    assert malignant(engine.judge(sweep_of(site, 4, HEATER, IDLE, IDLE))) == {"room-1": False}


def test_a_shadow_engine_says_the_same_in_shadow(site):
    engine = RuleEngine([site.meter()], site.policy(), site.zone, shadow=True)
    said = [
        verdict
        for second, load in enumerate([IDLE, IDLE, HEATER, HEATER])
        for verdict in engine.judge(sweep_of(site, second, load))
    ]
    assert all(v.shadow for v in said)
    assert any(v.violated and v.kind is CauseKind.MALIGNANT for v in said)


def test_stored_history_gives_the_same_trip_as_the_live_sweeps(engine, site):
    loads = [IDLE, IDLE, IDLE, HEATER, HEATER, HEATER, IDLE, IDLE]
    sweeps = [sweep_of(site, second, IDLE, load, IDLE) for second, load in enumerate(loads)]
    live = [(v.meter, v.time, v.violated) for s in sweeps for v in engine.judge_malignant(s)]
    history = pl.concat([s.frame for s in sweeps]).sort("meter", "time")
    fresh = RuleEngine(engine.meters, engine.policy, site.zone)
    replayed = [
        (v.meter, v.time, v.violated)
        for v in replay(fresh, [history.head(0), history])
        if v.kind is CauseKind.MALIGNANT
    ]
    assert sorted(live, key=str) == sorted(replayed, key=str)
    assert ("room-2", site.start + timedelta(seconds=4), True) in replayed


def test_history_without_a_stored_quality_is_taken_as_good(engine, site):
    frames = [sweep_of(site, second, HEATER if second > 2 else IDLE).frame for second in range(6)]
    bare = pl.concat(frames).select("time", "meter", "power_w", "power_factor", "voltage_v")
    assert any(v.violated for v in replay(engine, [bare]) if v.rule == "malignant")


def test_the_state_tells_the_relay_as_last_read_and_the_age_of_the_row(engine, site):
    at = site.start
    cells = [
        {**site.row(at, IDLE, "room-1"), "relay_closed": True},
        site.row(at, None, "room-2"),
    ]
    engine.judge(site.sweep(at, cells))
    later = at + timedelta(seconds=2)
    engine.judge(site.sweep(later, [{**site.row(later, IDLE, "room-1"), "relay_closed": False}]))
    state = engine.state.frame(None, later + timedelta(seconds=3)).to_dicts()
    assert (state[0]["relay_closed"], state[0]["relay_closed_before"]) == (False, True)
    assert state[0]["age_s"] == 3.0
    assert (state[1]["time"], state[1]["age_s"], state[1]["relay_closed"]) == (None, None, None)
