"""Shedding under a site cap: who goes first, who comes back first, and what is not known."""

from datetime import datetime
from typing import Any

import pytest
from rows import NOON, SHANGHAI, at, said, state

from domain.causes import CauseKind, Evidence, TripCause, Verdict
from domain.policy import Policy, ShedPolicy
from rules.shed import ShedMemory, judge_shed, shed_memory, site_load

POLICY = Policy(
    shed=ShedPolicy(cap_w=1000, restore_below=0.9, delay_s=10, restore_after_s=60, meters_a_step=2)
)
Meters = dict[str, dict[str, Any]]


def rooms(**watts: float | None) -> Meters:
    """Rooms a, b, c ... with priorities 1, 2, 3 ...; x and z are never shed."""
    order = "abcdefgh"
    return {
        name: {
            "power_w": power_w,
            "shed_priority": order.index(name) + 1 if name in order else None,
        }
        for name, power_w in watts.items()
    }


def timeline(policy: Policy, *moments: tuple[float, Meters]) -> list[dict[str, bool | None]]:
    """What is said at each (seconds, meters), after a first judgement a minute before."""
    memory, out = ShedMemory(has_spoken=True), []
    for seconds, meters in moments:
        verdicts, memory = judge_shed(
            state(at(seconds), **meters), memory, policy, at(seconds), SHANGHAI
        )
        out.append(said(verdicts))
    return out


FULL = rooms(a=300.0, b=300.0, c=300.0, d=300.0, x=300.0)


def test_above_the_cap_the_lowest_priorities_are_shed_after_the_delay() -> None:
    assert timeline(POLICY, (0, FULL), (9, FULL), (10, FULL)) == [{}, {}, {"a": True, "b": True}]


def test_the_next_step_waits_for_the_effect_of_the_last() -> None:
    still = rooms(a=0.0, b=0.0, c=600.0, d=600.0, x=300.0)
    assert timeline(POLICY, (0, FULL), (10, FULL), (15, still), (20, still), (30, still)) == [
        {},
        {"a": True, "b": True},
        {},
        {"c": True, "d": True},
        {},  # nobody is left but x, who has no priority
    ]


def test_rooms_come_back_in_reverse_order_once_there_is_room_for_long_enough() -> None:
    low = rooms(a=0.0, b=0.0, c=100.0, d=100.0, x=100.0)
    assert timeline(POLICY, (0, FULL), (10, FULL), (12, low), (71, low), (72, low), (132, low)) == [
        {},
        {"a": True, "b": True},
        {},
        {},
        {"b": False, "a": False},
        {},
    ]


def test_only_those_come_back_whose_former_load_fits_under_the_cap() -> None:
    tight = rooms(a=0.0, b=0.0, c=300.0, d=200.0, x=100.0)  # 600 + 300 fits, + 600 does not
    assert timeline(POLICY, (0, FULL), (10, FULL), (12, tight), (72, tight))[-1] == {"b": False}


def test_between_the_two_thresholds_nothing_moves() -> None:
    between = rooms(a=0.0, b=0.0, c=350.0, d=350.0, x=250.0)
    assert timeline(POLICY, (0, FULL), (10, FULL), (12, between), (200, between))[2:] == [{}, {}]


def test_a_dip_in_the_delay_starts_it_anew() -> None:
    dip = rooms(a=100.0, b=100.0, c=100.0, d=100.0, x=100.0)
    assert timeline(POLICY, (0, FULL), (6, dip), (8, FULL), (12, FULL), (18, FULL)) == [
        {},
        {},
        {},
        {},
        {"a": True, "b": True},
    ]


def test_stale_rooms_are_not_shed_and_do_not_count_as_load() -> None:
    stale = {**FULL, "a": {"power_w": 300.0, "shed_priority": 1, "age_s": 31.0}}
    assert timeline(POLICY, (0, stale), (10, stale))[-1] == {"b": True, "c": True}
    mostly_stale = {
        name: {**row, "age_s": 31.0} if name in "abc" else row for name, row in FULL.items()
    }
    assert timeline(POLICY, (0, mostly_stale), (10, mostly_stale)) == [{}, {}]


