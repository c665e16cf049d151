"""A small mail server on a real socket: STARTTLS or TLS, one user, mailboxes it refuses."""

import base64
import socket
import ssl
import threading
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


@dataclass
class MailServer:
    """Listens on a free port until it is closed; `received` are the messages it took."""

    security: str = "none"
    context: ssl.SSLContext | None = None
    user: str = ""
    password: str = ""
    refused: frozenset[str] = frozenset()
    received: list[tuple[list[str], EmailMessage]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.settimeout(10)
            try:
                if self.security == "tls":
                    connection = self._secured(connection)
                self._talk(connection)
            except (OSError, ssl.SSLError):
                pass
            finally:
                connection.close()

    def _secured(self, connection: socket.socket) -> Any:
        assert self.context is not None
        return self.context.wrap_socket(connection, server_side=True)

    def _talk(self, connection: Any) -> None:
        stream = connection.makefile("rb")
        secure, signed_in = self.security != "starttls", not self.user
        to: list[str] = []

        def say(words: str) -> None:
            connection.sendall(f"{words}\r\n".encode())

        say("220 mail.test ready")
        while line := stream.readline():
            words = line.decode().strip()
            verb = words.upper()
            if verb.startswith("EHLO"):
                offers = ["mail.test"]
                offers += ["STARTTLS"] if not secure else ["AUTH PLAIN"] if self.user else []
                for offer in offers[:-1]:
                    say(f"250-{offer}")
                say(f"250 {offers[-1]}")
            elif verb == "STARTTLS":
                say("220 go on")
                connection, secure = self._secured(connection), True
                stream = connection.makefile("rb")
            elif verb == "QUIT":
                say("221 bye")
                return
            elif not secure:
                say("530 STARTTLS first")
            elif verb.startswith("AUTH PLAIN"):
                _, user, password = base64.b64decode(words.split()[2]).decode().split("\0")
                signed_in = (user, password) == (self.user, self.password)
                say("235 welcome" if signed_in else "535 wrong name or password")
            elif not signed_in:
                say("530 sign in first")
            elif verb.startswith("RCPT TO:"):
                name = words[words.index("<") + 1 : words.index(">")]
                if name in self.refused:
                    say("550 no such mailbox")
                else:
                    to.append(name)
                    say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                body = b""
                while not body.endswith(b"\r\n.\r\n"):
                    body += stream.readline()
                message = message_from_bytes(body[:-3], policy=policy.default)
                assert isinstance(message, EmailMessage)
                self.received.append((to, message))
                say("250 taken")
            else:
                to = [] if verb in ("RSET",) or verb.startswith("MAIL") else to
                say("250 ok")
