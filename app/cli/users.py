"""Who may sign in: through the running station, or straight in the ledger of a stopped one."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from api.identity.service import Identity
from api.routes.users import MadeAnswer, UserAnswer
from app.cli.asking import DEFAULT_URL, NoStation, Token, Url, ask_station, token_for
from app.cli.common import AsJson, SitePath, output, print_json
from app.site_file import load_site_file
from app.stores import open_ledger
from domain.clock import SystemClock
from domain.identity import Role
from storage.books.users import SqlUserStore

commands = typer.Typer(help="Add, change and disable the users of a station.")

Name = Annotated[str, typer.Argument(help="The user's name.")]
Roles = Annotated[list[Role], typer.Option("--role", help="What the user may do; may be repeated.")]
PersonOption = Annotated[
    str, typer.Option("--person", help="The directory's person, of a student.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(commands, name="users", no_args_is_help=True)


@commands.command()
def add(
    name: Name,
    role: Roles,
    person: PersonOption = "",
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """Add a user and print the code with which he sets his password, once."""
    body = {"name": name, "roles": sorted(one.value for one in role), "person": person or None}

    def here(identity: Identity, actor: str) -> Any:
        return MadeAnswer.of(identity.users.add(name, frozenset(role), person or None, actor))

    _show_code(_do(url, token, site, ("POST", "/users", body), here), as_json)


@commands.command()
def reset(
    name: Name,
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """Take a user's password away and print a code for a new one; every sign-in ends."""

    def here(identity: Identity, actor: str) -> Any:
        made = identity.users.reset(name, actor)
        identity.api_tokens.end_all(made.user.name)
        return MadeAnswer.of(made)

    request = ("POST", f"/users/{quote(name, safe='')}/reset", None)
    _show_code(_do(url, token, site, request, here), as_json)


@commands.command()
def disable(
    name: Name,
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """Shut a user out; every sign-in and token of his ends at once."""
    _show_users([_switch(name, url, token, site, disabled=True)], as_json)


@commands.command()
def enable(
    name: Name,
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """Let a disabled user sign in again."""
    _show_users([_switch(name, url, token, site, disabled=False)], as_json)


@commands.command("list")
def list_users(
    url: Url = DEFAULT_URL,
    token: Token = "",
    site: SitePath = Path("site.toml"),
    as_json: AsJson = False,
) -> None:
    """List the users, with their roles and whether they have a password."""

    def here(identity: Identity, _: str) -> Any:
        return [UserAnswer.of(user) for user in identity.users.all()]

    answer = _do(url, token, site, ("GET", "/users?limit=10000", None), here)
    _show_users(answer["users"] if isinstance(answer, dict) else answer, as_json)


def _switch(name: str, url: str, token: str, site: Path, *, disabled: bool) -> Any:
    def here(identity: Identity, actor: str) -> Any:
        user = identity.users.change(name, actor, disabled=disabled)
        if disabled:
            identity.api_tokens.end_all(user.name)
        return UserAnswer.of(user)

    request = ("PUT", f"/users/{quote(name, safe='')}", {"disabled": disabled})
    return _do(url, token, site, request, here)


def _do(
    url: str,
    token: str,
    site: Path,
    request: tuple[str, str, dict[str, Any] | None],
    here: Callable[[Identity, str], Any],
) -> Any:
    """Ask the running station; where none runs, do it in the ledger that the site file names."""
    method, path, body = request
    try:
        return ask_station(method, url, token_for(site, token), path, body)
    except NoStation:
        if not site.is_file():
            raise
    loaded = load_site_file(site)
    # A second writer is refused: whoever runs with this ledger elsewhere is not gone round.
    ledger = open_ledger(loaded.settings)
    try:
        identity = Identity(
            SqlUserStore(ledger),
            SystemClock(),
            loaded.money.sign_in,
            ledger.secret,
            lambda event: ledger.record(event).result(),
        )
        done = here(identity, getpass.getuser())
    finally:
        ledger.close()
    if isinstance(done, list):
        return [one.model_dump(mode="json") for one in done]
    return done.model_dump(mode="json")


def _show_code(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    user = answer["user"]
    output.print(f"[green]{user['name']}[/] ({', '.join(user['roles'])})")
    output.print(f"code to set the password, once: [bold]{answer['code']}[/]", highlight=False)
    output.print(f"good until {answer['code_expires_at']}; POST /api/v1/sign-in/password takes it")


def _show_users(users: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json({"count": len(users), "users": users})
        return
    for user in users:
        state = (
            "disabled" if user["disabled"] else "" if user["has_password"] else "no password yet"
        )
        person = f" person {user['person']}" if user["person"] else ""
        output.print(f"{user['name']}: {', '.join(user['roles'])}{person} {state}".rstrip())
