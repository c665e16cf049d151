"""The whole audit of a ledger, as the command and the demonstration run it."""

from billing.audit import AuditResult, audit
from billing.audit_books import book_checks
from billing.audit_energy import energy_checks
from billing.audit_payments import payment_checks
from storage.books.audit_source import reading_ledger
from storage.books.charging_rows import review_of


def audit_ledger(url: str) -> AuditResult:
    """Check every part of a ledger, read-only. Raises StoreUnavailable, InvalidInput."""
    checks = [*book_checks(), *payment_checks(), *energy_checks(review_of)]
    with reading_ledger(url) as source:
        return audit(source, checks)
