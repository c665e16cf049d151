"""The command that turns public appliance recordings into the format the simulator plays."""


import typer

commands = typer.Typer(help="Recorded appliance traces.")


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.add_typer(commands, name="traces", no_args_is_help=True)


@commands.callback()
def traces() -> None:
    """Recorded appliance traces."""
