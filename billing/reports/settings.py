"""The site file's section [reports]: limits, and the mail server that scheduled reports go by."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

ADDRESS = r"^[^@\s,;:<>\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,190}$"
Address = Annotated[str, Field(pattern=ADDRESS, max_length=254)]
Text = Annotated[str, Field(max_length=255, pattern=r"^[^\r\n]*$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SmtpSettings(_Frozen):
    """A mail server. The password is named by file, never written in the site file.

    `security` tls speaks TLS from the first byte (465), starttls changes to it (587), none is for
    this machine alone. `ca_file` trusts one more authority. `timeout_s` bounds every step.
    """

    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: Text = ""
    password_file: str = ""
    sender: Address
    sender_name: Text = ""
    ca_file: str = ""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0

    @model_validator(mode="after")
    def _is_safe(self) -> "SmtpSettings":
        if self.security == "none" and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("security none is for this machine alone; use tls or starttls")
        if bool(self.user) != bool(self.password_file):
            raise ValueError("user and password_file belong together")
        return self


class ReportSettings(_Frozen):
    """Limits of reports and of sending them.

    A report folds at most `entries_most` entries and has at most `rows_most` rows; `wait_s` is how
    long one waits for another to be done. After a standstill at most `catch_up_most` missed runs of
    a schedule are noted in a round, oldest first, and `runs_a_tick` tried; the next round goes on.
    `retry_waits_s` are the waits between tries; there is one try more than waits.
    """

    entries_most: Annotated[int, Field(ge=1_000, le=100_000_000)] = 5_000_000
    rows_most: Annotated[int, Field(ge=100, le=1_000_000)] = 200_000
    wait_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    schedules_most: Annotated[int, Field(ge=1, le=1_000)] = 100
    recipients_most: Annotated[int, Field(ge=1, le=100)] = 20
    catch_up_most: Annotated[int, Field(ge=1, le=400)] = 40
    runs_a_tick: Annotated[int, Field(ge=1, le=100)] = 5
    retry_waits_s: Annotated[
        tuple[Annotated[int, Field(ge=1, le=86_400)], ...], Field(min_length=1, max_length=20)
    ] = (60, 300, 900, 3_600, 14_400)
    smtp: SmtpSettings | None = None
