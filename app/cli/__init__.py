"""The wattwarden command."""

import sys

import typer

from app.cli import (
    accounts,
    audit,
    benches,
    demo,
    field,
    learn,
    people,
    relay,
    replay,
    report,
    run,
    site,
    traces,
    users,
)
from app.cli.common import errors
from domain.errors import InvalidInput, WattwardenError

app = typer.Typer(
    name="wattwarden",
    help="Prepaid electricity for dormitories and shops: metering, trips with proof, open data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for part in (
    audit,
    demo,
    run,
    site,
    field,
    relay,
    replay,
    report,
    learn,
    benches,
    traces,
    users,
    accounts,
    people,
):
    part.register(app)


def main() -> None:
    """Run the command line; every expected error ends in one clear message and exit code 2."""
    try:
        app()
    except InvalidInput as error:
        errors.print(f"[bold red]{len(error.faults)} fault(s)[/]")
        for fault in error.faults:
            errors.print(str(fault), markup=False, soft_wrap=True)
        sys.exit(2)
    except WattwardenError as error:
        errors.print(f"[bold red]error:[/] {error}", soft_wrap=True)
        sys.exit(2)
