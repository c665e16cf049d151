"""The screen of the demonstration: buses, totals, and trips with their reasons."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.demo.session import Session
from app.station import Station
from domain.causes import TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus

TRIPS_SHOWN = 14


def screen(session: Session, url: str) -> Group:
    """Draw the session as it stands now."""
    station = session.station
    return Group(_head(session, url), _buses(station), _trips(session))


def _head(session: Session, url: str) -> Panel:
    station = session.station
    counters, spool = station.counters, station.stores.stream.stats()
    seconds = (datetime.now(UTC) - session.started).total_seconds()
    powers = [station.latest.value(meter.name, "power_w") for meter in session.site.meters]
    total_kw = sum(float(value[0]) for value in powers if value) / 1000
    text = Text.assemble(
        (f"{len(session.site.meters)} meters", "bold"),
        f" on {len(station.runners)} buses   {counters.sweeps / max(seconds, 1):.1f} sweeps/s   ",
        f"{counters.readings_acknowledged:,} readings on disk   spool {spool.depth}   ",
        f"campus {total_kw:.1f} kW   {seconds:.0f} s\n",
        (f"{url}/docs", "cyan"),
    )
    return Panel(text, title=f"Wattwarden - {session.site.title}", border_style="cyan")


def _buses(station: Station) -> Table:
    table = Table(box=None, padding=(0, 1), expand=True)
    for _ in range(2):
        for name in ("bus", "sweep s", "wire s", "ratio", "silent"):
            table.add_column(name, justify="left" if name == "bus" else "right")
    cells = [_bus(name, runner.health()) for name, runner in station.runners.items()]
    half = (len(cells) + 1) // 2
    for number in range(half):
        right = cells[number + half] if number + half < len(cells) else [""] * 5
        table.add_row(*cells[number], *right)
    return table


def _bus(name: str, health: Any) -> list[str]:
    if not health.link_up:
        return [name, "[red]link down[/]", "", "", ""]
    if health.sweep_s is None or not health.wire_s:
        return [name, "", "", "", ""]
    silent = len(health.silent_meters)
    return [
        name,
        f"{health.sweep_s:.2f}",
        f"{health.wire_s:.2f}",
        f"{health.sweep_s / health.wire_s:.3f}",
        f"[red]{silent}[/]" if silent else "0",
    ]


def _trips(session: Session) -> Table:
    ledger, zone = session.stores.ledger, ZoneInfo(session.site.time_zone)
    causes = ledger.causes(since=session.started, shadow=False, limit=TRIPS_SHOWN)
    commands = ledger.commands(since=session.started, limit=500)
    table = Table("time", "meter", "cause", "why", "relay", expand=True, title="Trips")
    for cause in sorted(causes, key=lambda item: item.since, reverse=True):
        table.add_row(
            f"{cause.since.astimezone(zone):%H:%M:%S}",
            cause.meter,
            f"{cause.kind.value} ({cause.mode.value})",
            cause.reason,
            _proof(cause, commands),
        )
    return table


def _proof(cause: TripCause, commands: list[tuple[Command, Receipt | None]]) -> str:
    for command, receipt in commands:
        if command.cause_id != cause.id or command.action is not Action.TRIP:
            continue
        if receipt is None:
            return "[yellow]opening[/]"
        if receipt.status is not ReceiptStatus.CONFIRMED:
            return f"[red]{receipt.status.value}[/]"
        taken_s = (receipt.finished_at - cause.since).total_seconds()
        closed = ", closed again" if cause.cleared_at else ""
        return f"[green]open, proven in {taken_s:.1f} s[/]{closed}"
    return ""
