"""For occupants and the office: recharges, their QR codes and receipts; providers' notices."""

from io import BytesIO
from typing import Annotated, Any

import segno
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from api.access import Who, needs, room_for
from api.context import Deps
from api.deps import ApiDeps
from api.identity.asker import Asker
from api.limited import limited
from api.params import CommandId, Limit
from api.payment_answers import (
    ChannelAnswer,
    ChannelList,
    OrderAnswer,
    OrderBody,
    OrderList,
    OrdersQuery,
    channel_in_words,
)
from api.receipts import printed
from api.till_answers import ReceiptAnswer, ReceiptList
from api.trips import language_of, seen_since
from billing.model import Account
from billing.payments.model import WAITING, OrderRequest
from billing.payments.orders import OrderView
from billing.payments.service import Payments
from domain.catalogue.language import Language
from domain.errors import UnknownSubject
from domain.identity import Principal, Role

router = APIRouter(tags=["payments"])
# Open to providers: what they send is proved by its signature.
notices = APIRouter(tags=["payments"])

OFFICE = (Role.OPERATOR, Role.FINANCE)
Room = Annotated[Account, Depends(room_for(*OFFICE))]
Office = Annotated[Principal, Depends(needs(*OFFICE))]
Key = Annotated[CommandId, Header(alias="Idempotency-Key", description="your own id for it")]
LanguageQuery = Annotated[Language | None, Query(description="default: the person's own")]
ORDERS = limited("recharge orders", user="30 per 1 hour", address="300 per 1 hour")
_SVG: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The code as SVG",
        "content": {"image/svg+xml": {"schema": {"type": "string"}}},
    }
}
_WORDS = {"*/*": {"schema": {"type": "string"}}}
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Taken, in the provider's words", "content": _WORDS},
    400: {"description": "Not as the provider's rules have it", "content": _WORDS},
    401: {"description": "Signature, serial or time are not good", "content": _WORDS | _PROBLEM},
    403: {"description": "Of another merchant, or of a browser", "content": _WORDS | _PROBLEM},
    413: {"description": "Too large", "content": _WORDS | _PROBLEM},
}
_BODY = {"requestBody": {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}}


def payments_of(deps: ApiDeps) -> Payments:
    """Return the station's payments. Raises UnknownSubject where none are taken."""
    payments = deps.money().payments
    if payments is None:
        raise UnknownSubject("this station takes no payments")
    return payments


@router.get("/payments/channels", summary="How one may pay")
def list_channels(who: Who, deps: Deps, language: LanguageQuery = None) -> ChannelList:
    """Give the channels that are on, with their ways and the limits of an amount."""
    payments, words = payments_of(deps), language_of(deps, who, language)
    settings = payments.settings
    return ChannelList(
        channels=[
            ChannelAnswer(name=name, in_words=channel_in_words(name, words), ways=list(ways))
            for name, ways in payments.channels().items()
        ],
        cash=settings.cash is not None,
        amount_least_minor=settings.amount_least_minor,
        amount_most_minor=settings.amount_most_minor,
        order_expires_s=settings.order_expires_s,
    )


@router.post(
    "/rooms/{account_id}/orders", summary="Recharge a room", dependencies=[Depends(ORDERS)]
)
def post_order(
    room: Room, body: OrderBody, key: Key, who: Who, deps: Deps, request: Request
) -> OrderAnswer:
    """Make an order; the same key with the same body gives the same one."""
    language = language_of(deps, who, None)
    payer = {name: value for name, value in body.payer.model_dump().items() if value is not None}
    if body.way == "h5" and "client_ip" not in payer:
        asker: Asker = request.scope["asker"]
        payer["client_ip"] = asker.address
    asked = OrderRequest(key, room.id, body.channel, body.amount_minor, body.way, payer, language)
    return OrderAnswer.of(payments_of(deps).create_order(asked, who.user, who.person), language)


