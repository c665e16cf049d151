"""What an entry of the books says, as text, and the hash that chains it to the one before.

Both are pure, so that the books, an audit and an outsider's script come to the same hash.
"""

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from domain.books import Entry
from domain.errors import InvalidInput
from domain.faults import Fault

# What the first entry is chained to.
FIRST_HASH = "0" * 64
TEXT_MOST = 2_000
DETAILS_MOST = 200_000
LEGS_MOST = 1_000
AMOUNT_MOST = 10**15


def checked_content(entry: Entry) -> tuple[str, str]:
    """Return an entry's content as text and its details alone as JSON.

    The content leaves the time out: a caller that tries again may stamp anew, and the first time
    stands. Raises InvalidInput with everything that is wrong with the entry by itself.
    """
    faults = entry_faults(entry)
    if faults:
        raise InvalidInput(faults)
    source = f"entry {entry.id}"
    try:
        details = details_text(entry.details)
        content = content_text(entry, details)
        content.encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput([Fault(source, f"can't be written as JSON: {error}")]) from error
    if "\\u0000" in content:
        raise InvalidInput([Fault(source, "must not contain the character NUL")])
    if len(details) > DETAILS_MOST:
        message = f"details must be at most {DETAILS_MOST} characters (given: {len(details)})"
        raise InvalidInput([Fault(source, message)])
    return content, details


def entry_faults(entry: Entry) -> list[Fault]:
    """Say what is wrong with an entry whatever the books hold: its legs, its time, its texts."""
    faults: list[Fault] = []
    source = f"entry {entry.id!r}"
    legs = entry.legs
    if not entry.id:
        faults.append(Fault(source, "must have an id"))
    if entry.time.tzinfo is None:
        faults.append(Fault(source, "its time must carry a zone"))
    if not 2 <= len(legs) <= LEGS_MOST:
        faults.append(Fault(source, f"must have 2 to {LEGS_MOST} legs (given: {len(legs)})"))
    if len({leg.account for leg in legs}) != len(legs):
        faults.append(Fault(source, "names an account twice"))
    whole = True
    for leg in legs:
        if type(leg.amount) is not int or not 0 < abs(leg.amount) <= AMOUNT_MOST:
            whole = False
            message = f"an amount must be a whole number, not 0, at most {AMOUNT_MOST}"
            faults.append(Fault(source, f"{message} (given: {leg.amount!r})", leg.account))
    if whole and sum(leg.amount for leg in legs) != 0:
        faults.append(Fault(source, "its legs must sum to zero"))
    longest = max(len(entry.id), len(entry.actor), len(entry.description), len(entry.reference))
    if longest > TEXT_MOST:
        faults.append(Fault(source, f"its texts must be at most {TEXT_MOST} characters"))
    return faults


def content_text(entry: Entry, details: str) -> str:
    """Return all of an entry but its time, as one text; `details` is its details_text."""
    legs = [(leg.account, leg.amount) for leg in entry.legs]
    head = _encode(
        (entry.id, entry.kind.value, legs, entry.actor, entry.description, entry.reference)
    )
    return f"{head}\n{details}"


def details_text(details: Any) -> str:
    """Return an entry's particulars as JSON, keys in the order given; Decimals become text."""
    return _encode(details if type(details) is dict else dict(details))


def chain_hash(
    previous: str, number: int, booked_at: datetime, time: datetime, content: str
) -> str:
    """Return the SHA-256 (hexadecimal) that chains an entry to the one before it."""
    line = f"{previous}\n{number}\n{_moment(booked_at)}\n{_moment(time)}\n{content}"
    return hashlib.sha256(line.encode()).hexdigest()


def same_movement(one: Entry, other: Entry) -> bool:
    """Say whether two entries move the same for the same reasons; their times may differ."""
    return (
        one.id == other.id
        and one.kind == other.kind
        and {leg.account: leg.amount for leg in one.legs}
        == {leg.account: leg.amount for leg in other.legs}
        and (one.actor, one.description, one.reference)
        == (other.actor, other.description, other.reference)
        and json.loads(details_text(one.details)) == json.loads(details_text(other.details))
    )


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()


def _plain(value: Any) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} can't be kept in the books: {value!r}")


# Made once: the module's own `dumps` makes an encoder a call.
_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain
).encode
