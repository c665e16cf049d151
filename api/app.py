"""The HTTP application: its parts put together around what the station gives it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer

from api.answers import Problem, ReadingsAnswer
from api.auth import AccessGuard
from api.balance_path import BalancePath
from api.body_limit import BodyLimit
from api.context import Context
from api.deps import ApiDeps
from api.errors import PROBLEM_JSON, add_error_handlers
from api.identity.rates import Rates
from api.metrics import registry_of
from api.orders import Orders
from api.readiness import Readiness
from api.routes import (
    account_files,
    accounts,
    appeals,
    approvals,
    balance,
    buses,
    causes,
    commands,
    health,
    me,
    messages,
    meters,
    money_requests,
    payments,
    people,
    purchases,
    readings,
    refunds,
    reports,
    rooms,
    sign_in,
    sso,
    tariffs,
    till,
    tokens,
    usage,
    users,
)

PREFIX = "/api/v1"
ABOUT = """Reads every meter, says why a relay is open, and orders relays with proof.

Times are ISO 8601; one without an offset is UTC, and every answer is in UTC. What is not known is
null. Errors are `application/problem+json`. Everything but `/healthz`, signing in and payment
providers' notices needs a sign-in or a token, and each route a role."""
_PROBLEM = {"content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The access token is missing or not the right one", **_PROBLEM},
    403: {"description": "Who asks may not do this", **_PROBLEM},
    404: {"description": "No such meter or record", **_PROBLEM},
    422: {"description": "The request has faults; each is listed", **_PROBLEM},
    503: {"description": "A store, a line or the field is not available now", **_PROBLEM},
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"description": "Refused, or the key was used for another order", **_PROBLEM}
}

_LIMITED: dict[int | str, dict[str, Any]] = {
    429: {"description": "Tried too often; Retry-After says when again", **_PROBLEM}
}
_TOO_LARGE: dict[int | str, dict[str, Any]] = {
    413: {"description": "The body has more bytes than are allowed", **_PROBLEM}
}
_NOTICED: dict[int | str, dict[str, Any]] = {status: _PROBLEMS[status] for status in (404, 503)}


def create_app(deps: ApiDeps) -> FastAPI:
    """Build the HTTP application of a station."""
    orders = Orders(deps)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await orders.settle()

    app = FastAPI(
        title="Wattwarden",
        description=ABOUT,
        version=deps.version,
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.context = Context(deps, orders, Readiness(deps), registry_of(deps), Rates(deps.clock))
    add_error_handlers(app)
    _add_routes(app, deps)
    _add_schemas(app)
    # The last one added is asked first: who may not ask may not send either.
    wide = deps.limits.import_bytes_most
    wider = {
        f"{PREFIX}/{path}": wide
        for path in ("accounts/import", "people/import", "payments/statements")
    }
    app.add_middleware(BodyLimit, most=deps.limits.body_bytes_most, wider=wider)
    app.add_middleware(BalancePath, deps=deps)
    app.add_middleware(AccessGuard, deps=deps)
    return app


def _add_routes(app: FastAPI, deps: ApiDeps) -> None:
    # The guard does the checking; this tells the readers of the OpenAPI document about it.
    token = [Security(HTTPBearer(auto_error=False, description="the station's access token"))]
    for part in (meters, readings, causes, buses, balance):
        app.include_router(part.router, prefix=PREFIX, dependencies=token, responses=_PROBLEMS)
    ordering = [commands, approvals] if deps.approvals and deps.approve else [commands]
    for part in ordering:
        answers = _PROBLEMS | _CONFLICT
        app.include_router(part.router, prefix=PREFIX, dependencies=token, responses=answers)
    answers = _PROBLEMS | _CONFLICT | _LIMITED
    for part in (me, rooms, appeals, users, tariffs, usage, purchases, tokens, reports, messages):
        app.include_router(part.router, prefix=PREFIX, dependencies=token, responses=answers)
    # Files before people: /people/export is no person.
    for part in (account_files, accounts, people, money_requests, payments, till, refunds):
        app.include_router(
            part.router, prefix=PREFIX, dependencies=token, responses=answers | _TOO_LARGE
        )
    app.include_router(payments.notices, prefix=PREFIX, responses=_NOTICED)
    for part in (sign_in, sso):
        app.include_router(part.router, prefix=PREFIX, responses=answers)
    refusals: dict[int | str, dict[str, Any]] = {
        status: _PROBLEMS[status] for status in (401, 403, 422)
    }
    app.include_router(health.router, responses=refusals)


def _add_schemas(app: FastAPI) -> None:
    """Describe what no endpoint returns by its type: errors, and readings as JSON."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        schemas = document["components"]["schemas"]
        for model in (Problem, ReadingsAnswer):
            schemas.setdefault(model.__name__, model.model_json_schema())
        return document

    app.openapi = openapi  # type: ignore[method-assign]
