"""Reading what providers send: JSON objects with the fields that are needed, amounts, times."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from domain.money import AMOUNT_MOST_MINOR, MINOR_PER_UNIT

# What is told may be wrong, but it must go into a database.
MINOR_MOST = AMOUNT_MOST_MINOR * 1_000
WORDS_MOST = 200
FIELDS_MOST = 100
BEIJING = ZoneInfo("Asia/Shanghai")


class Unreadable(ValueError):
    """Something that a provider sent is not what its rules say."""


def json_object(body: bytes | str) -> dict[str, Any]:
    """Read a JSON object. Raises Unreadable."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON") from error
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def form_fields(body: bytes) -> dict[str, str]:
    """Read a form whose every field stands once. Raises Unreadable."""
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MOST
        )
    except ValueError as error:
        raise Unreadable("no form") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable("a field stands twice")
    return fields


def text_of(fields: Mapping[str, Any], name: str) -> str:
    """Return a text that must be there. Raises Unreadable."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 256:
        raise Unreadable(f"{name} is missing or no text")
    return value


def words_of(*values: object) -> str:
    """Return what a provider says in words, in one short line."""
    line = " ".join(str(value) for value in values if value not in (None, ""))
    return "".join(letter for letter in line if letter.isprintable())[:WORDS_MOST]


def minor_of(fields: Mapping[str, Any], name: str) -> int:
    """Return a whole amount in fen. Raises Unreadable."""
    value = fields.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MINOR_MOST:
        raise Unreadable(f"{name} is missing or no whole number")
    return value


def yuan_of(fields: Mapping[str, Any], name: str) -> int:
    """Return an amount written in yuan, such as "12.34", in fen. Raises Unreadable."""
    return yuan_minor(str(fields.get(name, "")), name)


def yuan_minor(text: str, name: str = "amount") -> int:
    """Return an amount written in yuan in fen. Raises Unreadable."""
    try:
        minor = Decimal(text) * MINOR_PER_UNIT
    except InvalidOperation as error:
        raise Unreadable(f"{name} is missing or no amount") from error
    if not minor.is_finite() or minor != minor.to_integral_value() or minor < 0:
        raise Unreadable(f"{name} is no amount in yuan and fen")
    if minor > MINOR_MOST:
        raise Unreadable(f"{name} is too large")
    return int(minor)


def time_of(fields: Mapping[str, Any], name: str) -> datetime | None:
    """Return an ISO time with its offset, None where there is none. Raises Unreadable."""
    value = fields.get(name)
    if value in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise Unreadable(f"{name} is no time") from error
    if moment.tzinfo is None:
        raise Unreadable(f"{name} has no offset from UTC")
    return moment.astimezone(UTC)


def beijing_time(value: str, pattern: str = "%Y-%m-%d %H:%M:%S") -> datetime:
    """Read a time as the providers write it, without a zone: Beijing's. Raises Unreadable."""
    try:
        return datetime.strptime(value, pattern).replace(tzinfo=BEIJING).astimezone(UTC)
    except ValueError as error:
        raise Unreadable(f"no time as in 2026-05-01 12:00:00 (given: {value[:40]!r})") from error
