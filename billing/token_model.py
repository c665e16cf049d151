"""Recharge tokens: what is kept of them, and the store that keeps it."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from domain.books import Entry, Posted
from domain.errors import RateLimited, WattwardenError
from domain.texts import Language, text


class TokenState(StrEnum):
    """Where a token is: printed and worth nothing yet, sold, used, or taken back."""

    PRINTED = "printed"
    SOLD = "sold"
    REDEEMED = "redeemed"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the ledger knows it; its digits are not kept, they are made anew from the secret.

    `account` is the room it is bound to, "" for whoever bears it. `sold_by` is the cashier whose
    drawer has the money; `entry` the recharge, `used_for` the account that got it.
    """

    serial: int
    batch: str
    place: int
    amount_minor: int
    account: str
    state: TokenState
    issued_at: datetime
    expires_at: datetime
    sold_at: datetime | None = None
    sold_by: str = ""
    redeemed_at: datetime | None = None
    redeemed_by: str = ""
    used_for: str = ""
    voided_at: datetime | None = None
    voided_by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Tokens that were made together; `id` is the caller's own, so that a repeat makes no more."""

    id: str
    count: int
    amount_minor: int
    account: str
    issued_by: str
    issued_at: datetime
    expires_at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class WrongEntry:
    """A well-formed token that was not genuine: who typed it, for which account, when."""

    account: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WrongEntries:
    """How many wrong entries there were since a time: by this person for this account, by this
    person for any, by anybody; and when the newest of the first was."""

    path: int
    actor: int
    all: int
    path_last: datetime | None = None
    actor_last: datetime | None = None


class TokenRefused(WattwardenError):
    """A token can't be sold, used or taken back as it is; nothing has changed.

    `key` names the sentence of the catalogue that tells it to the person at the keypad.
    """

    def __init__(self, message: str = "", *, key: str = "") -> None:
        self.key = key
        super().__init__(message or text(f"tokens.{key}"))


class TokenLocked(RateLimited):
    """Too many wrong tokens: the entry path is locked for a while."""

    def __init__(self, key: str, retry_after_s: float, language: Language = "en") -> None:
        self.key = key
        super().__init__(text(f"tokens.{key}", language), retry_after_s)


class SerialTaken(WattwardenError):
    """A serial drawn by lot is in use already: draw another."""


class TokenSettings(BaseModel):
    """The site file's section `[tokens]`.

    `valid_days`: after that a token is refused at the keypad and refunded at the office.
    `wrong_most` wrong entries of one person for one account within `lock_s` lock that person's
    entry for that account until `lock_s` after the newest; `actor_wrong_most` in a day lock his
    entry for every account (not of a kiosk or an office, which type in what others bring).
    `alarm_wrong` wrong entries of all in a day are an alarm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    valid_days: Annotated[int, Field(ge=1, le=3650)] = 730
    batch_most: Annotated[int, Field(ge=1, le=10_000)] = 1000
    wrong_most: Annotated[int, Field(ge=1, le=100)] = 5
    lock_s: Annotated[int, Field(ge=60, le=86_400)] = 3600
    actor_wrong_most: Annotated[int, Field(ge=1, le=1000)] = 20
    alarm_wrong: Annotated[int, Field(ge=1, le=100_000)] = 200


class TokenStore(Protocol):
    """Keeps tokens beside the books. Each change and the entry that goes with it are one
    transaction. Futures raise TokenRefused, EntryRefused, StoreUnavailable; the same change asked
    for again changes nothing and gives the same answer."""

    def issue(self, batch: TokenBatch, tokens: Sequence[Token]) -> "Future[TokenBatch]":
        """Keep a batch; SerialTaken where a serial is used, KeyReused where the id is."""

    def sell(
        self, serials: Sequence[int], cashier: str, now: datetime, entry: Entry
    ) -> "Future[Posted]":
        """Mark printed tokens as sold by a cashier and book the sale."""

    def redeem(
        self, serial: int, account: str, actor: str, now: datetime, entry: Entry
    ) -> "Future[Posted]":
        """Mark a sold token as used for an account and book the recharge."""

    def void(
        self,
        serial: int,
        actor: str,
        reason: str,
        now: datetime,
        entry: Entry | None,
        cashier: str = "",
    ) -> "Future[Token]":
        """Take a token back; `entry` refunds a sold one from the drawer of `cashier`, and is None
        for one only printed."""

    def token(self, serial: int) -> Token | None: ...

    def batch(self, batch_id: str) -> TokenBatch | None: ...

    def batches(self, *, limit: int = 100) -> Sequence[TokenBatch]: ...

    def tokens(
        self,
        *,
        batch: str | None = None,
        state: TokenState | None = None,
        account: str | None = None,
        limit: int = 1000,
    ) -> Sequence[Token]: ...

    def wrong(self, entry: WrongEntry) -> "Future[None]": ...

    def wrongs(
        self, account: str, actor: str, path_since: datetime, since: datetime
    ) -> WrongEntries: ...

    def prune_wrong(self, before: datetime) -> "Future[int]": ...
