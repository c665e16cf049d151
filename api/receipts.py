"""Receipts as the site prints them: its title on top, its own time."""

from zoneinfo import ZoneInfo

from api.deps import ApiDeps
from billing.payments.model import Receipt
from billing.payments.receipt_page import receipt_html, receipt_text
from domain.catalogue.language import Language


def printed(deps: ApiDeps, receipt: Receipt, language: Language) -> str:
    """Return a receipt as plain text."""
    site = deps.site()
    return receipt_text(receipt, site.title or site.name, language, ZoneInfo(site.time_zone))


def page(deps: ApiDeps, receipt: Receipt, language: Language) -> str:
    """Return a receipt as a page to print."""
    site = deps.site()
    return receipt_html(receipt, site.title or site.name, language, ZoneInfo(site.time_zone))
