"""Whatever is done to accounts in whatever order: no money appears, none is lost."""

import itertools
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from office import Office

from billing.accounts.closing import RefundBy
from billing.accounts.opening import NewAccount
from billing.accounts.store import RequestState
from domain.books import EntryKind, Unit
from domain.errors import WattwardenError
from domain.site import RoomKind

ROOMS = ("1", "2", "3")
room = st.sampled_from(ROOMS)
fen = st.integers(1, 20_000)
step = st.one_of(
    st.tuples(st.just("open"), room, st.sampled_from((0, 5_000_000, -7))),
    st.tuples(st.just("recharge"), room, fen),
    st.tuples(st.just("recharge"), room, fen),
    st.tuples(st.just("use"), room, st.integers(1, 90_000_000)),
    st.tuples(st.just("move"), room, room, st.booleans(), st.booleans()),
    st.tuples(st.just("transfer"), room, room, fen),
    st.tuples(st.just("adjust"), room, st.integers(-500, 500)),
    st.tuples(st.just("close"), room, st.sampled_from(RefundBy)),
    st.tuples(st.just("write-off"), room),
    st.tuples(st.just("again")),
)


class Play:
    """Carries steps out; what the office refuses is a step too."""

    def __init__(self, office: Office) -> None:
        self.office, self.numbers = office, itertools.count()
        self.paid_in = 0
        self.recharges: list[tuple[str, str]] = []
        self.last = lambda: None

    def take(self, wanted: tuple) -> None:
        number = next(self.numbers)
        verb, *rest = wanted
        act = self.last if verb == "again" else self.action(verb, number, *rest)
        before = self.moved()
        try:
            act()
        except WattwardenError:
            # What was used may have been booked; nothing else was.
            assert self.moved() == before
        self.last = act

    def action(self, verb: str, number: int, name: str = "", *rest):
        office, name_id = self.office, f"{verb}-{number}"
        accounts = office.accounts
        if verb in ("recharge", "move", "transfer"):
            self.have_open(name, *(rest[:1] if verb != "recharge" else ()))
        here = self.account(name)
        match verb:
            case "open":
                new = NewAccount("B1", name, RoomKind.DORM, "dorm", opening_micro=rest[0])
                return lambda: accounts.open_account(name_id, new, "li")
            case "recharge":
                return lambda: self.recharge(here, rest[0], name_id)
            case "use":
                return lambda: office.owed.update({here: rest[0]})
            case "move":
                return lambda: self.move(name_id, here, *rest)
            case "transfer":
                return lambda: self.transfer(name_id, here, *rest)
            case "adjust":
                return lambda: self.decide(
                    accounts.request_adjustment(name_id, here, rest[0], "li", "x").id
                )
            case "write-off":
                return lambda: self.decide(accounts.request_write_off(name_id, here, "li", "x").id)
        return lambda: accounts.close_account(
            name_id, here, "li", "x", refund=rest[0], cashier="till"
        )

    def have_open(self, *names: str) -> None:
        for name in names:
            if self.office.directory.account_of_room("B1", name) is None:
                new = NewAccount("B1", name, RoomKind.DORM, "dorm")
                self.office.accounts.open_account(f"anew-{next(self.numbers)}", new, "li")

    def recharge(self, account: str, minor: int, order: str) -> None:
        if self.office.books.entry(f"recharge:{order}") is None:
            self.recharges.append((account, self.office.recharge(account, minor, order)))

    def move(self, name: str, here: str, other: str, alone: bool, debt: bool) -> None:
        people = [f"{name}-a", f"{name}-b"]
        if self.office.accounts._desk.store.action(name) is None:
            self.office.people(here, *people)
        self.office.accounts.move_room(
            name, here, self.account(other), "li", "x",
            people=people[:1] if alone else None, carry_debt=debt,
        )  # fmt: skip

    def transfer(self, name: str, here: str, other: str, minor: int) -> None:
        paid = [entry for account, entry in self.recharges if account == here]
        if not paid:
            self.recharge(here, minor, f"for-{name}")
            paid = [f"recharge:for-{name}"]
        entry = paid[-1]
        request = self.office.accounts.request_transfer(
            name, here, self.account(other), entry, minor, "li", "x"
        )
        self.decide(request.id)

    def decide(self, request: str) -> None:
        decided = self.office.accounts.approve_transfer(request, "wang", "x")
        assert decided.state is RequestState.APPROVED

    def account(self, name: str) -> str:
        found = self.office.directory.account_of_room("B1", name)
        return found.id if found else f"b1-{name}"

    def moved(self) -> list[str]:
        return [
            posted.entry.id
            for posted in self.office.books.entries(limit=10_000)
            if posted.entry.kind not in (EntryKind.CHARGE, EntryKind.RECHARGE)
        ]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(step, max_size=14))
def test_the_sum_of_all_money_never_changes(sqlite_template: Path, steps: list[tuple]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        office = Office(f"sqlite:///{shutil.copy(sqlite_template, folder)}")
        try:
            play = Play(office)
            for wanted in [("recharge", "1", 5000), ("recharge", "2", 700), *steps]:
                play.take(wanted)
                check(office)
            before = office.books.balances()
            office.reopen()
            assert office.books.balances() == before
            check(office)
        finally:
            office.close()


def check(office: Office) -> None:
    """Books balance, balances are the sums of their legs, closed accounts are empty."""
    money = {
        name: balance
        for name, balance in office.books.balances().items()
        if office.books.account(name).unit is Unit.MICRO
    }
    assert sum(money.values()) == 0
    sums = dict.fromkeys(money, 0)
    for posted in office.books.entries(limit=10_000):
        for leg in posted.entry.legs:
            sums[leg.account] += leg.amount
    assert sums == money
    for account in office.directory.accounts(open_only=False):
        book = office.books.account(f"room:{account.id}")
        assert book.closed == (account.closed_at is not None)
        assert not book.closed or money[book.id] == 0
    # A transfer or refund never pushes a room below 0; only use and corrections do.
    for posted in office.books.entries(limit=10_000):
        if posted.entry.kind.value in ("transfer", "refund"):
            for leg in posted.entry.legs:
                if leg.account.startswith("room:") and leg.amount < 0:
                    assert posted.balances[leg.account] >= 0


def test_the_check_does_find_money_out_of_nowhere(office: Office) -> None:
    office.room("1")
    office.books._memory._balances["room:b1-1"] = 5
    try:
        check(office)
    except AssertionError:
        return
    raise AssertionError("not found")
