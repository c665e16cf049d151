"""For analysts: the readings of a meter over a range, in four shapes."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query
from fastapi.responses import StreamingResponse

from api.access import needs
from api.context import Deps, known_meter
from api.encode import encode, file_name
from api.formats import MEDIA, Format, choose_format
from api.params import ReadingsQuery
from api.readings import check_rows, plan_readings, read_pieces
from domain.identity import Role

router = APIRouter(tags=["readings"])

BINARY = {"type": "string", "format": "binary"}
SHAPES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Readings in the shape asked for, in order of time",
        "content": {
            MEDIA[Format.JSON]: {"schema": {"$ref": "#/components/schemas/ReadingsAnswer"}},
            MEDIA[Format.CSV]: {"schema": {"type": "string"}},
            MEDIA[Format.PARQUET]: {"schema": BINARY},
            MEDIA[Format.ARROW]: {"schema": BINARY},
        },
    }
}


@router.get(
    "/meters/{meter}/readings",
    summary="Readings of a meter over a range",
    responses=SHAPES,
    response_class=StreamingResponse,
    dependencies=[Depends(needs(Role.ANALYST, Role.OPERATOR, Role.FACILITIES))],
)
def get_readings(
    meter: str,
    query: Annotated[ReadingsQuery, Query()],
    deps: Deps,
    accept: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Give start <= time < end as JSON, CSV, Parquet or an Arrow IPC stream; missing is null."""
    name = known_meter(deps.site(), meter).name
    kind = wanted_format(query.format, accept)
    plan = plan_readings(query, name, deps.clock.now(), deps.limits)
    check_rows(deps.series, plan, kind, deps.limits)
    pieces = encode(kind, plan, read_pieces(deps.series, plan, deps.limits.chunk_rows))
    headers = {"Vary": "Accept"}
    if kind is not Format.JSON:
        headers["Content-Disposition"] = f'attachment; filename="{file_name(kind, plan)}"'
    return StreamingResponse(pieces, media_type=MEDIA[kind], headers=headers)


def wanted_format(asked: Format | None, accept: str | None) -> Format:
    """Return the format asked for by name, else by the Accept header. Raises 406 for others."""
    kind = asked or choose_format(accept)
    if kind is None:
        raise HTTPException(406, f"{accept!r} is none of {', '.join(MEDIA.values())}")
    return kind
