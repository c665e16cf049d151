"""A small house whose power is paid for: three rooms, a ledger, a till, providers on loopback."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from billing.model import Account, Occupancy, Person
from billing.payments.campus_card import CampusCard
from billing.payments.cashier import CashRequest
from billing.payments.channel import PaymentChannel
from billing.payments.model import Order, OrderRequest, Receipt, Refund
from billing.payments.refunds import RefundRequest
from billing.payments.service import Payments
from billing.payments.settings import PaymentSettings
from domain.books import BookAccount, Entry, EntryKind, Leg, clearing_book, room_book
from domain.clock import LeapClock
from domain.errors import StoreUnavailable
from domain.events import Event
from domain.site import RoomKind
from simulator.payments.campus_card import CampusCardProvider
from storage.books.payments import SqlPayments
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

NOON = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)
ROOMS = ("b1-101", "b1-102", "b1-103")


def make_blank(file: Path) -> None:
    """Bring up a ledger with the rooms' accounts, and close it."""
    clock = LeapClock(NOON)
    ledger = SqlLedger(f"sqlite:///{file}", clock=clock)
    books = SqlBooks(ledger, clock=clock)
    books.open(*(BookAccount(room_book(name)) for name in ROOMS)).result(10)
    ledger.close()


class Rooms:
    """A directory of a few rooms that may be closed, and of who lives there."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.stays: list[Occupancy] = []
        self.known = {
            name: Account(name, "B1", name.removeprefix("b1-"), RoomKind.DORM, "dorm")
            for name in ROOMS
        }

    def account(self, account_id: str) -> Account | None:
        return self.known.get(account_id)

    def person(self, person_id: str) -> Person | None:
        return self.people.get(person_id)

    def occupants(self, account_id: str, on: date | None = None) -> list[Person]:
        stays = (stay for stay in self.stays if stay.account == account_id)
        return [self.people.get(stay.person, Person(stay.person, "")) for stay in stays]

    def occupancies(
        self, *, account_id: str | None = None, person_id: str | None = None
    ) -> list[Occupancy]:
        wanted = (account_id, person_id)
        return [stay for stay in self.stays if (stay.account, stay.person) == wanted]

    def close(self, account_id: str) -> None:
        self.known[account_id] = replace(self.known[account_id], closed_at=NOON)


class Inbox:
    """The station's notice address over real HTTP."""

    def __init__(self) -> None:
        self.take: Callable[[str, Mapping[str, str], bytes], tuple[int, bytes]] | None = None
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                channel = self.path.split("/")[5]
                assert inbox.take is not None
                status, answer = inbox.take(channel, dict(self.headers.items()), body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Office:
    """The station's money side with its providers; `payments` is what is tested."""

    def __init__(
        self, folder: Path, card: CampusCardProvider, url: str = "", **settings: Any
    ) -> None:
        self.folder = folder
        self.clock, self.rooms, self.events = LeapClock(NOON), Rooms(), list[Event]()
        self.power = "on"
        self.ledger = SqlLedger(url or f"sqlite:///{folder / 'ledger.db'}", clock=self.clock)
        self.books = SqlBooks(self.ledger, clock=self.clock)
        self.inbox, self.card = Inbox(), card
        card.clock = self.clock
        self.settings = PaymentSettings.model_validate(
            {
                "notify_url": self.inbox.url,
                "cash": {},
                "campus-card": {
                    "base_url": self.card.url,
                    "merchant": self.card.merchant,
                    "key_id": self.card.key_id,
                    "secret_file": "not read here",
                },
                **settings,
            }
        )
        self.store = SqlPayments(self.ledger, self.books)
        self.inbox.take = self._take
        self.payments = self.service(self.card_channel())

    def card_channel(self) -> CampusCard:
        table = self.settings.campus_card
        assert table is not None
        return CampusCard(
            table,
            {self.card.key_id: self.card.secret},
            self.settings.notify_url_of("campus-card"),
            self.settings.notice_skew_s,
            self.clock,
        )

    def service(self, *channels: PaymentChannel) -> Payments:
        return Payments(
            self.books,
            self.rooms,  # type: ignore[arg-type]
            self.store,
            {channel.name: channel for channel in channels},
            self.clock,
            self.events.append,
            self.settings,
            power_state=lambda _: self.power,
        )

    def request(self, **more: Any) -> OrderRequest:
        usual = {"key": "k1", "account": "b1-101", "channel": "campus-card", "amount_minor": 5000}
        return OrderRequest(**(usual | more))

    def order(self, amount_minor: int = 5000, key: str = "k1", **more: Any) -> Order:
        asked = self.request(amount_minor=amount_minor, key=key, **more)
        return self.payments.create_order(asked, "li", "20260001")

    def cash(
        self, amount_minor: int, key: str = "c1", cashier: str = "wang", **more: Any
    ) -> Receipt:
        asked = CashRequest(key, "b1-101", amount_minor, **more)
        return self.payments.cash_recharge(asked, cashier)

    def spend(self, amount_minor: int, name: str = "use") -> None:
        """Charge the room for power."""
        amount = amount_minor * 10_000
        self.books.open(BookAccount("revenue:energy")).result(10)
        legs = (Leg(room_book("b1-101"), -amount), Leg("revenue:energy", amount))
        entry = Entry(f"charge:{name}", self.clock.now(), EntryKind.CHARGE, legs, "system")
        self.books.post(entry).result(10)

    def refund(self, order: Order, amount_minor: int, key: str = "r1", **more: Any) -> Refund:
        return self.refund_of(order.id, amount_minor, key, **more)

    def refund_of(self, order: str, amount_minor: int, key: str = "r1", **more: Any) -> Refund:
        asked = RefundRequest(key, order, amount_minor, "paid twice")
        return self.payments.refund(asked, "wang", **more)

    def state(self, order: Order) -> str:
        return self.payments.order(order.id).order.state.value

    def balance(self, room: str = "b1-101") -> int:
        """A room's money, fen."""
        return (self.books.balance(room_book(room)) or 0) // 10_000

    def cleared(self, channel: str = "campus-card") -> int:
        """What a provider owes the house, fen; positive."""
        return -(self.books.balance(clearing_book(channel)) or 0) // 10_000

    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.events]

    def close(self) -> None:
        self.inbox.close()
        self.ledger.close()

    def _take(self, channel: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        try:
            answer = self.payments.notice(channel, headers, body)
        except StoreUnavailable as error:
            return 503, str(error).encode()
        return answer.status, answer.body
