"""A whole simulated campus in its own process: builds it from a configuration and serves it."""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn

from collector.catalogue import load_profiles
from domain.clock import SystemClock
from domain.errors import InvalidInput, WattwardenError
from simulator.campus import Campus
from simulator.config import SimulatorConfig, read_config
from simulator.control_api import control_app
from simulator.faults import FaultSpec
from simulator.field import SimulatedField
from simulator.line import HOST
from simulator.model import LoadSource
from simulator.scenario import demo_campus, demo_scenario, planned_faults
from simulator.scripted import ScriptedLoads
from simulator.traces import TraceLibrary

PARENT_LOOKED_AFTER_EVERY_S = 1.0
BAD_CONFIGURATION = 2


def build_field(config: SimulatorConfig) -> SimulatedField:
    """Build the campus that a configuration describes. Raises InvalidInput, ValueError."""
    clock = SystemClock()

    def campus_now() -> float:
        return clock.now().timestamp() + config.clock_offset_s

    start_s = campus_now() if config.start_s is None else config.start_s
    source, planned = _source(config, start_s)
    field = SimulatedField(
        config.site,
        load_profiles(config.profiles),
        source,
        campus_now=campus_now,
        seed=config.seed,
        paced=config.paced,
        ports=config.ports,
    )
    for spec in (*planned, *config.faults):
        field.add_fault(spec)
    return field


def _source(config: SimulatorConfig, start_s: float) -> tuple[LoadSource, tuple[FaultSpec, ...]]:
    """Return the rooms, and the faults that their scenario plans."""
    if config.scenario == "constant":
        return ScriptedLoads.seeded((m.name for m in config.site.meters), config.seed), ()
    traces = TraceLibrary(config.data) if config.data else None
    if config.scenario == "demo":
        scenario = demo_scenario(
            config.site,
            seed=config.seed,
            start_s=start_s,
            duration_s=config.duration_s,
            traces=traces,
        )
        return demo_campus(config.site, scenario, traces), planned_faults(scenario)
    campus = Campus.of_site(
        config.site,
        seed=config.seed,
        start_s=start_s,
        traces=traces,
        day_shift_s=config.day_shift_s,
    )
    return campus, ()


async def serve(config: SimulatorConfig, announce: Callable[[str], object]) -> None:
    """Run a campus until a signal or its parent ends it; `announce` gets the ready line.

    The line is JSON: {"buses": {name: {"host", "port"} or {"pty"}}, "control": url, "pid"}.
    """
    field = build_field(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listener = socket.create_server((HOST, config.control_port))
    control = _Control(
        uvicorn.Config(control_app(field), log_level="warning", access_log=False, lifespan="off")
    )
    endpoints = await field.start()
    control_task = asyncio.create_task(control.serve([listener]))
    parent_task = asyncio.create_task(_await_parent(stop)) if config.stop_with_parent else None
    # What exists by now stays for good; the collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    ready = {
        "buses": {name: endpoint.as_dict() for name, endpoint in endpoints.items()},
        "control": f"http://{HOST}:{listener.getsockname()[1]}",
        "pid": os.getpid(),
    }
    announce(json.dumps(ready))
    try:
        await stop.wait()
    finally:
        if parent_task is not None:
            parent_task.cancel()
        control.should_exit = True
        await control_task
        await field.stop()


class _Control(uvicorn.Server):
    """uvicorn without its signal handlers: this process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _await_parent(stop: asyncio.Event) -> None:
    """Set `stop` when standard input ends (if it is a pipe) or the parent process is another."""
    loop = asyncio.get_running_loop()
    parent = os.getppid()
    kind = os.fstat(sys.stdin.fileno()).st_mode
    watched = stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            loop.remove_reader(sys.stdin.fileno())
            stop.set()

    if watched:
        loop.add_reader(sys.stdin.fileno(), readable)
    while os.getppid() == parent and not stop.is_set():  # noqa: ASYNC110  it makes no event
        await asyncio.sleep(PARENT_LOOKED_AFTER_EVERY_S)
    stop.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `python -m simulator --config FILE.json` and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description="Serve a simulated campus on real Modbus lines."
    )
    parser.add_argument("--config", type=Path, required=True, help="the campus, as a JSON file")
    options = parser.parse_args(arguments)
    try:
        config = read_config(options.config)
        _run(config)
    except InvalidInput as error:
        sys.stderr.write("".join(f"{fault}\n" for fault in error.faults))
        return BAD_CONFIGURATION
    except (WattwardenError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _run(config: SimulatorConfig) -> None:
    def announce(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    try:
        import uvloop  # noqa: PLC0415  it has no build for Windows; the standard loop does, too
    except ImportError:
        asyncio.run(serve(config, announce))
    else:
        uvloop.run(serve(config, announce))
