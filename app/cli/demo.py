"""The demo command: a virtual campus and a station on it, on the screen or headless."""

import contextlib
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from api.app import create_app
from app.api_deps import api_deps
from app.cli.common import errors, output
from app.demo.session import Session, demonstration, run_until
from app.demo.table import screen
from app.http_server import HttpServer
from app.logs import set_up_logs
from app.recordings import recordings_folder
from domain.texts import Language


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command()(demo)


def demo(
    seconds: Annotated[
        float | None, typer.Option("--for", help="Stop after so many seconds (60 or more).", min=60)
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Run headless and write a summary here.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of recorded appliances; default: beside the project")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep the stores here; default: a folder that is removed")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another campus, another evening.")] = 1,
    api_port: Annotated[int, typer.Option(help="Port of the API; 0 takes a free one.")] = 8480,
    language: Annotated[Language, typer.Option(help="Language of the screen.")] = "en",
    picture: Annotated[Path | None, typer.Option(help="Write the last screen as SVG.")] = None,
) -> None:
    """Read 324 simulated meters on 12 paced buses and cut forbidden loads, with proof."""
    headless = json_file is not None
    set_up_logs("warning" if headless else "error")
    recordings = recordings_folder(data)
    with contextlib.ExitStack() as stack:
        home = folder or Path(stack.enter_context(_temporary()))
        server = HttpServer("127.0.0.1", api_port)
        stack.callback(server.stop)
        session = stack.enter_context(demonstration(home, seconds, recordings, seed, server.url))
        server.start(create_app(api_deps(session.station, session.money, demo=True)))
        with contextlib.suppress(KeyboardInterrupt):
            if headless:
                errors.print(f"{len(session.site.meters)} meters, API at {server.url}/api/v1")
                run_until(session, seconds, lambda _: None)
            else:
                _live(session, seconds, server.url, language)
        if picture:
            _draw(session, server.url, picture, language)
        session.settle()
        result = session.result()
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if json_file:
        json_file.write_text(text + "\n", encoding="utf-8")
    output.print(text, markup=False, highlight=not headless)


def _live(session: Session, seconds: float | None, url: str, language: Language) -> None:
    with Live(
        screen(session, url, language), console=output, refresh_per_second=2, screen=False
    ) as live:
        run_until(session, seconds, lambda now: live.update(screen(now, url, language)))


def _draw(session: Session, url: str, path: Path, language: Language) -> None:
    console = Console(record=True, width=132, file=io.StringIO())
    console.print(screen(session, url, language))
    svg = console.export_svg(title="wattwarden demo")
    # The picture must not fetch fonts from anywhere: what the reader has is good enough.
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S), encoding="utf-8")


def _temporary() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="wattwarden-demo-")
