"""Recharge tokens: printed, sold over the counter, typed in once, taken back."""

import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from billing.model import Account, Directory
from billing.token_code import (
    SEALS,
    SERIALS,
    TokenDigits,
    amount_class,
    read_token,
    seal_of,
    token_text,
)
from billing.token_model import (
    SerialTaken,
    Token,
    TokenBatch,
    TokenLocked,
    TokenRefused,
    TokenSettings,
    TokenState,
    TokenStore,
    WrongEntry,
)
from domain.books import Entry, EntryKind, Leg, Posted, cash_book, clearing_book, room_book
from domain.clock import Clock
from domain.errors import InvalidInput, UnknownSubject
from domain.events import Event, EventKind, Severity
from domain.faults import Fault
from domain.money import checked_amount_minor, minor_to_micro
from domain.texts import Language

CHANNEL = "token"
SECRET = "recharge-tokens"  # noqa: S105 - the name of one
WITHIN_S = 30.0
# Serials are drawn by lot; while most of the range is free, some draws always succeed.
DRAWS_MOST = 20
GUARDS = 64
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a token brought: its recharge in the books; `repeated` where it was there before."""

    serial: int
    account: str
    amount_minor: int
    posted: Posted

    @property
    def repeated(self) -> bool:
        """Say whether this token had been typed in for this account before."""
        return self.posted.repeated


@dataclass(frozen=True, slots=True)
class PrintedToken:
    """A token with its digits, for the printer."""

    token: Token
    digits: str


class Tokens:
    """The tokens of a site. Thread-safe; every call waits for the store.

    `secret` is the ledger's secret named SECRET.
    """

    def __init__(
        self,
        directory: Directory,
        store: TokenStore,
        secret: bytes,
        clock: Clock,
        on_event: Callable[[Event], None],
        settings: TokenSettings | None = None,
    ) -> None:
        self._directory, self._store, self._secret = directory, store, secret
        self._clock, self._on_event = clock, on_event
        self.settings = settings or TokenSettings()
        self._guards = tuple(threading.Lock() for _ in range(GUARDS))

    # At the office

    def issue(
        self,
        batch_id: str,
        count: int,
        amount_minor: int,
        actor: str,
        *,
        account: str = "",
        valid_days: int | None = None,
        note: str = "",
    ) -> TokenBatch:
        """Make tokens that are worth nothing until they are sold.

        Raises InvalidInput, UnknownSubject (account), KeyReused, StoreUnavailable.
        """
        self._check_issue(count, amount_minor, account, valid_days)
        now = self._clock.now()
        expires_at = now + timedelta(days=valid_days or self.settings.valid_days)
        batch = TokenBatch(batch_id, count, amount_minor, account, actor, now, expires_at, note)
        for _ in range(DRAWS_MOST):
            try:
                return self._store.issue(batch, _drawn(batch)).result(WITHIN_S)
            except SerialTaken:
                continue
        raise TokenRefused("no free serials were found: too many tokens are kept")

    def sell(self, sale_id: str, serials: Sequence[int], cashier: str) -> Posted:
        """Sell printed tokens for cash: they are worth their amount from now on.

        `sale_id` is the caller's own; the same sale again changes nothing. Raises InvalidInput,
        UnknownSubject, TokenRefused, KeyReused, StoreUnavailable.
        """
        if not 1 <= len(serials) <= self.settings.batch_most or len(set(serials)) != len(serials):
            message = f"must be 1 to {self.settings.batch_most} different serials"
            raise InvalidInput([Fault("serials", message)])
        tokens = [self.token(serial) for serial in serials]
        amount_minor = sum(token.amount_minor for token in tokens)
        amount_micro = minor_to_micro(amount_minor)
        entry = Entry(
            f"token-sale:{sale_id}",
            self._clock.now(),
            EntryKind.TOKEN_SALE,
            (Leg(cash_book(cashier), -amount_micro), Leg(clearing_book(CHANNEL), amount_micro)),
            cashier,
            f"{len(tokens)} recharge tokens sold",
            sale_id,
            {
                "channel": CHANNEL,
                "amount_minor": amount_minor,
                "shift": "",
                "serials": [serial_text(serial) for serial in sorted(serials)],
            },
        )
        return self._store.sell(serials, cashier, entry.time, entry).result(WITHIN_S)

    def void(self, serial: int, actor: str, reason: str, *, cashier: str | None = None) -> Token:
        """Take a token back. One that was sold is refunded from the drawer of `cashier`, expired
        or not. Raises InvalidInput, UnknownSubject, TokenRefused, StoreUnavailable.
        """
        token = self.token(serial)
        if not reason.strip():
            raise InvalidInput([Fault("reason", "say why the token is taken back")])
        if token.state is TokenState.PRINTED:
            voided = self._store.void(serial, actor, reason, self._clock.now(), None)
            return voided.result(WITHIN_S)
        if cashier is None:
            message = "the token was sold: name the cashier who gives the money back"
            raise InvalidInput([Fault("cashier", message)])
        entry = self._refund(token, actor, reason, cashier)
        voided = self._store.void(serial, actor, reason, entry.time, entry, cashier)
        return voided.result(WITHIN_S)

    def token(self, serial: int) -> Token:
        """Return a token of that serial. Raises UnknownSubject."""
        found = self._store.token(serial)
        if found is None:
            raise UnknownSubject(f"no token {serial_text(serial)}")
        return found

    def tokens(
        self, *, batch: str | None = None, state: TokenState | None = None, limit: int = 1000
    ) -> Sequence[Token]:
        """Return tokens by batch and place."""
        return self._store.tokens(batch=batch, state=state, limit=limit)

    def batches(self, limit: int = 100) -> Sequence[TokenBatch]:
        """Return batches, newest first."""
        return self._store.batches(limit=limit)

    def printed(self, batch_id: str, actor: str) -> tuple[TokenBatch, list[PrintedToken]]:
        """Return a batch with the digits of its tokens, for the printer. Raises UnknownSubject.

        Only tokens that can still be used have digits here. Who has seen them is an event.
        """
        batch = self._store.batch(batch_id)
        if batch is None:
            raise UnknownSubject(f"no batch of tokens {batch_id!r}")
        usable = (TokenState.PRINTED, TokenState.SOLD)
        tokens = self._store.tokens(batch=batch_id, limit=batch.count)
        cards = [
            PrintedToken(
                token, token_text(self._secret, token.serial, token.amount_minor, token.account)
            )
            for token in tokens
            if token.state in usable
        ]
        message = f"{len(cards)} tokens of batch {batch_id} shown for printing"
        now, kind = self._clock.now(), EventKind.TOKENS_PRINTED
        self._on_event(Event(now, kind, "tokens", message, actor=actor, group="tokens"))
        return batch, cards

    # At the keypad

    def redeem(
        self,
        typed: str,
        account_id: str,
        actor: str,
        language: Language = "en",
        *,
        for_others: bool = False,
    ) -> Redemption:
        """Use a token for a room, once; the same token for the same room again says so.

        `for_others`: the actor is a kiosk or an office that types in what others bring. Wrong ones
        lock it for the room they were for, never for everybody.

        Raises InvalidInput (mistyped), TokenRefused (not genuine, used, expired, for another room),
        TokenLocked, UnknownSubject (account), StoreUnavailable.
        """
        account = self._open_account(account_id)
        now = self._clock.now()
        # One guess of a person at a time: a hundred at once must not all see an open lock.
        with self._guards[hash(actor) % len(self._guards)]:
            self._check_locks(account_id, actor, now, for_others)
            token = self._genuine(read_token(typed, language))
            if token is None:
                self._note_wrong(account_id, actor, now)
                raise TokenRefused(key="not-genuine")
        self._check_use(token, account_id, now)
        entry = self._recharge(token, account, actor, now)
        posted = self._store.redeem(token.serial, account_id, actor, now, entry).result(WITHIN_S)
        return Redemption(token.serial, account_id, token.amount_minor, posted)

    def prune(self) -> int:
        """Forget wrong entries that lock nobody any more; return how many."""
        return self._store.prune_wrong(self._clock.now() - 2 * DAY).result(WITHIN_S)

    def _genuine(self, digits: TokenDigits) -> Token | None:
        """Return the token that digits belong to; a stranger's serial costs the same work."""
        token = self._store.token(digits.serial)
        bound_to = token.account if token is not None else ""
        amount_minor = token.amount_minor if token is not None else digits.amount_minor
        seal = seal_of(self._secret, digits.serial, amount_minor, bound_to, digits.version)
        is_right = hmac.compare_digest(str(seal), str(digits.seal))
        if token is None or not is_right or token.amount_minor != digits.amount_minor:
            return None
        return token

    def _check_use(self, token: Token, account_id: str, now: datetime) -> None:
        """Tell the holder of a genuine token why it can't be used. Raises TokenRefused."""
        if token.state is TokenState.PRINTED:
            raise TokenRefused(key="not-sold")
        if token.state is TokenState.VOID:
            raise TokenRefused(key="taken-back")
        if token.account not in ("", account_id):
            raise TokenRefused(key="other-room")
        if token.state is TokenState.REDEEMED and token.used_for != account_id:
            raise TokenRefused(key="used")
        if token.state is TokenState.SOLD and now >= token.expires_at:
            raise TokenRefused(key="expired")

    def _check_locks(self, account_id: str, actor: str, now: datetime, for_others: bool) -> None:
        """Refuse an entry path that has seen too many wrong tokens. Raises RateLimited."""
        rules = self.settings
        lock = timedelta(seconds=rules.lock_s)
        wrong = self._store.wrongs(account_id, actor, now - lock, now - DAY)
        if wrong.path >= rules.wrong_most and wrong.path_last is not None:
            _locked(wrong.path_last + lock, now, "locked-room")
        if for_others:
            return
        if wrong.actor >= rules.actor_wrong_most and wrong.actor_last is not None:
            _locked(wrong.actor_last + DAY, now, "locked-day")

    def _note_wrong(self, account_id: str, actor: str, now: datetime) -> None:
        """Count a guess before it is answered, so that a crash forgets none."""
        self._store.wrong(WrongEntry(account_id, actor, now)).result(WITHIN_S)
        lock = timedelta(seconds=self.settings.lock_s)
        wrong = self._store.wrongs(account_id, actor, now - lock, now - DAY)
        if wrong.path == self.settings.wrong_most:
            self._tell(account_id, Severity.WARNING, f"{wrong.path} wrong tokens by {actor}")
        if wrong.all == self.settings.alarm_wrong:
            message = f"{wrong.all} wrong tokens in a day: somebody may be guessing"
            self._tell("tokens", Severity.ALARM, message)

    def _tell(self, subject: str, severity: Severity, message: str) -> None:
        now, kind = self._clock.now(), EventKind.TOKEN_GUESSES
        self._on_event(Event(now, kind, subject, message, severity, group="tokens"))

    def _recharge(self, token: Token, account: Account, actor: str, now: datetime) -> Entry:
        amount_micro = minor_to_micro(token.amount_minor)
        return Entry(
            f"recharge:token-{serial_text(token.serial)}",
            now,
            EntryKind.RECHARGE,
            (Leg(room_book(account.id), amount_micro), Leg(clearing_book(CHANNEL), -amount_micro)),
            actor,
            "recharge token",
            token.batch,
            {
                "channel": CHANNEL,
                "order": f"token-{serial_text(token.serial)}",
                "provider_ref": "",
                "amount_minor": token.amount_minor,
                "person": "",
                "shift": "",
                "building": account.building,
                "kind": account.kind.value,
            },
        )

    def _refund(self, token: Token, actor: str, reason: str, cashier: str) -> Entry:
        amount_micro = minor_to_micro(token.amount_minor)
        serial = serial_text(token.serial)
        details: dict[str, Any] = {
            "channel": CHANNEL,
            "order": f"token-{serial}",
            "amount_minor": token.amount_minor,
            "shift": "",
        }
        return Entry(
            f"refund:token-{serial}",
            self._clock.now(),
            EntryKind.REFUND,
            (Leg(clearing_book(CHANNEL), -amount_micro), Leg(cash_book(cashier), amount_micro)),
            actor,
            reason,
            f"recharge:token-{serial}",
            details,
        )

    def _open_account(self, account_id: str) -> Account:
        account = self._directory.account(account_id)
        if account is None or account.closed_at is not None:
            raise UnknownSubject(f"no open account {account_id!r}")
        return account

    def _check_issue(
        self, count: int, amount_minor: int, account: str, valid_days: int | None
    ) -> None:
        faults = []
        if not 1 <= count <= self.settings.batch_most:
            faults.append(Fault("count", f"must be from 1 to {self.settings.batch_most}"))
        checked_amount_minor(amount_minor, "amount_minor")
        if amount_class(amount_minor) is None:
            message = "must be 1 to 9 times 1, 10, 100 or 1000 yuan"
            faults.append(Fault("amount_minor", message, str(amount_minor)))
        if valid_days is not None and not 1 <= valid_days <= 3650:
            faults.append(Fault("valid_days", "must be from 1 to 3650"))
        if faults:
            raise InvalidInput(faults)
        if account:
            self._open_account(account)


def serial_text(serial: int) -> str:
    """Write a serial as it is printed beside the digits."""
    return f"{serial:08d}"


def forging_odds(on_sale: int) -> float:
    """Return the chance that a guess of anybody who knows no serial is a token on sale."""
    return on_sale / SERIALS / SEALS


def _drawn(batch: TokenBatch) -> list[Token]:
    serials: dict[int, None] = {}
    while len(serials) < batch.count:  # ends: a batch is far smaller than the range
        serials[secrets.randbelow(SERIALS)] = None
    return [
        Token(
            serial, batch.id, place, batch.amount_minor, batch.account, TokenState.PRINTED,
            batch.issued_at, batch.expires_at,
        )
        for place, serial in enumerate(serials, 1)
    ]  # fmt: skip


def _locked(until: datetime, now: datetime, key: str) -> None:
    raise TokenLocked(key, (until - now).total_seconds())
