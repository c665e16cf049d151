"""Local servers as the providers are: they check what is signed, and answer as they would."""

import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlsplit


@dataclass
class Request:
    """What somebody asked a server."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Answerer = Callable[[Request], tuple[int, Any]]


class HttpServer:
    """A real HTTP server on a free port; `answer` says what to reply."""

    def __init__(self, answer: Answerer) -> None:
        self.got: list[Request] = []
        self.answer = answer
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = dict(parse_qsl(url.query, keep_blank_values=True))
                request = Request(url.path, query, headers, body)
                outer.got.append(request)
                status, content = outer.answer(request)
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def hmac_sha256(key: bytes, words: str) -> bytes:
    return hmac.new(key, words.encode(), hashlib.sha256).digest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def aliyun_signature_fits(request: Request, secret: str) -> bool:
    """Check ACS3-HMAC-SHA256 as the provider documents it."""
    algorithm, _, rest = request.headers["authorization"].partition(" ")
    parts = dict(item.split("=", 1) for item in rest.split(","))
    signed = parts["SignedHeaders"].split(";")
    needed = {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-version"}
    if algorithm != "ACS3-HMAC-SHA256" or not needed <= set(signed):
        return False
    if request.headers["x-acs-content-sha256"] != sha256(request.body):
        return False
    query = "&".join(
        f"{quote(name, safe='~')}={quote(value, safe='~')}"
        for name, value in sorted(request.query.items())
    )
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in signed)
    canonical = "\n".join(
        ("POST", request.path, query, headers, ";".join(signed), sha256(request.body))
    )
    expected = hmac_sha256(secret.encode(), f"{algorithm}\n{sha256(canonical.encode())}").hex()
    return hmac.compare_digest(expected, parts["Signature"])


def tencent_signature_fits(request: Request, secret: str) -> bool:
    """Check TC3-HMAC-SHA256 as the provider documents it."""
    algorithm, _, rest = request.headers["authorization"].partition(" ")
    parts = dict(item.strip().split("=", 1) for item in rest.split(","))
    _, day, service, _ = parts["Credential"].split("/")
    signed = parts["SignedHeaders"].split(";")
    headers = "".join(f"{name}:{request.headers[name]}\n" for name in signed)
    canonical = "\n".join(
        ("POST", request.path, "", headers, ";".join(signed), sha256(request.body))
    )
    words = "\n".join(
        (
            algorithm,
            request.headers["x-tc-timestamp"],
            f"{day}/{service}/tc3_request",
            sha256(canonical.encode()),
        )
    )
    key = hmac_sha256(f"TC3{secret}".encode(), day)
    key = hmac_sha256(hmac_sha256(key, service), "tc3_request")
    fits = hmac.compare_digest(hmac_sha256(key, words).hex(), parts["Signature"])
    return fits and algorithm == "TC3-HMAC-SHA256" and service == "sms"


@dataclass
class Mail:
    """A mail as the server took it."""

    sender: str = ""
    to: list[str] = field(default_factory=list)
    data: str = ""


class SmtpServer:
    """A small real SMTP server: HELO to QUIT, one mail after another; `refuse` is its answer to
    every recipient instead of 250."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.refuse = ""
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 test ESMTP")
                mail = Mail()
                while line := self.rfile.readline().decode().rstrip("\r\n"):
                    verb = line[:4].upper()
                    if verb in ("EHLO", "HELO"):
                        self._say("250 test")
                    elif verb == "MAIL":
                        mail = Mail(sender=line.partition("<")[2].partition(">")[0])
                        self._say("250 ok")
                    elif verb == "RCPT":
                        mail.to.append(line.partition("<")[2].partition(">")[0])
                        self._say(outer.refuse or "250 ok")
                    elif verb == "DATA":
                        self._say("354 go on")
                        mail.data = self._text()
                        outer.mails.append(mail)
                        self._say("250 taken")
                    elif verb == "QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 ok")

            def _text(self) -> str:
                lines: list[str] = []
                while (line := self.rfile.readline().decode()).rstrip("\r\n") != ".":
                    lines.append(line)
                return "".join(lines)

            def _say(self, words: str) -> None:
                self.wfile.write(f"{words}\r\n".encode())

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
