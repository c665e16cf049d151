"""How an InfluxDB server is reached: one form for 1.6+, 2.x and 3.x."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class InfluxSettings(BaseModel):
    """Where the server is, who we are, and the limits of one call.

    `version` auto asks the server. `database` is the database (1.x, 3.x) or bucket (2.x); `org`
    is for 2.x only. Either `user` and `password` or `token`. `site` becomes a tag of every point.
    `most_requests` bounds the requests that one write may spend on telling bad lines from good.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    version: Literal["auto", "1", "2", "3"] = "auto"
    database: Annotated[str, Field(min_length=1)] = "wattwarden"
    org: str = ""
    user: str = ""
    password: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")
    verify_tls: bool = True
    ca_file: str = ""
    site: Annotated[str, Field(min_length=1)] = "site"
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    batch_lines: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    chunk_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    most_requests: Annotated[int, Field(ge=2, le=100_000)] = 2_000

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url {self.url!r} is not allowed; write http://host:port or https://")
        if self.user and self.token.get_secret_value():
            raise ValueError("user and token are both set; give one of them")
        if self.version == "2" and not self.token.get_secret_value():
            raise ValueError("InfluxDB 2.x needs a token")
        return self
