"""For everybody: the meters of the roster and their latest values."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.answers import LatestAnswer, LatestList, MeterAnswer, MeterList
from api.context import Deps, known_meter
from api.params import MeterQuery
from domain.site import Meter, Site

router = APIRouter(tags=["meters"])


@router.get("/meters", summary="Meters of the roster")
def list_meters(query: Annotated[MeterQuery, Query()], deps: Deps) -> MeterList:
    """Give the meters that fit all filters, in roster order."""
    found = fitting(deps.site(), query)
    shown = found[query.offset : query.offset + query.limit]
    return MeterList(count=len(found), meters=[MeterAnswer.of(meter) for meter in shown])


@router.get("/meters/{meter}", summary="One meter of the roster")
def get_meter(meter: str, deps: Deps) -> MeterAnswer:
    """Give one meter."""
    return MeterAnswer.of(known_meter(deps.site(), meter))


@router.get("/latest", summary="Latest values of meters")
def list_latest(query: Annotated[MeterQuery, Query()], deps: Deps) -> LatestList:
    """Give the last value that was really read of each quantity, with its time and age."""
    found = fitting(deps.site(), query)
    shown = [meter.name for meter in found[query.offset : query.offset + query.limit]]
    now = deps.clock.now()
    rows = [LatestAnswer.of(row, now) for row in deps.latest(shown)]
    return LatestList(time=now, count=len(found), meters=rows)


@router.get("/meters/{meter}/latest", summary="Latest values of one meter")
def get_latest(meter: str, deps: Deps) -> LatestAnswer:
    """Give the last value that was really read of each quantity, with its time and age."""
    name = known_meter(deps.site(), meter).name
    rows = deps.latest([name]) or [{"meter": name, "time": None, "quality": None, "values": {}}]
    return LatestAnswer.of(rows[0], deps.clock.now())


def fitting(site: Site, query: MeterQuery) -> list[Meter]:
    """Return the meters that fit all filters of a query, in roster order."""
    wanted = query.model_dump(exclude={"limit", "offset"}, exclude_none=True)
    return [
        meter
        for meter in site.meters
        if all(getattr(meter, name) == value for name, value in wanted.items())
    ]
