"""The command that turns public appliance recordings into the format the simulator plays."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from app.cli.common import AsJson, errors, output, print_json
from simulator.trace_import import import_traces

FAULTS_SHOWN = 20

commands = typer.Typer(help="Recordings of real appliances.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(commands, name="traces")


@commands.callback()
def traces() -> None:
    """Recordings of real appliances."""


@commands.command(name="import")
def import_(
    folder: Annotated[Path, typer.Argument(help="Folder of the public tracebase CSV files.")],
    out: Annotated[Path, typer.Option(help="Folder to write the recordings to.")] = Path("traces"),
    as_json: AsJson = False,
) -> None:
    """Turn tracebase CSV files into recordings for `demo --data` and `bench detect --data`."""
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("importing", total=None)

        def told(done: int, total: int, file: str) -> None:
            progress.update(task, completed=done, total=total, description=Path(file).name)

        report = import_traces(folder, out, told)
    if as_json:
        print_json(asdict(report))
        return
    output.print(
        f"{report.files:,} files, {report.lines:,} lines ({report.bad_lines:,} bad):"
        f" {report.traces:,} traces, {report.samples:,} samples, {report.events:,} uses in {out}"
    )
    for fault in report.faults[:FAULTS_SHOWN]:
        errors.print(str(fault), markup=False, soft_wrap=True)
    if len(report.faults) > FAULTS_SHOWN:
        errors.print(f"and {len(report.faults) - FAULTS_SHOWN} more (all with --json)")
