"""What an entry of the books says, as text, and the hash that chains it to the one before.

Both are pure, so that the books, an audit and an outsider's script come to the same hash.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
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


def checked_content(entry: Entry) -> tuple[bytes, str]:
    """Return an entry's content as bytes and its details alone as JSON.

    The content leaves the time out: a caller that tries again may stamp anew, and the first time
    stands. Raises InvalidInput with everything that is wrong with the entry by itself.
    """
    faults = entry_faults(entry)
    if faults:
        raise InvalidInput(faults)
    try:
        details = details_text(entry.details)
        content = content_bytes(entry, details)
    except (TypeError, ValueError) as error:
        message = f"can't be written as JSON: {error}"
        raise InvalidInput([Fault(f"entry {entry.id!r}", message)]) from error
    if b"\\u0000" in content:
        raise InvalidInput([Fault(f"entry {entry.id!r}", "must not contain the character NUL")])
    if len(details) > DETAILS_MOST:
        message = f"details must be at most {DETAILS_MOST} characters (given: {len(details)})"
        raise InvalidInput([Fault(f"entry {entry.id!r}", message)])
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
    total, named = 0, set()
    for leg in legs:
        amount = leg.amount
        named.add(leg.account)
        if type(amount) is int and 0 != amount <= AMOUNT_MOST and amount >= -AMOUNT_MOST:
            total += amount
        else:
            message = f"an amount must be a whole number, not 0, at most {AMOUNT_MOST}"
            faults.append(Fault(source, f"{message} (given: {amount!r})", leg.account))
    if len(named) != len(legs):
        faults.append(Fault(source, "names an account twice"))
    if total and not faults:
        faults.append(Fault(source, f"its legs must sum to zero (they sum to {total})"))
    if max(map(len, (entry.id, entry.actor, entry.description, entry.reference))) > TEXT_MOST:
        faults.append(Fault(source, f"its texts must be at most {TEXT_MOST} characters"))
    return faults


def content_bytes(entry: Entry, details: str) -> bytes:
    """Return all of an entry but its time, see `content_of`; `details` is its details_text."""
    return content_of(
        (entry.id, entry.kind, entry.actor, entry.description, entry.reference),
        [(leg.account, leg.amount) for leg in entry.legs],
        details,
    )


def content_of(texts: Sequence[str], legs: Iterable[tuple[str, int]], details: str) -> bytes:
    """Return an entry's content: a line for each of id, kind, actor, description, reference and
    leg, then its details. Texts are JSON strings, so that lines can't be forged."""
    lines = [_quote(text) for text in texts]
    lines += [f"{_quote(account)} {amount}" for account, amount in legs]
    return "\n".join([*lines, details]).encode()


def details_text(details: Any) -> str:
    """Return an entry's particulars as JSON, keys in the order given; Decimals become text."""
    return _encode(details if type(details) is dict else dict(details))


def chain_hash(previous: str, number: int, booked_at: str, time: str, content: bytes) -> str:
    """Return the SHA-256 (hexadecimal) that chains an entry to the one before it.

    Hashed are four lines and the content; both times are `moment_text`.
    """
    head = f"{previous}\n{number}\n{booked_at}\n{time}\n".encode()
    return hashlib.sha256(head + content).hexdigest()


def moment_text(time: datetime) -> str:
    """Return a time as the chain writes it: UTC, to the microsecond."""
    moment = time if time.tzinfo is UTC else time.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")


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
_quote = json.encoder.encode_basestring
