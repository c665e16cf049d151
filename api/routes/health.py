"""For machines: is the process alive, is the station ready, its metrics."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response, status
from prometheus_client.exposition import choose_encoder

from api.access import needs
from api.answers import HealthAnswer, ReadyAnswer
from api.context import Ctx, Deps
from domain.identity import Role

router = APIRouter(tags=["health"])
WATCHERS = [Depends(needs(Role.OPERATOR, Role.FACILITIES))]


@router.get("/healthz", summary="Is the process alive")
async def get_health(deps: Deps) -> HealthAnswer:
    """Answer; asks nobody else."""
    return HealthAnswer(version=deps.version)


@router.get(
    "/readyz",
    summary="Can the station do its work",
    responses={503: {"model": ReadyAnswer, "description": "Not ready, with the reasons"}},
    dependencies=WATCHERS,
)
async def get_readiness(context: Ctx, response: Response) -> ReadyAnswer:
    """Ask the stores, the spool and the field; 503 with the reasons when one is not ready."""
    reasons = await context.readiness.reasons()
    if reasons:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return ReadyAnswer(ready=not reasons, reasons=reasons)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    dependencies=WATCHERS,
)
def get_metrics(context: Ctx, accept: Annotated[str, Header()] = "") -> Response:
    """Give every metric, in the text format or OpenMetrics."""
    encoder, content_type = choose_encoder(accept)
    return Response(encoder(context.registry), headers={"Content-Type": content_type})