def test_stale_and_unread_rooms_hold_back_a_restore_by_what_they_may_draw() -> None:
    load = site_load(
        state(NOON, a={"power_w": 200.0}, b={"power_w": 400.0}, c={"power_w": 500.0, "age_s": 99.0},
              d={"age_s": None}),
        stale_after_s=30,
    )  # fmt: skip
    assert (load.certain_w, load.estimate_w) == (600.0, 600.0 + 500.0 + 300.0)
    assert (load.fresh, load.stale, load.unread) == (2, 1, 1)


def test_a_site_of_which_nothing_is_known_cannot_tell() -> None:
    load = site_load(state(NOON, a={"age_s": None}), stale_after_s=30)
    assert load.estimate_w is None
    dark = {name: {**row, "age_s": 99.0} for name, row in FULL.items()}
    moments = [(0.0, FULL), (10.0, FULL), (20.0, dark), (500.0, dark)]
    assert timeline(POLICY, *moments)[2:] == [{}, {}]


def test_a_head_meter_speaks_for_its_bus() -> None:
    frame = state(
        NOON,
        h={"head": True, "power_w": 900.0},
        a={"power_w": 100.0},
        b={"power_w": 50.0, "bus": "bus2"},
        g={"head": True, "power_w": 999.0, "bus": "bus2", "age_s": 99.0},
    )
    assert site_load(frame, stale_after_s=30).certain_w == 950.0


def test_open_rooms_and_rooms_that_draw_nothing_are_passed_over() -> None:
    meters = rooms(a=0.0, b=10.0, c=600.0, d=600.0)
    meters["b"]["relay_closed"] = False
    assert timeline(POLICY, (0, meters), (10, meters))[-1] == {"c": True, "d": True}


def test_without_a_cap_everybody_comes_back() -> None:
    free = Policy()
    memory = ShedMemory(shed={"a": 300.0, "b": 300.0}, has_spoken=True)
    verdicts, memory = judge_shed(state(NOON, **FULL), memory, free, NOON, SHANGHAI)
    assert said(verdicts) == {"b": False, "a": False}
    assert judge_shed(state(NOON, **FULL), memory, free, NOON, SHANGHAI)[0] == []


def cause(meter: str, since: datetime, power_w: float) -> TripCause:
    evidence = Evidence("shed", matched={"power_w": power_w})
    return TripCause(meter, meter, CauseKind.SHED, since, "shed", "", evidence)


def test_after_a_restart_the_shed_rooms_still_come_back_in_order() -> None:
    memory = shed_memory([cause("b", at(-5), 300.0), cause("a", at(-9), 200.0)])
    low = rooms(a=0.0, b=0.0, c=100.0, d=100.0, x=100.0)
    first, memory = judge_shed(state(at(0), **low), memory, POLICY, at(0), SHANGHAI)
    assert said(first) == {"c": False, "d": False}  # nobody knew these yet; a and b stay shed
    later, _ = judge_shed(state(at(60), **low), memory, POLICY, at(60), SHANGHAI)
    assert [(v.meter, v.violated) for v in later] == [("b", False), ("a", False)]


def test_the_evidence_names_site_load_and_cap() -> None:
    memory = ShedMemory(has_spoken=True)
    verdicts: list[Verdict] = []
    for seconds in (0, 10):
        verdicts, memory = judge_shed(
            state(at(seconds), **FULL), memory, POLICY, at(seconds), SHANGHAI
        )
    evidence = verdicts[0].evidence
    assert evidence is not None
    assert evidence.matched["power_w"] == 300.0
    assert evidence.matched["site_w"] == pytest.approx(1500.0)
    assert evidence.limits["cap_w"] == 1000.0
