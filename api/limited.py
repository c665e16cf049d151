"""A limit on how often a route may be asked, by user and by address, for any route to use."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from api.access import Who
from api.context import Ctx
from api.identity.asker import Asker
from api.identity.rates import Limit


def limited(name: str, *, user: str = "", address: str = "") -> Callable[..., Awaitable[None]]:
    """Make a dependency that answers 429 beyond its windows, `5 per 1 minute; 20 per 1 hour`.

    `user` counts what one signed-in user asks for, `address` what comes from one address. They
    count apart, so nobody can use up another user's share. The station's token is not limited.
    """
    by_user = Limit.of(name, user) if user else None
    by_address = Limit.of(name, address) if address else None

    async def check(request: Request, who: Who, ctx: Ctx) -> None:
        if who.is_station:
            return
        asker: Asker = request.scope["asker"]
        tries: list[tuple[Limit, tuple[str, ...]]] = []
        if by_user is not None and who.user:
            tries.append((by_user, ("user", who.user)))
        if by_address is not None:
            tries.append((by_address, ("address", asker.neighbourhood)))
        ctx.rates.take_all(tries)

    return check
