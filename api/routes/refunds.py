"""For the office: refunds, payments that do not fit, notices, providers' statements."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.access import needs
from api.context import Deps
from api.params import Limit
from api.payment_answers import (
    NoteBody,
    NoticeList,
    NoticeRow,
    NoticesQuery,
    ReasonBody,
    ReconciliationAnswer,
    RefundAnswer,
    RefundBody,
    RefundList,
    RefundsQuery,
    ReviewAnswer,
    ReviewList,
    StatementBody,
)
from api.receipts import printed
from api.routes.payments import OFFICE, Key, LanguageQuery, payments_of
from api.till_answers import ReceiptAnswer
from api.trips import language_of
from billing.payments.refunds import RefundRequest
from domain.identity import Principal, Role

router = APIRouter(tags=["refunds"])

Office = Annotated[Principal, Depends(needs(*OFFICE))]
Finance = Annotated[Principal, Depends(needs(Role.FINANCE))]
RefundId = Annotated[str, Path(max_length=64)]
Channel = Annotated[str, Path(max_length=32, pattern=r"^[a-z-]+$")]


@router.post("/payments/refunds", summary="Ask for a refund")
def post_refund(body: RefundBody, key: Key, who: Office, deps: Deps) -> RefundAnswer:
    """Send money of an order back; above the limit it waits for a second person."""
    asked = RefundRequest(key, body.order, body.amount_minor, body.reason)
    return RefundAnswer.of(payments_of(deps).refund(asked, who.user))


@router.get("/payments/refunds", summary="Refunds")
def list_refunds(query: Annotated[RefundsQuery, Query()], _: Office, deps: Deps) -> RefundList:
    """Give refunds, newest first."""
    found = payments_of(deps).store.refunds(
        order=query.order, account=query.account, open_only=query.open, limit=query.limit
    )
    return RefundList(count=len(found), refunds=[RefundAnswer.of(refund) for refund in found])


@router.get("/payments/refunds/{refund_id}", summary="One refund")
def get_refund(refund_id: RefundId, _: Office, deps: Deps) -> RefundAnswer:
    """Give a refund."""
    return RefundAnswer.of(payments_of(deps).refunds.view(refund_id))


@router.post("/payments/refunds/{refund_id}/approve", summary="Approve a refund")
def post_approve(refund_id: RefundId, who: Finance, deps: Deps) -> RefundAnswer:
    """Let a refund go on; not by who asked for it."""
    return RefundAnswer.of(payments_of(deps).refunds.approve(refund_id, who.user))


@router.post("/payments/refunds/{refund_id}/reject", summary="Reject a refund")
def post_reject(refund_id: RefundId, body: ReasonBody, who: Finance, deps: Deps) -> RefundAnswer:
    """Turn a refund down that waits for approval."""
    return RefundAnswer.of(payments_of(deps).refunds.reject(refund_id, who.user, body.reason))


@router.post("/payments/refunds/{refund_id}/pay-out", summary="Give out the cash of a refund")
def post_pay_out(
    refund_id: RefundId, who: Office, deps: Deps, language: LanguageQuery = None
) -> ReceiptAnswer:
    """Give the cash of a cash order back, in your open shift."""
    receipt = payments_of(deps).cashier.pay_out(refund_id, who.user)
    return ReceiptAnswer.of(receipt, printed(deps, receipt, language_of(deps, who, language)))


@router.get("/payments/notice-log", summary="Notices as they came in")
def list_notices(query: Annotated[NoticesQuery, Query()], _: Finance, deps: Deps) -> NoticeList:
    """Give providers' notices with what became of each, newest first."""
    found = payments_of(deps).store.notices(
        channel=query.channel, order=query.order, outcome=query.outcome, limit=query.limit
    )
    return NoticeList(count=len(found), notices=[NoticeRow.of(notice) for notice in found])


@router.get("/payments/reviews", summary="Payments that do not fit")
def list_reviews(
    _: Finance,
    deps: Deps,
    open_only: Annotated[bool, Query(alias="open", description="only those not resolved")] = True,
    limit: Limit = 100,
) -> ReviewList:
    """Give the payments that a provider vouches for and that nothing was credited for."""
    found = payments_of(deps).store.reviews(open_only=open_only, limit=limit)
    return ReviewList(count=len(found), reviews=[ReviewAnswer.of(review) for review in found])


@router.post("/payments/reviews/{review_id}/resolve", summary="Resolve a payment that does not fit")
def post_resolve(review_id: RefundId, body: NoteBody, who: Finance, deps: Deps) -> ReviewAnswer:
    """Say what was done about it."""
    return ReviewAnswer.of(payments_of(deps).resolve_review(review_id, who.user, body.note))


@router.post("/payments/statements", summary="Import a provider's statement")
def post_statement(body: StatementBody, who: Finance, deps: Deps) -> ReconciliationAnswer:
    """Keep the rows of a day and compare them with what was booked."""
    rows = [row.row() for row in body.rows]
    found = payments_of(deps).import_statement(body.channel, body.day, rows, who.user)
    return ReconciliationAnswer.of(found)


@router.post("/payments/statements/{channel}/{day}/fetch", summary="Fetch a provider's statement")
def post_fetch(channel: Channel, day: date, who: Finance, deps: Deps) -> ReconciliationAnswer:
    """Fetch a finished day from the provider, keep it and compare it."""
    found = payments_of(deps).statements.fetch(channel, day, who.user)
    return ReconciliationAnswer.of(found)


@router.get("/payments/statements/{channel}/{day}", summary="A provider's day compared")
def get_statement(channel: Channel, day: date, _: Finance, deps: Deps) -> ReconciliationAnswer:
    """Compare a day's kept statement with what was booked; the provider is not asked."""
    return ReconciliationAnswer.of(payments_of(deps).reconcile(channel, day))
