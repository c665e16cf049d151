"""The three servers of the API benchmark, each one uvicorn worker in a process of its own:
`python -m bench.api_servers constant|usual|ours FOLDER` prints its port and what to ask with."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from api.app import create_app
from api.billing_deps import BillingDeps
from api.deps import ApiDeps, CommandRequest, StationStats
from api.identity.service import Identity
from api.identity.settings import SignInSettings
from billing.accounts.new_account import NewAccount
from billing.accounts.service import Accounts
from billing.board import BalanceBoard
from billing.model import Person
from domain.books import BookAccount, Entry, EntryKind, Leg, room_book
from domain.clock import SystemClock
from domain.commands import Command, Receipt
from domain.identity import Role
from domain.ports import StreamStats
from domain.site import RoomKind, Site
from domain.users import User
from storage.books.account_store import SqlAccountStore
from storage.books.directory import SqlDirectory
from storage.books.sql_books import SqlBooks
from storage.books.users import SqlUserStore
from storage.duckdb_series import DuckDbSeries
from storage.ledger.sql_ledger import SqlLedger

ROOMS = 500
CLOCK = SystemClock()
SITE = Site(name="bench", time_zone="Asia/Shanghai", buses=())
ACCRUED_MICRO = 1_234_567


def constant() -> FastAPI:
    """Return an application whose one endpoint always says the same."""
    app = FastAPI()

    @app.get("/balance")
    async def balance() -> dict[str, Any]:
        return {"account": "b1-1", "balance": "48.77", "balance_micro": 48_765_433}

    return app


class _Base(DeclarativeBase):
    pass


class _Room(_Base):
    __tablename__ = "room"
    id: Mapped[str] = mapped_column(primary_key=True)
    balance_micro: Mapped[int]


class _Balance(BaseModel):
    account: str
    balance: str
    balance_micro: int


def usual(folder: Path) -> FastAPI:
    """Return the endpoint as it is usually written: a session a request, one row by its key.

    It asks nobody who he is, which is to its advantage.
    """
    engine = sa.create_engine(f"sqlite:///{folder / 'usual.db'}", pool_size=40)
    _Base.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    with sessions.begin() as session:
        session.add_all(_Room(id=f"b1-{n}", balance_micro=n * 1_000_000) for n in range(ROOMS))
    app = FastAPI()

    def get_session() -> Iterator[Session]:
        with sessions() as session:
            yield session

    @app.get("/rooms/{account_id}/balance")
    def balance(account_id: str, session: Annotated[Session, Depends(get_session)]) -> _Balance:
        room = session.get(_Room, account_id)
        if room is None:
            raise HTTPException(404)
        micro = room.balance_micro
        return _Balance(account=room.id, balance=f"{micro / 1e6:.2f}", balance_micro=micro)

    return app


def ours(folder: Path) -> tuple[FastAPI, dict[str, Any]]:
    """Return the station's whole application over real stores, and who may ask what."""
    ledger = SqlLedger(f"sqlite:///{folder / 'ledger.db'}")
    books = SqlBooks(ledger, clock=CLOCK)
    books.open(BookAccount("clearing:wechat"), BookAccount("suspense")).result(30)
    directory = SqlDirectory(ledger)
    accounts = Accounts(
        books, SqlAccountStore(ledger, books, directory), directory, CLOCK,
        zone=ZoneInfo(SITE.time_zone), settle=lambda _: None,
    )  # fmt: skip
    board = BalanceBoard(books, CLOCK, accrued_micro=lambda _: ACCRUED_MICRO)
    identity = Identity(
        SqlUserStore(ledger), CLOCK, SignInSettings(), ledger.secret, lambda _: None
    )
    asks = [_occupant(number, accounts, books, identity) for number in range(ROOMS)]
    deps = ApiDeps(
        site=lambda: SITE, series=DuckDbSeries(folder / "series.duckdb"), ledger=ledger,
        clock=CLOCK, latest=lambda _: (), stream_stats=lambda: StreamStats(*[0] * 8),
        bus_stats=tuple, station_stats=StationStats, submit_command=_no_field,
        field_alive=lambda: True, access_token="bench",  # noqa: S106 - of this run alone
        billing=BillingDeps(books=books, directory=directory, board=board), identity=identity,
    )  # fmt: skip
    _post_when_told(books)
    return create_app(deps), {"asks": asks, "token": "bench"}


def _occupant(
    number: int, accounts: Accounts, books: SqlBooks, identity: Identity
) -> dict[str, Any]:
    room, person = f"{number}", f"p{number}"
    new = NewAccount("B1", room, RoomKind.DORM, "dorm", id=f"b1-{number}")
    accounts.open_account(f"open-{number}", new, "bench")
    accounts.add_person(f"add-{number}", Person(person, f"Person {number}"), "bench")
    accounts.move_in(f"in-{number}", person, new.id, date(2026, 9, 1), "bench")
    balance_micro = (number + 1) * 1_000_000
    books.post(_recharge(f"start:{number}", new.id, balance_micro)).result(30)
    user = User(person, frozenset({Role.STUDENT}), person)
    identity.store.add(user).result(30)
    # Signing in hashes a password, which is not what is measured: the session is made as it would.
    identity.users._users[user.name] = user
    cookie, _ = identity.sessions.begin(user, "password", "127.0.0.1", "bench")
    token = identity.bearer.begin(user).access_token
    return {
        "path": f"/api/v1/rooms/{new.id}/balance",
        "cookie": f"wattwarden={cookie}",
        "bearer": f"Bearer {token}",
        "balance_micro": balance_micro - ACCRUED_MICRO,
    }


def _recharge(entry_id: str, account: str, amount_micro: int) -> Entry:
    legs = (Leg(room_book(account), amount_micro), Leg("clearing:wechat", -amount_micro))
    return Entry(entry_id, CLOCK.now(), EntryKind.RECHARGE, legs, "bench")


async def _no_field(_: CommandRequest) -> tuple[Command, Receipt | None]:
    raise NotImplementedError("the benchmark gives no orders")


def _post_when_told(books: SqlBooks) -> None:
    """Book recharges, so many a second, while standard input says so: `100` begins, `0` ends."""
    rate = {"entries_s": 0}
    pause = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            rate["entries_s"] = int(line)

    def post() -> None:
        number = 0
        while True:
            entries_s = rate["entries_s"]
            pause.wait(1 / entries_s if entries_s else 0.05)
            if entries_s:
                number += 1
                books.post(_recharge(f"more:{number}", f"b1-{number % ROOMS}", 1)).result(30)

    for work in (listen, post):
        threading.Thread(target=work, daemon=True).start()


def main() -> None:
    """Serve one of the three until killed."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    told: dict[str, Any] = {}
    if kind == "ours":
        app, told = ours(folder)
    else:
        app = constant() if kind == "constant" else usual(folder)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", access_log=False, loop="uvloop")
    server = uvicorn.Server(config)
    told["port"] = listening.getsockname()[1]
    listening.listen(1024)
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    server.run([listening])


if __name__ == "__main__":
    main()
