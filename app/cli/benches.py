"""The bench command: benchmarks are found by entry point, so the application never imports them."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from app.benchmarks_page import write_page
from app.cli.common import output
from app.logs import set_up_logs
from app.recordings import recordings_folder
from domain.errors import WattwardenError

GROUP = "wattwarden.bench"


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(bench)


def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="wire, scale, ingest, rules, detect, forecast, latency, ledger, api or all"
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="Folder of recorded appliances; default: beside the project")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write bars and figures")] = None,
    quick: Annotated[bool, typer.Option(help="A smaller run for a first look")] = False,
    write: Annotated[Path | None, typer.Option(help="Write a page of all tables")] = None,
) -> None:
    """Measure, print a table of figures and bars, and exit 0 whether or not a bar holds."""
    set_up_logs("critical")
    known: dict[str, Any] = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name != "all" and name not in known:
        raise WattwardenError(f"no benchmark {name!r}; known: {', '.join(sorted(known))}, all")
    reports = []
    for chosen in sorted(known) if name == "all" else [name]:
        run: Callable[..., Any] = known[chosen].load()
        if name == "all":
            output.rule(chosen)
        report = run(data=recordings_folder(data), quick=quick)
        report.show(output)
        reports.append(report)
        if json_file:
            many = json_file.with_stem(f"{json_file.stem}-{chosen}")
            report.write_json(json_file if name != "all" else many)
    if write:
        write_page(write, reports, datetime.now(UTC))
        output.print(f"wrote {write}")
