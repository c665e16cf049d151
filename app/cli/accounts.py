"""Accounts of rooms and shops: lists, files, moves, meters, closings, money moved by hand."""

from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.asking import DEFAULT_URL, Token, Url
from app.cli.common import AsJson, SitePath, output, print_json
from app.cli.office import Key, Reason, StationOffice
from app.cli.people import SITE, Apply, File, Heads, Out, form_of, keep_file, send_file
from domain.money import AMOUNT_MOST_MINOR, parse_amount_minor
from domain.site import RoomKind

commands = typer.Typer(help="Accounts of rooms and shops.")

AccountName = Annotated[str, typer.Argument(help="The account, such as b1-305.")]
RequestName = Annotated[str, typer.Argument(help="The request's id.")]
Amount = Annotated[str, typer.Argument(help="An amount such as 50 or 50.25.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(commands, name="accounts", no_args_is_help=True)


@commands.command(name="list")
def list_accounts(
    building: Annotated[str, typer.Option(help="Only of this building.")] = "",
    owing: Annotated[bool, typer.Option(help="Only those below zero.")] = False,
    closed: Annotated[bool, typer.Option(help="Closed ones too.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """List accounts with their booked balances."""
    answer = StationOffice.of(url, token, site).get(
        "/accounts", building=building, owing=_flag(owing), closed=_flag(closed)
    )
    if as_json:
        print_json(answer)
        return
    table = Table("account", "building", "room", "kind", "tariff", "balance", "state")
    for one in answer["accounts"]:
        cells = (one["id"], one["building"], one["room"], one["kind"], one["tariff"],
                 one["balance"] or "", "open" if one["open"] else "closed")  # fmt: skip
        table.add_row(*map(escape, cells))
    output.print(table)
    output.print(f"{answer['count']} accounts")


@commands.command(name="open")
def open_account(
    building: Annotated[str, typer.Argument(help="The building.")],
    room: Annotated[str, typer.Argument(help="The room.")],
    *,
    kind: Annotated[RoomKind, typer.Option(help="What the room is used as.")] = RoomKind.DORM,
    tariff: Annotated[str, typer.Option(help="The name of its tariff.")] = "dorm",
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Open the account of a room."""
    body = {"building": building, "room": room, "kind": kind.value, "tariff": tariff}
    _show(StationOffice.of(url, token, site).do("/accounts", body, key), as_json)


@commands.command(name="open-all")
def open_all(
    url: Url = DEFAULT_URL, token: Token = "", site: SitePath = SITE, as_json: AsJson = False
) -> None:
    """Open an account for every room of the roster that never had one."""
    answer = StationOffice.of(url, token, site).do("/accounts/open-all")
    if as_json:
        print_json(answer)
        return
    output.print(f"{len(answer['opened'])} opened; {len(answer['waiting'])} meters wait to be read")


@commands.command(name="import")
def import_rooms(
    file: File,
    apply: Apply = "",
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Show what a file of rooms would change; with --apply do exactly that."""
    send_file("accounts", file, apply, key, StationOffice.of(url, token, site), as_json)


@commands.command(name="export")
def export_rooms(
    file: Out,
    language: Heads = "en",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
) -> None:
    """Write the open accounts as a file that can be imported again."""
    office = StationOffice.of(url, token, site)
    form = form_of(file)
    keep_file(file, office.download("/accounts/export", format=form, language=language))


@commands.command()
def move(
    account: AccountName,
    to: Annotated[str, typer.Argument(help="The account of the new room.")],
    *,
    reason: Reason,
    person: Annotated[
        list[str] | None, typer.Option(help="Who moves; may be repeated; default: everybody.")
    ] = None,
    amount: Annotated[str, typer.Option(help="What they take along; default: their share.")] = "",
    carry_debt: Annotated[bool, typer.Option(help="Take a debt along.")] = False,
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Move people and their money to another room."""
    body: dict[str, Any] = {"to_account": to, "carry_debt": carry_debt, "reason": reason}
    body |= {"people": person} if person else {}
    body |= {"amount_minor": parse_amount_minor(amount, "--amount")} if amount else {}
    _show(StationOffice.of(url, token, site).do(f"/rooms/{account}/move", body, key), as_json)


@commands.command(name="change-meter")
def change_meter(
    account: AccountName,
    meter: Annotated[str, typer.Argument(help="The meter that went out.")],
    final_wh: Annotated[int, typer.Argument(help="Its last reading, Wh.")],
    first_wh: Annotated[int, typer.Argument(help="The new one's first reading, Wh.")],
    *,
    reason: Reason,
    new_meter: Annotated[str, typer.Option(help="The new one's name; default: the same.")] = "",
    serial: Annotated[str, typer.Option(help="The new device's number.")] = "",
    final_reason: Annotated[
        str, typer.Option(help="Why a last reading that looks wrong is right.")
    ] = "",
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Record that a meter was exchanged, with both readings."""
    body = {
        "meter": meter, "final_wh": final_wh, "first_wh": first_wh, "new_meter": new_meter,
        "serial": serial, "final_reason": final_reason, "reason": reason,
    }  # fmt: skip
    office = StationOffice.of(url, token, site)
    _show(office.do(f"/rooms/{account}/meter-change", body, key), as_json)


@commands.command()
def close(
    account: AccountName,
    *,
    reason: Reason,
    refund: Annotated[
        Literal["cash", "source"], typer.Option(help="How the balance goes back.")
    ] = "cash",
    cashier: Annotated[str, typer.Option(help="Who pays out, by cash.")] = "",
    force_reason: Annotated[
        str, typer.Option(help="Why it is closed although something is not settled.")
    ] = "",
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Close an account and give its balance back."""
    body = {"reason": reason, "refund": refund, "cashier": cashier, "force_reason": force_reason}
    _show(StationOffice.of(url, token, site).do(f"/rooms/{account}/close", body, key), as_json)


@commands.command()
def transfer(
    account: AccountName,
    to: Annotated[str, typer.Argument(help="The account that was meant.")],
    recharge: Annotated[str, typer.Argument(help="The recharge's entry: recharge:ORDER.")],
    amount: Amount,
    *,
    reason: Reason,
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Ask that a recharge to the wrong room be moved; a second person approves."""
    body = {
        "from_account": account, "to_account": to, "recharge": recharge,
        "amount_minor": parse_amount_minor(amount, "AMOUNT"), "reason": reason,
    }  # fmt: skip
    _show_request(StationOffice.of(url, token, site).do("/transfers", body, key), as_json)


@commands.command()
def adjust(
    account: AccountName,
    amount: Amount,
    *,
    reason: Reason,
    down: Annotated[bool, typer.Option("--down", help="Take it from the room.")] = False,
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Ask that a balance be corrected; a second person approves."""
    minor = parse_amount_minor(amount, "AMOUNT", AMOUNT_MOST_MINOR)
    body = {"account": account, "amount_minor": -minor if down else minor, "reason": reason}
    _show_request(StationOffice.of(url, token, site).do("/adjustments", body, key), as_json)


@commands.command(name="write-off")
def write_off(
    account: AccountName,
    reason: Reason,
    key: Key = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Ask that what a room owes be written off; a second person approves."""
    body = {"account": account, "reason": reason}
    _show_request(StationOffice.of(url, token, site).do("/write-offs", body, key), as_json)


@commands.command()
def requests(
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """List requests for money that wait for a second person."""
    office = StationOffice.of(url, token, site)
    answer = office.get("/money-requests", waiting=_flag(not every))
    if as_json:
        print_json(answer)
        return
    table = Table("id", "what", "account", "to", "amount", "asked by", "until", "state", "why")
    for one in answer["requests"]:
        cells = (one["id"], one["kind"], one["account"], one["to_account"] or "", one["amount"],
                 one["requested_by"], one["expires_at"], one["state"], one["reason"])  # fmt: skip
        table.add_row(*map(escape, cells))
    output.print(table)


@commands.command()
def approve(
    request: RequestName,
    reason: Reason,
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Agree to somebody else's request; it is booked at once."""
    office = StationOffice.of(url, token, site)
    body = {"reason": reason}
    _show_request(office.do(f"/money-requests/{request}/approve", body), as_json)


@commands.command()
def refuse(
    request: RequestName,
    reason: Reason,
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = SITE,
    as_json: AsJson = False,
) -> None:
    """Refuse a request, or withdraw one's own."""
    office = StationOffice.of(url, token, site)
    _show_request(office.do(f"/money-requests/{request}/refuse", {"reason": reason}), as_json)


def _show(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    told = ", ".join(f"{name} {value}" for name, value in answer["result"].items())
    before = " (done before)" if answer["repeated"] else ""
    output.print(f"[green]done[/]{before} {escape(told)}", soft_wrap=True)


def _show_request(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    booked = f", booked as {answer['entry']}" if answer["entry"] else ""
    output.print(escape(f"{answer['id']} {answer['state']}: {answer['amount']}{booked}"))


def _flag(value: bool) -> str:
    return "true" if value else ""
