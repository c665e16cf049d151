"""Checks of charging: meter registers against counted energy, and that against the books. Pure."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from billing.audit import AuditCheck, AuditSource, BookedEntry
from billing.charging_store import Review, ReviewState
from domain.books import EntryKind
from domain.faults import Fault

Row = Mapping[str, Any]
Month = tuple[str, str]
ReviewOf = Callable[[dict[str, Any]], Review]


@dataclass(slots=True)
class _Booked:
    charge_micro: int = 0
    fee_micro: int = 0
    energy_wh: int = 0
    free_wh: int = 0
    last: str = ""


class ChargeCheck:
    """What the books charge an account for a month, in money and energy, is what its bill says."""

    name = "bills"

    def __init__(self) -> None:
        self._booked: defaultdict[Month, _Booked] = defaultdict(_Booked)

    def look(self, entry: BookedEntry) -> Iterator[Fault]:
        """Add up charges, fees and free use by account and month."""
        kind, _, rest = entry.id.partition(":")
        name, _, number = rest.rpartition(":")
        account, _, month = name.rpartition(":")
        if kind != entry.kind or month != entry.reference or not number.isdigit():
            return
        amount = -entry.legs[0].amount if entry.legs else 0
        booked = self._booked[account, month]
        if kind == EntryKind.CHARGE:
            booked.charge_micro += amount
        elif kind == EntryKind.FEE:
            booked.fee_micro += amount
        elif kind == EntryKind.FREE_USE:
            booked.free_wh += amount
        else:
            return
        booked.last = str(entry)
        try:
            lines = json.loads(entry.details).get("lines", [])
            booked.energy_wh += sum(line["energy_wh"] for line in lines)
            told = sum(line["amount_micro"] for line in lines)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            yield Fault(str(entry), f"its details can't be read: {error!r}", entry.id)
            return
        if kind == EntryKind.CHARGE and told != amount:
            message = f"charges {amount} micro, its lines come to {told}"
            yield Fault(str(entry), message, entry.id)

    def finish(self, source: AuditSource) -> Iterator[Fault]:
        """Compare with the months that charging keeps."""
        seen: set[Month] = set()
        for row in source.rows("charged_month"):
            key = (row["account"], row["month"])
            seen.add(key)
            booked = self._booked[key]
            where = f"charged_month {row['account']} {row['month']}"
            pairs = (
                ("charge of energy, micro", booked.charge_micro, row["amount_micro"]),
                ("fees, micro", booked.fee_micro, sum(row["fees_micro"].values())),
                ("free energy used, Wh", booked.free_wh, row["used_wh"]),
                ("energy, Wh", booked.energy_wh, sum(one["energy_wh"] for one in row["lines"])),
            )
            for what, ours, bill in pairs:
                if ours != bill:
                    message = f"{what}: the bill says {bill}, the books {ours} ({booked.last})"
                    yield Fault(where, message, row["account"])
        for account, month in sorted(self._booked.keys() - seen):
            booked = self._booked[account, month]
            message = "is charged in the books, but there is no bill of that month"
            yield Fault(f"charged_month {account} {month}", f"{message} ({booked.last})", account)


class RegisterCheck:
    """What a register's counter moved was counted, held, or explained by a decision; what was
    counted for an account is what its months hold."""

    name = "registers"

    def __init__(self, review_of: ReviewOf) -> None:
        self._review_of = review_of

    def look(self, entry: BookedEntry) -> Iterable[Fault]:
        """Nothing here rests on single entries."""
        del entry
        return ()

    def finish(self, source: AuditSource) -> Iterator[Fault]:
        """Compare registers with spans, and accounts with months."""
        spans = {(row["meter"], row["since"]): row for row in source.rows("register_span")}
        reviews: defaultdict[tuple[Any, Any], list[Review]] = defaultdict(list)
        for row in source.rows("counter_review"):
            reviews[row["meter"], row["since"]].append(self._review_of(dict(row)))
        counted: defaultdict[str, int] = defaultdict(int)
        for row in source.rows("charged_register"):
            key = (row["meter"], row["since"])
            counted[row["account"]] += row["counted_wh"]
            yield from self._register(row, spans.get(key), reviews[key])
        billed: defaultdict[str, int] = defaultdict(int)
        for row in source.rows("charged_month"):
            billed[row["account"]] += row["energy_wh"]
        for account in sorted(counted.keys() | billed.keys()):
            if counted[account] != billed[account]:
                message = f"its registers counted {counted[account]} Wh, its months hold"
                yield Fault(f"account {account}", f"{message} {billed[account]} Wh", account)

    def _register(self, row: Row, span: Row | None, reviews: Iterable[Review]) -> Iterator[Fault]:
        where = f"charged_register {row['meter']} since {row['since'].isoformat()}"
        if span is None:
            yield Fault(where, "there is no such register_span", row["meter"])
            return
        if span["account"] != row["account"]:
            message = f"counts for {row['account']}, the register_span for {span['account']}"
            yield Fault(where, message, row["meter"])
        moved = row["last_wh"] - span["first_wh"]
        explained = held = 0
        for review in reviews:
            if review.after.ms > row["last_ms"] or review.state is ReviewState.GONE:
                continue
            if review.state is ReviewState.OPEN:
                held += review.difference_wh
            else:
                explained += review.counted_wh - review.difference_wh
        if row["counted_wh"] != moved + explained - held:
            message = (
                f"its counter moved {moved} Wh ({held} Wh of that held, {explained} Wh explained),"
                f" counted were {row['counted_wh']} Wh"
            )
            yield Fault(where, message, row["meter"])


def energy_checks(review_of: ReviewOf) -> list[AuditCheck]:
    """Return the checks of charging; `review_of` reads a row of counter_review."""
    return [ChargeCheck(), RegisterCheck(review_of)]
