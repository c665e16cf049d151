"""Commands to a relay: through the supervisor of the running station, until there is proof."""

import getpass
import uuid
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from app.access import kept_token
from app.cli.common import AsJson, SitePath, output, print_json
from app.site_file import load_site_file
from domain.commands import Action
from domain.errors import WattwardenError

MeterName = Annotated[str, typer.Argument(help="The meter's name in the roster.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit trail.")]
Url = Annotated[str, typer.Option(envvar="WATTWARDEN_URL", help="The running station's API.")]
Token = Annotated[
    str,
    typer.Option(
        envvar="WATTWARDEN_ACCESS_TOKEN",
        help="The API's access token; default: the one the station keeps in its data folder.",
    ),
]
DEFAULT_URL = "http://127.0.0.1:8480"
WAIT_S = 60.0


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for action, words in (
        (Action.TRIP, "Open a meter's relay and prove it."),
        (Action.CLOSE, "End the manual causes of a meter and close its relay, with proof."),
        (Action.KEEP_POWER, "Keep a meter's power on whatever the suspendable causes say."),
        (Action.RELEASE, "End keep-power: the causes rule again."),
    ):
        app.command(action.value, help=words)(_command(action))


def _command(action: Action) -> Any:
    def send(
        meter: MeterName,
        reason: Reason = "by command line",
        url: Url = DEFAULT_URL,
        token: Token = "",
        site: SitePath = Path("site.toml"),
        as_json: AsJson = False,
    ) -> None:
        answer = post_command(url, token or _kept(site), action, meter, reason)
        receipt = answer.get("receipt") or {}
        status = receipt.get("status", "pending")
        if as_json:
            print_json(answer)
        else:
            colour = "green" if status == "confirmed" else "yellow"
            shown = {True: "closed", False: "open", None: "not known"}[receipt.get("relay_closed")]
            output.print(
                f"[{colour}]{status}[/] {action.value} {meter}: relay {shown};"
                f" {receipt.get('reason', 'no receipt yet')}"
            )
        if status != "confirmed":
            raise typer.Exit(1)

    return send


def _kept(site: Path) -> str:
    """Return the token that a station on this machine has made for itself, if it can be read."""
    if not site.is_file():
        return ""
    return kept_token(load_site_file(site).settings.data_dir)


def post_command(url: str, token: str, action: Action, meter: str, reason: str) -> dict[str, Any]:
    """Send one command to a station and wait for its receipt. Raises WattwardenError."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = {
        "meter": meter,
        "action": action.value,
        "reason": reason,
        "requested_by": getpass.getuser(),
    }
    try:
        answer = httpx.post(f"{url}/api/v1/commands", json=body, headers=headers, timeout=WAIT_S)
    except httpx.HTTPError as error:
        message = f"no station answers at {url} ({error}); start one with `wattwarden run`"
        raise WattwardenError(message) from error
    if answer.status_code >= 400:
        raise WattwardenError(f"the station refused: {_detail(answer)}")
    content: dict[str, Any] = answer.json()
    return content


def _detail(answer: httpx.Response) -> str:
    try:
        content = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.text[:200]}"
    return str(content.get("detail") or content.get("title") or content)
