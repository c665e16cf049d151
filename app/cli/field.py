"""Field tools on the same meter tables as the collector: find units, read one meter."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from app.bus_address import bus_of, unit_range
from app.cli.common import AsJson, SitePath, errors, output, print_json
from app.logs import set_up_logs
from app.site_file import load_site_file
from collector.catalogue import load_profiles
from collector.field import BusRunner
from collector.meter_port import Readout
from collector.scan import FoundUnit, scan
from collector.settings import PollSettings
from domain.clock import SystemClock
from domain.errors import LinkDown, UnknownSubject
from domain.frame import Quality
from domain.quantities import QUANTITIES
from domain.site import Bus

READ_WITHIN_S = 30.0


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command(name="scan")(scan_bus)
    app.command()(read)


def scan_bus(
    bus: Annotated[
        str, typer.Argument(help="A bus of the site file, /dev/ttyX, tcp://HOST or rtu-over-tcp://")
    ],
    units: Annotated[str, typer.Option(help="Units to ask, such as 1-32,40.")] = "1-247",
    baud: Annotated[int, typer.Option(help="Baud, for a bus given by address.")] = 9600,
    parity: Annotated[str, typer.Option(help="N, E or O, for a bus given by address.")] = "E",
    timeout_s: Annotated[float, typer.Option("--timeout", help="Seconds to wait a unit.")] = 0.3,
    profiles: Annotated[Path | None, typer.Option(help="Folder with your own profiles.")] = None,
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """Find the units of a bus and guess their models. Nothing else may poll it meanwhile."""
    set_up_logs("error")
    chosen = bus_of(bus, site, baud, parity, timeout_s)
    found = asyncio.run(_scan(chosen, unit_range(units), profiles))
    if as_json:
        print_json([_found_dict(unit) for unit in found])
        return
    table = Table("unit", "profile", "what fits, best first", title=f"Units on {chosen.name}")
    for unit in found:
        fits = ", ".join(f"{name} {score:.2f}" for name, score in unit.ranking[:4])
        table.add_row(str(unit.unit), unit.profile or "not sure", fits or "nothing known")
    output.print(table)


async def _scan(bus: Bus, units: list[int], profiles: Path | None) -> list[FoundUnit]:
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("asking", total=len(units))

        def told(unit: int) -> None:
            progress.update(task, advance=1, description=f"asking unit {unit}")

        finding = scan(bus, units, load_profiles(profiles), SystemClock(), on_unit=told)
        return [unit async for unit in finding]


def _found_dict(unit: FoundUnit) -> dict[str, Any]:
    return {
        "unit": unit.unit,
        "profile": unit.profile,
        "ranking": [{"profile": name, "score": score} for name, score in unit.ranking],
    }


def read(
    meter: Annotated[str, typer.Argument(help="The meter's name in the roster.")],
    raw: Annotated[bool, typer.Option("--raw", help="Show the registers too.")] = False,
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """Read all quantities of one meter, straight from its bus, which nobody else may poll."""
    set_up_logs("error")
    readout = asyncio.run(_read(meter, site, raw))
    if as_json:
        print_json(_readout_dict(readout))
    else:
        _show(readout)
    if readout.quality is not Quality.GOOD:
        raise typer.Exit(1)


async def _read(name: str, site: Path, raw: bool) -> Readout:
    loaded = load_site_file(site)
    meter = loaded.site.meter(name)
    if meter is None:
        raise UnknownSubject(f"no meter {name!r} in the roster of {site}")
    bus = next(bus for bus in loaded.site.buses if bus.name == meter.bus)
    runner = BusRunner(
        bus, [meter], loaded.profiles, SystemClock(), lambda _: None, lambda _: None,
        PollSettings(), b"",
    )  # fmt: skip
    task = asyncio.create_task(runner.run(poll=False))
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await runner.read_once(name, raw=raw)
    except TimeoutError as error:
        raise LinkDown(f"bus {bus.name} could not be reached in {READ_WITHIN_S:g} s") from error
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _readout_dict(readout: Readout) -> dict[str, Any]:
    return {
        "meter": readout.meter,
        "time": readout.time,
        "quality": readout.quality.value,
        "values": readout.values,
        "unread": sorted(readout.unread),
        "faults": [str(fault) for fault in readout.faults],
        "registers": {
            f"{block.space} 0x{block.address:04X}": [f"0x{word:04X}" for word in words]
            for block, words in readout.words.items()
        },
    }


def _show(readout: Readout) -> None:
    table = Table(
        "quantity", "value", "unit", "meaning", title=f"{readout.meter} at {readout.time}"
    )
    for name, value in readout.values.items():
        known = QUANTITIES[name]
        shown = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
        table.add_row(name, shown, known.unit, known.meaning)
    output.print(table)
    if readout.quality is not Quality.GOOD:
        errors.print(f"[yellow]{readout.quality.value}[/] {readout.note}")
    for fault in readout.faults:
        errors.print(str(fault), markup=False)
    for block, words in readout.words.items():
        shown = " ".join(f"{word:04X}" for word in words)
        line = f"{block.space} 0x{block.address:04X} x{block.count}: {shown}"
        output.print(line, markup=False, highlight=False, soft_wrap=True)
