"""A mail server by SMTP, with TLS; certificates are checked, always."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formataddr
from pathlib import Path

from billing.reports.mailer import MailFailed
from billing.reports.settings import SmtpSettings
from domain.errors import InvalidInput
from domain.faults import Fault


class SmtpSender:
    """Sends messages by the mail server of the settings; a connection a message."""

    def __init__(self, settings: SmtpSettings, folder: Path) -> None:
        """Relative file names are seen from `folder`. Raises InvalidInput, every file at once."""
        self._settings = settings
        self._context = ssl.create_default_context()
        self._password = ""
        faults = []
        if settings.ca_file:
            try:
                self._context.load_verify_locations(folder / settings.ca_file)
            except (OSError, ssl.SSLError) as error:
                faults.append(Fault("reports.smtp.ca_file", f"can't be used: {error}"))
        if settings.password_file:
            file = folder / settings.password_file
            try:
                self._password = file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                faults.append(Fault("reports.smtp.password_file", f"can't be read: {error}"))
        if faults:
            raise InvalidInput(faults)

    @property
    def sender(self) -> str:
        """The address, with its name, that messages come from."""
        return formataddr((self._settings.sender_name, self._settings.sender))

    def __call__(self, message: EmailMessage) -> dict[str, str]:
        """Send a message; return the addresses that were refused, and why. Raises MailFailed."""
        try:
            with self._connected() as server:
                if self._settings.user:
                    server.login(self._settings.user, self._password)
                refused = server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            return _reasons(error.recipients)
        except (smtplib.SMTPException, OSError) as error:
            where = f"{self._settings.host}:{self._settings.port}"
            raise MailFailed(f"{where} did not take the message: {error}") from error
        return _reasons(refused)

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            return smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=settings.timeout_s, context=self._context
            )
        server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
        if settings.security == "starttls":
            try:
                server.starttls(context=self._context)
            except BaseException:
                server.close()
                raise
        return server


def _reasons(refused: dict[str, tuple[int, bytes]]) -> dict[str, str]:
    return {
        address: f"{code} {words.decode('utf-8', 'replace')}"
        for address, (code, words) in refused.items()
    }
