"""Settings of one process: one table with unit, default and help; unknown keys are refused.

They stand under [settings] in the site file; an environment variable WATTWARDEN_<NAME> wins over
the file. Nothing here connects to anything.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Every setting of a Wattwarden process."""

    model_config = SettingsConfigDict(env_prefix="WATTWARDEN_", extra="forbid", frozen=True)

    data_dir: Path = Field(
        default=Path("var"),
        description="folder of the embedded stores, seen from the site file; made when missing",
    )
    ledger_url: str = Field(
        default="",
        description="SQL ledger: sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE;"
        " empty means sqlite in data_dir (ledger.db)",
    )
    series: Literal["duckdb", "influx"] = Field(
        default="duckdb", description="time-series store: an embedded file or an InfluxDB server"
    )
    influx_url: str = Field(
        default="http://127.0.0.1:8086", description="InfluxDB 1.6+, 2.x or 3.x server"
    )
    influx_database: str = Field(
        default="wattwarden", description="database (1.x, 3.x) or bucket (2.x)"
    )
    influx_org: str = Field(default="wattwarden", description="organisation (2.x only)")
    influx_user: str = Field(default="", description="user name (1.x)")
    influx_password: SecretStr = Field(default=SecretStr(""), description="password (1.x)")
    influx_token: SecretStr = Field(default=SecretStr(""), description="token (2.x, 3.x)")
    influx_verify_tls: bool = Field(default=True, description="check the server's certificate")
    influx_ca_file: str = Field(default="", description="certificate authority file for TLS")
    spool_max_records: int = Field(
        default=2_000_000, gt=0, description="sweeps the spool may hold before it refuses"
    )
    spool_max_bytes: int = Field(
        default=20_000_000_000, gt=0, description="bytes the spool may hold before it refuses"
    )
    api_host: str = Field(default="127.0.0.1", description="address the HTTP API listens on")
    api_port: Port = Field(default=8480, description="port of the HTTP API; 0 takes a free one")
    access_token: SecretStr = Field(
        default=SecretStr(""), description="bearer token of the API; needed off loopback"
    )
    sweep_every_s: float = Field(
        default=0.0, ge=0, le=3600, description="start of one sweep to the next; 0 is back to back"
    )
    slow_every_s: float = Field(
        default=30.0, gt=0, le=86_400, description="how often energy, relay and balance are read"
    )
    probe_most_s: float = Field(
        default=300.0, gt=0, le=86_400, description="longest wait between probes of a dead meter"
    )
    confirm_reads: int = Field(
        default=4, ge=0, le=20, description="quick reads ahead of the round after a suspected step"
    )
    charge_every_s: float = Field(
        default=3600.0,
        gt=0,
        le=86_400,
        description="how often used energy is booked; shown at once",
    )
    arrears_every_s: float = Field(
        default=10.0, gt=0, le=3600, description="how often all rooms are looked at for arrears"
    )
    profiles_dir: str = Field(default="", description="folder with your own meter profiles")
    shadow_rules: str = Field(
        default="", description="policy file judged beside the live one, without acting"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="what is logged to standard error"
    )

    def is_loopback(self) -> bool:
        """Say whether the API listens on this machine only."""
        return self.api_host in ("127.0.0.1", "::1", "localhost")
