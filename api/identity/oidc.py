"""OpenID Connect: code flow with PKCE, state and nonce; keys from the provider's own document."""

import threading
from collections.abc import Mapping
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core.claims import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests import RequestException

from api.identity.refusals import SignInRefused
from api.identity.settings import OidcSettings
from api.identity.sso import Pending, Told
from domain.clock import Clock
from domain.errors import LinkDown

DOCUMENT_KEPT_S = 3600.0
# A token signed by a key that is not known yet: look for new keys, but not for every forgery.
KEYS_AGAIN_AFTER_S = 60.0
LEEWAY_S = 60
ANSWER_BYTES_MOST = 1_000_000


class Oidc:
    """One provider. Thread-safe; calls block."""

    def __init__(self, settings: OidcSettings, back: str, clock: Clock) -> None:
        self.settings, self._back, self._clock = settings, back, clock
        self._issuer = str(settings.issuer).rstrip("/")
        self._document: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._lock = threading.Lock()

    def where_to(self, pending: Pending) -> str:
        """Return the address of the provider's sign-in page. Raises LinkDown."""
        with self._session() as session:
            url, _ = session.create_authorization_url(
                self._about("authorization_endpoint"),
                state=pending.state,
                code_verifier=pending.verifier,
                nonce=pending.nonce,
            )
        return str(url)

    def told(self, pending: Pending, brought: Mapping[str, str]) -> Told:
        """Change the code for an ID token and check it. Raises SignInRefused, LinkDown."""
        code = brought.get("code")
        if not code:
            error = brought.get("error") or "no code"
            raise SignInRefused(f"the provider did not sign you in ({error[:100]})")
        try:
            with self._session() as session:
                token = session.fetch_token(
                    self._about("token_endpoint"),
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=pending.verifier,
                    timeout=self.settings.timeout_s,
                )
        except RequestException as error:
            raise LinkDown(f"{self._issuer} does not answer ({type(error).__name__})") from error
        except (OAuthError, ValueError) as error:
            raise SignInRefused("the provider does not vouch for this sign-in") from error
        claims = self._checked(str(token.get("id_token") or ""), pending, token.get("access_token"))
        name = claims.get("preferred_username") or claims["sub"]
        return Told(f"{self._issuer}|{claims['sub']}", str(name), claims)

    def _checked(self, id_token: str, pending: Pending, access: object) -> dict[str, Any]:
        """Return the claims of an ID token: signature, issuer, audience, times, nonce hold."""
        try:
            token = self._decoded(id_token)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self._issuer},
                    "aud": {"essential": True, "value": self.settings.client_id},
                },
                params={
                    "nonce": pending.nonce,
                    "client_id": self.settings.client_id,
                    "access_token": access,
                },
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY_S)
            return dict(claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise SignInRefused("the provider's word is not valid here; begin again") from error

    def _decoded(self, id_token: str) -> jwt.Token:
        algorithms = list(self.settings.algorithms)
        try:
            return jwt.decode(id_token, self._key_set(fresh=False), algorithms=algorithms)
        except (JoseError, ValueError):
            # Providers change their keys; whatever is wrong besides fails again.
            return jwt.decode(id_token, self._key_set(fresh=True), algorithms=algorithms)

    def _key_set(self, *, fresh: bool) -> KeySet:
        with self._lock:
            now_s, known = self._clock.monotonic(), self._keys
            kept_s = KEYS_AGAIN_AFTER_S if fresh else DOCUMENT_KEPT_S
            if known is None or now_s - known[0] >= kept_s:
                keys = KeySet.import_key_set(self._get(self._about("jwks_uri")))  # type: ignore[arg-type]
                self._keys = known = (now_s, keys)
            return known[1]

    def _about(self, name: str) -> str:
        """Return an address of the provider's discovery document. Raises LinkDown."""
        now_s, known = self._clock.monotonic(), self._document
        if known is None or now_s - known[0] >= DOCUMENT_KEPT_S:
            document = self._get(f"{self._issuer}/.well-known/openid-configuration")
            if str(document.get("issuer", "")).rstrip("/") != self._issuer:
                raise LinkDown(f"{self._issuer} says it is another issuer")
            self._document = known = (now_s, document)
        value = known[1].get(name)
        if not isinstance(value, str):
            raise LinkDown(f"{self._issuer} does not tell its {name}")
        return value

    def _get(self, url: str) -> dict[str, Any]:
        try:
            with self._session() as session:
                answer = session.request(
                    "GET", url, withhold_token=True, timeout=self.settings.timeout_s,
                    allow_redirects=False,
                )  # fmt: skip
                answer.raise_for_status()
                content = answer.json() if len(answer.content) <= ANSWER_BYTES_MOST else None
        except (RequestException, ValueError) as error:
            raise LinkDown(f"{url} does not answer ({type(error).__name__})") from error
        if not isinstance(content, dict):
            raise LinkDown(f"{url} answers with something else than a JSON object")
        return content

    def _session(self) -> OAuth2Session:
        secret = self.settings.client_secret.get_secret_value()
        session = OAuth2Session(
            self.settings.client_id,
            secret or None,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope=" ".join(self.settings.scopes),
            redirect_uri=self._back,
            code_challenge_method="S256",
        )
        session.verify = self.settings.ca_file or True
        return session
