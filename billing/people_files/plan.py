"""What applying a file would do, in the order it would be done, and a digest of exactly that."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from billing.accounts.desk import canonical
from billing.accounts.new_account import NewAccount
from billing.model import Account, Occupancy, Person


class FileKind(StrEnum):
    """What a file is about."""

    ROOMS = "rooms"
    PEOPLE = "people"


class ItemKind(StrEnum):
    """What would become of a row."""

    ADDED = "added"
    CHANGED = "changed"
    MOVED_IN = "moved-in"
    MOVED_OUT = "moved-out"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class OpenRoom:
    """An account to be opened."""

    new: NewAccount


@dataclass(frozen=True, slots=True)
class ChangeRoom:
    """An account's terms to be changed; it must still be as it was when this was planned."""

    before: Account
    after: Account


@dataclass(frozen=True, slots=True)
class SavePerson:
    """A person to be added (`before` None) or changed."""

    before: Person | None
    after: Person


@dataclass(frozen=True, slots=True)
class SaveStay:
    """A stay to be added (`before` None) or given another end."""

    before: Occupancy | None
    after: Occupancy


Step = OpenRoom | ChangeRoom | SavePerson | SaveStay


@dataclass(frozen=True, slots=True)
class Item:
    """One line of what would change: the row, whom it is about, fields with before and after."""

    kind: ItemKind
    row: int
    subject: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """A file as it would be applied. `items` leaves the unchanged out; `counts` has all kinds."""

    kind: FileKind
    file: str
    steps: tuple[Step, ...]
    items: tuple[Item, ...]
    counts: Mapping[str, int]

    @property
    def digest(self) -> str:
        """Name exactly what would be done: another file or another state give another digest."""
        steps = [[type(step).__name__, asdict(step)] for step in self.steps]
        return hashlib.sha256(canonical([self.kind.value, steps]).encode()).hexdigest()


def plan_of(kind: FileKind, file: str, planned: Sequence[tuple[Item, Step | None]]) -> ImportPlan:
    """Put rows and their steps together."""
    counted = Counter(item.kind for item, _ in planned)
    return ImportPlan(
        kind,
        file,
        tuple(step for _, step in planned if step is not None),
        tuple(item for item, _ in planned if item.kind is not ItemKind.UNCHANGED),
        {each.value: counted[each] for each in ItemKind},
    )


def differences(before: Any, after: Any, names: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ, before and after."""
    return {
        name: (getattr(before, name), getattr(after, name))
        for name in names
        if getattr(before, name) != getattr(after, name)
    }
