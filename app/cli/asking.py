"""Asking the running station over its API, from the command line."""

from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from app.access import kept_token
from app.site_file import load_site_file
from domain.errors import WattwardenError

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


class NoStation(WattwardenError):
    """No station answers at the address."""


def ask_station(
    method: str,
    url: str,
    token: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    key: str = "",
) -> Any:
    """Send one request to a station and return its answer; `key` makes it harmless to repeat.

    Raises NoStation where none answers, WattwardenError with the reason where it refuses.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if key:
        headers["Idempotency-Key"] = key
    try:
        answer = httpx.request(
            method, f"{url}/api/v1{path}", json=body, headers=headers, timeout=WAIT_S
        )
    except httpx.ConnectError as error:
        message = f"no station answers at {url} ({error}); start one with `wattwarden run`"
        raise NoStation(message) from error
    except httpx.HTTPError as error:
        raise WattwardenError(f"the station at {url} did not answer: {error}") from error
    if answer.status_code >= 400:
        raise WattwardenError(f"the station refused: {_detail(answer)}")
    return answer.json()


def token_for(site: Path, token: str) -> str:
    """Return the token given, else the one a station on this machine keeps, else nothing."""
    if token or not site.is_file():
        return token
    return kept_token(load_site_file(site).settings.data_dir)


def _detail(answer: httpx.Response) -> str:
    try:
        content = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.text[:200]}"
    return str(content.get("detail") or content.get("title") or content)
