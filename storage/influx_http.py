"""Talking to InfluxDB over HTTP: version, line protocol in, InfluxQL out as JSON."""

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from domain.errors import StoreUnavailable
from storage.influx_settings import InfluxSettings

_DROPPED = re.compile(r"dropped=(\d+)")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the server did not take a whole request for its content.

    `dropped` is the server's own count. InfluxDB 1.x says 0 after a parse error although it has
    stored the good lines, and gives no count at all when it stored none: so only a count equal to
    the number of lines sent is believed.
    """

    reason: str
    dropped: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an InfluxQL result: its tags, column names and rows."""

    tags: Mapping[str, str]
    columns: tuple[str, ...]
    rows: list[list[Any]]


class InfluxHttp:
    """A pooled HTTP client for one server. Thread-safe. Broken links raise StoreUnavailable."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        token = settings.token.get_secret_value()
        login = (settings.user, settings.password.get_secret_value()) if settings.user else None
        self._client = httpx.Client(
            base_url=settings.url.rstrip("/"),
            auth=login,
            # 2.x and 3.x both know the scheme `Token`.
            headers={"Authorization": f"Token {token}"} if token else {},
            timeout=settings.timeout_s,
            verify=_tls(settings),
            trust_env=False,
        )

    def version(self) -> str:
        """Return the server's version text, such as 1.6.7, by /ping."""
        reply = self._send("GET", "/ping")
        text = reply.headers.get("X-Influxdb-Version", "") or _version_in(reply)
        if not text:
            raise StoreUnavailable(
                f"{self._settings.url} does not say which InfluxDB it is (status "
                f"{reply.status_code}); set the version in the settings"
            )
        return text.removeprefix("v")

    def write(self, payload: bytes) -> Refusal | None:
        """Send lines with times in ms to /write; None when every line is stored."""
        params = {"db": self._settings.database, "precision": "ms"}
        reply = self._send("POST", "/write", params=params, content=payload)
        if reply.is_success:
            return None
        return refusal_of(reply.status_code, reply.text, self._settings.url)

    def query(self, statement: str) -> list[Series]:
        """Run a reading InfluxQL statement and return its series; times are Unix ms."""
        params: dict[str, str | int] = {
            "db": self._settings.database,
            "q": statement,
            "epoch": "ms",
            "chunked": "true",
            "chunk_size": self._settings.chunk_rows,
        }
        return self._results(self._send("GET", "/query", params=params))

    def command(self, statement: str) -> None:
        """Run an InfluxQL statement that changes something (1.x: CREATE DATABASE, DELETE)."""
        params = {"db": self._settings.database}
        self._results(self._send("POST", "/query", params=params, data={"q": statement}))

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **content)
        except httpx.HTTPError as error:
            what = str(error) or type(error).__name__
            raise StoreUnavailable(f"{self._settings.url}{path}: {what}") from error

    def _results(self, reply: httpx.Response) -> list[Series]:
        if not reply.is_success:
            raise StoreUnavailable(
                f"{self._settings.url}/query: status {reply.status_code}: {error_text(reply.text)}"
            )
        found: list[Series] = []
        for document in _documents(reply.text):
            for result in (document, *document.get("results", ())):
                if "error" in result:
                    raise StoreUnavailable(f"{self._settings.url}/query: {result['error']}")
                found += [
                    Series(
                        series.get("tags", {}), tuple(series["columns"]), series.get("values", [])
                    )
                    for series in result.get("series", ())
                ]
        return found


def refusal_of(status: int, body: str, url: str) -> Refusal:
    """Return what a failed write means for its lines. Raises StoreUnavailable if nothing."""
    reason = error_text(body)
    if status in (400, 422):
        count = _DROPPED.search(reason)
        return Refusal(reason, int(count.group(1)) if count else None)
    if status == 413:
        return Refusal("larger than the server takes")
    raise StoreUnavailable(f"{url}: write answered with status {status}: {reason}")


def error_text(body: str) -> str:
    """Return the message in an error reply of any version, at most 500 characters."""
    try:
        content = json.loads(body)
    except ValueError:
        return body.strip()[:500]
    if isinstance(content, dict):
        for key in ("error", "message"):
            if content.get(key):
                details = content.get("data")
                return f"{content[key]}{f' {details}' if details else ''}"[:500]
    return body.strip()[:500]


def _documents(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON documents of a chunked reply, which stand one after the other."""
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            document, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise StoreUnavailable(f"the server's reply broke off: {error}") from error
        yield document


def _version_in(reply: httpx.Response) -> str:
    try:
        content = reply.json()
    except ValueError:
        return ""
    return str(content.get("version", "")) if isinstance(content, dict) else ""


def _tls(settings: InfluxSettings) -> ssl.SSLContext | bool:
    if not settings.url.startswith("https"):
        return True
    if not settings.verify_tls:
        return False
    return ssl.create_default_context(cafile=settings.ca_file or None)
