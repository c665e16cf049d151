"""Energy charged, as the lines of charges tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class UseKey(NamedTuple):
    """What consumption is told apart by. Empty texts and None are what an entry does not say."""

    account: str
    building: str
    kind: str
    reference: str
    tariff: str
    version: str
    band: str
    tier: str
    rate: str


class UseLine(NamedTuple):
    """One line of a charge; `labels` are tariff, version, band, tier and rate."""

    labels: tuple[Any, ...]
    energy_wh: int
    free_wh: int
    amount_micro: int


@dataclass(slots=True)
class Use:
    """Energy charged: all of it, the free part of it (Wh), and what it cost (micro-units)."""

    energy_wh: int = 0
    free_wh: int = 0
    amount_micro: int = 0


NO_LABELS = ("", "", "", "", "")
_NAMES = ("tariff", "version", "band", "tier", "rate")


def lines_of(details: Mapping[str, Any]) -> Sequence[UseLine]:
    """Return the lines of a charge; what is no line is left out."""
    lines = details.get("lines", ())
    if not isinstance(lines, list | tuple):
        return ()
    return [_line(line) for line in lines if isinstance(line, Mapping)]


def label_texts(labels: tuple[Any, ...]) -> tuple[str, ...]:
    """Return labels as they are shown: as text, "" for what a line does not say."""
    return tuple("" if label is None else str(label) for label in labels)


def _line(line: Mapping[str, Any]) -> UseLine:
    try:
        # The usual line, told whole: this runs a million times a month.
        return UseLine(
            (line["tariff"], line["version"], line["band"], line["tier"], line["rate"]),
            line["energy_wh"],
            line["free_wh"],
            line["amount_micro"],
        )
    except KeyError:
        get = line.get
        labels = tuple(get(name) for name in _NAMES)
        return UseLine(labels, get("energy_wh") or 0, get("free_wh") or 0, get("amount_micro") or 0)
