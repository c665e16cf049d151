"""Held payments: a person says what was done about them."""

from dataclasses import replace

from billing.payments.desk import Desk, wait_for
from billing.payments.model import Review
from billing.payments.refunds import REASON_LENGTH_MOST
from billing.payments.store import PaymentsTx
from domain.errors import InvalidInput, UnknownSubject
from domain.faults import Fault


def resolve_review(desk: Desk, review_id: str, actor: str, note: str) -> Review:
    """Close a review with a note; one that is closed stays as it is.

    Raises UnknownSubject, InvalidInput.
    """
    if not 0 < len(note.strip()) <= REASON_LENGTH_MOST:
        raise InvalidInput([Fault("note", f"must be 1 to {REASON_LENGTH_MOST} characters")])
    now = desk.clock.now()

    def work(tx: PaymentsTx) -> Review:
        review = tx.review(review_id)
        if review is None:
            raise UnknownSubject(f"no held payment {review_id!r}")
        if review.resolved_at is None:
            review = replace(review, resolved_at=now, resolved_by=actor, note=note)
            tx.put_review(review)
        return review

    return wait_for(desk.store.transact(work))
