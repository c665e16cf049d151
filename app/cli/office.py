"""What the office's commands share: asking the station once, whatever happens on the way."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from app.cli.asking import token_for
from domain.errors import InvalidInput, WattwardenError
from domain.faults import Fault

# A file of thousands of rows takes a while.
WAIT_S = 120.0
Key = Annotated[
    str,
    typer.Option("--key", help="Your own id of the action; with the same one it is done once."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the audit trail.")]


@dataclass(frozen=True, slots=True)
class StationOffice:
    """The running station, asked with a token."""

    url: str
    token: str

    @classmethod
    def of(cls, url: str, token: str, site: Path) -> "StationOffice":
        """Take the token given, else the one a station on this machine keeps."""
        return cls(url, token_for(site, token))

    def get(self, path: str, **params: Any) -> Any:
        """Ask for JSON. Raises WattwardenError."""
        return self._send("GET", path, params=params).json()

    def download(self, path: str, **params: Any) -> bytes:
        """Ask for a file. Raises WattwardenError."""
        return self._send("GET", path, params=params).content

    def do(
        self, path: str, body: Mapping[str, Any] | None = None, key: str = "", verb: str = "POST"
    ) -> Any:
        """Have something done once; a key is made where none is given.

        Raises InvalidInput with every fault, WattwardenError.
        """
        return self._send(verb, path, key=key or str(uuid.uuid4()), json=body).json()

    def upload(self, path: str, content: bytes, key: str = "", **params: Any) -> Any:
        """Send a file. Raises InvalidInput with every fault, WattwardenError."""
        return self._send(
            "POST", path, key=key or str(uuid.uuid4()), content=content, params=params
        ).json()

    def _send(self, verb: str, path: str, *, key: str = "", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        again = ""
        if key:
            headers["Idempotency-Key"] = key
            again = f"; whether it was done is not known: send it again with --key {key}"
        address = f"{self.url}/api/v1{path}"
        params = {name: value for name, value in more.pop("params", {}).items() if value}
        try:
            answer = httpx.request(
                verb, address, headers=headers, params=params, timeout=WAIT_S, **more
            )
        except httpx.ConnectError as error:
            message = f"no station answers at {self.url} ({error}); start one: `wattwarden run`"
            raise WattwardenError(message) from error
        except httpx.HTTPError as error:
            message = f"the station at {self.url} did not answer: {error}{again}"
            raise WattwardenError(message) from error
        if answer.status_code >= 400:
            raise _refusal(answer)
        return answer


def _refusal(answer: httpx.Response) -> WattwardenError:
    try:
        content = answer.json()
    except ValueError:
        return WattwardenError(f"the station refused: {answer.status_code} {answer.text[:200]}")
    faults = [
        Fault(str(one.get("where", "")), str(one.get("message", "")), str(one.get("subject", "")))
        for one in content.get("errors", ())
    ]
    if faults:
        return InvalidInput(faults)
    return WattwardenError(f"the station refused: {content.get('detail') or content.get('title')}")
