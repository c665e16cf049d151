"""From a load being switched on to the relay read back as open, on paced 9600-baud buses."""

import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from app.demo.summary import quantile
from app.settings import Settings
from app.simulated import SimulatedCampus
from app.station import Station
from app.stores import open_stores
from bench.report import Line, Report
from collector.catalogue import load_profiles
from domain.causes import CauseKind, TripCause
from domain.clock import SystemClock
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.policy import Policy, RestorePolicy
from domain.site import RoomKind, Site
from simulator.demo_site import demo_site, with_ports

WARM_UP_S = 12.0
USE_FOR_S = 60.0
SETTLE_S = 15.0
AIM_BEYOND_A_SWEEP_S = 1.0
HEATER = "heater"


@dataclass(frozen=True, slots=True)
class Cut:
    """One use: when its load drew power, when a cause stood, when the relay was read open."""

    on_s: float
    cause_s: float
    open_s: float


def run(*, data: Path | None = None, quick: bool = False) -> Report:
    """Switch heaters on at random moments in random rooms and time each cut.

    `data` is not used: the load is a plain 1.5 kW step, so only the chain is measured.
    """
    del data
    uses, apart_s = (24, 0.7) if quick else (100, 0.8)
    site, policy = demo_site(1)
    # The limit on trips a minute is a safety, not part of the time that a single room waits.
    control = policy.control.model_copy(update={"trips_per_min": 10_000})
    # A room whose heater is still on would trip again: one cut a use is measured.
    locked = RestorePolicy(times_a_day=0)
    groups = {
        name: group.model_copy(update={"restore": locked}) for name, group in policy.groups.items()
    }
    policy = policy.model_copy(update={"control": control, "groups": groups})
    config = {
        "site": site.model_dump(mode="json"),
        "scenario": "constant",
        "seed": 1,
        "stop_with_parent": True,
    }
    home = tempfile.TemporaryDirectory(prefix="wattwarden-latency-")
    with home as folder, SimulatedCampus(config) as campus:
        ports = {name: int(bus["port"]) for name, bus in campus.buses.items()}
        switched, causes, commands, sweep_s = _measure(
            campus, with_ports(site, ports), policy, Path(folder), (uses, apart_s)
        )
    return _report(switched, _cuts(switched, causes, commands), sweep_s)


def _measure(
    campus: SimulatedCampus, site: Site, policy: Policy, folder: Path, plan: tuple[int, float]
) -> tuple[dict[str, float], list[TripCause], list[tuple[Command, Receipt | None]], float]:
    uses, apart_s = plan
    dice = random.Random(1)
    rooms = [meter.name for meter in site.meters if meter.kind is RoomKind.DORM]
    stores = open_stores(Settings(data_dir=folder))
    try:
        stores.ledger.save_site(site, policy, "bench")
        stores.series.describe(site.meters)
        station = Station(
            site, policy, Settings(data_dir=folder), load_profiles(), stores, SystemClock()
        )
        station.start()
        try:
            time.sleep(WARM_UP_S)
            switched: dict[str, float] = {}
            for room in dice.sample(rooms, uses):
                body = {"meter": room, "appliance": HEATER, "for_s": USE_FOR_S}
                switched[room] = float(campus.post("/loads", body)["on_s"])
                time.sleep(apart_s * dice.uniform(0.5, 1.5))
            time.sleep(SETTLE_S)
            times = [runner.health().sweep_s for runner in station.runners.values()]
            sweep_s = median(value for value in times if value is not None)
        finally:
            station.stop()
        causes = stores.ledger.causes(kind=CauseKind.MALIGNANT, limit=10_000)
        return switched, causes, stores.ledger.commands(limit=10_000), sweep_s
    finally:
        stores.close()


def _cuts(
    switched: dict[str, float],
    causes: Sequence[TripCause],
    commands: Sequence[tuple[Command, Receipt | None]],
) -> list[Cut]:
    opened = {
        command.cause_id: receipt
        for command, receipt in commands
        if command.action is Action.TRIP
        and receipt is not None
        and receipt.status is ReceiptStatus.CONFIRMED
    }
    cuts = {}
    for cause in sorted(causes, key=lambda item: item.since, reverse=True):
        receipt = opened.get(cause.id)
        if receipt and cause.meter in switched:
            since_s, finished_s = cause.since.timestamp(), receipt.finished_at.timestamp()
            cuts[cause.meter] = Cut(switched[cause.meter], since_s, finished_s)
    return list(cuts.values())


def _report(switched: dict[str, float], cuts: list[Cut], sweep_s: float) -> Report:
    report = Report("latency")
    whole = sorted(cut.open_s - cut.on_s for cut in cuts)
    judged = sorted(cut.cause_s - cut.on_s for cut in cuts)
    acted = sorted(cut.open_s - cut.cause_s for cut in cuts)
    limit_s = sweep_s + AIM_BEYOND_A_SWEEP_S
    for title, values in (
        ("load on -> relay read open", whole),
        ("load on -> sample of the verdict", judged),
        ("sample of the verdict -> relay read open", acted),
    ):
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            value = quantile(values, share)
            shown = "none" if value is None else f"{value:.2f} s"
            ratio = "" if value is None else f"{value / limit_s:.2f}"
            report.lines.append(Line(f"{title}, {name}", shown, "", f"{limit_s:.2f} s", ratio))
    report.lines.append(Line("uses cut, with proof", f"{len(cuts)}", f"of {len(switched)}"))
    report.lines.append(Line("median sweep", f"{sweep_s:.2f} s"))
    p99_s = quantile(whole, 0.99)
    report.bar(
        "p99 from load on to relay read open",
        float("inf") if p99_s is None else p99_s, limit_s, "s", at_most=True,
    )  # fmt: skip
    report.bar("uses cut", len(cuts) / max(1, len(switched)), 1.0, "share", at_most=False)
    report.figures = {
        "uses": len(switched),
        "cut": len(cuts),
        "sweep_median_s": sweep_s,
        "latency_p50_s": quantile(whole, 0.5),
        "latency_p99_s": p99_s,
        "latencies_s": [round(value, 3) for value in whole],
    }
    return report
