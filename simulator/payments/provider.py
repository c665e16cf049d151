"""What the local providers share: a server on loopback, orders, notices that go wrong to order."""

import secrets
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from domain.clock import Clock, SystemClock

HELD_MOST = 100_000
START_WITHIN_S = 30.0


class Tamper(StrEnum):
    """What is wrong with a notice. The first four are told by the signature or what goes with
    it; the others are signed, and wrong in what they say."""

    BODY = "body"
    SIGNATURE = "signature"
    SERIAL = "serial"
    TIME = "time"
    AMOUNT = "amount"
    CURRENCY = "currency"
    MERCHANT = "merchant"
    ORDER = "order"


SAID = frozenset({Tamper.AMOUNT, Tamper.CURRENCY, Tamper.MERCHANT, Tamper.ORDER})


class Send(StrEnum):
    """When a notice goes out: at once, when `deliver` is called, or never."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class SignedNotice:
    """A notice ready to be sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class GivenBack:
    """A refund as the provider has it."""

    id: str
    order: str
    amount_minor: int
    trade: str
    time: datetime
    status: str = "done"


@dataclass(slots=True)
class Trade:
    """An order as the provider has it."""

    order: str
    amount_minor: int
    notify_url: str
    created_at: datetime
    expires_at: datetime | None = None
    status: str = "open"
    trade: str = ""
    paid_at: datetime | None = None
    extra: dict[str, str] = field(default_factory=dict)
    refunds: dict[str, GivenBack] = field(default_factory=dict)

    @property
    def refunded_minor(self) -> int:
        """Return what was given back, or is on its way."""
        return sum(one.amount_minor for one in self.refunds.values() if one.status != "refused")


class LocalProvider(ABC):
    """A provider on loopback. `start` gives its base URL, `pay` is the customer paying.

    `refuse_refunds` makes it refuse refunds, `slow_refunds` leave them pending until
    `finish_refunds`, `down` answer everything with 503.
    """

    name = ""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.trades: dict[str, Trade] = {}
        self.refuse_refunds = self.slow_refunds = self.down = False
        self.lock = threading.RLock()
        self.requests = 0
        self._held: deque[SignedNotice] = deque(maxlen=HELD_MOST)
        # Notices go to a station on this machine, by plain http.
        self._sender = httpx.Client(timeout=10, trust_env=False, verify=False)  # noqa: S501
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def start(self) -> str:
        """Serve on a free port of loopback and return the base URL."""
        config = uvicorn.Config(
            self.app(), host="127.0.0.1", port=0, log_level="critical", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        ready = threading.Event()
        self._thread = threading.Thread(
            target=_serve, args=(self._server, ready), name=f"{self.name}-provider", daemon=True
        )
        self._thread.start()
        if not ready.wait(START_WITHIN_S) or not self._server.started:
            raise RuntimeError(f"the local provider {self.name} did not start")
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self.url

    def stop(self) -> None:
        """Stop serving."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(START_WITHIN_S)
        self._sender.close()

    @abstractmethod
    def app(self) -> FastAPI:
        """Build what is served."""

    @abstractmethod
    def table(self, folder: Path) -> dict[str, str]:
        """Write the merchant's key files into a folder; return the table of the site file."""

    @abstractmethod
    def notice(self, trade: Trade, tamper: Tamper | None = None) -> SignedNotice:
        """Sign the notice of a paid order."""

    @abstractmethod
    def refund_notice(self, trade: Trade, refund: GivenBack) -> SignedNotice | None:
        """Sign the notice of a refund; None where the provider sends none."""

    def pay(
        self,
        order: str,
        *,
        send: Send = Send.NOW,
        copies: int = 1,
        tamper: Tamper | None = None,
    ) -> list[int]:
        """Pay an order as its customer; return the statuses that the notices were answered with.

        Raises ValueError for an order that can't be paid.
        """
        trade = self.mark_paid(order)
        if send is Send.NEVER:
            return []
        notices = [self.notice(trade, tamper) for _ in range(copies)]
        if send is Send.LATER:
            self._held.extend(notices)
            return []
        return [self.send(notice) for notice in notices]

    def mark_paid(self, order: str) -> Trade:
        """Take the customer's money and tell nobody. Raises ValueError."""
        with self.lock:
            trade = self.trades.get(order)
            if trade is None or trade.status != "open":
                raise ValueError(f"{self.name}: {order} is not there to be paid")
            trade.status, trade.paid_at = "paid", self.now()
            trade.trade = trade.trade or self.new_trade()
            return trade

    def deliver(self, *, backwards: bool = False) -> list[int]:
        """Send the notices that were held back; return the statuses they were answered with."""
        held = list(self._held)
        self._held.clear()
        return [self.send(notice) for notice in (reversed(held) if backwards else held)]

    def finish_refunds(self, status: str = "done") -> list[int]:
        """End pending refunds and tell of them, where the provider does."""
        answers = []
        for trade in list(self.trades.values()):
            for refund in trade.refunds.values():
                if refund.status == "pending":
                    refund.status = status
                    notice = self.refund_notice(trade, refund)
                    answers += [self.send(notice)] if notice else []
        return answers

    def send(self, notice: SignedNotice) -> int:
        """Post a notice; return the status, 0 when nobody is there."""
        try:
            answer = self._sender.post(
                notice.url, headers=dict(notice.headers), content=notice.body
            )
        except httpx.HTTPError:
            return 0
        return answer.status_code

    def take_back(self, order: str, refund: str, amount_minor: int) -> GivenBack | None:
        """Give money of a paid order back once for each refund id; None when it can't be."""
        with self.lock:
            trade = self.trades.get(order)
            if trade is None or trade.status not in ("paid", "refunded"):
                return None
            if refund in trade.refunds:
                return trade.refunds[refund]
            too_much = trade.refunded_minor + amount_minor > trade.amount_minor
            if self.refuse_refunds or too_much or amount_minor <= 0:
                return None
            status = "pending" if self.slow_refunds else "done"
            given = GivenBack(refund, order, amount_minor, self.new_trade(), self.now(), status)
            trade.refunds[refund] = given
            if trade.refunded_minor == trade.amount_minor:
                trade.status = "refunded"
            return given

    def refund_of(self, refund: str) -> GivenBack | None:
        """Return a refund by its id."""
        with self.lock:
            found = (trade.refunds.get(refund) for trade in self.trades.values())
            return next((one for one in found if one is not None), None)

    def now(self) -> datetime:
        """Return the provider's time."""
        return self.clock.now().astimezone(UTC)

    def new_trade(self) -> str:
        """Return a number for a movement of money, 28 digits."""
        return f"{self.now():%Y%m%d}{secrets.randbelow(10**20):020d}"


def write_keys(folder: Path, files: Mapping[str, str]) -> None:
    """Write key files that nobody else on this machine may read."""
    for name, content in files.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(content)


def _serve(server: uvicorn.Server, ready: threading.Event) -> None:
    begin = server.startup

    async def startup(sockets: object = None) -> None:
        await begin(sockets)  # type: ignore[arg-type]
        ready.set()

    server.startup = startup  # type: ignore[method-assign]
    try:
        server.run()
    finally:
        ready.set()
