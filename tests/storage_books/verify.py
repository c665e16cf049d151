"""The audit's own checks, for tests of anything else."""

from app.auditing import audit_ledger
from billing.audit import AuditResult, audit
from billing.audit_books import book_checks
from storage.books.audit_source import SqlAuditSource
from storage.books.sql_books import SqlBooks


def faults_of_books(books: SqlBooks) -> list[str]:
    """Audit books that are open; return every fault as text."""
    return told(books._ledger.query(lambda c: audit(SqlAuditSource(c), book_checks())))


def audited(url: str) -> list[str]:
    """Audit a ledger as the command does; return every fault as text."""
    return told(audit_ledger(url))


def told(result: AuditResult) -> list[str]:
    return [f"{name}: {fault}" for name, faults in result.faults.items() for fault in faults]
