"""Opens the stores that the settings name; everything else only sees the ports."""

from dataclasses import asdict, dataclass
from pathlib import Path

from app.settings import Settings
from app.validation import build, read_toml
from domain.clock import SystemClock
from domain.errors import InvalidInput
from domain.events import Event, EventKind, Severity
from domain.policy import Policy
from domain.ports import Stream, TimeSeries
from storage.duckdb_series import DuckDbSeries
from storage.influx_series import InfluxSeries
from storage.influx_settings import InfluxSettings
from storage.ledger.sql_ledger import SqlLedger
from storage.spool import SqliteSpool
from storage.spool_repair import Damage


@dataclass(frozen=True, slots=True)
class Stores:
    """The three open stores of a process."""

    ledger: SqlLedger
    stream: Stream
    series: TimeSeries

    def close(self) -> None:
        """Close all three, the stream last of the writers."""
        self.series.close()
        self.stream.close()
        self.ledger.close()


def open_stores(settings: Settings) -> Stores:
    """Open ledger, spool and time series. Raises StoreUnavailable with what to do about it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    ledger = open_ledger(settings)
    try:
        series = open_series(settings)
    except BaseException:
        ledger.close()
        raise
    try:
        stream = open_stream(settings, ledger)
    except BaseException:
        series.close()
        ledger.close()
        raise
    return Stores(ledger, stream, series)


def open_stream(settings: Settings, ledger: SqlLedger) -> SqliteSpool:
    """Open the spool; damage that it meets, now or later, goes to the audit trail."""
    path = settings.data_dir / "spool.db"
    clock = SystemClock()

    def damaged(damage: Damage) -> None:
        details = asdict(damage)
        message = f"the spool is damaged: {damage.reason}"
        ledger.record(
            Event(
                clock.now(),
                EventKind.RECORD_DAMAGED,
                path.name,
                message,
                Severity.ALARM,
                details=details,
            )
        )

    return SqliteSpool(
        path,
        max_records=settings.spool_max_records,
        max_bytes=settings.spool_max_bytes,
        clock=clock,
        on_damage=damaged,
    )


def open_ledger(settings: Settings) -> SqlLedger:
    """Open the SQL ledger, bringing its tables up to date."""
    if not settings.ledger_url:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    return SqlLedger(ledger_url(settings))


def ledger_url(settings: Settings) -> str:
    """Return where the SQL ledger is."""
    return settings.ledger_url or f"sqlite:///{(settings.data_dir / 'ledger.db').resolve()}"


def open_series(settings: Settings) -> TimeSeries:
    """Open the time-series store that the settings choose."""
    if settings.series == "duckdb":
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        return DuckDbSeries(settings.data_dir / "series.duckdb")
    return InfluxSeries(
        InfluxSettings(
            url=settings.influx_url,
            database=settings.influx_database,
            org=settings.influx_org,
            user=settings.influx_user,
            password=settings.influx_password.get_secret_value(),
            token=settings.influx_token.get_secret_value(),
            verify_tls=settings.influx_verify_tls,
            ca_file=settings.influx_ca_file,
        )
    )


def load_policy(path: Path) -> Policy:
    """Read a policy file: the content of [policy], or a whole site file. Raises InvalidInput."""
    data, faults = read_toml(path)
    if faults:
        raise InvalidInput(faults)
    policy, faults = build(Policy, data.get("policy", data), str(path), "policy")
    if policy is None:
        raise InvalidInput(faults)
    return policy
