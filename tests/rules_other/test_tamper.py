"""Signs of tampering, one after the other: what must show, and for how long."""

from typing import Any

import pytest
from rows import SHANGHAI, at, state

from domain.causes import RuleMode, Verdict
from domain.policy import GroupPolicy, Policy, TamperPolicy
from rules.durations import Memory
from rules.tamper import HEAD, OPEN_RELAY, REVERSE_POWER, SILENT, judge_tamper

POLICY = Policy(groups={"dorm": GroupPolicy(tamper=TamperPolicy(mode=RuleMode.TRIP))})
Meters = dict[str, dict[str, Any]]


def timeline(*moments: tuple[float, Meters]) -> list[list[tuple[str, str, bool | None]]]:
    """What is said, beyond "fine", at each (seconds, meters): (meter, rule, verdict)."""
    memory, out = Memory(), []
    for seconds, meters in moments:
        verdicts, memory = judge_tamper(
            state(at(seconds), **meters), memory, POLICY, at(seconds), SHANGHAI
        )
        out.append([(v.meter, v.rule, v.violated) for v in verdicts if v.violated is not False])
    return out


def last(*moments: tuple[float, Meters]) -> list[Verdict]:
    """The violations at the last moment."""
    memory, verdicts = Memory(), []
    for seconds, meters in moments:
        verdicts, memory = judge_tamper(
            state(at(seconds), **meters), memory, POLICY, at(seconds), SHANGHAI
        )
    return [verdict for verdict in verdicts if verdict.violated]


def quiet(**given: Any) -> dict[str, Any]:
    return {"power_w": 100.0, "current_a": 0.5, **given}


def test_current_through_an_open_relay_is_told_after_the_delay() -> None:
    bypassed = {"r1": quiet(relay_closed=False, current_a=2.0), "r2": quiet()}
    assert timeline((0, bypassed), (3, bypassed), (6, bypassed)) == [
        [],
        [],
        [("r1", OPEN_RELAY, True)],
    ]
    (verdict,) = last((0, bypassed), (6, bypassed))
    assert verdict.mode is RuleMode.TRIP
    assert verdict.evidence is not None
    assert verdict.evidence.matched["current_a"] == 2.0
    assert verdict.evidence.limits["open_relay_current_a"] == 0.1


def test_an_open_relay_without_current_is_fine() -> None:
    open_room = {"r1": quiet(relay_closed=False, current_a=0.0, power_w=0.0)}
    assert timeline((0, open_room), (60, open_room)) == [[], []]


def test_a_relay_state_older_than_the_current_cannot_tell() -> None:
    # The relay was read open 20 s ago and has been closed since: the current is no bypass.
    stale_relay = {"r1": quiet(relay_closed=False, current_a=2.0, relay_time=at(-20))}
    said = timeline((0, stale_relay), (6, stale_relay), (12, stale_relay))
    assert said == [[("r1", OPEN_RELAY, None)], [], []]


def test_relay_states_that_are_seldom_read_still_tell() -> None:
    def room(now_s: float, read_s: float, current_a: float = 2.0) -> Meters:
        return {"r1": quiet(relay_closed=False, current_a=current_a, relay_time=at(read_s))}

    flows = [(0.0, room(0, 0)), (30.0, room(30, 0)), (60.0, room(60, 60))]
    assert timeline(*flows)[-1] == [("r1", OPEN_RELAY, True)]
    stops = [(0.0, room(0, 0)), (30.0, room(30, 0, 0.0)), (60.0, room(60, 60))]
    assert timeline(*stops)[-1] == []


def test_power_that_flows_backwards_is_told_after_the_delay() -> None:
    reverse = {"r1": quiet(power_w=-500.0)}
    assert timeline((0, reverse), (5, reverse)) == [[], [("r1", REVERSE_POWER, True)]]


def test_a_little_reverse_power_is_noise() -> None:
    assert timeline((0, {"r1": quiet(power_w=-19.0)}), (9, {"r1": quiet(power_w=-19.0)})) == [
        [],
        [],
    ]


def test_a_silent_meter_on_a_living_bus_is_told_after_its_time_and_never_trips() -> None:
    def bus(age_s: float) -> Meters:
        return {"r1": quiet(age_s=age_s), "r2": quiet()}

    said = timeline((0, bus(0)), (299, bus(299)), (301, bus(301)))
    assert (("r1", SILENT, True) in said[1], ("r1", SILENT, True) in said[2]) == (False, True)
    (verdict,) = last((301, bus(301)))
    assert verdict.mode is RuleMode.ALARM


@pytest.mark.parametrize("age_s", [None, float("inf")])
def test_a_meter_never_heard_is_silent_from_its_first_judgement_on(age_s: float | None) -> None:
    bus = {"r1": {"age_s": age_s, "time": None}, "r2": quiet()}
    moments = [(float(s), bus) for s in range(0, 301, 20)]
    silent = [("r1", SILENT, True) in said for said in timeline(*moments)]
    assert silent == [False] * 15 + [True]


def test_silence_of_a_whole_bus_is_not_tampering() -> None:
    dead = {"r1": quiet(age_s=900.0), "r2": quiet(age_s=900.0)}
    assert not [said for said in timeline((0, dead), (600, dead))[1] if said[2]]


def test_a_lone_meter_that_is_silent_cannot_be_told_from_a_dead_bus() -> None:
    assert last((0, {"r1": quiet(age_s=900.0)}), (600, {"r1": quiet(age_s=900.0)})) == []


def bus_with_head(head_w: float | None, *rooms_w: float | None) -> Meters:
    rooms = {f"r{n}": quiet(power_w=power_w) for n, power_w in enumerate(rooms_w)}
    return {"h": {"head": True, "power_w": head_w, "current_a": 9.0}, **rooms}


def test_a_bus_total_above_the_sum_is_told_and_never_trips() -> None:
    stolen = bus_with_head(1500.0, 400.0, 600.0)  # 1000 x 1.05 + 50 = 1100
    assert timeline((0, stolen), (5, stolen)) == [[], [("h", HEAD, True)]]
    (verdict,) = last((0, stolen), (5, stolen))
    assert verdict.mode is RuleMode.ALARM
    assert verdict.evidence is not None
    assert verdict.evidence.matched == {
        "power_w": 1500.0,
        "rooms_w": 1000.0,
        "excess_w": 500.0,
        "rooms": 2,
        "held_s": 5.0,
    }


def test_a_bus_total_within_tolerance_is_fine() -> None:
    assert (
        last((0, bus_with_head(1099.0, 400.0, 600.0)), (9, bus_with_head(1099.0, 400.0, 600.0)))
        == []
    )


def test_a_sum_with_a_missing_room_cannot_tell() -> None:
    unknown = bus_with_head(1500.0, 400.0, None)
    assert ("h", HEAD, None) in timeline((0, unknown), (9, unknown))[0]
    assert last((0, unknown), (9, unknown)) == []


def test_a_group_with_tamper_off_says_nothing() -> None:
    off = Policy(groups={"dorm": GroupPolicy(tamper=TamperPolicy(mode=RuleMode.OFF))})
    memory = Memory()
    for seconds in (0, 10):
        frame = state(at(seconds), r1=quiet(power_w=-500.0, relay_closed=False, current_a=9.0))
        verdicts, memory = judge_tamper(frame, memory, off, at(seconds), SHANGHAI)
        assert [v for v in verdicts if v.violated is not False] == []
