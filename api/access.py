"""What a request may do: the principal behind it, the roles a route asks for, rooms as objects."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path, Request

from api.context import Ctx
from billing.model import Account
from domain.errors import Forbidden, UnknownSubject
from domain.identity import Principal, Role


async def principal(request: Request) -> Principal:
    """Return who asks, as the guard in front of the application found out."""
    found: Principal = request.scope["principal"]
    return found


Who = Annotated[Principal, Depends(principal)]
AccountId = Annotated[str, Path(description="the room's or shop's account", max_length=64)]


def needs(*roles: Role) -> Callable[[Principal], Awaitable[Principal]]:
    """Make a dependency that lets one of the roles (or admin) through; 403 for anybody else."""

    async def check(who: Who) -> Principal:
        if not who.may(*roles):
            raise Forbidden(f"this needs the role {' or '.join(roles)}")
        return who

    return check


def room_for(*roles: Role) -> Callable[..., Awaitable[Account]]:
    """Make a dependency that returns the account `account_id` of the path.

    Holders of one of the roles may name any; an occupant only a room he occupies today. To him
    another's room looks exactly like one that does not exist.
    """

    async def find(account_id: AccountId, who: Who, ctx: Ctx) -> Account:
        directory = ctx.deps.directory()
        account = directory.account(account_id)
        if account is not None and who.may(*roles):
            return account
        if account is not None and who.person is not None:
            today = ctx.deps.today()
            if any(person.id == who.person for person in directory.occupants(account.id, today)):
                return account
        raise UnknownSubject(f"no room {account_id!r} that you may see")

    return find
