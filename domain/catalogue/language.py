"""The languages of the catalogue."""

from typing import Literal

Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = ("en", "zh-CN")
Texts = dict[str, dict[Language, str]]


def joined(*parts: Texts) -> Texts:
    """Put the parts together. Raises ValueError for a key that two of them define."""
    table: Texts = {}
    for part in parts:
        twice = sorted(table.keys() & part.keys())
        if twice:
            raise ValueError(f"texts defined twice: {', '.join(twice)}")
        table |= part
    return table
