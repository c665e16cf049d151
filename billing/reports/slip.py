"""A slip for the till's printer: 80 mm wide, as long as it must be, in Chinese or English."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos

from billing.payments.model import Receipt, ReceiptKind
from billing.reports.font import FAMILY, use_font
from billing.reports.printed import money_text, named
from domain.catalogue.language import Language
from domain.money import MINOR_PER_UNIT
from domain.texts import text

_WIDTH_MM, _MARGIN_MM, _LINE_MM, _LABEL_MM = 80.0, 5.0, 5.5, 22.0
_TITLE_PT, _BODY_PT, _SMALL_PT = 13, 9, 7.5
_HEIGHT_MOST_MM = 400.0
_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿")


@dataclass(frozen=True, slots=True)
class Slip:
    """What stands on a slip: title, who gives it, labelled lines, a last word in small letters."""

    title: str
    issuer: str
    lines: Sequence[tuple[str, str]]
    closing: str = ""


def receipt_slip(receipt: Receipt, site: str, zone: ZoneInfo, language: Language) -> Slip:
    """Put a cash receipt on a slip; the amount stands in digits and, in Chinese, in words."""
    amount = abs(receipt.amount_minor)
    lines = [
        ("receipt", f"{receipt.number:06d}"),
        ("time", f"{receipt.time.astimezone(zone):%Y-%m-%d %H:%M:%S}"),
        ("account", f"{receipt.account}  {receipt.building} {receipt.room}".strip()),
        ("person", receipt.person or ""),
        ("order", receipt.order),
        ("entry_kind", named(receipt.kind.value, language)),
        ("amount", f"¥ {money_text(amount)}"),
        ("in_words", amount_in_words(amount) if language == "zh-CN" else ""),
        ("voids", "" if receipt.voids is None else f"{receipt.voids:06d}"),
        ("cashier", f"{receipt.cashier}  {receipt.shift}".strip()),
        ("reason", receipt.note),
    ]
    kept = [(text(f"report.column.{key}", language), words) for key, words in lines if words]
    taken = receipt.kind in (ReceiptKind.RECHARGE, ReceiptKind.TOKEN_SALE)
    title = "slip.receipt" if taken else "slip.paid-out"
    return Slip(
        title=text(f"report.{title}", language),
        issuer=site,
        lines=kept,
        closing=text("report.slip.keep", language),
    )


def write_slip(slip: Slip) -> bytes:
    """Return the slip as a PDF of one page."""
    # The page's length is known once everything is laid out: so it is laid out twice.
    height = _lay_out(slip, _HEIGHT_MOST_MM).get_y() + _MARGIN_MM
    return bytes(_lay_out(slip, min(height, _HEIGHT_MOST_MM)).output())


def _lay_out(slip: Slip, height_mm: float) -> FPDF:
    page = FPDF(format=(_WIDTH_MM, height_mm))
    page.set_title(slip.title)
    page.set_margins(_MARGIN_MM, _MARGIN_MM)
    page.set_auto_page_break(auto=False)
    use_font(page, _TITLE_PT)
    page.add_page()
    _centred(page, slip.title, 7)
    page.set_font(FAMILY, size=_BODY_PT)
    if slip.issuer:
        _centred(page, slip.issuer, _LINE_MM)
    _rule(page)
    for label, words in slip.lines:
        page.cell(_LABEL_MM, _LINE_MM, label)
        page.multi_cell(0, _LINE_MM, words, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align=Align.L)
    _rule(page)
    if slip.closing:
        page.set_font(FAMILY, size=_SMALL_PT)
        _centred(page, slip.closing, 4.5)
    return page


def _centred(page: FPDF, words: str, height_mm: float) -> None:
    page.multi_cell(0, height_mm, words, align=Align.C, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _rule(page: FPDF) -> None:
    page.ln(1)
    page.set_dash_pattern(dash=1, gap=1)
    page.line(_MARGIN_MM, page.get_y(), _WIDTH_MM - _MARGIN_MM, page.get_y())
    page.set_dash_pattern()
    page.ln(1)


def amount_in_words(amount_minor: int) -> str:
    """Return fen in the numerals that can't be altered by a stroke: 1234.05 yuan is
    壹仟贰佰叁拾肆元零伍分."""
    yuan, fen = divmod(amount_minor, MINOR_PER_UNIT)
    tenths, fen = divmod(fen, 10)
    words = f"{_whole(yuan)}元" if yuan else ""
    if not tenths and not fen:
        return f"{words or '零元'}整"
    if tenths:
        words += f"{_DIGITS[tenths]}角"
    elif words:
        words += "零"
    return words + (f"{_DIGITS[fen]}分" if fen else "整")


def _whole(number: int) -> str:
    words, gap = "", False
    groups = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    for place in reversed(range(len(groups))):
        group = groups[place]
        if not group:
            gap = gap or bool(words)
            continue
        if words and (gap or group < 1_000):
            words += _DIGITS[0]
        words += _four(group) + _GROUPS[place]
        gap = False
    return words


def _four(number: int) -> str:
    words, gap = "", False
    for place in reversed(range(4)):
        digit = number // 10**place % 10
        if digit:
            words += (_DIGITS[0] if gap and words else "") + _DIGITS[digit] + _PLACES[place]
            gap = False
        else:
            gap = True
    return words
