"""For operators: how the buses do."""

from dataclasses import asdict

from fastapi import APIRouter

from api.answers import BusAnswer, BusList
from api.context import Deps
from api.deps import BusStats
from domain.site import Bus

router = APIRouter(tags=["buses"])


@router.get("/buses", summary="Health of every bus")
def list_buses(deps: Deps) -> BusList:
    """Give every bus of the site; one that nobody reads has unknown values."""
    stats = {row.bus: row for row in deps.bus_stats()}
    rows = [_answer(bus, stats.get(bus.name, BusStats(bus.name, 0))) for bus in deps.site().buses]
    return BusList(count=len(rows), buses=rows)


def _answer(bus: Bus, stats: BusStats) -> BusAnswer:
    return BusAnswer(link=bus.link, baud=bus.baud, **asdict(stats))
