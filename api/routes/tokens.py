"""Recharge tokens: made, printed, sold and taken back at the office, typed in by occupants."""

import csv
import io
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import Who, acting, needs, room_for
from api.context import Deps
from api.deps import ApiDeps
from api.limited import limited
from api.params import CommandId, Person, Words
from api.trips import language_of
from billing.model import Account
from billing.token_model import Token, TokenBatch, TokenLocked, TokenRefused, TokenState
from billing.tokens import PrintedToken, Tokens, serial_text
from domain.errors import UnknownSubject
from domain.identity import Role
from domain.money import MINOR_PER_UNIT
from domain.texts import Language, text

router = APIRouter(tags=["tokens"])

OFFICE = (Role.OPERATOR, Role.FINANCE)
# Digits are money: no browser or proxy keeps them.
NO_STORE = "no-store"
# No control characters: PostgreSQL refuses some, and none has a place here.
PLAIN = r"^[^\x00-\x1f\x7f]*$"
Room = Annotated[Account, Depends(room_for(*OFFICE))]
Key = Annotated[CommandId, Header(alias="Idempotency-Key", description="your own id, once each")]
BatchId = Annotated[str, Path(max_length=100, pattern=PLAIN)]
Serial = Annotated[int, Path(ge=0, le=99_999_999)]
LanguageQuery = Annotated[Language | None, Query(description="default: the person's own")]
ENTRIES = limited("tokens", user="20 per 1 minute; 200 per 1 day", address="300 per 1 hour")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BatchBody(_Strict):
    """Tokens to make; `account` binds them to a room."""

    count: Annotated[int, Field(ge=1, le=10_000)]
    amount_minor: Annotated[int, Field(ge=1, le=10_000_000, strict=True)]
    account: Annotated[str, Field(max_length=64, pattern=PLAIN)] = ""
    valid_days: Annotated[int | None, Field(ge=1, le=3650)] = None
    note: Annotated[str, Field(max_length=500, pattern=PLAIN)] = ""
    issued_by: Person | None = None


class SaleBody(_Strict):
    """Printed tokens that a cashier sells for cash."""

    serials: Annotated[
        tuple[Annotated[int, Field(ge=0, le=99_999_999)], ...], Field(min_length=1, max_length=1000)
    ]
    cashier: Person | None = None


class VoidBody(_Strict):
    """A token to take back. `refund` says that it was sold and its money is handed out here."""

    reason: Words
    refund: bool = False
    cashier: Person | None = None


class EntryBody(BaseModel):
    """A token as it was typed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: Annotated[str, Field(min_length=1, max_length=100)]


class BatchAnswer(BaseModel):
    """Tokens that were made together."""

    id: str
    count: int
    amount_minor: int
    account: str
    issued_by: str
    issued_at: datetime
    expires_at: datetime
    note: str

    @classmethod
    def of(cls, batch: TokenBatch) -> "BatchAnswer":
        """Tell a batch."""
        return cls(**{name: getattr(batch, name) for name in cls.model_fields})


class BatchList(BaseModel):
    """Batches, newest first."""

    count: int
    batches: list[BatchAnswer]


class TokenAnswer(BaseModel):
    """A token without its digits."""

    serial: str
    batch: str
    place: int
    amount_minor: int
    account: str
    state: TokenState
    issued_at: datetime
    expires_at: datetime
    sold_at: datetime | None
    sold_by: str
    redeemed_at: datetime | None
    redeemed_by: str
    used_for: str
    voided_at: datetime | None
    voided_by: str
    reason: str

    @classmethod
    def of(cls, token: Token) -> "TokenAnswer":
        """Tell a token."""
        found = {name: getattr(token, name) for name in cls.model_fields}
        return cls(**found | {"serial": serial_text(token.serial)})


class TokenList(BaseModel):
    """Tokens by batch and place."""

    count: int
    tokens: list[TokenAnswer]


class Card(BaseModel):
    """A token with its digits, as it is printed."""

    place: int
    serial: str
    digits: str
    amount_minor: int
    amount: str
    account: str
    expires_at: datetime


class Sheet(BaseModel):
    """A batch for the printer: `heads` are the words above the columns."""

    title: str
    heads: dict[str, str]
    batch: BatchAnswer
    cards: list[Card]


class SaleAnswer(BaseModel):
    """A sale in the books; `repeated` where it was there before."""

    entry: str
    amount_minor: int
    tokens: int
    repeated: bool


class RedemptionAnswer(BaseModel):
    """What a token brought to a room."""

    serial: str
    account: str
    amount_minor: int
    entry: str
    repeated: bool


def _tokens(deps: ApiDeps) -> Tokens:
    found = deps.money().tokens
    if found is None:
        raise UnknownSubject("this station sells no tokens")
    return found


@router.post(
    "/tokens/batches",
    summary="Make tokens; they are worth nothing until sold",
    dependencies=[Depends(needs(*OFFICE))],
)
def post_batch(body: BatchBody, key: Key, who: Who, deps: Deps) -> BatchAnswer:
    """Make a batch of tokens once; the same key gives the same batch."""
    batch = _tokens(deps).issue(
        key,
        body.count,
        body.amount_minor,
        acting(who, body.issued_by, "body.issued_by"),
        account=body.account,
        valid_days=body.valid_days,
        note=body.note,
    )
    return BatchAnswer.of(batch)


@router.get("/tokens/batches", summary="Batches of tokens", dependencies=[Depends(needs(*OFFICE))])
def list_batches(deps: Deps, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> BatchList:
    """Give batches, newest first."""
    found = _tokens(deps).batches(limit)
    return BatchList(count=len(found), batches=[BatchAnswer.of(one) for one in found])


@router.get(
    "/tokens/batches/{batch_id}/sheet",
    summary="A batch with its digits, for the printer",
    dependencies=[Depends(needs(*OFFICE))],
)
def get_sheet(
    batch_id: BatchId, who: Who, deps: Deps, response: Response, language: LanguageQuery = None
) -> Sheet:
    """Give the digits of a batch's tokens that can still be used. Who asked is an event."""
    response.headers["Cache-Control"] = NO_STORE
    batch, cards = _tokens(deps).printed(batch_id, who.user)
    return _sheet(batch, cards, language_of(deps, who, language))


