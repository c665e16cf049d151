"""The TokenStore on the ledger's database: a token's change and its entry are one transaction."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from billing.payments.model import Receipt, ReceiptKind
from billing.token_model import (
    SerialTaken,
    Token,
    TokenBatch,
    TokenRefused,
    TokenState,
    WrongEntries,
    WrongEntry,
)
from domain.books import BookAccount, Entry, KeyReused, Posted, clearing_book
from storage.books.payment_transaction import SqlPaymentsTx
from storage.books.prepaid_rows import one, row_of, rows, value_of
from storage.books.prepaid_tables import recharge_token, token_batch, token_wrong
from storage.books.sql_books import BooksTransaction, SqlBooks
from storage.ledger.dialect import add_new
from storage.ledger.sql_ledger import SqlLedger

# How many serials go into one statement: databases limit the number of parameters.
SERIALS_A_STATEMENT = 500
CLEARING = clearing_book("token")


class SqlTokenStore:
    """Recharge tokens in the database of the books.

    With `till` every sale and refund needs the cashier's open shift, and is on a numbered receipt
    of it, as other cash is.
    """

    def __init__(self, ledger: SqlLedger, books: SqlBooks, *, till: bool = False) -> None:
        self._ledger, self._books, self._till = ledger, books, till

    def issue(self, batch: TokenBatch, tokens: Sequence[Token]) -> "Future[TokenBatch]":
        """Keep a batch and its tokens; the same batch again is the one kept."""

        def work(tx: BooksTransaction) -> TokenBatch:
            found = one(tx.connection, token_batch, "id", batch.id)
            if found is not None:
                return _same_batch(TokenBatch(**found), batch)
            tx.connection.execute(sa.insert(token_batch), row_of(batch))
            new = [row_of(token) for token in tokens]
            if add_new(tx.connection, recharge_token, new) != len(new):
                raise SerialTaken("a serial is in use")
            return batch

        return self._books.transact(work)

    def sell(
        self, serials: Sequence[int], cashier: str, now: datetime, entry: Entry
    ) -> "Future[Posted]":
        """Mark printed tokens as sold and book the sale."""

        def work(tx: BooksTransaction) -> Posted:
            known = tx.entry(entry.id)
            if known is not None:
                # The same sale again, in whatever shift, or another under its name.
                return tx.post(_in_shift(entry, known.entry.details["shift"]))
            sold = {"state": TokenState.SOLD.value, "sold_at": now, "sold_by": cashier}
            changed = 0
            for first in range(0, len(serials), SERIALS_A_STATEMENT):
                part = serials[first : first + SERIALS_A_STATEMENT]
                changed += tx.connection.execute(
                    sa.update(recharge_token)
                    .where(recharge_token.c.serial.in_(part))
                    .where(recharge_token.c.state == TokenState.PRINTED.value)
                    .values(**sold)
                ).rowcount
            if changed != len(serials):
                raise TokenRefused(f"{len(serials) - changed} of these tokens are not for sale")
            _open(tx, entry)
            sale = self._receipted(tx, entry, cashier, ReceiptKind.TOKEN_SALE)
            return tx.post(sale)

        return self._books.transact(work)

    def redeem(
        self, serial: int, account: str, actor: str, now: datetime, entry: Entry
    ) -> "Future[Posted]":
        """Mark a sold token as used and book its recharge; never more than was sold."""

        def work(tx: BooksTransaction) -> Posted:
            change = {
                "state": TokenState.REDEEMED.value,
                "redeemed_at": now,
                "redeemed_by": actor,
                "used_for": account,
            }
            if not _changed(tx, serial, TokenState.SOLD, change):
                token = _token(tx, serial)
                if token.state is not TokenState.REDEEMED or token.used_for != account:
                    raise TokenRefused(key="used")
                return _again(tx, entry)
            return tx.post(entry, floors={CLEARING: 0})

        return self._books.transact(work)

    def void(
        self,
        serial: int,
        actor: str,
        reason: str,
        now: datetime,
        entry: Entry | None,
        cashier: str = "",
    ) -> "Future[Token]":
        """Take a token back, and refund it from a cashier's drawer where `entry` says so."""

        def work(tx: BooksTransaction) -> Token:
            before = TokenState.PRINTED if entry is None else TokenState.SOLD
            change = {
                "state": TokenState.VOID.value,
                "voided_at": now,
                "voided_by": actor,
                "reason": reason,
            }
            if not _changed(tx, serial, before, change):
                token = _token(tx, serial)
                if token.state is not TokenState.VOID:
                    raise TokenRefused(f"this token is {token.state.value}: it can't be taken back")
                return token
            if entry is not None:
                _open(tx, entry)
                refund = self._receipted(tx, entry, cashier, ReceiptKind.REFUND)
                tx.post(refund, floors={CLEARING: 0})
            return _token(tx, serial)

        return self._books.transact(work)

    def token(self, serial: int) -> Token | None:
        """Return a token, or None."""
        found = self._ledger.query(lambda c: one(c, recharge_token, "serial", serial))
        return value_of(Token, found, state=TokenState) if found else None

    def batch(self, batch_id: str) -> TokenBatch | None:
        """Return a batch, or None."""
        found = self._ledger.query(lambda c: one(c, token_batch, "id", batch_id))
        return TokenBatch(**found) if found else None

    def batches(self, *, limit: int = 100) -> Sequence[TokenBatch]:
        """Return batches, newest first."""
        table = token_batch.c
        statement = sa.select(token_batch).order_by(table.issued_at.desc(), table.id).limit(limit)
        return [TokenBatch(**row) for row in self._ledger.query(lambda c: rows(c, statement))]

    def tokens(
        self,
        *,
        batch: str | None = None,
        state: TokenState | None = None,
        account: str | None = None,
        limit: int = 1000,
    ) -> Sequence[Token]:
        """Return tokens by batch and place."""
        table = recharge_token.c
        filters = [
            None if batch is None else table.batch == batch,
            None if state is None else table.state == state.value,
            None if account is None else table.used_for == account,
        ]
        statement = (
            sa.select(recharge_token)
            .where(*(item for item in filters if item is not None))
            .order_by(table.batch, table.place)
            .limit(limit)
        )
        found = self._ledger.query(lambda c: rows(c, statement))
        return [value_of(Token, row, state=TokenState) for row in found]

    def wrong(self, entry: WrongEntry) -> "Future[None]":
        """Count a wrong entry."""

        def work(tx: BooksTransaction) -> None:
            tx.connection.execute(sa.insert(token_wrong), row_of(entry))

        return self._books.transact(work)

    def wrongs(
        self, account: str, actor: str, path_since: datetime, since: datetime
    ) -> WrongEntries:
        """Return how many wrong entries there were on one path, by one person, by anybody."""
        table = token_wrong.c
        path = sa.and_(table.actor == actor, table.account == account, table.at > path_since)
        own = sa.and_(table.actor == actor, table.at > since)

        def read(connection: sa.Connection) -> WrongEntries:
            def count(which: Any) -> tuple[int, datetime | None]:
                statement = sa.select(sa.func.count(), sa.func.max(table.at, type_=table.at.type))
                number, last = connection.execute(statement.where(which)).one()
                return number, last

            (on_path, path_last), (by_actor, actor_last) = count(path), count(own)
            return WrongEntries(
                on_path, by_actor, count(table.at > since)[0], path_last, actor_last
            )

        return self._ledger.query(read)

    def prune_wrong(self, before: datetime) -> "Future[int]":
        """Forget wrong entries from before a time."""

        def work(tx: BooksTransaction) -> int:
            old = sa.delete(token_wrong).where(token_wrong.c.at < before)
            return tx.connection.execute(old).rowcount

        return self._books.transact(work)

    def _receipted(
        self, tx: BooksTransaction, entry: Entry, cashier: str, kind: ReceiptKind
    ) -> Entry:
        """Put cash on a receipt of the cashier's open shift; return the entry with that shift."""
        if not self._till:
            return entry
        payments = SqlPaymentsTx(tx)
        shift = payments.open_shift(cashier)
        if shift is None:
            raise TokenRefused(f"{cashier} has no open shift")
        sign = 1 if kind is ReceiptKind.TOKEN_SALE else -1
        payments.add_receipt(
            Receipt(
                number=0,
                kind=kind,
                order=entry.id,
                account="",
                building="",
                room="",
                amount_minor=sign * int(entry.details["amount_minor"]),
                cashier=cashier,
                shift=shift.id,
                time=entry.time,
                note=entry.description,
            )
        )
        return _in_shift(entry, shift.id)


