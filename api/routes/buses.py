"""For operators: how the buses do."""

from dataclasses import asdict

from fastapi import APIRouter, Depends

from api.access import needs
from api.answers import BusAnswer, BusList
from api.context import Deps
from api.deps import BusStats
from domain.identity import Role
from domain.site import Bus

router = APIRouter(tags=["buses"], dependencies=[Depends(needs(Role.OPERATOR, Role.FACILITIES))])


@router.get("/buses", summary="Health of every bus")
def list_buses(deps: Deps) -> BusList:
    """Give every bus of the site; one that nobody reads has unknown values."""
    stats = {row.bus: row for row in deps.bus_stats()}
    rows = [_answer(bus, stats.get(bus.name, BusStats(bus.name, 0))) for bus in deps.site().buses]
    return BusList(count=len(rows), buses=rows)


def _answer(bus: Bus, stats: BusStats) -> BusAnswer:
    return BusAnswer(link=bus.link, baud=bus.baud, **asdict(stats))
