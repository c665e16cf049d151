"""The workbook: its totals are formulas, and adding its cells up gives what they say."""

import re
from datetime import datetime
from io import BytesIO
from typing import Any

import openpyxl
import pytest
from made_month import SHANGHAI, Listed, at, campus, make_entries

from billing.reports import xlsx
from billing.reports.catalogue import REPORTS, Material, make_report
from billing.reports.model import Table, money, report_of, text
from billing.reports.period import Period
from billing.reports.printed import Printed, printed
from billing.reports.scan import scan
from billing.reports.xlsx import write_xlsx
from domain.catalogue.language import LANGUAGES, Language

NOVEMBER = Period.of_month(2026, 11, SHANGHAI)
NAMES = [name for name in REPORTS if name not in ("shifts", "receipts", "exceptions")]
HEAD_ROW = 4


@pytest.fixture(scope="module")
def material() -> Material:
    """A month of random entries."""
    directory = campus()
    source = Listed([*make_entries(5, directory, at("10-20 00:00"), at("12-03 00:00"), 900)])
    folded = scan(source, NOVEMBER, at("12-10 12:00"))
    return Material(lambda _: folded, directory, lambda: at("12-10 12:00"))


def page_of(name: str, material: Material, language: Language = "zh-CN") -> Printed:
    """Print a report of November."""
    return printed(make_report(name, NOVEMBER, material), language, "示例大学")


def sheets(content: bytes) -> tuple[Any, Any]:
    """Open a workbook twice: as formulas, and as the values they were last worked out to."""
    formulas = openpyxl.load_workbook(BytesIO(content))
    values = openpyxl.load_workbook(BytesIO(content), data_only=True)
    return formulas.active, values.active


@pytest.mark.parametrize("name", NAMES)
def test_every_total_formula_gives_the_value_that_is_kept_beside_it(
    name: str, material: Material
) -> None:
    page = page_of(name, material)
    formulas, values = sheets(write_xlsx(page))
    found = 0
    for row in formulas.iter_rows(min_row=HEAD_ROW + 1):
        for cell in row:
            match = re.fullmatch(r"=SUM\(([A-Z]+)(\d+):([A-Z]+)(\d+)\)", str(cell.value))
            if match is None:
                continue
            found += 1
            column, first, last = match[1], int(match[2]), int(match[4])
            assert first == HEAD_ROW + 1
            assert last == cell.row - 1
            summed = [values[f"{column}{number}"].value for number in range(first, last + 1)]
            shown = values[cell.coordinate].value
            assert round(sum(value or 0 for value in summed), 3) == round(shown, 3)
    wanted = sum(column.adds_up for column in page.columns) if page.total else 0
    assert found == wanted


def test_printed_rows_and_the_rounding_line_add_up_to_the_printed_total(
    material: Material,
) -> None:
    for name in NAMES:
        page = page_of(name, material)
        for place, column in enumerate(page.columns):
            if page.total and column.adds_up:
                lines = [*page.rows, *([page.rounding] if page.rounding else [])]
                assert sum(int(line[place] or 0) for line in lines) == page.total[place], name


def test_printed_balances_keep_their_identity_to_the_fen(material: Material) -> None:
    page = page_of("balances", material)
    keys = [column.key for column in page.columns]
    assert "rounding" in keys
    start, end = keys.index("opening"), keys.index("closing")
    for line in [*page.rows, page.rounding or (), page.total or ()]:
        numbers = [cell if isinstance(cell, int) else 0 for cell in line]
        assert sum(numbers[start:end]) == numbers[end]


def test_three_thirds_of_a_fen_show_a_rounding_line() -> None:
    table = Table((text("account"), money("amount")), [("a", 3_333), ("b", 3_333), ("c", 3_334)])
    page = printed(report_of("fees", NOVEMBER, at("12-10 12:00"), table), "en", "")
    assert [row[1] for row in page.rows] == [0, 0, 0]
    assert page.rounding == ("Rounding", 1)
    assert page.total == ("Total", 1)


def test_halves_go_to_the_even_fen() -> None:
    table = Table((text("account"), money("amount")), [("a", 5_000), ("b", 15_000), ("c", -5_000)])
    page = printed(report_of("fees", NOVEMBER, at("12-10 12:00"), table), "en", "")
    assert [row[1] for row in page.rows] == [0, 2, 0]
    assert page.rounding is None


def test_the_sheet_is_made_for_reading_and_printing(material: Material) -> None:
    sheet, _ = sheets(write_xlsx(page_of("balances", material)))
    assert sheet.title == "账户余额变动表"
    assert sheet["A1"].value == "账户余额变动表"
    assert sheet["A2"].value == "示例大学  2026-11-01 至 2026-11-30（共 30 天）"
    assert sheet["A4"].value == "账户"
    assert sheet["D4"].value == "期初 (元)"
    assert sheet.freeze_panes == "B5"
    assert sheet.print_title_rows == "$4:$4"
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert sheet.page_setup.fitToWidth in (None, 1)
    assert sheet.page_setup.fitToHeight == 0
    assert sheet.page_setup.orientation == "landscape"
    assert sheet.oddFooter.center.text == "第 &P 页，共 &N 页"
    assert sheet.column_dimensions["D"].width > 9
    assert sheet["D5"].number_format.startswith("#,##0.00")


def test_times_are_local_and_are_times(material: Material) -> None:
    sheet, _ = sheets(write_xlsx(page_of("recharge-list", material, "en")))
    assert isinstance(sheet["B5"].value, datetime)
    assert sheet["B4"].value == "Booked"


def test_text_that_looks_like_a_formula_stays_text() -> None:
    table = Table((text("account"), text("reason")), [("=1+1", "=HYPERLINK(1)"), ("http://a", "5")])
    page = printed(report_of("fees", NOVEMBER, at("12-10 12:00"), table), "en", "")
    sheet, _ = sheets(write_xlsx(page))
    assert [cell.data_type for cell in sheet[5]] == ["s", "s"]
    assert [cell.data_type for cell in sheet[6]] == ["s", "s"]


def test_a_sheet_too_long_for_memory_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"r{number}", number * 10_000) for number in range(201)]
    table = Table((text("account"), money("amount")), rows)
    page = printed(report_of("fees", NOVEMBER, at("12-10 12:00"), table), "en", "")
    kept = [[cell.value for cell in row] for row in sheets(write_xlsx(page))[0].iter_rows()]
    monkeypatch.setattr(xlsx, "STREAMED_FROM_ROWS", 100)
    formulas, values = sheets(write_xlsx(page))
    assert [[cell.value for cell in row] for row in formulas.iter_rows()] == kept
    assert values.cell(HEAD_ROW + 202, 2).value == sum(range(201)) / 100


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_report_has_words_in_both_languages(
    name: str, language: Language, material: Material
) -> None:
    page = page_of(name, material, language)
    assert all(page.heads)
    chinese = any("一" <= letter <= "鿿" for letter in page.title + "".join(page.heads))
    assert chinese is (language == "zh-CN")
