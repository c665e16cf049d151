"""The audit's own checks, for tests of anything else."""

from billing.audit import AuditResult, audit
from billing.audit_books import book_checks
from billing.audit_energy import energy_checks
from billing.audit_payments import payment_checks
from storage.books.audit_source import SqlAuditSource, reading_ledger
from storage.books.charging_rows import review_of
from storage.books.sql_books import SqlBooks


def all_checks() -> list:
    return [*book_checks(), *payment_checks(), *energy_checks(review_of)]


def faults_of_books(books: SqlBooks) -> list[str]:
    """Audit books that are open; return every fault as text."""
    return told(books._ledger.query(lambda c: audit(SqlAuditSource(c), book_checks())))


def audited(url: str) -> list[str]:
    """Audit a ledger as the command does; return every fault as text."""
    with reading_ledger(url) as source:
        return told(audit(source, all_checks()))


def told(result: AuditResult) -> list[str]:
    return [f"{name}: {fault}" for name, faults in result.faults.items() for fault in faults]
