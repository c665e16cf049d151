"""For admins: who may sign in, and as what."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.access import Who, needs
from api.context import Deps
from api.deps import ApiDeps
from api.identity.users import Made, plain_name
from api.params import LIST_MOST
from domain.errors import InvalidInput, UnknownSubject
from domain.faults import Fault
from domain.identity import Role
from domain.users import User

router = APIRouter(tags=["users"], dependencies=[Depends(needs())])

UserName = Annotated[str, Field(min_length=1, max_length=64)]
PersonId = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UserBody(_Strict):
    """A new user; `person` ties a student to the directory."""

    name: UserName
    roles: Annotated[frozenset[Role], Field(min_length=1)]
    person: PersonId | None = None


class ChangeBody(_Strict):
    """What to change of a user; what is left out stays."""

    roles: Annotated[frozenset[Role] | None, Field(min_length=1)] = None
    person: PersonId | None = None
    disabled: bool | None = None


class UserQuery(_Strict):
    """Which users."""

    role: Role | None = None
    person: PersonId | None = None
    limit: Annotated[int, Field(ge=1, le=LIST_MOST)] = 1_000
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0


class UserAnswer(BaseModel):
    """A user, without anything that is secret."""

    name: str
    roles: list[Role]
    person: str | None
    disabled: bool
    has_password: bool
    created_at: datetime | None
    created_by: str
    changed_at: datetime | None

    @classmethod
    def of(cls, user: User) -> "UserAnswer":
        """Tell a user."""
        return cls(
            name=user.name,
            roles=sorted(user.roles),
            person=user.person,
            disabled=user.disabled_at is not None,
            has_password=user.password_hash is not None,
            created_at=user.created_at,
            created_by=user.created_by,
            changed_at=user.changed_at,
        )


class UserList(BaseModel):
    """Users in order of name; `count` is how many fit."""

    count: int
    users: list[UserAnswer]


class MadeAnswer(BaseModel):
    """A user and the code with which he sets his password once; the code is told this once."""

    user: UserAnswer
    code: str
    code_expires_at: datetime | None

    @classmethod
    def of(cls, made: Made) -> "MadeAnswer":
        """Tell a user and his code."""
        return cls(
            user=UserAnswer.of(made.user),
            code=made.code,
            code_expires_at=made.user.code_expires_at,
        )


@router.get("/users", summary="Users of the station")
def list_users(query: Annotated[UserQuery, Query()], deps: Deps) -> UserList:
    """Give users in order of name."""
    found = [
        user
        for user in deps.people().users.all()
        if (query.role is None or query.role in user.roles)
        and (query.person is None or query.person == user.person)
    ]
    shown = found[query.offset : query.offset + query.limit]
    return UserList(count=len(found), users=[UserAnswer.of(user) for user in shown])


@router.post("/users", summary="Add a user")
def post_user(body: UserBody, who: Who, deps: Deps) -> MadeAnswer:
    """Add a user and give the code with which he sets his password."""
    _person_is_known(deps, body.person)
    return MadeAnswer.of(deps.people().users.add(body.name, body.roles, body.person, who.user))


@router.get("/users/{name}", summary="One user")
def get_user(name: str, deps: Deps) -> UserAnswer:
    """Give one user."""
    user = deps.people().users.find(plain_name(name))
    if user is None:
        raise UnknownSubject(f"no user {name!r}")
    return UserAnswer.of(user)


@router.put("/users/{name}", summary="Change, disable or enable a user")
def put_user(name: str, body: ChangeBody, who: Who, deps: Deps) -> UserAnswer:
    """Change roles, person or state; every sign-in of the user ends."""
    _person_is_known(deps, body.person)
    users = deps.people().users
    user = users.change(
        name, who.user, roles=body.roles, person=body.person, disabled=body.disabled
    )
    if body.disabled:
        deps.people().api_tokens.end_all(user.name)
    return UserAnswer.of(user)


@router.post("/users/{name}/reset", summary="Reset a user's password")
def post_reset(name: str, who: Who, deps: Deps) -> MadeAnswer:
    """Take the password away and give a code for a new one; every sign-in and token ends."""
    identity = deps.people()
    made = identity.users.reset(name, who.user)
    identity.api_tokens.end_all(made.user.name)
    return MadeAnswer.of(made)


@router.post("/users/{name}/sign-out", summary="End every sign-in of a user")
def post_user_sign_out(name: str, deps: Deps) -> UserAnswer:
    """End every sign-in of a user, personal tokens included."""
    identity = deps.people()
    user = identity.users.sign_out(name)
    identity.api_tokens.end_all(user.name)
    return UserAnswer.of(user)


def _person_is_known(deps: ApiDeps, person: str | None) -> None:
    if person is not None and deps.billing is not None and deps.directory().person(person) is None:
        raise InvalidInput([Fault("body.person", "no such person in the directory", person)])
