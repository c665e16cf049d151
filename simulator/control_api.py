"""The simulator's own control: look at the truth, make faults, switch loads on. Loopback only."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import InvalidInput, UnknownSubject
from simulator.faults import FaultKind, FaultSpec
from simulator.field import SimulatedField, told


class LoadOrder(BaseModel):
    """Switch an appliance on in the room behind a meter, for so many seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meter: str
    appliance: str
    for_s: Annotated[float, Field(gt=0, le=86_400)] = 120.0


def control_app(field: SimulatedField) -> FastAPI:
    """Return the control API of a field. Unknown subjects answer 404, bad bodies 422."""
    app = FastAPI(title="Wattwarden simulator", docs_url=None, redoc_url=None)
    app.add_exception_handler(UnknownSubject, _unknown)
    app.add_exception_handler(InvalidInput, _invalid)
    _add_views(app, field)
    _add_orders(app, field)
    return app


def _add_views(app: FastAPI, field: SimulatedField) -> None:
    # Answers are built by hand: generic encoding of 324 meters would hold up the lines.
    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        return JSONResponse(
            {"status": "ok", "now_s": field.campus_now(), "meters": len(field.meters)}
        )

    @app.get("/state")
    async def state() -> JSONResponse:
        meters = [meter async for meter in field.states()]
        return JSONResponse({"now_s": field.campus_now(), "meters": meters})

    @app.get("/state/{meter}")
    async def state_of(meter: str) -> JSONResponse:
        return JSONResponse(field.meter(meter).state(field.campus_now()).as_dict())

    @app.get("/truth")
    async def truth(since_s: float = 0.0) -> JSONResponse:
        return JSONResponse({"now_s": field.campus_now(), "uses": field.truth(since_s)})

    @app.get("/counters")
    async def counters() -> JSONResponse:
        return JSONResponse(field.counters())

    @app.get("/faults")
    async def faults() -> JSONResponse:
        return JSONResponse({"faults": [told(fault) for fault in field.faults.entries()]})


def _add_orders(app: FastAPI, field: SimulatedField) -> None:
    @app.post("/faults", status_code=201)
    async def add_fault(spec: FaultSpec) -> dict[str, int]:
        try:
            return {"id": field.add_fault(spec)}
        except ValueError as error:
            raise HTTPException(409, str(error)) from error

    @app.delete("/faults")
    async def clear_faults(
        meter: str | None = None, bus: str | None = None, kind: FaultKind | None = None
    ) -> dict[str, int]:
        return {"removed": field.faults.clear(meter, bus, kind)}

    @app.delete("/faults/{fault_id}")
    async def remove_fault(fault_id: int) -> dict[str, int]:
        if not field.faults.remove(fault_id):
            raise UnknownSubject(f"no fault {fault_id}")
        return {"removed": 1}

    @app.post("/loads", status_code=201)
    async def switch_on(order: LoadOrder) -> dict[str, Any]:
        return asdict(field.switch_on(order.meter, order.appliance, order.for_s))


async def _unknown(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=404)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=422)
