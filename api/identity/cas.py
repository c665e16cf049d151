"""CAS, the single sign-on of many campuses: service tickets of versions 2 and 3."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from xml.etree.ElementTree import ParseError

from cas import CASClient
from requests import PreparedRequest, RequestException, Response, Session
from requests.adapters import HTTPAdapter

from api.identity.refusals import SignInRefused
from api.identity.settings import CasSettings
from api.identity.sso import Pending, Told
from domain.errors import LinkDown


class _Patient(HTTPAdapter):
    """Every request ends in time: the client itself sets no limit."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        super().__init__()

    def send(self, request: PreparedRequest, **more: Any) -> Response:  # type: ignore[override]
        return super().send(request, **(more | {"timeout": self._timeout_s}))


class Cas:
    """One CAS server. Thread-safe; calls block."""

    def __init__(self, settings: CasSettings, back: str) -> None:
        self.settings, self._back = settings, back

    def where_to(self, pending: Pending) -> str:
        """Return the address of the server's sign-in page."""
        return str(self._client(pending).get_login_url())

    def told(self, pending: Pending, brought: Mapping[str, str]) -> Told:
        """Have the server confirm a ticket, once. Raises SignInRefused, LinkDown."""
        ticket = brought.get("ticket", "")
        if not ticket.startswith("ST-") or len(ticket) > 300:
            raise SignInRefused("the server did not sign you in; begin again")
        try:
            user, attributes, _ = self._client(pending).verify_ticket(ticket)
        except RequestException as error:
            message = f"{self.settings.server} does not answer ({type(error).__name__})"
            raise LinkDown(message) from error
        except (ParseError, ValueError) as error:
            raise LinkDown(f"{self.settings.server} answers with something else") from error
        if not user:
            raise SignInRefused("the server does not vouch for this sign-in; begin again")
        return Told(f"{self.settings.server}|{user}", str(user), attributes or {})

    def _client(self, pending: Pending) -> Any:
        session = Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Patient(self.settings.timeout_s))
        # The address carries the state: a ticket counts for the browser it was asked for.
        service = f"{self._back}?{urlencode({'state': pending.state})}"
        return CASClient(
            version=self.settings.version,
            service_url=service,
            server_url=str(self.settings.server).rstrip("/") + "/",
            verify_ssl_certificate=self.settings.ca_file or True,
            session=session,
        )
