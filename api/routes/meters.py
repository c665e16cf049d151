"""For everybody: the meters of the roster and their latest values."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.access import meter_for, needs
from api.answers import LatestAnswer, LatestList, MeterAnswer, MeterList
from api.context import Deps
from api.params import MeterQuery
from domain.identity import Role
from domain.site import Meter, Site

router = APIRouter(tags=["meters"])

READERS = (Role.OPERATOR, Role.FACILITIES, Role.ANALYST, Role.FINANCE)
LISTED = [Depends(needs(*READERS))]
OneMeter = Annotated[Meter, Depends(meter_for(*READERS))]


@router.get("/meters", summary="Meters of the roster", dependencies=LISTED)
def list_meters(query: Annotated[MeterQuery, Query()], deps: Deps) -> MeterList:
    """Give the meters that fit all filters, in roster order."""
    found = fitting(deps.site(), query)
    shown = found[query.offset : query.offset + query.limit]
    return MeterList(count=len(found), meters=[MeterAnswer.of(meter) for meter in shown])


@router.get("/meters/{meter}", summary="One meter of the roster")
def get_meter(meter: OneMeter) -> MeterAnswer:
    """Give one meter; to an occupant that of his own room."""
    return MeterAnswer.of(meter)


@router.get("/latest", summary="Latest values of meters", dependencies=LISTED)
def list_latest(query: Annotated[MeterQuery, Query()], deps: Deps) -> LatestList:
    """Give the last value that was really read of each quantity, with its time and age."""
    found = fitting(deps.site(), query)
    shown = [meter.name for meter in found[query.offset : query.offset + query.limit]]
    now = deps.clock.now()
    rows = [LatestAnswer.of(row, now) for row in deps.latest(shown)]
    return LatestList(time=now, count=len(found), meters=rows)


@router.get("/meters/{meter}/latest", summary="Latest values of one meter")
def get_latest(meter: OneMeter, deps: Deps) -> LatestAnswer:
    """Give the last value that was really read of each quantity, with its time and age."""
    name = meter.name
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
