"""People of the directory: files in and out, and who lives where."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.asking import DEFAULT_URL, Token, Url
from app.cli.common import AsJson, SitePath, output, print_json
from app.cli.office import Key, StationOffice
from domain.errors import InvalidInput
from domain.faults import Fault

commands = typer.Typer(help="People of the directory: import, export, list.")

SITE = Path("site.toml")
File = Annotated[Path, typer.Argument(help="A CSV or XLSX file.")]
Out = Annotated[Path, typer.Argument(help="The file to write: .csv or .xlsx.")]
Apply = Annotated[
    str, typer.Option("--apply", help="Do what the dry run with this digest has shown.")
]
Heads = Annotated[
    Literal["en", "zh-CN"], typer.Option("--language", help="The language of the column heads.")
]
ITEMS_SHOWN = 200


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(commands, name="people", no_args_is_help=True)


@commands.command(name="list")
def list_people(
    account: Annotated[str, typer.Option(help="Only who occupies this room today.")] = "",
    name: Annotated[str, typer.Option(help="A part of the name.")] = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """List people and where they live."""
    answer = StationOffice.of(url, token, site).get("/people", account=account, name=name)
    if as_json:
        print_json(answer)
        return
    table = Table("number", "name", "phone", "e-mail", "lives in")
    for person in answer["people"]:
        here = [one["account"] for one in person["occupancies"] if one["until"] is None]
        cells = (person["id"], person["name"], person["phone"], person["email"], ", ".join(here))
        table.add_row(*map(escape, cells))
    output.print(table)
    output.print(f"{answer['count']} people")


@commands.command(name="import")
def import_people(
    file: File,
    apply: Apply = "",
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Show what a file of people would change; with --apply do exactly that."""
    send_file("people", file, apply, key, StationOffice.of(url, token, site), as_json)


@commands.command(name="export")
def export_people(
    file: Out,
    history: Annotated[bool, typer.Option(help="Stays that are over too.")] = False,
    language: Heads = "en",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
) -> None:
    """Write everybody, a row a stay, as a file that can be imported again."""
    office = StationOffice.of(url, token, site)
    past = "true" if history else ""
    keep_file(file, office.download(
        "/people/export", format=form_of(file), language=language, history=past
    ))  # fmt: skip


def send_file(
    what: str, file: Path, digest: str, key: str, office: StationOffice, as_json: bool
) -> None:
    """Send a file of rooms (`accounts`) or `people` and show what it would do or did.

    Raises InvalidInput with every fault of the file.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidInput([Fault(str(file), f"can't be read: {error}")]) from error
    answer = office.upload(f"/{what}/import", content, key, file=file.name, apply=digest)
    if as_json:
        print_json(answer)
        return
    if answer["applied"]:
        output.print(f"[green]done[/]: {_counts(answer)}")
        return
    _show_plan(answer)
    if any(answer["counts"][kind] for kind in answer["counts"] if kind != "unchanged"):
        command = f"wattwarden {what} import {file} --apply {answer['digest']}"
        output.print(f"nothing was changed yet; to do it: {escape(command)}", soft_wrap=True)


def keep_file(file: Path, content: bytes) -> None:
    """Write a file and say so."""
    file.write_bytes(content)
    output.print(f"{escape(str(file))}: {len(content)} bytes")


def form_of(file: Path) -> str:
    """Return the form that a file's name asks for. Raises InvalidInput."""
    form = file.suffix.lower().removeprefix(".")
    if form not in ("csv", "xlsx"):
        raise InvalidInput([Fault(str(file), "must end with .csv or .xlsx")])
    return form


def _show_plan(answer: dict[str, Any]) -> None:
    table = Table("row", "what", "who or where", "fields")
    for item in answer["items"][:ITEMS_SHOWN]:
        fields = "; ".join(
            f"{name} {before if before is not None else '-'} -> {after}"
            for name, (before, after) in item["fields"].items()
        )
        table.add_row(str(item["row"]), item["kind"], escape(item["subject"]), escape(fields))
    if answer["items"]:
        output.print(table)
    left = len(answer["items"]) - ITEMS_SHOWN + answer["items_left_off"]
    if left > 0:
        output.print(f"and {left} more")
    output.print(f"would be: {_counts(answer)}")


def _counts(answer: dict[str, Any]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in answer["counts"].items())
