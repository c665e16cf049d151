"""For cashiers: shifts, cash, receipts."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from api.access import needs
from api.context import Deps
from api.payment_answers import ReasonBody
from api.receipts import page, printed, slip
from api.routes.payments import OFFICE, Key, LanguageQuery, payments_of
from api.till_answers import (
    CashBody,
    ReceiptAnswer,
    ReceiptList,
    ReceiptsQuery,
    ShiftAnswer,
    ShiftCloseBody,
    ShiftList,
    ShiftOpenBody,
    ShiftsQuery,
)
from api.trips import language_of
from billing.payments.cashier import CashRequest
from domain.identity import Principal

router = APIRouter(tags=["till"])

Cashier = Annotated[Principal, Depends(needs(*OFFICE))]
Number = Annotated[int, Path(ge=1, le=2**53, description="the receipt's running number")]
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The receipt as a page to print",
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
}

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_SLIP: dict[int | str, dict[str, Any]] = {
    200: {"description": "The receipt as PDF", "content": {"application/pdf": _BINARY}}
}


@router.post("/payments/shifts", summary="Open a shift")
def post_shift(body: ShiftOpenBody, who: Cashier, deps: Deps) -> ShiftAnswer:
    """Open your shift with the float as you counted it."""
    cashier = payments_of(deps).cashier
    return ShiftAnswer.of(cashier.open_shift(who.user, body.opening_minor))


@router.post("/payments/shifts/close", summary="Close a shift")
def post_shift_close(body: ShiftCloseBody, who: Cashier, deps: Deps) -> ShiftAnswer:
    """Close your shift with the drawer as you counted it; the answer has the difference."""
    cashier = payments_of(deps).cashier
    return ShiftAnswer.of(cashier.close_shift(who.user, body.counted_minor, body.note))


@router.get("/payments/shifts", summary="Shifts")
def list_shifts(query: Annotated[ShiftsQuery, Query()], _: Cashier, deps: Deps) -> ShiftList:
    """Give shifts, newest first."""
    found = payments_of(deps).store.shifts(
        cashier=query.cashier,
        open_only=query.open,
        since=query.since,
        until=query.until,
        limit=query.limit,
    )
    return ShiftList(count=len(found), shifts=[ShiftAnswer.of(shift) for shift in found])


@router.post("/payments/cash", summary="Take cash for a room")
def post_cash(
    body: CashBody, key: Key, who: Cashier, deps: Deps, language: LanguageQuery = None
) -> ReceiptAnswer:
    """Credit a room with cash in your open shift; the same key gives the same receipt."""
    asked = CashRequest(key, body.account, body.amount_minor, body.person, body.note)
    receipt = payments_of(deps).cash_recharge(asked, who.user)
    return ReceiptAnswer.of(receipt, printed(deps, receipt, language_of(deps, who, language)))


@router.get("/payments/receipts", summary="Receipts")
def list_receipts(
    query: Annotated[ReceiptsQuery, Query()], who: Cashier, deps: Deps
) -> ReceiptList:
    """Give receipts, newest first."""
    words = language_of(deps, who, None)
    found = payments_of(deps).store.receipts(
        shift=query.shift,
        account=query.account,
        since=query.since,
        until=query.until,
        limit=query.limit,
    )
    told = [ReceiptAnswer.of(receipt, printed(deps, receipt, words)) for receipt in found]
    return ReceiptList(count=len(told), receipts=told)


@router.get("/payments/receipts/{number}", summary="One receipt")
def get_receipt(
    number: Number, who: Cashier, deps: Deps, language: LanguageQuery = None
) -> ReceiptAnswer:
    """Give a receipt, with its text."""
    receipt = payments_of(deps).cashier.receipt(number)
    return ReceiptAnswer.of(receipt, printed(deps, receipt, language_of(deps, who, language)))


@router.get(
    "/payments/receipts/{number}/page",
    summary="One receipt to print",
    responses=_PAGE,
    response_class=Response,
)
def get_receipt_page(
    number: Number, who: Cashier, deps: Deps, language: LanguageQuery = None
) -> Response:
    """Give a receipt as a page for a printer of receipts."""
    receipt = payments_of(deps).cashier.receipt(number)
    words = language_of(deps, who, language)
    return Response(page(deps, receipt, words), media_type="text/html; charset=utf-8")


@router.get(
    "/payments/receipts/{number}/slip.pdf",
    summary="One receipt as PDF",
    responses=_SLIP,
    response_class=Response,
)
def get_receipt_slip(
    number: Number, who: Cashier, deps: Deps, language: LanguageQuery = None
) -> Response:
    """Give a receipt as a PDF of 80 mm, with the font inside."""
    receipt = payments_of(deps).cashier.receipt(number)
    words = language_of(deps, who, language)
    return Response(slip(deps, receipt, words), media_type="application/pdf")


@router.post("/payments/receipts/{number}/void", summary="Void a receipt")
def post_void(number: Number, body: ReasonBody, who: Cashier, deps: Deps) -> ReceiptAnswer:
    """Take a receipt of your open shift back by a reversal; the answer is the receipt of that."""
    receipt = payments_of(deps).cashier.void(number, who.user, body.reason)
    return ReceiptAnswer.of(receipt, printed(deps, receipt, language_of(deps, who, None)))