@router.get(
    "/tokens/batches/{batch_id}/sheet.csv",
    summary="The same as CSV",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    dependencies=[Depends(needs(*OFFICE))],
)
def get_sheet_csv(
    batch_id: BatchId, who: Who, deps: Deps, language: LanguageQuery = None
) -> Response:
    """Give a batch as a table for Excel. Who asked is an event."""
    batch, cards = _tokens(deps).printed(batch_id, who.user)
    sheet = _sheet(batch, cards, language_of(deps, who, language))
    headers = {
        "Cache-Control": NO_STORE,
        "Content-Disposition": 'attachment; filename="tokens.csv"',
    }
    return Response(_csv(sheet), media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/tokens/sales", summary="Sell printed tokens", dependencies=[Depends(needs(*OFFICE))])
def post_sale(body: SaleBody, key: Key, who: Who, deps: Deps) -> SaleAnswer:
    """Sell tokens for cash into the cashier's drawer; the same key sells once."""
    cashier = acting(who, body.cashier, "body.cashier")
    posted = _tokens(deps).sell(key, body.serials, cashier)
    details = posted.entry.details
    return SaleAnswer(
        entry=posted.entry.id,
        amount_minor=details["amount_minor"],
        tokens=len(details["serials"]),
        repeated=posted.repeated,
    )


@router.get(
    "/tokens", summary="Tokens without their digits", dependencies=[Depends(needs(*OFFICE))]
)
def list_tokens(
    deps: Deps,
    batch: Annotated[str | None, Query(max_length=100, pattern=PLAIN)] = None,
    state: TokenState | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> TokenList:
    """Give tokens by batch and place."""
    found = _tokens(deps).tokens(batch=batch, state=state, limit=limit)
    return TokenList(count=len(found), tokens=[TokenAnswer.of(one) for one in found])


@router.get("/tokens/{serial}", summary="One token", dependencies=[Depends(needs(*OFFICE))])
def get_token(serial: Serial, deps: Deps) -> TokenAnswer:
    """Give a token by the serial printed on its card."""
    return TokenAnswer.of(_tokens(deps).token(serial))


@router.post(
    "/tokens/{serial}/void", summary="Take a token back", dependencies=[Depends(needs(*OFFICE))]
)
def post_void(serial: Serial, body: VoidBody, who: Who, deps: Deps) -> TokenAnswer:
    """Take a token back; one that was sold is refunded from the cashier's drawer."""
    cashier = acting(who, body.cashier, "body.cashier")
    drawer = cashier if body.refund else None
    return TokenAnswer.of(_tokens(deps).void(serial, cashier, body.reason, cashier=drawer))


@router.post(
    "/rooms/{account_id}/tokens", summary="Type a token in", dependencies=[Depends(ENTRIES)]
)
def post_entry(
    body: EntryBody, account: Room, who: Who, deps: Deps, language: LanguageQuery = None
) -> RedemptionAnswer:
    """Use a token for a room, once; spaces and dashes do not matter."""
    words = language_of(deps, who, language)
    try:
        found = _tokens(deps).redeem(
            body.token, account.id, who.user, words, for_others=who.may(*OFFICE)
        )
    except TokenRefused as refusal:
        raise TokenRefused(
            text(f"tokens.{refusal.key}", words) if refusal.key else str(refusal), key=refusal.key
        ) from refusal
    except TokenLocked as locked:
        raise TokenLocked(locked.key, locked.retry_after_s, words) from locked
    return RedemptionAnswer(
        serial=serial_text(found.serial),
        account=found.account,
        amount_minor=found.amount_minor,
        entry=found.posted.entry.id,
        repeated=found.repeated,
    )


def _sheet(batch: TokenBatch, cards: list[PrintedToken], language: Language) -> Sheet:
    columns = ("place", "serial", "digits", "amount", "room", "expires")
    return Sheet(
        title=text("tokens.sheet.title", language),
        heads={name: text(f"tokens.sheet.{name}", language) for name in columns},
        batch=BatchAnswer.of(batch),
        cards=[
            Card(
                place=card.token.place,
                serial=serial_text(card.token.serial),
                digits=card.digits,
                amount_minor=card.token.amount_minor,
                amount=f"{Decimal(card.token.amount_minor) / MINOR_PER_UNIT:.2f}",
                account=card.token.account,
                expires_at=card.token.expires_at,
            )
            for card in cards
        ],
    )


def _csv(sheet: Sheet) -> str:
    """Return a sheet as CSV; the mark in front tells Excel that it is UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(sheet.heads.values())
    for card in sheet.cards:
        until = f"{card.expires_at:%Y-%m-%d}"
        writer.writerow((card.place, card.serial, card.digits, card.amount, card.account, until))
    return "\ufeff" + out.getvalue()
