"""What every benchmark hands back: a table for people and bars and figures for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Bar:
    """One aim: the value reached, the limit it is held against and whether it holds."""

    name: str
    value: float
    limit: float
    unit: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the printed table: a figure, its peer, the limit and the ratio, as text."""

    figure: str
    value: str
    peer: str = ""
    limit: str = ""
    ratio: str = ""


@dataclass(slots=True)
class Report:
    """The outcome of one benchmark."""

    name: str
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def bar(self, name: str, value: float, limit: float, unit: str, *, at_most: bool) -> None:
        """Hold a value against a limit and keep the outcome."""
        holds = value <= limit if at_most else value >= limit
        self.bars.append(Bar(name, value, limit, unit, holds))

    def show(self, console: Console) -> None:
        """Print the table and the bars."""
        console.print(_table(self.name, ("figure", "value", "peer", "limit", "ratio"), self.lines))
        console.print(_table("bars", ("name", "value", "limit", "unit", "holds"), self.bars))

    def write_json(self, path: Path) -> None:
        """Write the bars and figures as JSON."""
        content: Mapping[str, Any] = {
            "bars": [asdict(bar) for bar in self.bars],
            "figures": self.figures,
        }
        path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def _table(title: str, columns: Sequence[str], rows: Sequence[Any]) -> Table:
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(_text(value) for value in asdict(row).values()))
    return table


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
