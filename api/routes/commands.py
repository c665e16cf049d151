"""For operators: orders to relays, with receipts."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response, status

from api.access import Who, acting, needs
from api.answers import CommandAnswer, CommandList
from api.context import Ctx, Deps, known_or_found
from api.deps import CommandRequest
from api.params import CommandBody, CommandId, CommandQuery
from domain.errors import UnknownSubject
from domain.identity import Role

router = APIRouter(tags=["commands"])
READERS = [Depends(needs(Role.OPERATOR, Role.FACILITIES))]

Key = Annotated[
    CommandId, Header(alias="Idempotency-Key", description="your own id; the command's id")
]


@router.post(
    "/commands",
    summary="Order a relay, and wait for the proof",
    responses={202: {"model": CommandAnswer, "description": "Still on its way: ask by its id"}},
    dependencies=[Depends(needs(Role.OPERATOR))],
)
async def post_command(
    body: CommandBody, key: Key, context: Ctx, response: Response, who: Who
) -> CommandAnswer:
    """Carry out trip, close, keep-power or release once; the same key gives the same answer."""
    person = acting(who, body.requested_by, "body.requested_by")
    request = CommandRequest(key, body.meter, body.action, body.reason, person)
    outcome = await context.orders.carry(request)
    response.headers["Location"] = f"/api/v1/commands/{key}"
    if outcome is None or outcome[1] is None:
        response.status_code = status.HTTP_202_ACCEPTED
    return CommandAnswer.of(*outcome) if outcome else CommandAnswer.pending(request)


@router.get("/commands", summary="Commands with their receipts", dependencies=READERS)
def list_commands(query: Annotated[CommandQuery, Query()], deps: Deps) -> CommandList:
    """Give commands, newest first, those of the rules too."""
    found = deps.ledger.commands(meter=query.meter, since=query.since, limit=query.limit)
    known_or_found(deps.site(), query.meter, len(found))
    return CommandList(count=len(found), commands=[CommandAnswer.of(*pair) for pair in found])


@router.get("/commands/{command_id}", summary="One command with its receipt", dependencies=READERS)
def get_command(command_id: str, context: Ctx) -> CommandAnswer:
    """Give one command; its receipt is null while it is on its way."""
    pending = context.orders.pending(command_id)
    found = context.deps.ledger.command(command_id)
    if found is not None:
        return CommandAnswer.of(*found)
    if pending is None:
        raise UnknownSubject(f"no command {command_id!r}")
    return CommandAnswer.pending(pending)
