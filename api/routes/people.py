"""For the office: people, and where they live."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.access import AccountId, Who, needs
from api.account_answers import DoneAnswer, PersonAnswer, PersonList, StayAnswer, StayList
from api.account_params import (
    Key,
    LeaveBody,
    NewPersonBody,
    PersonBody,
    PersonQuery,
    StayBody,
)
from api.context import Deps
from api.deps import ApiDeps
from api.params import Words
from api.routes.accounts import OFFICE, service_of
from billing.model import Person
from domain.errors import UnknownSubject
from domain.identity import Role

router = APIRouter(tags=["people"])

PersonPath = Annotated[str, Path(description="student or staff number", max_length=40)]
READS = [Depends(needs(*OFFICE))]
WRITES = [Depends(needs(Role.OPERATOR))]


@router.get("/people", summary="People", dependencies=READS)
def list_people(query: Annotated[PersonQuery, Query()], deps: Deps) -> PersonList:
    """Give people by number, with where they live and lived."""
    directory = deps.directory()
    if query.account is not None:
        found = directory.occupants(query.account, deps.today())
    else:
        found = directory.people()
    fitting = [one for one in found if query.name is None or query.name in one.name]
    shown = fitting[query.offset : query.offset + query.limit]
    return PersonList(count=len(fitting), people=[_told(one, deps) for one in shown])


@router.post("/people", summary="Add a person", dependencies=WRITES)
def post_person(body: NewPersonBody, key: Key, who: Who, deps: Deps) -> DoneAnswer:
    """Add a person; phone and e-mail are brought into one form."""
    return DoneAnswer.of(service_of(deps).add_person(key, Person(**body.model_dump()), who.user))


@router.get("/people/{person_id}", summary="One person", dependencies=READS)
def get_person(person_id: PersonPath, deps: Deps) -> PersonAnswer:
    """Give a person with every stay."""
    person = deps.directory().person(person_id)
    if person is None:
        raise UnknownSubject(f"no person {person_id!r}")
    return _told(person, deps)


@router.put("/people/{person_id}", summary="Change a person", dependencies=WRITES)
def put_person(
    person_id: PersonPath, body: PersonBody, key: Key, who: Who, deps: Deps
) -> DoneAnswer:
    """Replace name, phone, e-mail and language."""
    person = Person(person_id, **body.model_dump())
    return DoneAnswer.of(service_of(deps).change_person(key, person, who.user))


@router.delete("/people/{person_id}", summary="Forget a person", dependencies=WRITES)
def delete_person(
    person_id: PersonPath,
    key: Key,
    who: Who,
    deps: Deps,
    reason: Annotated[Words, Query(description="why, for the audit trail")],
) -> DoneAnswer:
    """Remove somebody who never lived anywhere; blank what is known of somebody who did."""
    return DoneAnswer.of(service_of(deps).remove_person(key, person_id, who.user, reason))


@router.get("/rooms/{account_id}/occupants", summary="Who lives and lived there",
            dependencies=READS)  # fmt: skip
def list_occupants(account_id: AccountId, deps: Deps) -> StayList:
    """Give the stays of a room, by their first day."""
    directory = deps.directory()
    if directory.account(account_id) is None:
        raise UnknownSubject(f"no account {account_id!r}")
    stays = [StayAnswer.of(one) for one in directory.occupancies(account_id=account_id)]
    return StayList(count=len(stays), occupancies=stays)


@router.post("/rooms/{account_id}/occupants", summary="Move somebody in", dependencies=WRITES)
def post_occupant(
    account_id: AccountId, body: StayBody, key: Key, who: Who, deps: Deps
) -> DoneAnswer:
    """Have a person occupy a room from a day on."""
    done = service_of(deps).move_in(key, body.person, account_id, body.since, who.user, body.until)
    return DoneAnswer.of(done)


@router.post(
    "/rooms/{account_id}/occupants/{person_id}/leave",
    summary="Move somebody out",
    dependencies=WRITES,
)
def post_leave(
    account_id: AccountId, person_id: PersonPath, body: LeaveBody, key: Key, who: Who, deps: Deps
) -> DoneAnswer:
    """End a stay; the balance stays with the room."""
    done = service_of(deps).move_out(key, person_id, account_id, body.until, who.user)
    return DoneAnswer.of(done)


def _told(person: Person, deps: ApiDeps) -> PersonAnswer:
    stays = deps.directory().occupancies(person_id=person.id)
    return PersonAnswer.of(person, list(stays))
