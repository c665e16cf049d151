"""Receipts as people read them: labelled lines, plain text, and a page to print."""

from html import escape
from zoneinfo import ZoneInfo

from billing.payments.model import Receipt
from domain.catalogue.language import Language
from domain.texts import text

_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿")
_STYLE = (
    "body{font:14px/1.6 sans-serif;width:72mm;margin:4mm auto}"
    "h1{font-size:16px;text-align:center}h2{font-size:13px;text-align:center;font-weight:normal}"
    "table{width:100%;border-collapse:collapse}td{vertical-align:top;padding:0 0 1mm}"
    "td:last-child{text-align:right}@media print{body{margin:0}}"
)


def receipt_title(receipt: Receipt, language: Language) -> str:
    """Return what a receipt is called."""
    return text(f"payments.receipt.{receipt.kind.value}", language, voids=receipt.voids)


def receipt_lines(receipt: Receipt, language: Language, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return the lines of a receipt, label and value, in their order; empty ones are left out."""
    amount = text("payments.receipt.yuan", language, yuan=_yuan(receipt.amount_minor))
    lines = [
        ("number", f"{receipt.number:06d}"),
        ("time", f"{receipt.time.astimezone(zone):%Y-%m-%d %H:%M:%S}"),
        ("room", f"{receipt.building} {receipt.room}"),
        ("person", receipt.person or ""),
        ("amount", amount),
        ("capital", capital_amount(receipt.amount_minor) if language == "zh-CN" else ""),
        ("order", receipt.order),
        ("cashier", receipt.cashier),
        ("shift", receipt.shift),
        ("note", receipt.note),
    ]
    return [(text(f"payments.receipt.{name}", language), value) for name, value in lines if value]


def receipt_text(receipt: Receipt, issuer: str, language: Language, zone: ZoneInfo) -> str:
    """Return a receipt as plain text, a line each."""
    lines = [f"{label}: {value}" for label, value in receipt_lines(receipt, language, zone)]
    return "\n".join([issuer, receipt_title(receipt, language), *lines]) + "\n"


def receipt_html(receipt: Receipt, issuer: str, language: Language, zone: ZoneInfo) -> str:
    """Return a receipt as a page for a roll of 80 mm; the browser prints it or makes a PDF."""
    title = escape(receipt_title(receipt, language))
    rows = "".join(
        f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>"
        for label, value in receipt_lines(receipt, language, zone)
    )
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{escape(issuer)}</h1><h2>{title}</h2>"
        f"<table>{rows}</table></html>"
    )


def capital_amount(amount_minor: int) -> str:
    """Write an amount in the capital numerals of Chinese receipts, such as 壹佰元整."""
    sign, rest = ("负" if amount_minor < 0 else ""), abs(amount_minor)
    yuan, jiao, fen = rest // 100, rest // 10 % 10, rest % 10
    words = f"{_whole(yuan)}元" if yuan else ""
    if not jiao and not fen:
        return f"{sign}{words or '零元'}整"
    if jiao:
        words += f"{_DIGITS[jiao]}角"
    elif yuan:
        words += "零"
    words += f"{_DIGITS[fen]}分" if fen else "整"
    return sign + words


def _whole(number: int) -> str:
    """Write a whole number above 0: groups of four digits, one 零 for every run of zeros."""
    words, gap = "", False
    digits = str(number)
    for place, letter in enumerate(digits):
        power = len(digits) - 1 - place
        digit = int(letter)
        if digit:
            words += ("零" if gap and words else "") + _DIGITS[digit] + _PLACES[power % 4]
        gap = (gap and not digit) or not digit
        if power % 4 == 0 and any(other != "0" for other in digits[max(0, place - 3) : place + 1]):
            words += _GROUPS[power // 4]
    return words


def _yuan(amount_minor: int) -> str:
    sign, rest = ("-" if amount_minor < 0 else ""), abs(amount_minor)
    return f"{sign}{rest // 100}.{rest % 100:02d}"
