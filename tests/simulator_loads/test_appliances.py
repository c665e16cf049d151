"""The appliance table and the loads it makes."""

from itertools import pairwise

import pytest

from simulator.appliances import APPLIANCES, RECORDED_AS, Appliance, Load, reactive_ratio


def watts(load: Load, *times: float) -> list[float]:
    powers = []
    for at_s in times:
        if at_s >= load.until_s:
            load.settle(at_s)
        powers.append(load.power_w)
    return powers


@pytest.mark.parametrize("row", APPLIANCES.values(), ids=lambda row: row.name)
def test_every_row_is_physical(row: Appliance) -> None:
    assert 0 < row.power_w <= 5000
    assert 0 < row.power_factor <= 1
    assert 0 <= row.spread < 1
    assert 0 <= row.flicker < 0.5
    assert all(1 <= month <= 12 for month in row.months)
    assert row.duty is None or min(row.duty) > 0
    assert not row.resistive or row.power_factor >= 0.98


def test_what_is_forbidden_in_a_dormitory_is_heat_from_a_resistive_element() -> None:
    forbidden = [row for row in APPLIANCES.values() if row.rule_class == "forbidden"]
    assert len(forbidden) >= 8
    assert all(row.resistive and row.power_factor == 1.0 for row in forbidden)


def test_recorded_classes_stand_for_rows_of_the_table() -> None:
    assert set(RECORDED_AS.values()) <= set(APPLIANCES)


def test_reactive_power_follows_from_the_power_factor() -> None:
    assert reactive_ratio(1.0) == 0.0
    assert reactive_ratio(0.8) == pytest.approx(0.75)
    load = Load(APPLIANCES["microwave"], 1250.0, 0.0, 1)
    load.settle(5.0)
    apparent_va = (load.power_w**2 + load.reactive_var**2) ** 0.5
    assert load.power_w / apparent_va == pytest.approx(0.84)


def test_a_refrigerator_starts_with_an_inrush_runs_and_rests() -> None:
    load = Load(APPLIANCES["refrigerator"], 75.0, 0.0, 1)
    assert watts(load, 0.0, 0.5, 0.7, 599.0, 601.0, 1699.0, 1700.1, 1701.0) == [
        600.0, 600.0, 75.0, 75.0, 1.0, 1.0, 600.0, 75.0,
    ]  # fmt: skip


def test_an_air_conditioner_ramps_up_without_a_step() -> None:
    load = Load(APPLIANCES["air-conditioner"], 900.0, 0.0, 1)
    ramp = watts(load, *range(2, 90))
    steps = [after - before for before, after in pairwise(ramp)]
    assert max(steps) < 30
    assert ramp[-1] == pytest.approx(900 * 0.99, rel=0.07)


def test_the_watts_at_a_time_do_not_depend_on_how_often_one_looks() -> None:
    often, seldom = (Load(APPLIANCES["laptop"], 45.0, 0.0, 77) for _ in range(2))
    watched = dict(zip(range(3601), watts(often, *range(3601)), strict=True))
    assert watts(seldom, 7, 1234, 3600) == [watched[7], watched[1234], watched[3600]]
    assert len(set(watched.values())) > 100


def test_season_rows_are_in_season_only_then() -> None:
    assert APPLIANCES["electric-blanket"].in_season(1)
    assert not APPLIANCES["electric-blanket"].in_season(7)
    assert APPLIANCES["kettle"].in_season(7)
