"""The page of measured figures: a benchmark that is run alone leaves the others' tables alone."""

from datetime import UTC, datetime
from pathlib import Path

from app.benchmarks_page import write_page
from bench.report import Line, Report

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def measured(name: str, value: str) -> Report:
    report = Report(name)
    report.lines.append(Line("readings/s", value))
    report.bar("ratio", 2.0, 1.5, "x", at_most=False)
    return report


def test_a_benchmark_that_runs_alone_replaces_its_own_tables_and_no_others(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "benchmarks.md"
    write_page(page, [measured("wire", "100"), measured("api", "7")], NOON)
    write_page(page, [measured("wire", "200")], NOON)
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## api", "## wire"]
    assert text.count("| readings/s | 200 |") == text.count("| readings/s | 7 |") == 1
    assert "| readings/s | 100 |" not in text
    write_page(page, [], NOON)
    assert page.read_text(encoding="utf-8") == text


def test_a_page_of_one_run_has_every_benchmark_once(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    write_page(page, [measured("rules", "1"), measured("detect", "2")], NOON)
    text = page.read_text(encoding="utf-8")
    assert text.index("## detect") < text.index("## rules")
    assert text.count("| ratio | 2 | 1.5 | x | yes |") == 2
