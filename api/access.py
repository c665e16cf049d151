"""What a request may do: the principal behind it, the roles a route asks for, rooms as objects."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path, Request

from api.context import Ctx
from api.deps import ApiDeps
from billing.model import Account
from domain.errors import Forbidden, InvalidInput, UnknownSubject
from domain.faults import Fault
from domain.identity import Principal, Role
from domain.site import Meter


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
            raise Forbidden(f"this needs the role {' or '.join(roles) or Role.ADMIN}")
        return who

    return check


def room_for(*roles: Role) -> Callable[..., Awaitable[Account]]:
    """Make a dependency that returns the account `account_id` of the path.

    Holders of one of the roles may name any; an occupant only a room he occupies today. To him
    another's room looks exactly like one that does not exist.
    """

    async def find(account_id: AccountId, who: Who, ctx: Ctx) -> Account:
        return room_of(ctx.deps, who, account_id, *roles)

    return find


def room_of(deps: ApiDeps, who: Principal, account_id: str, *roles: Role) -> Account:
    """Return an account that somebody may see. Raises UnknownSubject where there is none."""
    directory = deps.directory()
    account = directory.account(account_id)
    if account is not None and (who.may(*roles) or occupies(deps, who, account_id)):
        return account
    raise UnknownSubject(f"no room {account_id!r} that you may see")


def occupies(deps: ApiDeps, who: Principal, account_id: str) -> bool:
    """Say whether somebody lives in a room today."""
    if who.person is None:
        return False
    occupants = deps.directory().occupants(account_id, deps.today())
    return any(person.id == who.person for person in occupants)


def meter_for(*roles: Role) -> Callable[..., Awaitable[Meter]]:
    """Make a dependency that returns the meter `meter` of the path.

    Holders of one of the roles may name any; an occupant only one that counts for his room today.
    """

    async def find(meter: str, who: Who, ctx: Ctx) -> Meter:
        deps = ctx.deps
        known = deps.site().meter(meter)
        if known is not None and who.may(*roles):
            return known
        if known is not None and who.person is not None and deps.billing is not None:
            account = deps.directory().account_of_meter(meter)
            if account is not None and occupies(deps, who, account.id):
                return known
        raise UnknownSubject(f"no meter {meter!r} in the roster")

    return find


def acting(who: Principal, named: str | None, where: str) -> str:
    """Return under which name an act is recorded: the user's own.

    Only the station's token, which is nobody's own, names a person. Raises Forbidden.
    """
    if who.is_station:
        if not named:
            raise InvalidInput([Fault(where, "is required")])
        return named
    if named and named != who.user:
        raise Forbidden(f"this is recorded as done by {who.user}, not by {named}; leave it out")
    return who.user
