"""What all commands share: the two consoles, common options, JSON output."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from domain.errors import InvalidInput
from domain.faults import Fault

output = Console()
errors = Console(stderr=True)

SitePath = Annotated[Path, typer.Option("--site", envvar="WATTWARDEN_SITE", help="The site file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output, undecorated."""
    typer.echo(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def moment(text: str, zone: ZoneInfo, option: str) -> datetime:
    """Read an ISO time; without an offset it is local time of the site. Returns UTC."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"must be a time such as 2026-11-22T18:30 (given: {text!r})"
        raise InvalidInput([Fault(option, message)]) from error
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
