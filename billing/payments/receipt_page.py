"""Receipts as people read them: labelled lines, plain text, and a page to print."""

from html import escape
from zoneinfo import ZoneInfo

from billing.payments.model import Receipt
from billing.reports.slip import amount_in_words
from domain.catalogue.language import Language
from domain.texts import text

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
        ("number", f"{receipt.number:08d}"),
        ("time", f"{receipt.time.astimezone(zone):%Y-%m-%d %H:%M:%S}"),
        ("room", f"{receipt.building} {receipt.room}"),
        ("person", receipt.person or ""),
        ("amount", amount),
        ("capital", _capital(receipt.amount_minor) if language == "zh-CN" else ""),
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


def _capital(amount_minor: int) -> str:
    return ("负" if amount_minor < 0 else "") + amount_in_words(abs(amount_minor))


def _yuan(amount_minor: int) -> str:
    sign, rest = ("-" if amount_minor < 0 else ""), abs(amount_minor)
    return f"{sign}{rest // 100}.{rest % 100:02d}"
