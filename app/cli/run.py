"""The run command: a station on real meters."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from api.app import create_app
from app.access import FILE
from app.api_deps import api_deps
from app.cli.common import errors
from app.http_server import HttpServer
from app.logs import set_up_logs
from app.money_open import open_money
from app.site_file import SiteFile, cross_faults, load_site_file
from app.station import Station
from app.stores import Stores, open_stores
from domain.clock import SystemClock
from domain.errors import InvalidInput, WattwardenError
from domain.policy import Policy
from domain.site import Site


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(run)


def run(
    site: Annotated[Path, typer.Argument(help="The site file.")] = Path("site.toml"),
) -> None:
    """Read, record, judge and act on the site's meters until stopped, and serve the API."""
    loaded = load_site_file(site)
    settings = loaded.settings
    if not settings.is_loopback() and not settings.access_token.get_secret_value():
        raise WattwardenError(
            f"refusing to listen on {settings.api_host} without an access token: set"
            " WATTWARDEN_ACCESS_TOKEN, or api_host = \"127.0.0.1\""
        )  # fmt: skip
    set_up_logs(settings.log_level)
    stores = open_stores(settings)
    try:
        roster, policy = site_in_force(loaded, stores, str(site))
        stores.series.describe(roster.meters)
        server = HttpServer(settings.api_host, settings.api_port)
        station = Station(roster, policy, settings, loaded.profiles, stores, SystemClock())
        money = open_money(station, loaded.money, site.parent)
        station.start()
        try:
            money.start()
            server.start(create_app(api_deps(station, money)))
            errors.print(
                f"[green]running[/] {roster.name}: {len(roster.meters)} meters on"
                f" {len(station.runners)} buses; API at {server.url}/api/v1"
            )
            if not settings.access_token.get_secret_value():
                errors.print(f"the API's access token is in {settings.data_dir / FILE}")
            _wait_for_signal()
            server.stop()
        finally:
            money.pause()
            station.stop()
            money.settle()
    finally:
        stores.close()


def site_in_force(loaded: SiteFile, stores: Stores, file: str) -> tuple[Site, Policy]:
    """Return roster and policy of the ledger; on the very first start they come from the file.

    Buses are taken from the file: they say how this machine reaches the meters.
    """
    stored, policy = stores.ledger.site(), stores.ledger.policy()
    if stored is None or policy is None:
        stores.ledger.save_site(loaded.site, loaded.policy, "first start")
        errors.print(f"roster and policy of {file} are now in the ledger")
        return loaded.site, stores.ledger.policy() or loaded.policy
    if stored.meters != loaded.site.meters or _differs(policy, loaded.policy):
        errors.print(
            f"[yellow]note:[/] the ledger's roster or policy differs from {file}; the ledger's is"
            f" in force. `wattwarden site load {file}` replaces it, `site export` shows it."
        )
    roster = stored.model_copy(update={"buses": loaded.site.buses})
    faults = cross_faults(roster, policy, loaded.profiles, f"ledger, buses of {file}")
    if faults:
        raise InvalidInput(faults)
    return roster, policy


def _differs(one: Policy, other: Policy) -> bool:
    return one.model_copy(update={"version": 0}) != other.model_copy(update={"version": 0})


def _wait_for_signal() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
