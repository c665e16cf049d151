"""One demonstration from start to end: simulator, stores, station, operator, summary."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.auditing import audit_ledger
from app.demo.summary import Judged, judge_trips, summary
from app.demo.till import Till, card_channel, demo_money
from app.money import Money
from app.settings import Settings
from app.simulated import SimulatedCampus
from app.station import Station
from app.stores import Stores, ledger_url, open_stores
from collector.catalogue import load_profiles
from domain.causes import CauseKind
from domain.clock import SystemClock
from domain.errors import CommandRefused
from domain.policy import Policy
from domain.site import Site
from simulator.demo_site import demo_site, with_ports
from simulator.model import LoadUse
from simulator.payments.campus_card import CampusCardProvider
from simulator.phones import Phones
from simulator.scenario import LONGEST_S, Scenario, demo_scenario
from simulator.traces import TraceLibrary

OPERATOR = "operator"
STEP_S = 0.25
CHARGE_EVERY_S = 20.0
COMMANDS_SETTLE_S = 15.0


@dataclass(slots=True)
class Session:
    """A running demonstration; `show` is called a few times a second with it."""

    site: Site
    policy: Policy
    scenario: Scenario
    campus: SimulatedCampus
    stores: Stores
    station: Station
    money: Money
    till: Till
    started: datetime
    done: set[int] = field(default_factory=set)

    def act(self) -> None:
        """Do what is due: the operator's orders and the planned changes of policy."""
        now_s = time.time()
        self.till.act(now_s)
        for number, order in enumerate(self.scenario.operator_actions):
            if order.at_s <= now_s and number not in self.done:
                self.done.add(number)
                # Proof is awaited by the supervisor; the screen must go on meanwhile.
                self.station.order(order.action, order.meter, OPERATOR, order.reason)
        for number, change in enumerate(self.scenario.policy_changes, start=1000):
            if change.at_s <= now_s and number not in self.done:
                self.done.add(number)
                policy = self.station.policy.model_copy(update={"shed": change.shed})
                self.station.set_policy(policy, OPERATOR, change.reason)

    def uses(self) -> list[LoadUse]:
        """Ask the campus for its truth."""
        return [LoadUse(**use) for use in self.campus.get("/truth")["uses"]]

    def judged(self, uses: list[LoadUse]) -> list[Judged]:
        """Hold every trip so far against the truth."""
        causes = self.stores.ledger.causes(since=self.started, limit=100_000)
        commands = self.stores.ledger.commands(since=self.started, limit=100_000)
        planned = {**self.scenario.expected, CauseKind.ARREARS: self.scenario.debtors}
        return judge_trips(causes, uses, commands, planned)

    def settle(self) -> None:
        """Let commands under way come to their proof, then stop the station and drain the spool."""
        end_s = time.monotonic() + COMMANDS_SETTLE_S
        while self.station.commands_under_way() and time.monotonic() < end_s:
            time.sleep(STEP_S)
        self.till.settle()
        self.money.pause()
        self.station.stop()
        self.money.settle()

    def result(self) -> dict[str, Any]:
        """Return the summary; call it after `settle`."""
        uses = self.uses()
        counters = self.station.counters
        counts = {
            "meters": len(self.site.meters),
            "buses": len(self.site.buses),
            "seconds": round(time.time() - self.started.timestamp(), 1),
            "sweeps": counters.sweeps,
            "readings_acknowledged": counters.readings_acknowledged,
            "readings_refused": counters.readings_refused,
            "readings_stored": self._stored(),
            "spool_depth": self.stores.stream.stats().depth,
            "expected_kinds": [kind.value for kind in self.scenario.expected_kinds],
        }
        commands = self.stores.ledger.commands(since=self.started, limit=100_000)
        audit = audit_ledger(ledger_url(self.station.settings))
        return {
            **summary(self.judged(uses), uses, commands, counts),
            **self.till.result(commands),
            "audit_entries": audit.entries,
            "audit_faults": audit.count,
        }

    def _stored(self) -> int:
        """Count the points now in the store, a point being one meter at one time."""
        frame = self.stores.series.window(self.started, datetime.now(UTC), quantities=["quality"])
        return frame.unique(["meter", "time"]).height


@contextlib.contextmanager
def demonstration(
    folder: Path, seconds: float | None, data: Path | None, seed: int, url: str
) -> Iterator[Session]:
    """Start a campus in its own process and a station on it; stop both at the end.

    `url` is where the station's API will be: payments are told there.
    """
    traces = TraceLibrary(data) if data else None
    start_s = time.time()
    started = datetime.fromtimestamp(start_s, UTC)
    site, policy = demo_site(seed, start=started)
    duration_s = LONGEST_S if seconds is None else seconds
    scenario = demo_scenario(site, seed=seed, start_s=start_s, duration_s=duration_s, traces=traces)
    config = {
        "site": site.model_dump(mode="json"),
        "scenario": "demo",
        "seed": seed,
        "start_s": start_s,
        "duration_s": duration_s,
        "data": str(data) if data else None,
        "stop_with_parent": True,
    }
    with SimulatedCampus(config) as campus:
        ports = {name: int(bus["port"]) for name, bus in campus.buses.items()}
        site = with_ports(site, ports)
        stores = open_stores(Settings(data_dir=folder))
        try:
            stores.ledger.save_site(site, policy, OPERATOR)
            stores.series.describe(site.meters)
            station = Station(
                site, policy, Settings(data_dir=folder), load_profiles(), stores, SystemClock()
            )
            with _money(station, scenario, url) as (money, till):
                station.start()
                money.start()
                session = Session(
                    site, policy, scenario, campus, stores, station, money, till, started
                )
                try:
                    yield session
                finally:
                    station.stop()
        finally:
            stores.close()


@contextlib.contextmanager
def _money(station: Station, scenario: Scenario, url: str) -> Iterator[tuple[Money, Till]]:
    """Open the demonstration's accounts, with a campus card and phones of its own."""
    provider, phones = CampusCardProvider(station.clock), Phones()
    provider.start()
    try:
        file = demo_money(url, provider)
        cards = {"campus-card": card_channel(file, provider, station.clock)}
        money = Money(
            station, file, cards, [phones], post_every_s=CHARGE_EVERY_S, arrears_every_s=1.0
        )
        money.open()
        till = Till(money, station, scenario, provider, phones)
        till.open()
        try:
            yield money, till
        finally:
            money.pause()
    finally:
        provider.stop()


def run_until(session: Session, seconds: float | None, show: Callable[[Session], None]) -> None:
    """Let the demonstration live for its time (None: until interrupted)."""
    end_s = None if seconds is None else session.scenario.start_s + seconds
    while end_s is None or time.time() < end_s:
        with contextlib.suppress(CommandRefused):
            session.act()
        show(session)
        time.sleep(STEP_S)
