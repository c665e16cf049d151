"""The command that learns a white-list entry from a recording of one appliance."""

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import tomli_w
import typer

from app.cli.common import AsJson, SitePath, moment, print_json
from app.site_file import load_site_file
from app.stores import open_series
from domain.errors import UnknownSubject
from rules.learn import learn_entry


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(learn)


def learn(
    meter: Annotated[str, typer.Argument(help="The meter that recorded the appliance.")],
    name: Annotated[str, typer.Option(help="What the appliance is called.")],
    start: Annotated[str, typer.Option("--from", help="A little before it is switched on.")],
    end: Annotated[str, typer.Option("--to", help="While it is on, or a little after.")],
    longest_run_s: Annotated[
        float | None, typer.Option(help="Permit runs of at most so many seconds.")
    ] = None,
    everywhere: Annotated[
        bool, typer.Option(help="Permit it in the whole group, not only at this meter.")
    ] = False,
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """Learn a permitted load from stored samples and print it for the policy. Changes nothing."""
    loaded = load_site_file(site)
    known = loaded.site.meter(meter)
    if known is None:
        raise UnknownSubject(f"no meter {meter!r} in the roster of {site}")
    zone = ZoneInfo(loaded.site.time_zone)
    group = known.policy_group
    rules = loaded.policy.group(group).malignant
    series = open_series(loaded.settings)
    try:
        series.describe(loaded.site.meters)
        samples = series.window(moment(start, zone, "--from"), moment(end, zone, "--to"), [meter])
    finally:
        series.close()
    entry = learn_entry(
        samples,
        name,
        nominal_voltage_v=rules.nominal_voltage_v,
        longest_run_s=longest_run_s,
        meters=() if everywhere else (meter,),
    )
    fields = entry.model_dump(mode="json", exclude_none=True)
    if as_json:
        print_json({"group": group, "entry": fields})
        return
    typer.echo(f"[[policy.groups.{group}.malignant.white_list]]\n{tomli_w.dumps(fields)}", nl=False)
