"""Sweep time against the calculated wire time: 12 paced buses polled at once by one process."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from app.simulated import SimulatedCampus
from bench.report import Line, Report
from collector.catalogue import load_profiles
from collector.field import BusRunner, PollSettings
from collector.plan import plan_blocks
from collector.profile import Profile
from collector.wire import WireTiming
from domain.clock import SystemClock
from domain.frame import Sweep
from domain.quantities import FAST_QUANTITIES
from domain.site import Bus, Meter, Parity, RoomKind, Site

BUSES = 12
METERS_A_BUS = 27
DEAD_A_BUS = 3
MODEL = "acrel-ddsy1352"
RATIO_MOST = 1.05
MEASURE_S = 45.0
QUICK_S = 10.0
# Before this the first, full sweep runs and dead meters are still being found out.
SETTLE_S = 12.0
QUICK_SETTLE_S = 9.0


@dataclass(frozen=True, slots=True)
class BusFigures:
    """One bus: sweeps measured, median measured and calculated time, s, and how they compare.

    `ratio` is all measured time, gaps between sweeps included, over all calculated time;
    `worst` is the worst single sweep's.
    """

    bus: str
    sweeps: int
    sweep_s: float
    wire_s: float
    ratio: float
    worst: float


def run(*, data: Path | None = None, quick: bool = False) -> Report:
    """Poll 12 buses of 27 meters at 9600 8E1 and 20 ms, first healthy, then with dead meters."""
    del data  # the wire does not care what the rooms draw
    report = Report("wire")
    measure_s = QUICK_S if quick else MEASURE_S
    settle_s = QUICK_SETTLE_S if quick else SETTLE_S
    site = _site()
    _compare_plans(report, site.buses[0])
    # Others on the machine show up here as sweeps that are late on every bus alike.
    report.figures["load_average_before"] = os.getloadavg()[0]
    for title, dead in (("all alive", 0), (f"{DEAD_A_BUS} dead meters a bus", DEAD_A_BUS)):
        figures, cpu_share = _measure(site, dead, settle_s, measure_s)
        _enter(report, title, figures, cpu_share)
    return report


def _site() -> Site:
    buses = tuple(
        Bus(name=f"bus-{number:02d}", link="rtu-over-tcp", host="127.0.0.1", parity=Parity.EVEN)
        for number in range(1, BUSES + 1)
    )
    meters = tuple(
        Meter(
            name=f"{bus.name}-{unit:02d}", bus=bus.name, unit_id=unit, profile=MODEL,
            building="A", room=f"{bus.name}-{unit}", kind=RoomKind.DORM, rated_current_a=40,
        )
        for bus in buses
        for unit in range(1, METERS_A_BUS + 1)
    )  # fmt: skip
    return Site(name="wire", time_zone="UTC", buses=buses, meters=meters)


def _measure(
    site: Site, dead: int, settle_s: float, measure_s: float
) -> tuple[list[BusFigures], float]:
    faults = [
        {"kind": "dead", "meter": meter.name}
        for meter in site.meters
        if 0 < meter.unit_id <= 9 * dead and meter.unit_id % 9 == 0
    ]
    config = {
        "site": site.model_dump(mode="json"),
        "scenario": "constant",
        "faults": faults,
        "stop_with_parent": True,
    }
    with SimulatedCampus(config) as campus:
        buses = [_reachable(bus, campus.buses[bus.name]) for bus in site.buses]
        sweeps, cpu_share = run_fast(_poll(buses, site, settle_s, measure_s))
    return [
        _figures(bus.name, [s for s in sweeps if s.bus == bus.name]) for bus in buses
    ], cpu_share


def _reachable(bus: Bus, endpoint: dict[str, Any]) -> Bus:
    return bus.model_copy(update={"host": endpoint["host"], "tcp_port": endpoint["port"]})


def run_fast(work: Coroutine[Any, Any, Any]) -> Any:
    """Run on the event loop that the field uses."""
    try:
        import uvloop  # noqa: PLC0415  it has no build for Windows
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


async def _poll(
    buses: Sequence[Bus], site: Site, settle_s: float, measure_s: float
) -> tuple[list[Sweep], float]:
    """Poll all buses; return the sweeps begun within the measured time and this process's CPU."""
    profiles, sweeps = load_profiles(), list[Sweep]()
    runners = [
        BusRunner(
            bus, site.meters_on(bus.name), profiles, SystemClock(), _taker(sweeps),
            lambda _: None, PollSettings(), b"",
        )
        for bus in buses
    ]  # fmt: skip
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        await asyncio.sleep(settle_s)
        sweeps.clear()
        started_s, cpu_s = time.perf_counter(), time.process_time()
        await asyncio.sleep(measure_s)
        share = (time.process_time() - cpu_s) / (time.perf_counter() - started_s)
        return list(sweeps), share
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _taker(sweeps: list[Sweep]) -> Callable[[Sweep], None]:
    def take(sweep: Sweep) -> None:
        sweeps.append(sweep)

    return take


