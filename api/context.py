"""How an endpoint gets at what it needs."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from api.deps import ApiDeps
from api.identity.rates import Rates
from api.orders import Orders
from api.readiness import Readiness
from domain.errors import UnknownSubject
from domain.site import Meter, Site


@dataclass(frozen=True, slots=True)
class Context:
    """What one application holds: the station's side, and its own."""

    deps: ApiDeps
    orders: Orders
    readiness: Readiness
    registry: CollectorRegistry
    rates: Rates


# Coroutines, although they await nothing: FastAPI would give plain functions a thread each.
async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


async def _deps(request: Request) -> ApiDeps:
    return (await _context(request)).deps


Ctx = Annotated[Context, Depends(_context)]
Deps = Annotated[ApiDeps, Depends(_deps)]


def known_meter(site: Site, name: str) -> Meter:
    """Return a meter of the roster. Raises UnknownSubject."""
    meter = site.meter(name)
    if meter is None:
        raise UnknownSubject(f"no meter {name!r} in the roster")
    return meter


def known_or_found(site: Site, name: str | None, found: int) -> None:
    """Refuse a meter that is neither in the roster nor, as a former one, in what was found.

    Raises UnknownSubject: an empty list would say that all is well with a misspelt meter.
    """
    if name is not None and not found:
        known_meter(site, name)
