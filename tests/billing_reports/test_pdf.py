"""PDFs: the Chinese can be read out of them, the font is inside, nothing gets lost."""

from io import BytesIO
from typing import Any

import pytest
from made_month import SHANGHAI, Listed, at, campus, make_entries
from pypdf import PdfReader

from billing.payments.model import Receipt, ReceiptKind
from billing.reports.catalogue import Material, make_report
from billing.reports.csv import write_csv
from billing.reports.model import Table, money, report_of, text
from billing.reports.pdf import ROWS_MOST, write_pdf
from billing.reports.period import Period
from billing.reports.printed import Printed, money_text, printed
from billing.reports.scan import scan
from billing.reports.slip import amount_in_words, receipt_slip, write_slip
from domain.errors import InvalidInput

NOVEMBER = Period.of_month(2026, 11, SHANGHAI)


@pytest.fixture(scope="module")
def page() -> Printed:
    """The balances of forty rooms."""
    directory = campus(40)
    source = Listed([*make_entries(5, directory, at("10-20 00:00"), at("12-03 00:00"), 700)])
    folded = scan(source, NOVEMBER, at("12-10 12:00"))
    material = Material(lambda _: folded, directory, lambda: at("12-10 12:00"))
    return printed(make_report("balances", NOVEMBER, material), "zh-CN", "示例大学")


def words_of(content: bytes) -> list[str]:
    """Return the text of each page without any white space.

    The codes of the font take two bytes by a table of the document's own, which this reader passes
    over: it gives the upper byte, 0, as a letter.
    """
    pages = PdfReader(BytesIO(content)).pages
    return ["".join(page.extract_text().replace("\0", "").split()) for page in pages]


def fonts_of(content: bytes) -> list[Any]:
    """Return the descriptors of the fonts of every page."""
    found = []
    for page in PdfReader(BytesIO(content)).pages:
        for font in page["/Resources"]["/Font"].values():
            (below,) = font.get_object()["/DescendantFonts"]
            found.append(below.get_object()["/FontDescriptor"].get_object())
    return found


def test_every_figure_stands_in_the_text_of_the_pages(page: Printed) -> None:
    pages = words_of(write_pdf(page))
    whole = "".join(pages)
    assert len(pages) == 2
    for row in [*page.rows, page.total or ()]:
        assert str(row[0]) in whole
        assert money_text(int(row[-1] or 0)) in whole


def test_every_page_has_its_head_and_its_number(page: Printed) -> None:
    first, second = words_of(write_pdf(page))
    for words, number in ((first, 1), (second, 2)):
        assert "账户余额变动表" in words
        assert "示例大学2026-11-01至2026-11-30（共30天）" in words
        assert "期初(元)" in words
        assert f"第{number}页，共2页" in words
    assert "合计" in second
    assert "合计" not in first


def test_the_font_is_inside_and_only_the_letters_that_are_used(page: Printed) -> None:
    content = write_pdf(page)
    assert len(content) < 200_000
    for descriptor in fonts_of(content):
        assert descriptor["/FontName"].endswith("NotoSansCJKTCRegular")
        assert len(descriptor["/FontFile3"].get_data()) > 5_000


def test_the_same_report_is_laid_out_in_english() -> None:
    table = Table((text("account"), money("amount")), [("a", 10_000)])
    (words,) = words_of(
        write_pdf(printed(report_of("fees", NOVEMBER, at("11-20 12:00"), table), "en", "U"))
    )
    assert "Fees" in words
    assert "U2026-11-01to2026-11-30(30days),notoveryet" in words
    assert "Page1of1" in words


def test_long_words_are_broken_and_not_cut_off() -> None:
    reason = "很长的说明" * 40
    table = Table((text("account"), text("reason"), money("amount")), [("a", reason, 10_000)])
    (words,) = words_of(
        write_pdf(printed(report_of("fees", NOVEMBER, at("12-20 12:00"), table), "zh-CN", ""))
    )
    assert words.count("很长的说明") >= 20
    assert sum(words.count(letter) for letter in "很长") == 80


def test_a_pdf_of_too_many_rows_is_refused_with_a_way_out() -> None:
    table = Table((money("amount"),), [(1,)] * (ROWS_MOST + 1))
    page = printed(report_of("fees", NOVEMBER, at("12-20 12:00"), table), "en", "")
    with pytest.raises(InvalidInput, match="at most 5000 rows, this report 5001: use xlsx"):
        write_pdf(page)


def test_csv_has_a_mark_for_excel_and_runs_nothing() -> None:
    table = Table(
        (text("account"), text("reason"), money("amount")),
        [("=1+1", "-2", -10_000), ("@x", "\tx", 5_000_000), ("宿舍", 'a "b", c', 0)],
    )
    page = printed(report_of("fees", NOVEMBER, at("12-20 12:00"), table), "zh-CN", "")
    assert write_csv(page).decode() == (
        "\ufeff账户,说明,金额 (元)\r\n"
        "'=1+1,'-2,-0.01\r\n"
        "'@x,'\tx,5.00\r\n"
        '宿舍,"a ""b"", c",0.00\r\n'
        "合计,,4.99\r\n"
    )


def test_a_cash_receipt_fits_the_till_s_paper() -> None:
    receipt = Receipt(
        17, ReceiptKind.RECHARGE, "O1", "b1-101", "B1", "101", 12_305, "wang", "shift-3",
        at("11-05 08:30"), person="2026001",
    )  # fmt: skip
    content = write_slip(receipt_slip(receipt, "示例大学", SHANGHAI, "zh-CN"))
    (words,) = words_of(content)
    assert words.startswith("收款收据示例大学收据号000017时间2026-11-0508:30:00")
    assert "金额¥123.05大写壹佰贰拾叁元零伍分" in words
    (page,) = PdfReader(BytesIO(content)).pages
    assert round(float(page.mediabox.width) / 72 * 25.4) == 80
    assert float(page.mediabox.height) / 72 * 25.4 < 120


@pytest.mark.parametrize(
    ("fen", "words"),
    [
        (0, "零元整"),
        (5, "伍分"),
        (50, "伍角整"),
        (100, "壹元整"),
        (1_050, "壹拾元伍角整"),
        (123_405, "壹仟贰佰叁拾肆元零伍分"),
        (100_100, "壹仟零壹元整"),
        (1_000_000, "壹万元整"),
        (1_000_500, "壹万零伍元整"),
        (1_500_000, "壹万伍仟元整"),
        (10_101_000, "壹拾万壹仟零壹拾元整"),
        (1_000_000_001, "壹仟万元零壹分"),
    ],
)
def test_amounts_in_words_are_as_banks_write_them(fen: int, words: str) -> None:
    assert amount_in_words(fen) == words
