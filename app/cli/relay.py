"""Commands to a relay: through the supervisor of the running station, until there is proof."""

import getpass
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.asking import DEFAULT_URL, Token, Url, ask_station, token_for
from app.cli.common import AsJson, SitePath, output, print_json
from domain.commands import Action

MeterName = Annotated[str, typer.Argument(help="The meter's name in the roster.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit trail.")]


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
        body = {
            "meter": meter,
            "action": action.value,
            "reason": reason,
            "requested_by": getpass.getuser(),
        }
        answer = ask_station(
            "POST", url, token_for(site, token), "/commands", body, key=str(uuid.uuid4())
        )
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
