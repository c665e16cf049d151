"""The columns of the files, in English and Chinese, and the words that cells may hold."""

from dataclasses import dataclass

from domain.catalogue.accounts import SYNONYMS
from domain.catalogue.language import LANGUAGES, Language
from domain.texts import text


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one kind of file: all of them in order, and those that must be there."""

    names: tuple[str, ...]
    required: tuple[str, ...]


ROOMS = Columns(
    ("account", "building", "room", "floor", "kind", "tariff", "credit_limit", "area_m2", "note",
     "opening_balance"),
    ("building", "room", "kind", "tariff"),
)  # fmt: skip
PEOPLE = Columns(
    ("person", "name", "phone", "email", "language", "account", "building", "room", "since",
     "until"),
    ("person",),
)  # fmt: skip


def head_of(column: str, language: Language) -> str:
    """Return a column's head in a language; in English it is the column's own name."""
    return text(f"accounts.column.{column}", language)


def column_of(head: str, columns: Columns) -> str | None:
    """Return the column that a head names, in any language or by a usual synonym, or None."""
    plain = "_".join(head.strip().lower().split())
    for column in columns.names:
        known = {head_of(column, language).lower() for language in LANGUAGES}
        if plain in known or plain in SYNONYMS.get(column, ()):
            return column
    return None
