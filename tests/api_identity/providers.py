"""Providers of single sign-on on this machine: real HTTP, keys of their own, and any fault."""

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

Answer = tuple[int, dict[str, str], bytes]


class LocalServer:
    """An HTTP server on a free port whose answers come from a function."""

    def __init__(self, answer: Callable[[str, str, dict[str, str], Any], Answer]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode()
                parts = urlsplit(self.path)
                sent = parse_qs(body or parts.query)
                values = {name: found[0] for name, found in sent.items()}
                status, headers, content = answer(self.command, parts.path, values, self.headers)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = handle_one  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class OidcProvider:
    """An OpenID Connect provider: `claims` is who signs in, `spoil` changes an ID token."""

    CLIENT, SECRET = "wattwarden", "the-clients-secret"

    def __init__(self, now_s: Callable[[], int]) -> None:
        self._now_s = now_s
        self.claims: dict[str, Any] = {"sub": "s-1", "student_number": "2023001"}
        self.spoil: Callable[[dict[str, Any]], str | None] = lambda _: None
        self.keys = {"a": generate_private_key(public_exponent=65537, key_size=2048)}
        self.signs_with = "a"
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._server = LocalServer(self._answer)
        self.url = self._server.url

    def new_key(self, name: str) -> None:
        """Sign with a fresh key from now on; the old one is gone."""
        self.keys = {name: generate_private_key(public_exponent=65537, key_size=2048)}
        self.signs_with = name

    def authorize(self, url: str) -> str:
        """Do as the provider's page does after the right password; return where it leads back."""
        parts = urlsplit(url)
        assert parts.path == "/authorize"
        asked = {name: found[0] for name, found in parse_qs(parts.query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == self.CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def id_token(self, claims: dict[str, Any]) -> str:
        key = self.keys[self.signs_with]
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": self.signs_with})

    def close(self) -> None:
        self._server.close()

    def _answer(self, method: str, path: str, sent: dict[str, str], headers: Any) -> Answer:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return _json(200, {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            })  # fmt: skip
        if path == "/keys":
            return _json(200, {"keys": [self._public(name) for name in self.keys]})
        if path == "/token" and method == "POST":
            return self._token(sent, headers)
        return _json(404, {"error": "not_found"})

    def _public(self, name: str) -> dict[str, Any]:
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self.keys[name].public_key(), as_dict=True)
        return {**key, "kid": name, "use": "sig", "alg": "RS256"}

    def _token(self, sent: dict[str, str], headers: Any) -> Answer:
        asked = self._codes.pop(sent.get("code", ""), None)
        if asked is None or not str(headers.get("Authorization", "")).startswith("Basic "):
            return _json(400, {"error": "invalid_grant"})
        digest = sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != asked["code_challenge"] or sent["redirect_uri"] != asked["redirect_uri"]:
            return _json(400, {"error": "invalid_grant"})
        now_s = self._now_s()
        claims = {
            "iss": self.url, "aud": self.CLIENT, "iat": now_s, "exp": now_s + 300,
            "nonce": asked["nonce"], **self.claims,
        }  # fmt: skip
        token = self.spoil(claims) or self.id_token(claims)
        body = {"access_token": "x", "token_type": "Bearer", "id_token": token}
        return _json(200, body)


class CasServer:
    """A CAS server: `user` and `attributes` are who signs in; a ticket counts once."""

    def __init__(self) -> None:
        self.user, self.attributes = "2023001", {"eduPersonAffiliation": "student"}
        self.asked: list[str] = []
        self._tickets: dict[str, str] = {}
        self._server = LocalServer(self._answer)
        self.url = f"{self._server.url}/cas"

    def login(self, url: str) -> str:
        """Do as the server's page does after the right password; return where it leads back."""
        parts = urlsplit(url)
        assert parts.path == "/cas/login"
        service = parse_qs(parts.query)["service"][0]
        ticket = f"ST-{len(self._tickets) + 1}-x"
        self._tickets[ticket] = service
        return f"{service}&{urlencode({'ticket': ticket})}"

    def close(self) -> None:
        self._server.close()

    def _answer(self, _: str, path: str, sent: dict[str, str], headers: Any) -> Answer:
        self.asked.append(path)
        if path not in ("/cas/serviceValidate", "/cas/p3/serviceValidate"):
            return 404, {}, b""
        service = self._tickets.pop(sent.get("ticket", ""), None)
        if service is None or service != sent.get("service"):
            inside = (
                '<cas:authenticationFailure code="INVALID_TICKET">no</cas:authenticationFailure>'
            )
        else:
            more = "".join(f"<cas:{n}>{v}</cas:{n}>" for n, v in self.attributes.items())
            inside = (
                f"<cas:authenticationSuccess><cas:user>{self.user}</cas:user>"
                f"<cas:attributes>{more}</cas:attributes></cas:authenticationSuccess>"
            )
        text = (
            '<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas">'
            f"{inside}</cas:serviceResponse>"
        )
        return 200, {"Content-Type": "application/xml"}, text.encode()


def _json(status: int, content: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()
