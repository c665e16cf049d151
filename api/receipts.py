"""Receipts as the site prints them: its title on top, its own time."""

from zoneinfo import ZoneInfo

from api.deps import ApiDeps
from billing.payments.model import Receipt
from billing.payments.receipt_page import receipt_html, receipt_text
from billing.reports.slip import receipt_slip, write_slip
from domain.catalogue.language import Language


def printed(deps: ApiDeps, receipt: Receipt, language: Language) -> str:
    """Return a receipt as plain text."""
    site = deps.site()
    return receipt_text(receipt, site.title or site.name, language, ZoneInfo(site.time_zone))


def page(deps: ApiDeps, receipt: Receipt, language: Language) -> str:
    """Return a receipt as a page to print."""
    site = deps.site()
    return receipt_html(receipt, site.title or site.name, language, ZoneInfo(site.time_zone))


def slip(deps: ApiDeps, receipt: Receipt, language: Language) -> bytes:
    """Return a receipt as a PDF for the till's printer."""
    site = deps.site()
    zone = ZoneInfo(site.time_zone)
    return write_slip(receipt_slip(receipt, site.title or site.name, zone, language))
