"""Finding units and models on a bus that nobody has described."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from leap_line import LeapLink, Rig, rig_of

from collector.scan import FoundUnit, scan
from domain.errors import LinkDown
from simulator.faults import FaultKind

MODELS = ["acrel-ddsy1352", "hiking-dds238", "eastron-sdm120", "pzem-016", "sunspec-201"]


@asynccontextmanager
async def line(
    profiles, models=MODELS, **particulars: object
) -> AsyncIterator[tuple[Rig, LeapLink]]:
    rig = rig_of(profiles, models, **particulars)
    yield rig, rig.link


async def found(rig: Rig, profiles, units: range) -> list[FoundUnit]:
    finding = scan(
        rig.bus, units, profiles, rig.clock, link_factory=lambda _bus, _timeout_s: rig.link
    )
    return [unit async for unit in finding]


async def test_all_units_that_answer_are_found_and_their_models_ranked(profiles) -> None:
    async with line(profiles) as (rig, link):
        units = await found(rig, profiles, range(1, 9))
    assert [unit.unit for unit in units] == [1, 2, 3, 4, 5]
    for unit, model in zip(units, MODELS, strict=True):
        best = [name for name, score in unit.ranking if score == unit.ranking[0][1]]
        assert model in best, (model, unit.ranking)
        assert unit.profile in (model, None)
        assert unit.words
    assert not link.is_open, "the bus is let go of"


async def test_a_missing_unit_costs_one_timeout_a_function(profiles) -> None:
    told: list[int] = []
    async with line(profiles, ["acrel-ddsy1352"]) as (rig, link):
        finding = scan(
            rig.bus, [7, 8], profiles, rig.clock, on_unit=told.append,
            link_factory=lambda _bus, _timeout_s: link,
        )  # fmt: skip
        assert [unit async for unit in finding] == []
    assert told == [7, 8]
    functions = [frame[1] for _, frame in link.sent]
    assert sorted(functions[: len(functions) // 2]) == sorted(set(functions))


async def test_a_unit_that_only_answers_exceptions_is_found_without_a_model(profiles) -> None:
    async with line(profiles, ["acrel-ddsy1352"]) as (rig, _):
        rig.add(FaultKind.EXCEPTION, meter="m1", code=2)
        units = await found(rig, profiles, range(1, 2))
    assert [(unit.unit, unit.profile, unit.ranking) for unit in units] == [(1, None, ())]


async def test_a_bus_that_cannot_be_reached_is_an_error(profiles) -> None:
    async with line(profiles) as (rig, link):
        link.refusing = True
        with pytest.raises(LinkDown, match="bus1"):
            await found(rig, profiles, range(1, 3))


async def test_whoever_stops_listening_lets_the_bus_go(profiles) -> None:
    async with line(profiles) as (rig, link):
        finding = scan(
            rig.bus, range(1, 9), profiles, rig.clock,
            link_factory=lambda _bus, _timeout_s: link,
        )  # fmt: skip
        assert (await anext(finding)).unit == 1
        await finding.aclose()
    assert not link.is_open
