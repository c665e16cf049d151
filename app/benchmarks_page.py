"""The page of measured figures, written by `make bench`."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any


def write_page(path: Path, reports: Sequence[Any], at: datetime) -> None:
    """Write the reports of a run as a page of tables, with date and machine size.

    Benchmarks on the page that were not run this time keep their tables.
    """
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    parts = [
        "# Benchmarks",
        "",
        f"Measured {at:%Y-%m-%d} on {os.cpu_count()} cores, {memory_gb:.0f} GB,"
        f" {platform.system()}, Python {platform.python_version()}; written by `make bench`.",
        "Only ratios measured side by side in one run mean something across machines.",
    ]
    sections = _sections(path)
    for report in reports:
        head = ("figure", "value", "peer", "limit", "ratio")
        tables = _table(head, [[getattr(line, key) for key in head] for line in report.lines])
        tables += ["", *_table(("bar", "value", "limit", "unit", "holds"), _bars(report))]
        sections[report.name] = "\n".join(tables)
    for name, text in sorted(sections.items()):
        parts += ["", f"## {name}", "", text]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _sections(path: Path) -> dict[str, str]:
    """Return the tables of a page that is there already, by the benchmark's name."""
    if not path.is_file():
        return {}
    found = path.read_text(encoding="utf-8").split("\n## ")[1:]
    return {name: text.strip() for name, _, text in (part.partition("\n") for part in found)}


def _bars(report: Any) -> list[list[str]]:
    return [
        [bar.name, f"{bar.value:.4g}", f"{bar.limit:.4g}", bar.unit, "yes" if bar.holds else "NO"]
        for bar in report.bars
    ]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
