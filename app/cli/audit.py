"""The command that audits the ledger: reads it beside a running station and changes nothing."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from app.auditing import audit_ledger
from app.cli.common import AsJson, SitePath, output, print_json
from app.site_file import load_site_file
from app.stores import ledger_url
from billing.audit import AuditResult

FAULTS_SHOWN = 100


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("audit")(run_audit)


def run_audit(
    site: SitePath = Path("site.toml"),
    ledger: Annotated[
        str, typer.Option("--ledger", help="Audit this ledger (a URL or a file), not the site's.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check the whole ledger: chain, sums, balances, payments, energy; names every wrong row."""
    url = _url(ledger) if ledger else ledger_url(load_site_file(site).settings)
    result = audit_ledger(url)
    if as_json:
        print_json(_as_dict(result))
    else:
        _show(result)
    if result.count:
        raise typer.Exit(1)


def _url(text: str) -> str:
    return text if "://" in text else f"sqlite:///{text}"


def _show(result: AuditResult) -> None:
    table = Table("check", "faults", title="audit")
    for name, faults in result.faults.items():
        table.add_row(name, str(len(faults)) if faults else "none")
    output.print(table)
    shown = 0
    for name, faults in result.faults.items():
        for fault in faults:
            if shown < FAULTS_SHOWN:
                typer.echo(f"{name}: {fault}")
            shown += 1
    if shown > FAULTS_SHOWN:
        output.print(f"... and {shown - FAULTS_SHOWN} more; --json lists them")
    output.print(
        f"{result.entries} entries, {result.accounts} accounts, {result.count} faults; "
        f"chain ends in {result.head}",
        soft_wrap=True,
    )


def _as_dict(result: AuditResult) -> dict[str, Any]:
    return {
        "entries": result.entries,
        "accounts": result.accounts,
        "head": result.head,
        "faults": [
            {
                "check": name,
                "row": fault.source,
                "message": fault.message,
                "subject": fault.subject,
            }
            for name, faults in result.faults.items()
            for fault in faults
        ],
        "checks": {name: len(faults) for name, faults in result.faults.items()},
        "sound": result.count == 0,
    }
