"""The mail sender against a mail server on a real socket."""

import ssl
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError
from smtp_server import MailServer

from billing.reports.mailer import MailFailed
from billing.reports.settings import SmtpSettings
from billing.reports.smtp import SmtpSender
from domain.errors import InvalidInput

FILE, WORD = "password", "secret"


@pytest.fixture
def serve() -> Iterator[Callable[..., MailServer]]:
    """Start mail servers that end with the test."""
    running: list[MailServer] = []

    def start(**options: Any) -> MailServer:
        running.append(MailServer(**options))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority of our own."""
    return trustme.CA()


def server_side(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    """Return a server's TLS with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def message(to: str = "a@example.edu") -> EmailMessage:
    """Return a message with a Chinese subject and an attachment."""
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = "充值汇总表", "w@example.edu", to
    made.set_content("附件")
    made.add_attachment(b"PK\x03\x04", maintype="application", subtype="zip", filename="表.xlsx")
    return made


def sender(folder: Path, server: MailServer, **options: Any) -> SmtpSender:
    """Return a sender to a server."""
    given = {"host": "localhost", "port": server.port, "sender": "w@example.edu", **options}
    return SmtpSender(SmtpSettings(**given), folder)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_message_goes_over_tls_after_signing_in(
    security: str, tmp_path: Path, serve: Callable[..., MailServer], authority: trustme.CA
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / FILE).write_text(f"{WORD}\n")
    server = serve(security=security, context=server_side(authority), user="w", password=WORD)
    send = sender(
        tmp_path, server, security=security, user="w", password_file=FILE,
        ca_file="ca.pem", sender_name="电费系统",
    )  # fmt: skip
    assert send(message()) == {}
    ((to, received),) = server.received
    assert to == ["a@example.edu"]
    assert received["Subject"] == "充值汇总表"
    (attached,) = received.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("表.xlsx", b"PK\x03\x04")
    assert send.sender.endswith("<w@example.edu>")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_ends_it(
    security: str, tmp_path: Path, serve: Callable[..., MailServer], authority: trustme.CA
) -> None:
    server = serve(security=security, context=server_side(authority))
    with pytest.raises(MailFailed, match="certificate verify failed"):
        sender(tmp_path, server, security=security)(message())
    assert server.received == []


def test_a_certificate_of_another_host_ends_it(
    tmp_path: Path, serve: Callable[..., MailServer], authority: trustme.CA
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = serve(security="tls", context=server_side(authority, "mail.example.org"))
    with pytest.raises(MailFailed, match="certificate verify failed"):
        sender(tmp_path, server, security="tls", ca_file="ca.pem")(message())


def test_a_server_that_does_not_offer_tls_gets_nothing(
    tmp_path: Path, serve: Callable[..., MailServer]
) -> None:
    server = serve(security="none")
    with pytest.raises(MailFailed, match="STARTTLS"):
        sender(tmp_path, server, security="starttls")(message())
    assert server.received == []


def test_a_wrong_password_is_told(tmp_path: Path, serve: Callable[..., MailServer]) -> None:
    (tmp_path / FILE).write_text("wrong")
    server = serve(user="w", password=WORD)
    with pytest.raises(MailFailed, match="535"):
        sender(tmp_path, server, security="none", user="w", password_file=FILE)(message())


def test_refused_mailboxes_come_back_with_the_server_s_words(
    tmp_path: Path, serve: Callable[..., MailServer]
) -> None:
    server = serve(refused=frozenset({"b@example.edu"}))
    send = sender(tmp_path, server, security="none")
    assert send(message("a@example.edu, b@example.edu")) == {"b@example.edu": "550 no such mailbox"}
    assert send(message("b@example.edu")) == {"b@example.edu": "550 no such mailbox"}
    assert [to for to, _ in server.received] == [["a@example.edu"]]


def test_a_server_that_is_not_there_is_a_failure(
    tmp_path: Path, serve: Callable[..., MailServer]
) -> None:
    server = MailServer()
    server.close()
    with pytest.raises(MailFailed, match="did not take the message"):
        sender(tmp_path, server, security="none")(message())


def test_files_that_are_not_there_are_told_all_at_once(tmp_path: Path) -> None:
    settings = SmtpSettings(
        host="localhost", sender="w@example.edu", user="w", password_file=FILE, ca_file="ca.pem"
    )
    with pytest.raises(InvalidInput) as refusal:
        SmtpSender(settings, tmp_path)
    assert [fault.source for fault in refusal.value.faults] == [
        "reports.smtp.ca_file", "reports.smtp.password_file",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"host": "mail.example.edu", "security": "none"},
        {"host": "localhost", "user": "w"},
        {"host": "localhost", "sender": "nobody"},
        {"host": "localhost", "sender_name": "a\nBcc: x@y"},
        {"host": "localhost", "password": "secret"},
    ],
)
def test_settings_that_are_not_safe_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SmtpSettings(**{"sender": "w@example.edu", **options})