def _in_shift(entry: Entry, shift: str) -> Entry:
    return replace(entry, details={**entry.details, "shift": shift})


def _changed(tx: BooksTransaction, serial: int, before: TokenState, change: dict[str, Any]) -> bool:
    statement = (
        sa.update(recharge_token)
        .where(recharge_token.c.serial == serial, recharge_token.c.state == before.value)
        .values(**change)
    )
    return tx.connection.execute(statement).rowcount == 1


def _token(tx: BooksTransaction, serial: int) -> Token:
    found = one(tx.connection, recharge_token, "serial", serial)
    if found is None:
        raise TokenRefused("there is no such token")
    return value_of(Token, found, state=TokenState)


def _again(tx: BooksTransaction, entry: Entry) -> Posted:
    """Return the recharge a token brought before, whoever of the room types it in again."""
    found = tx.entry(entry.id)
    if found is None:
        raise TokenRefused("this token is marked as used, and its recharge is not in the books")
    return Posted(
        found.entry, found.number, found.booked_at, found.hash, found.balances, repeated=True
    )


def _open(tx: BooksTransaction, entry: Entry) -> None:
    """Open the accounts an entry needs that nobody has opened yet."""
    for leg in entry.legs:
        if tx.balance(leg.account) is None:
            floor = 0 if leg.account == CLEARING else None
            tx.open(BookAccount(leg.account, floor=floor))


def _same_batch(found: TokenBatch, asked: TokenBatch) -> TokenBatch:
    same = ("count", "amount_minor", "account", "issued_by", "note")
    if any(getattr(found, name) != getattr(asked, name) for name in same):
        raise KeyReused(f"the batch {asked.id!r} was made before with other content")
    return found
