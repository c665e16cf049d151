"""Plain HTTP calls to providers: bounded in time and size, no redirects, one kind of failure."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from billing.payments.settings import is_local
from domain.errors import LinkDown

ANSWER_BYTES_MOST = 1_048_576
STATEMENT_BYTES_MOST = 67_108_864


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http:
    """Calls one provider. Thread-safe. Raises LinkDown when no whole answer comes in time."""

    def __init__(self, name: str, base_url: str, timeout_s: float) -> None:
        self._name, self._base_url = name, base_url
        # A proxy of the environment leads out to a provider, never to this machine.
        # Plain http is for this machine alone (the settings see to it), and has nothing to verify.
        secure = base_url.startswith("https:")
        self._client = httpx.Client(
            timeout=timeout_s, trust_env=not is_local(base_url), verify=secure
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        bytes_most: int = ANSWER_BYTES_MOST,
    ) -> Answer:
        """Send a request below the base URL and read the whole answer."""
        try:
            with self._client.stream(
                method, self._base_url + path, headers=headers, content=content
            ) as response:
                body = self._read(response, bytes_most)
        except httpx.HTTPError as error:
            raise LinkDown(f"{self._name} can't be reached: {error or type(error)}") from error
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise LinkDown(f"{self._name} answers with status {response.status_code}")
        lowered = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lowered, body)

    def _read(self, response: httpx.Response, bytes_most: int) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > bytes_most:
                raise LinkDown(f"{self._name} answers with more than {bytes_most} bytes")
            parts.append(part)
        return b"".join(parts)