def _figures(bus: str, sweeps: Sequence[Sweep]) -> BusFigures:
    # The first one began before the measured time.
    counted = sweeps[1:]
    if not counted:
        raise RuntimeError(f"{bus}: no sweep within the measured time")
    measured_s = [(s.ended_at - s.started_at).total_seconds() for s in counted]
    wire_s = [s.wire_time_s for s in counted]
    span_s = (counted[-1].ended_at - counted[0].started_at).total_seconds()
    return BusFigures(
        bus=bus,
        sweeps=len(counted),
        sweep_s=median(measured_s),
        wire_s=median(wire_s),
        ratio=span_s / sum(wire_s),
        worst=max(m / w for m, w in zip(measured_s, wire_s, strict=True)),
    )


def _enter(report: Report, title: str, figures: Sequence[BusFigures], cpu_share: float) -> None:
    for one in figures:
        report.lines.append(
            Line(
                f"{title}: {one.bus}, {one.sweeps} sweeps", f"{one.sweep_s:.3f} s",
                f"wire {one.wire_s:.3f} s", f"worst sweep {one.worst:.3f}", f"{one.ratio:.4f}",
            )
        )  # fmt: skip
    ratios = [one.ratio for one in figures]
    report.lines.append(
        Line(
            f"{title}: all {len(figures)} buses", f"CPU {100 * cpu_share:.1f} % of a core",
            f"worst sweep {max(one.worst for one in figures):.3f}",
            f"median bus {median(ratios):.4f}", f"{max(ratios):.4f}",
        )
    )  # fmt: skip
    report.bar(
        f"sweep over wire time, worst bus, {title}", max(ratios), RATIO_MOST, "ratio", at_most=True
    )
    report.figures[title] = {
        "ratio_median": median(ratios),
        "ratio_worst_bus": max(ratios),
        "ratio_worst_sweep": max(one.worst for one in figures),
        "sweep_median_s": median(one.sweep_s for one in figures),
        "wire_median_s": median(one.wire_s for one in figures),
        "cpu_share": cpu_share,
        "sweeps": sum(one.sweeps for one in figures),
    }


def _compare_plans(report: Report, bus: Bus) -> None:
    """Enter what the same sweep would take read value by value, or with the usual pauses."""
    timing, profile = WireTiming.of(bus), load_profiles()[MODEL]
    planned_s = METERS_A_BUS * _plan_s(profile, timing)
    single_s = METERS_A_BUS * sum(
        timing.read_s(row.encoding.words)
        for name in FAST_QUANTITIES
        if (row := profile.row(name)) is not None
    )
    report.lines += [
        Line("fast sweep as planned, calculated", f"{planned_s:.3f} s"),
        Line("the same value by value", f"{single_s:.3f} s", ratio=f"{single_s / planned_s:.2f}"),
        Line(
            "the same with 200 ms of pause a meter", f"{planned_s + 0.2 * METERS_A_BUS:.3f} s",
            ratio=f"{1 + 0.2 * METERS_A_BUS / planned_s:.2f}",
        ),
    ]  # fmt: skip
    report.figures["fast_sweep_wire_s"] = planned_s
    report.figures["fast_sweep_value_by_value_s"] = single_s


def _plan_s(profile: Profile, timing: WireTiming) -> float:
    return sum(
        timing.read_s(block.count, block.space)
        for block in plan_blocks(profile, FAST_QUANTITIES, timing)
    )
