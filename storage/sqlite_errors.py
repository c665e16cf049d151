"""What SQLite's errors say: about the store (try again later), the file (damaged) or our code."""

import sqlite3
from enum import StrEnum


class Trouble(StrEnum):
    """Whom an SQLite error is about."""

    OUTAGE = "outage"
    DAMAGE = "damage"
    BUG = "bug"


# Primary result codes; the extended ones carry these in their low byte.
_OUTAGES = {3, 5, 6, 7, 8, 10, 13, 14, 15, 22}  # PERM BUSY LOCKED NOMEM READONLY IOERR FULL ...
_DAMAGES = {11, 26}  # CORRUPT NOTADB
_LOST_SCHEMA = ("no such table", "no such column", "no such index")


def trouble_of(error: BaseException) -> Trouble:
    """Tell outage, damage and bug apart."""
    if not isinstance(error, sqlite3.Error):
        return Trouble.BUG
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    text = str(error)
    if code in _DAMAGES or text.startswith(_LOST_SCHEMA) or "malformed" in text:
        return Trouble.DAMAGE
    if code in _OUTAGES:
        return Trouble.OUTAGE
    return Trouble.BUG


def in_words(error: BaseException) -> str:
    """Put an outage into words that say what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    advice = {
        13: "the disk is full: make room",
        5: "another process holds the file: close it",
        6: "another process holds the file: close it",
        8: "the file or its folder may not be written: check its permissions",
        14: "the file can't be opened: check the folder and its permissions",
        10: "the disk answers with errors: check it",
    }.get(code)
    return f"{error} ({advice})" if advice else str(error)
