"""The replay command: what a rule set would have tripped in stored history."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.progress import Progress
from rich.table import Table

from app.cli.common import AsJson, SitePath, errors, moment, output, print_json
from app.replaying import Replayed, replay_history
from app.site_file import load_site_file
from app.stores import load_policy, open_ledger, open_series
from domain.errors import InvalidInput
from domain.faults import Fault


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(replay)


def replay(
    start: Annotated[str, typer.Option("--from", help="Local or ISO time of the first sample.")],
    end: Annotated[str, typer.Option("--to", help="Local or ISO time of the end.")],
    rules: Annotated[
        Path | None, typer.Option(help="Policy file to judge by; default: the ledger's policy")
    ] = None,
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """Run rules over stored history and say what would have tripped, and when. Moves nothing."""
    loaded = load_site_file(site)
    zone = ZoneInfo(loaded.site.time_zone)
    begin, finish = moment(start, zone, "--from"), moment(end, zone, "--to")
    if finish <= begin:
        raise InvalidInput([Fault("--to", f"must be after --from ({begin.isoformat()})")])
    ledger = open_ledger(loaded.settings)
    try:
        roster = ledger.site() or loaded.site
        policy = load_policy(rules) if rules else ledger.policy() or loaded.policy
    finally:
        ledger.close()
    series = open_series(loaded.settings)
    try:
        series.describe(roster.meters)
        with Progress(console=errors, transient=True) as progress:
            task = progress.add_task("replaying", total=(finish - begin).total_seconds())

            def told(at: datetime) -> None:
                progress.update(task, completed=(at - begin).total_seconds())

            found = replay_history(series, roster, policy, begin, finish, told)
    finally:
        series.close()
    if as_json:
        print_json(_as_dict(found))
        return
    _show(found, zone)


def _as_dict(found: Replayed) -> dict[str, Any]:
    return {
        "samples": found.samples,
        "trips": [
            {
                "time": verdict.time,
                "meter": verdict.meter,
                "kind": verdict.kind.value,
                "rule": verdict.rule,
                "mode": verdict.mode.value,
                "evidence": verdict.evidence.as_dict() if verdict.evidence else None,
            }
            for verdict in found.verdicts
        ],
    }


def _show(found: Replayed, zone: ZoneInfo) -> None:
    table = Table("time", "meter", "kind", "mode", "matched", title="Would have acted")
    for verdict in found.verdicts:
        matched = verdict.evidence.matched if verdict.evidence else {}
        words = ", ".join(f"{key} {_short(value)}" for key, value in matched.items())
        local = verdict.time.astimezone(zone)
        table.add_row(f"{local:%Y-%m-%d %H:%M:%S}", verdict.meter, verdict.kind.value,
                      verdict.mode.value, words)  # fmt: skip
    output.print(table)
    took = timedelta(seconds=round(found.took_s))
    output.print(f"{found.samples:,} samples, {len(found.verdicts)} verdicts, {took}")


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
