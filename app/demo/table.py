"""The screen of the demonstration: buses, totals, and trips with their reasons."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.demo.session import Session
from app.station import Station
from domain.causes import RuleMode, TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.texts import Language, rule_text, text

TRIPS_SHOWN = 14
BUS_COLUMNS = ("bus", "sweep", "wire", "ratio", "silent")


def screen(session: Session, url: str, language: Language = "en") -> Group:
    """Draw the session as it stands now."""
    return Group(
        _head(session, url, language),
        _buses(session.station, language),
        _trips(session, language),
    )


def _head(session: Session, url: str, language: Language) -> Panel:
    def word(key: str) -> str:
        return text(f"demo.{key}", language)

    station = session.station
    counters, spool = station.counters, station.stores.stream.stats()
    seconds = (datetime.now(UTC) - session.started).total_seconds()
    powers = [station.latest.value(meter.name, "power_w") for meter in session.site.meters]
    total_kw = sum(float(value[0]) for value in powers if value) / 1000
    body = Text.assemble(
        (f"{len(session.site.meters)} {word('meters')}", "bold"),
        f"   {len(station.runners)} {word('buses')}   ",
        f"{counters.sweeps / max(seconds, 1):.1f} {word('sweeps')}   ",
        f"{counters.readings_acknowledged:,} {word('readings')}   {word('spool')} {spool.depth}   ",
        f"{word('campus')} {total_kw:.1f} kW   {seconds:.0f} s\n",
        f"{_money(session, language)}\n",
        (f"{url}/docs", "cyan"),
    )
    return Panel(body, title=f"Wattwarden - {session.site.title}", border_style="cyan")


def _money(session: Session, language: Language) -> str:
    figures = session.till.figures()
    return "   ".join(
        (
            f"{figures.accounts} {text('demo.accounts', language)}",
            f"{figures.recharges} {text('demo.paid', language)} {figures.recharged} CNY",
            f"{text('demo.used', language)} {figures.used:.2f} CNY",
            f"{figures.owing} {text('demo.owing', language)}",
        )
    )


def _buses(station: Station, language: Language) -> Table:
    table = Table(box=None, padding=(0, 1), expand=True)
    for _ in range(2):
        for name in BUS_COLUMNS:
            justify: Any = "left" if name == "bus" else "right"
            table.add_column(text(f"demo.{name}", language), justify=justify)
    cells = [_bus(name, runner.health(), language) for name, runner in station.runners.items()]
    half = (len(cells) + 1) // 2
    for number in range(half):
        right = cells[number + half] if number + half < len(cells) else [""] * len(BUS_COLUMNS)
        table.add_row(*cells[number], *right)
    return table


def _bus(name: str, health: Any, language: Language) -> list[str]:
    if not health.link_up:
        return [name, f"[red]{text('demo.link-down', language)}[/]", "", "", ""]
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


def _trips(session: Session, language: Language) -> Table:
    ledger, zone = session.stores.ledger, ZoneInfo(session.site.time_zone)
    causes = ledger.causes(since=session.started, shadow=False, limit=TRIPS_SHOWN)
    opened = {
        command.cause_id: (command, receipt)
        for command, receipt in ledger.commands(since=session.started, limit=500)
        if command.action is Action.TRIP
    }
    heads = (text(f"demo.{name}", language) for name in ("time", "meter", "cause", "why", "relay"))
    table = Table(*heads, expand=True, title=text("demo.trips", language))
    for cause in sorted(causes, key=lambda item: item.since, reverse=True):
        table.add_row(
            f"{cause.since.astimezone(zone):%H:%M:%S}",
            cause.meter,
            text(f"kind.{cause.kind.value}", language),
            _why(cause, language),
            _proof(cause, opened, language),
        )
    return table


def _why(cause: TripCause, language: Language) -> str:
    if cause.evidence is None:
        return cause.reason
    return rule_text(cause.evidence.rule, cause.evidence.matched, cause.evidence.limits, language)


def _proof(
    cause: TripCause,
    opened: Mapping[str | None, tuple[Command, Receipt | None]],
    language: Language,
) -> str:
    if cause.mode is not RuleMode.TRIP:
        return f"[yellow]{text('relay.alarm', language)}[/]"
    _, receipt = opened.get(cause.id, (None, None))
    if receipt is None:
        return f"[yellow]{text('relay.opening', language)}[/]" if cause.cleared_at is None else ""
    if receipt.status is not ReceiptStatus.CONFIRMED:
        return f"[red]{receipt.status.value}[/]"
    taken_s = (receipt.finished_at - cause.since).total_seconds()
    proven = f"[green]{text('relay.proven', language, taken_s=taken_s)}[/]"
    return f"{proven}, {text('relay.closed-again', language)}" if cause.cleared_at else proven
