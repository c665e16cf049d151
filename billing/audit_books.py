"""Checks of the books by themselves: the chain, the sums, the balances, the floors. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from billing.audit import AuditCheck, AuditSource, BookedEntry
from domain.book_chain import FIRST_HASH, chain_hash, content_of
from domain.books import EntryKind
from domain.faults import Fault

# What is booked whatever the balance: energy that was used, corrections, what was taken back.
_MAY_GO_BELOW = frozenset(
    (
        EntryKind.CHARGE,
        EntryKind.FEE,
        EntryKind.FREE_USE,
        EntryKind.FREE_EXPIRY,
        EntryKind.FREE_GRANT,
        EntryKind.ADJUSTMENT,
        EntryKind.REVERSAL,
        EntryKind.OPENING,
    )
)


class ChainCheck:
    """Each entry's hash holds its content and the hash before it; no number is missing."""

    name = "chain"

    def __init__(self) -> None:
        self._number, self._hash = 0, FIRST_HASH

    def look(self, entry: BookedEntry) -> Iterator[Fault]:
        """Compare an entry's hash with its content."""
        texts = (entry.id, entry.kind, entry.actor, entry.description, entry.reference)
        content = content_of(
            texts, [(leg.account, leg.amount) for leg in entry.legs], entry.details
        )
        missing = entry.number - self._number - 1
        if missing:
            told = str(self._number + 1) + (f" to {entry.number - 1}" if missing > 1 else "")
            yield Fault(f"entry {told}", "is missing: the books were cut", entry.id)
        elif entry.hash != chain_hash(
            self._hash, entry.number, entry.booked_at, entry.time, content
        ):
            message = "its hash does not fit its content and the entry before: it was changed"
            yield Fault(str(entry), message, entry.id)
        self._number, self._hash = entry.number, entry.hash

    def finish(self, source: AuditSource) -> Iterator[Fault]:
        """Compare the newest entry with what the head says."""
        number, last_hash = source.head()
        if number > self._number:
            yield Fault(
                f"entry {self._number + 1} to {number}",
                "are missing at the end: the books were cut",
            )
        elif (number, last_hash) != (self._number, self._hash):
            message = f"names entry {number}, but the newest is {self._number} or its hash differs"
            yield Fault("book_head", message)


class SumCheck:
    """Each entry has two legs or more that sum to zero in each unit; no leg stands alone."""

    name = "sums"

    def look(self, entry: BookedEntry) -> Iterator[Fault]:
        """Add up an entry."""
        if len(entry.legs) < 2:
            yield Fault(str(entry), f"has {len(entry.legs)} legs, not two or more", entry.id)
        sums: dict[str, int] = {}
        for leg in entry.legs:
            sums[leg.unit] = sums.get(leg.unit, 0) + leg.amount
        for unit, total in sums.items():
            if total:
                yield Fault(str(entry), f"its legs sum to {total} in {unit}, not to 0", entry.id)

    def finish(self, source: AuditSource) -> Iterator[Fault]:
        """Name the legs that belong to no entry."""
        for leg in source.orphans():
            message = f"{leg.amount} on {leg.account} belongs to no entry"
            yield Fault(f"leg {leg.number}/{leg.place}", message, leg.account)


@dataclass(slots=True)
class _Running:
    total: int = 0
    stated: int = 0
    unit: str = ""


class BalanceCheck:
    """The balance each leg states, and each account's kept balance, are what the legs sum to."""

    name = "balances"

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    def look(self, entry: BookedEntry) -> Iterator[Fault]:
        """Carry the balances on."""
        for leg in entry.legs:
            running = self._running.setdefault(leg.account, _Running(unit=leg.unit))
            running.total += leg.amount
            expected = running.stated + leg.amount
            if leg.balance != expected:
                message = f"states a balance of {leg.balance}, the legs up to it say {expected}"
                yield Fault(f"{entry}, leg {leg.place}", message, leg.account)
            if leg.unit != running.unit:
                message = f"counts {leg.unit}, the account counts {running.unit}"
                yield Fault(f"{entry}, leg {leg.place}", message, leg.account)
            # Onward from what it states, so that only the wrong row is named.
            running.stated = leg.balance

    def finish(self, source: AuditSource) -> Iterator[Fault]:
        """Compare the kept balances."""
        accounts = source.accounts()
        for name, (account, balance) in sorted(accounts.items()):
            running = self._running.get(name, _Running(unit=account.unit))
            if balance != running.total:
                message = f"its balance is kept as {balance}, its legs sum to {running.total}"
                yield Fault(f"book_account {name}", message, name)
            if account.unit != running.unit:
                message = f"counts {account.unit}, its legs count {running.unit}"
                yield Fault(f"book_account {name}", message, name)
            if account.closed and running.total:
                yield Fault(f"book_account {name}", f"is closed and holds {running.total}", name)
        for name in sorted(self._running.keys() - accounts.keys()):
            yield Fault(f"book_account {name}", "has legs but is not there", name)


class FloorCheck:
    """No account lies below its floor but by use, a fee or a correction."""

    name = "floors"

    def __init__(self) -> None:
        self._lowered_by: dict[str, BookedEntry] = {}

    def look(self, entry: BookedEntry) -> Iterable[Fault]:
        """Note who lowered an account last."""
        for leg in entry.legs:
            if leg.amount < 0:
                self._lowered_by[leg.account] = entry
        return ()

    def finish(self, source: AuditSource) -> Iterator[Fault]:
        """Compare balances with floors."""
        for name, (account, balance) in sorted(source.accounts().items()):
            if account.floor is None or balance >= account.floor:
                continue
            by = self._lowered_by.get(name)
            if by is not None and by.kind in _MAY_GO_BELOW:
                continue
            message = f"{name} lies at {balance}, below its floor of {account.floor}"
            yield Fault(str(by) if by else f"book_account {name}", message, name)


def book_checks() -> list[AuditCheck]:
    """Return the checks that every ledger passes."""
    return [ChainCheck(), SumCheck(), BalanceCheck(), FloorCheck()]