@router.get("/rooms/{account_id}/orders", summary="A room's recharges")
def list_room_orders(
    room: Room, who: Who, deps: Deps, limit: Limit = 50, language: LanguageQuery = None
) -> OrderList:
    """Give a room's orders since the person moved in, newest first."""
    since = seen_since(deps, who, room, whole=who.may(*OFFICE))
    found = payments_of(deps).store.orders(account=room.id, since=since, limit=limit)
    return OrderList.of(found, language_of(deps, who, language))


@router.get("/rooms/{account_id}/orders/{order_id}", summary="One recharge and where it stands")
def get_room_order(
    room: Room, order_id: str, who: Who, deps: Deps, language: LanguageQuery = None
) -> OrderAnswer:
    """Give an order; once it is paid, with what the room's power waits for."""
    return OrderAnswer.seen(_view(deps, who, room, order_id), language_of(deps, who, language))


@router.get(
    "/rooms/{account_id}/orders/{order_id}/qr.svg",
    summary="The QR code of an order",
    responses=_SVG,
    response_class=Response,
)
def get_qr(room: Room, order_id: str, who: Who, deps: Deps) -> Response:
    """Draw what the payer scans, as long as the order waits to be paid."""
    order = _view(deps, who, room, order_id).order
    content = order.pay.get("qr") or order.pay.get("url")
    if not content or order.state not in WAITING:
        raise UnknownSubject(f"order {order_id!r} has no code to be scanned")
    code = segno.make(content, error="m", micro=False)
    drawing = BytesIO()
    code.save(drawing, kind="svg", scale=6, border=4, light="#fff")
    return Response(drawing.getvalue(), media_type="image/svg+xml")


@router.post("/rooms/{account_id}/orders/{order_id}/close", summary="Close an unpaid order")
def post_close(room: Room, order_id: str, who: Who, deps: Deps) -> OrderAnswer:
    """Close an order that waits; one that was paid stays as it is."""
    view = _view(deps, who, room, order_id)
    closed = payments_of(deps).orders.close(view.order.id, room.id)
    return OrderAnswer.of(closed, language_of(deps, who, None))


@router.get("/rooms/{account_id}/receipts", summary="A room's receipts")
def list_room_receipts(
    room: Room, who: Who, deps: Deps, limit: Limit = 50, language: LanguageQuery = None
) -> ReceiptList:
    """Give the receipts of cash since the person moved in, newest first."""
    since, words = (
        seen_since(deps, who, room, whole=who.may(*OFFICE)),
        language_of(deps, who, language),
    )
    found = payments_of(deps).store.receipts(account=room.id, since=since, limit=limit)
    told = [ReceiptAnswer.of(receipt, printed(deps, receipt, words)) for receipt in found]
    return ReceiptList(count=len(told), receipts=told)


@router.get("/payments/orders", summary="Recharges of all rooms")
def list_orders(
    query: Annotated[OrdersQuery, Query()], _: Office, who: Who, deps: Deps
) -> OrderList:
    """Give orders, newest first."""
    found = payments_of(deps).store.orders(
        account=query.account,
        state=query.state,
        channel=query.channel,
        since=query.since,
        until=query.until,
        limit=query.limit,
    )
    return OrderList.of(found, language_of(deps, who, None))


async def _raw(request: Request) -> bytes:
    return await request.body()


@notices.post(
    "/payments/notices/{channel}",
    summary="A provider's notice",
    responses=_ANSWERS,
    response_class=Response,
    openapi_extra=_BODY,
)
def post_notice(
    channel: str, request: Request, body: Annotated[bytes, Depends(_raw)], deps: Deps
) -> Response:
    """Take a notice of WeChat Pay, Alipay, UnionPay or the campus card, proved by its signature."""
    answer = payments_of(deps).notice(channel, dict(request.headers.items()), body)
    return Response(answer.body, answer.status, media_type=answer.media_type)


def _view(deps: ApiDeps, who: Principal, room: Account, order_id: str) -> OrderView:
    """Return an order of a room that somebody may see. Raises UnknownSubject."""
    view = payments_of(deps).order(order_id, room.id)
    since = seen_since(deps, who, room, whole=who.may(*OFFICE))
    if view.order.created_at < since and view.order.requested_by != who.user:
        raise UnknownSubject(f"no order {order_id!r}")
    return view
