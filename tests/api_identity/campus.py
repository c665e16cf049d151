"""A campus for the tests: real ledger, books and directory; a user of every role, ready-made."""

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from api_station import SITE, Station, at
from paper import paper_payments
from pwdlib.hashers.argon2 import Argon2Hasher

from alerts.notifier import Notifier
from api.app import create_app
from api.billing_deps import BillingDeps
from api.identity.passwords import Passwords
from api.identity.service import Identity
from api.identity.settings import SignInSettings
from billing.accounts.opening import NewAccount
from billing.accounts.service import Accounts
from billing.arrears import ArrearsKeeper
from billing.board import BalanceBoard
from billing.charger import Charger
from billing.levels import LevelPolicy
from billing.model import Account, Person
from billing.prepaid import PrepaidKeeper
from billing.prepaid_check import PrepaidCheck
from billing.reports.schedules import ReportSchedules
from billing.reports.service import Reports
from billing.tokens import Tokens
from domain.books import BookAccount, Entry, EntryKind, Leg, room_book
from domain.causes import CauseKind, Evidence, TripCause
from domain.identity import Role
from domain.policy import Policy
from domain.site import RoomKind
from domain.users import User
from storage.books.account_store import SqlAccountStore
from storage.books.charging import SqlCharging
from storage.books.directory import SqlDirectory
from storage.books.levels import SqlLevels
from storage.books.messages import SqlOutbox
from storage.books.prepaid import SqlTokenStore
from storage.books.prepaid_orders import SqlPrepaidStore
from storage.books.report_source import SqlReportSource
from storage.books.reports import SqlReportSchedules
from storage.books.sql_books import SqlBooks
from storage.books.users import SqlUserStore
from storage.ledger.sql_ledger import SqlLedger

PASSWORD = "a whale in the sea"  # noqa: S105
TOKEN = "the-stations-own-token"  # noqa: S105
HOST = "power.example"
# Quick, and argon2id all the same.
QUICK = Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1)
STAFF = {
    "olga": Role.OPERATOR,
    "fiona": Role.FINANCE,
    "fred": Role.FACILITIES,
    "anna": Role.ANALYST,
    "ada": Role.ADMIN,
}
# wang and li live in room 101, zhao in room 201, chen has moved out of 101.
STUDENTS = {"wang": "2023001", "li": "2023002", "zhao": "2023003", "chen": "2023004"}
OWN, OTHER, MISSING = "b1-101", "b1-201", "b9-999"
METERS = {OWN: "B1-0101", OTHER: "B1-0201"}


