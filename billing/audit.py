"""The audit: what it reads, what a check is, and the round that runs them all. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from domain.books import BookAccount
from domain.faults import Fault

# More than a person reads; the rest is the same damage again.
FAULTS_A_CHECK_MOST = 1_000


@dataclass(frozen=True, slots=True)
class BookedLeg:
    """A leg as it stands in the books, right or wrong."""

    number: int
    place: int
    account: str
    unit: str
    amount: int
    balance: int


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """An entry as it stands in the books, right or wrong, with its legs by their places.

    Times are as `moment_text` writes them, `details` the JSON text that was hashed.
    """

    number: int
    id: str
    time: str
    booked_at: str
    kind: str
    actor: str
    description: str
    reference: str
    details: str
    hash: str
    legs: tuple[BookedLeg, ...]

    def __str__(self) -> str:
        return f"entry {self.number}"


class AuditSource(Protocol):
    """What an audit reads, all of one moment. Raises StoreUnavailable.

    `entries` come in the order of their numbers; `orphans` are legs without an entry. `rows` gives
    another part's table as plain mappings, in the order of its key; it gives none where this
    ledger has no such table.
    """

    def head(self) -> tuple[int, str]: ...

    def accounts(self) -> Mapping[str, tuple[BookAccount, int]]: ...

    def entries(self) -> Iterator[BookedEntry]: ...

    def orphans(self) -> Sequence[BookedLeg]: ...

    def rows(self, table: str) -> Iterator[Mapping[str, Any]]: ...


class AuditCheck(Protocol):
    """One thing an audit looks at. `look` is called with each entry, in order; `finish` once
    after them, with the source for whatever else it compares. Faults name the row."""

    name: str

    def look(self, entry: BookedEntry) -> Iterable[Fault]: ...

    def finish(self, source: AuditSource) -> Iterable[Fault]: ...


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What an audit read and found; `faults` by the name of the check, empty lists included."""

    entries: int
    accounts: int
    head: str
    faults: Mapping[str, Sequence[Fault]]

    @property
    def count(self) -> int:
        """Return how many faults were found."""
        return sum(map(len, self.faults.values()))


def audit(source: AuditSource, checks: Sequence[AuditCheck]) -> AuditResult:
    """Run all checks in one pass over the entries. Raises StoreUnavailable."""
    found: dict[str, list[Fault]] = {check.name: [] for check in checks}
    entries = 0
    for entry in source.entries():
        entries += 1
        for check in checks:
            _keep(found[check.name], check.look(entry))
    for check in checks:
        _keep(found[check.name], check.finish(source))
    return AuditResult(entries, len(source.accounts()), source.head()[1], found)


def _keep(kept: list[Fault], faults: Iterable[Fault]) -> None:
    room = FAULTS_A_CHECK_MOST - len(kept)
    if room > 0:
        kept.extend(islice(faults, room))
