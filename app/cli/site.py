"""Commands that check a site file and move it in and out of the ledger."""

from pathlib import Path
from typing import Annotated

import tomli_w
import typer

from app.cli.common import AsJson, SitePath, output, print_json
from app.roster import write_roster
from app.site_file import SiteFile, load_site_file
from app.stores import open_ledger
from domain.errors import InvalidInput, WattwardenError
from domain.policy import Policy
from domain.site import Site

commands = typer.Typer(help="Load a site into the ledger, or write it back to files.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(check)
    app.add_typer(commands, name="site", no_args_is_help=True)


def check(
    site: Annotated[Path, typer.Argument(help="The site file.")] = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """List every fault of a site file, its roster, profiles and policy. Connects to nothing."""
    try:
        loaded = load_site_file(site)
    except InvalidInput as error:
        if as_json:
            faults = [
                {"source": f.source, "message": f.message, "subject": f.subject}
                for f in error.faults
            ]
            print_json({"ok": False, "faults": faults})
            raise typer.Exit(2) from error
        raise
    if as_json:
        print_json({"ok": True, "faults": [], **_counts(loaded)})
        return
    counts = _counts(loaded)
    output.print(
        f"[green]ok[/] {loaded.site.name}: {counts['meters']} meters on {counts['buses']} buses,"
        f" {counts['profiles_used']} profiles used, {counts['groups']} policy groups"
    )


@commands.command()
def load(
    site: Annotated[Path, typer.Argument(help="The site file.")] = Path("site.toml"),
    actor: Annotated[str, typer.Option(help="Who loads it, for the audit trail.")] = "console",
) -> None:
    """Check a site file and put its roster and policy into the ledger."""
    loaded = load_site_file(site)
    ledger = open_ledger(loaded.settings)
    try:
        version = ledger.save_site(loaded.site, loaded.policy, actor)
    finally:
        ledger.close()
    output.print(f"[green]loaded[/] {loaded.site.name}: {len(loaded.site.meters)} meters, "
                 f"policy version {version}")  # fmt: skip


@commands.command()
def export(
    out: Annotated[Path, typer.Argument(help="Folder to write site.toml and meters.csv to.")],
    site: SitePath = Path("site.toml"),
    overwrite: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
) -> None:
    """Write the roster and policy now in the ledger as a site file and a CSV."""
    loaded = load_site_file(site)
    ledger = open_ledger(loaded.settings)
    try:
        stored, policy = ledger.site(), ledger.policy()
    finally:
        ledger.close()
    if stored is None or policy is None:
        raise WattwardenError(f"no site in the ledger yet: run `wattwarden site load {site}`")
    files = {
        out / "site.toml": site_toml(stored, policy, loaded),
        out / "meters.csv": write_roster(stored.meters),
    }
    there = [str(path) for path in files if path.exists()]
    if there and not overwrite:
        raise WattwardenError(f"{', '.join(there)} exists; --overwrite replaces it")
    out.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        output.print(f"wrote {path}")


def site_toml(site: Site, policy: Policy, loaded: SiteFile | None = None) -> str:
    """Write a site and its policy as a site file whose roster is meters.csv.

    Secrets of the settings are left out: they belong in the environment.
    """
    document: dict[str, object] = {
        "site": {
            **site.model_dump(mode="json", include={"name", "title", "time_zone", "currency"}),
            "roster": "meters.csv",
        },
        "bus": [bus.model_dump(mode="json", exclude_defaults=True) for bus in site.buses],
        "policy": policy.model_dump(mode="json", exclude_none=True, exclude={"version"}),
    }
    if loaded:
        document["settings"] = loaded.settings.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={"access_token", "influx_password", "influx_token"},
        )
    return tomli_w.dumps(document)


def _counts(loaded: SiteFile) -> dict[str, int]:
    return {
        "buses": len(loaded.site.buses),
        "meters": len(loaded.site.meters),
        "profiles_used": len({meter.profile for meter in loaded.site.meters}),
        "groups": len(loaded.policy.groups),
    }