class Campus:
    """A station with money and people."""

    def __init__(
        self,
        folder: Path,
        sign_in: SignInSettings | None = None,
        *,
        ready: Path | None = None,
        **identity: Any,
    ) -> None:
        if ready is not None:
            shutil.copy(ready / "ledger.db", folder / "ledger.db")
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.ledger = SqlLedger(self.url)
        self.station = Station(ledger=self.ledger)
        self.clock = self.station.clock
        self.books = SqlBooks(self.ledger, clock=self.clock)
        if ready is None:
            self.ledger.save_site(SITE, Policy(), "test")
            self.books.open(BookAccount("clearing:wechat"), BookAccount("suspense")).result(10)
        self.directory = SqlDirectory(self.ledger)
        self.accounts = Accounts(
            self.books,
            SqlAccountStore(self.ledger, self.books, self.directory),
            self.directory,
            self.clock,
            zone=ZoneInfo(SITE.time_zone),
            settle=lambda _: None,
        )
        if ready is None:
            self._open_rooms()
        self.accrued: dict[str, int] = {}
        self.board = BalanceBoard(
            self.books, self.clock, accrued_micro=lambda account: self.accrued.get(account, 0)
        )
        self.told: list[Any] = []
        self.identity = self.fresh_identity(sign_in, **identity)
        if ready is None:
            self._add_users()
        self.station.change(
            identity=self.identity,
            billing=BillingDeps(
                books=self.books,
                directory=self.directory,
                accounts=self.accounts,
                board=self.board,
                payments=paper_payments(self.ledger, self.books, self.directory, self.clock),
                **self._charging_services(),
                **self._report_services(),
                **self._message_services(),
            ),
            access_token=TOKEN,
            open_reads=False,
            open_writes=False,
        )
        self._app: Any = None

    def _report_services(self) -> dict[str, Any]:
        reports = Reports(
            SqlReportSource(self.ledger), self.directory, self.clock, ZoneInfo(SITE.time_zone)
        )
        schedules = ReportSchedules(SqlReportSchedules(self.ledger), reports, self.clock)
        return {"reports": reports, "report_schedules": schedules}

    def _charging_services(self) -> dict[str, Any]:
        ledger, books, clock, tell = self.ledger, self.books, self.clock, self.told.append
        charger = Charger(
            books, self.directory, SqlCharging(ledger, books), clock, ZoneInfo(SITE.time_zone), tell
        )  # fmt: skip
        tokens = Tokens(
            self.directory, SqlTokenStore(ledger, books), ledger.secret("tokens"), clock, tell
        )
        store = SqlPrepaidStore(ledger, books)
        prepaid = PrepaidKeeper(
            books, self.directory, store, lambda _: None, lambda _: None, clock, on_event=tell,
            seal_key=ledger.secret("seal"),
        )  # fmt: skip
        check = PrepaidCheck(
            books, self.directory, store, charger.accrued_micro, prepaid.is_moving, clock,
            on_event=tell,
        )  # fmt: skip
        return {"charger": charger, "tokens": tokens, "prepaid": prepaid, "prepaid_check": check}

    def _message_services(self) -> dict[str, Any]:
        zone = ZoneInfo(SITE.time_zone)
        notifier = Notifier(SqlOutbox(self.ledger), [], self.clock, zone, self.told.append)
        arrears = ArrearsKeeper(
            lambda account: self.books.balance(room_book(account)), self.directory, LevelPolicy(),
            SqlLevels(self.ledger), self.clock, zone, lambda _: None, notifier.tell,
        )  # fmt: skip
        return {"notifier": notifier, "arrears": arrears}

    def fresh_identity(self, sign_in: SignInSettings | None = None, **more: Any) -> Identity:
        """Return sign-ins as a start of the station finds them in the ledger."""
        settings = sign_in or SignInSettings()
        passwords = Passwords(settings.password_least, QUICK)
        return Identity(
            SqlUserStore(self.ledger), self.clock, settings, self.ledger.secret,
            self.told.append, passwords, **more,
        )  # fmt: skip

    def restart(self) -> None:
        """Start again on the same ledger."""
        self.identity = self.fresh_identity(self.identity.settings)
        self.station.change(identity=self.identity)
        self._app = None

    def close(self) -> None:
        self.ledger.close()

    @property
    def app(self) -> Any:
        if self._app is None:
            self._app = create_app(self.station.deps)
        return self._app

    def browser(
        self, headers: Mapping[str, str] | None = None, *, address: str = "10.0.0.1",
        host: str = HOST,
    ) -> httpx.AsyncClient:  # fmt: skip
        """Return a browser at an address; it keeps its cookies."""
        transport = httpx.ASGITransport(
            self.app, raise_app_exceptions=False, client=(address, 40_000)
        )
        return httpx.AsyncClient(
            transport=transport, base_url=f"https://{host}/api/v1", headers=headers
        )

    def program(self, user: str) -> httpx.AsyncClient:
        """Return a program that has signed in as a user."""
        tokens = self.identity.bearer.begin(self.user(user))
        return self.browser({"Authorization": f"Bearer {tokens.access_token}"})

    def user(self, name: str) -> User:
        found = self.identity.users.find(name)
        assert found is not None, name
        return found

    def recharge(self, account: str, amount_micro: int, name: str) -> None:
        """Book a recharge."""
        legs = (Leg(room_book(account), amount_micro), Leg("clearing:wechat", -amount_micro))
        entry = Entry(f"recharge:{name}", self.clock.now(), EntryKind.RECHARGE, legs, "pay")
        self.books.post(entry).result(10)

    def trip(self, name: str, account: str = OWN, since_s: float = -60, **more: Any) -> TripCause:
        """Put a trip into the ledger."""
        usual = {
            "kind": CauseKind.MALIGNANT, "raised_by": "rule malignant", "reason": "a step",
            "evidence": EVIDENCE,
        }  # fmt: skip
        cause = TripCause(id=name, meter=METERS[account], since=at(since_s), **(usual | more))
        self.station.keep(cause)
        return cause

    def _open_rooms(self) -> None:
        # The meters count for their rooms since long before these tests.
        self.clock.jump(at(-90 * 86_400))
        for room, meter in (("101", "B1-0101"), ("201", "B1-0201")):
            new = NewAccount("B1", room, RoomKind.DORM, "dorm", registers={meter: 1_000})
            self.accounts.open_account(f"open-{room}", new, "li")
        self.clock.jump(at(0))
        for name, person in STUDENTS.items():
            language = "en" if name == "li" else "zh-CN"
            who = Person(person, name.title(), phone="1380" + person, language=language)
            self.accounts.add_person(f"add-{person}", who, "li")
        for person, room, since in (
            ("2023001", OWN, date(2026, 4, 1)),
            ("2023002", OWN, date(2026, 5, 1)),
            ("2023003", OTHER, date(2026, 4, 1)),
            ("2023004", OWN, date(2026, 3, 1)),
        ):
            self.accounts.move_in(f"in-{person}", person, room, since, "li")
        self.accounts.move_out("out-2023004", "2023004", OWN, date(2026, 4, 20), "li")

    def _add_users(self) -> None:
        hashed = self.identity.passwords.hashed(PASSWORD)
        rows = [User(name, frozenset({role}), password_hash=hashed) for name, role in STAFF.items()]
        rows += [
            User(name, frozenset({Role.STUDENT}), person, hashed)
            for name, person in STUDENTS.items()
        ]
        for row in rows:
            self.identity.store.add(row).result(10)
        more = self.identity
        self.identity = self.fresh_identity(more.settings, send_code=more._send_code)

    def account(self, account_id: str) -> Account:
        found = self.directory.account(account_id)
        assert found is not None
        return found


EVIDENCE = Evidence(
    rule="malignant",
    matched={"step_w": 1480.2, "power_factor_least": 0.999},
    limits={"step_w": 250.0},
    samples=({"time": "2026-05-01T11:59:00Z", "power_w": 85.4, "power_factor": None},),
    policy_version=3,
)


async def sign_in(
    browser: httpx.AsyncClient, user: str, password: str = PASSWORD
) -> httpx.Response:
    """Sign a browser in and give it the CSRF token for its writes."""
    answer = await browser.post("/sign-in", json={"user": user, "password": password})
    if answer.status_code == 200:
        browser.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    return answer
