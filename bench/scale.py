"""What a reading costs as a site grows: up to 50,000 simulated meters, no pacing."""

import asyncio
import contextlib
import gc
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.simulated import SimulatedCampus
from bench.report import Line, Report
from bench.wire import run_fast
from collector.catalogue import load_profiles
from collector.field import BusRunner, PollSettings
from domain.clock import SystemClock
from domain.frame import Sweep
from domain.site import Bus, Meter, Parity, RoomKind, Site

MODEL = "acrel-ddsy1352"
METERS_A_BUS = 200
SIMULATORS = 2
SIZES = (324, 2_000, 10_000, 50_000)
QUICK_SIZES = (324, 2_000)
MEASURE_S = 10.0
QUICK_S = 3.0
# Cost a reading may grow by from the smallest site to the largest.
GROWTH_MOST = 1.5


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """One size: meters, buses, readings, CPU per reading of this process, us, its memory, MB."""

    meters: int
    buses: int
    readings: int
    readings_a_second: float
    cost_us: float
    memory_mb: float


def run(*, data: Path | None = None, quick: bool = False) -> Report:
    """Poll sites of growing size, each simulated by several processes, and compare the cost."""
    del data  # every room draws the same for ever
    report = Report("scale")
    figures = [
        _measure(meters, QUICK_S if quick else MEASURE_S)
        for meters in (QUICK_SIZES if quick else SIZES)
    ]
    first = figures[0]
    for one in figures:
        report.lines.append(
            Line(
                f"{one.meters} meters on {one.buses} buses", f"{one.cost_us:.0f} us CPU a reading",
                f"{one.readings_a_second:.0f} readings/s", f"{one.memory_mb:.0f} MB",
                f"{one.cost_us / first.cost_us:.2f}",
            )
        )  # fmt: skip
        report.figures[str(one.meters)] = {
            "buses": one.buses,
            "readings": one.readings,
            "readings_per_s": one.readings_a_second,
            "cpu_us_per_reading": one.cost_us,
            "memory_mb": one.memory_mb,
        }
    growth = figures[-1].cost_us / first.cost_us
    name = f"cost a reading at {figures[-1].meters} meters over that at {first.meters}"
    report.bar(name, growth, GROWTH_MOST, "ratio", at_most=True)
    return report


def _measure(meters: int, measure_s: float) -> SizeFigures:
    site = _site(meters)
    parts = [_part(site, number) for number in range(min(SIMULATORS, len(site.buses)))]
    with contextlib.ExitStack() as stack:
        addresses: dict[str, dict[str, Any]] = {}
        for part in parts:
            config = {
                "site": part.model_dump(mode="json"),
                "scenario": "constant",
                "paced": False,
                "stop_with_parent": True,
            }
            addresses |= stack.enter_context(SimulatedCampus(config)).buses
        buses = [
            bus.model_copy(
                update={
                    "host": addresses[bus.name]["host"],
                    "tcp_port": addresses[bus.name]["port"],
                }
            )
            for bus in site.buses
        ]
        figures: SizeFigures = run_fast(_poll(buses, site, measure_s))
    return figures


def _site(meters: int) -> Site:
    """Return a site of that many meters, as many on each bus; Modbus has 247 units a bus."""
    count = max(SIMULATORS, -(-meters // METERS_A_BUS))
    buses = tuple(
        # Without a pace a full machine may take long to answer: nobody is to be called dead.
        Bus(
            name=f"bus-{n}", link="rtu-over-tcp", host="127.0.0.1", parity=Parity.EVEN, timeout_s=20
        )
        for n in range(count)
    )
    roster = tuple(
        Meter(
            name=f"m{number}", bus=f"bus-{number % count}", unit_id=number // count + 1,
            profile=MODEL, building="A", room=str(number), kind=RoomKind.DORM, rated_current_a=40,
        )
        for number in range(meters)
    )  # fmt: skip
    return Site(name="scale", time_zone="UTC", buses=buses, meters=roster)


def _part(site: Site, number: int) -> Site:
    """Return the buses that one simulator process serves, and their meters."""
    buses = site.buses[number::SIMULATORS]
    names = {bus.name for bus in buses}
    meters = tuple(meter for meter in site.meters if meter.bus in names)
    return site.model_copy(update={"buses": buses, "meters": meters})


async def _poll(buses: Sequence[Bus], site: Site, measure_s: float) -> SizeFigures:
    """Poll all buses; count the good readings of the measured time and this process's CPU."""
    # Slow quantities only in the first sweep: afterwards one reading is one request.
    profiles, settings = load_profiles(), PollSettings(slow_every_s=3600)
    by_bus: dict[str, list[Meter]] = {}
    for meter in site.meters:
        by_bus.setdefault(meter.bus, []).append(meter)
    taken = _Taken(len(buses))
    runners = [
        BusRunner(
            bus, by_bus[bus.name], profiles, SystemClock(), taken, lambda _: None, settings, b""
        )
        for bus in buses
    ]
    gc.collect()
    gc.freeze()  # as the service does once it is built
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        await taken.all_swept.wait()  # the first sweep reads everything once and warms up
        before = sum(runner.health().transactions for runner in runners)
        started_s, cpu_s = time.perf_counter(), time.process_time()
        await asyncio.sleep(measure_s)
        spent_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
        readings = sum(runner.health().transactions for runner in runners) - before
        timeouts = sum(runner.health().timeouts for runner in runners)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gc.unfreeze()
    if timeouts or not readings:
        raise RuntimeError(f"{timeouts} timeouts, {readings} readings: the simulator fell behind")
    return SizeFigures(
        len(site.meters), len(buses), readings, readings / spent_s, cpu_s / readings * 1e6,
        _memory_mb(),
    )  # fmt: skip


class _Taken:
    """Takes sweeps and notes when every bus has given one."""

    def __init__(self, buses: int) -> None:
        self._buses = buses
        self._swept: set[str] = set()
        self.all_swept = asyncio.Event()

    def __call__(self, sweep: Sweep) -> None:
        self._swept.add(sweep.bus)
        if len(self._swept) == self._buses:
            self.all_swept.set()


def _memory_mb() -> float:
    """Return the most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
