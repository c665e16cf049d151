"""The catalogue of texts that people read, in English and Chinese.

A template names its numbers with a format; a number that is missing reads as "not known".
"""

from collections.abc import Mapping
from typing import Any

from domain.catalogue import accounts, identity, messages, payments, reports, station, tokens
from domain.catalogue.language import LANGUAGES, Language, Texts, joined

__all__ = ["LANGUAGES", "TEXTS", "Language", "rule_text", "text"]

# A key that two files define would silently hide one of them: the build of the table refuses it.
TEXTS: Texts = joined(
    accounts.TEXTS,
    identity.TEXTS,
    messages.TEXTS,
    payments.TEXTS,
    reports.TEXTS,
    station.TEXTS,
    tokens.TEXTS,
)


def text(key: str, language: Language = "en", **values: Any) -> str:
    """Return a text of the catalogue with its values filled in. Raises KeyError."""
    return TEXTS[key][language].format_map(_Values(values, language))


def rule_text(
    rule: str, matched: Mapping[str, Any], limits: Mapping[str, Any], language: Language = "en"
) -> str:
    """Say in words what a rule found; a rule without a template is told by its numbers."""
    values = {**limits, **matched}
    key = f"rule.{rule}"
    if key in TEXTS:
        return text(key, language, **values)
    return f"{rule}: " + ", ".join(f"{name} {value}" for name, value in values.items())


class _Value:
    """A value that may be missing: whatever format is asked for, nothing is shown as a number."""

    def __init__(self, value: Any, language: Language) -> None:
        self._value, self._language = value, language

    def __format__(self, spec: str) -> str:
        if self._value is None:
            return TEXTS["not-known"][self._language]
        if spec and not isinstance(self._value, int | float):
            return str(self._value)
        return format(self._value, spec)


class _Values(dict[str, Any]):
    def __init__(self, values: Mapping[str, Any], language: Language) -> None:
        super().__init__({name: _Value(value, language) for name, value in values.items()})
        self._language = language

    def __missing__(self, key: str) -> _Value:
        return _Value(None, self._language)
