"""Who asks: roles, and the principal that every request is judged by."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do. A person may hold several; admin holds all."""

    STUDENT = "student"
    OPERATOR = "operator"
    FINANCE = "finance"
    FACILITIES = "facilities"
    ANALYST = "analyst"
    ADMIN = "admin"


# Whoever holds the station's own token; no user can have this name.
STATION_USER = "station"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has proved who he is: a user's name, his roles, and, of a student or another
    occupant, the person he is in the directory. `session` is the sign-in it rests on."""

    user: str
    roles: frozenset[Role]
    person: str | None = None
    session: str | None = None

    @property
    def is_station(self) -> bool:
        """Whether this is the station's own token and no user."""
        return self.user == STATION_USER

    def may(self, *roles: Role) -> bool:
        """Say whether it holds one of the roles; admin holds all."""
        return Role.ADMIN in self.roles or not self.roles.isdisjoint(roles)
