"""Writing to InfluxDB 2.x through the vendor's client, which speaks that server's own API."""

from datetime import UTC, datetime
from typing import Any

import urllib3.exceptions
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision
from influxdb_client.rest import ApiException

from domain.errors import StoreUnavailable
from storage.influx_http import Refusal, error_text, refusal_of
from storage.influx_settings import InfluxSettings

# The client's own constant is typed as another class than its own method wants.
_MILLISECONDS: Any = WritePrecision.MS
_FIRST = datetime(1678, 1, 1, tzinfo=UTC)


class InfluxV2Writer:
    """Lines to /api/v2/write and deletes to /api/v2/delete. Thread-safe."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        options: dict[str, Any] = {"ssl_ca_cert": settings.ca_file} if settings.ca_file else {}
        self._client = InfluxDBClient(
            url=settings.url.rstrip("/"),
            token=settings.token.get_secret_value(),
            org=settings.org,
            timeout=int(settings.timeout_s * 1000),
            verify_ssl=settings.verify_tls,
            retries=False,  # the recorder tries again, with its own limits
            **options,
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)

    def write(self, payload: bytes) -> Refusal | None:
        """Send lines with times in ms; None when every line is stored."""
        try:
            self._writer.write(
                bucket=self._settings.database, record=payload, write_precision=_MILLISECONDS
            )
        except ApiException as error:
            return refusal_of(error.status or 0, _body(error), self._settings.url)
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"{self._settings.url}: {error}") from error
        return None

    def delete(self, measurement: str, before: datetime) -> None:
        """Delete a measurement's points with time < before."""
        predicate = f'_measurement="{measurement}"'
        try:
            self._client.delete_api().delete(
                _FIRST, before, predicate, bucket=self._settings.database
            )
        except ApiException as error:
            raise StoreUnavailable(
                f"{self._settings.url}: delete answered with status {error.status}: "
                f"{error_text(_body(error))}"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"{self._settings.url}: {error}") from error

    def close(self) -> None:
        """Close the client."""
        for client in (self._writer, self._client):
            _close(client)


def _body(error: ApiException) -> str:
    body = error.body or error.reason or ""
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body)


def _close(client: Any) -> None:
    client.close()
