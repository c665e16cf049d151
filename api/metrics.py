"""The station's counters as Prometheus metrics, taken when asked for.

What is not known yet has no sample: a gauge of 0 would say that it is known to be 0.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from api.deps import ApiDeps, BusStats, StationStats
from domain.causes import CauseKind
from domain.commands import ReceiptStatus
from domain.errors import WattwardenError
from domain.ports import StreamStats

log = structlog.get_logger("api")

BUS_GAUGES = {
    "scan_seconds": ("scan_s", "Time of the last whole sweep of a bus."),
    "wire_seconds": ("wire_s", "Calculated wire time of what the last sweep sent and received."),
    "wire_share_ratio": ("wire_share", "Share of the time since start that the wire was busy."),
    "meters": ("meters", "Meters on a bus."),
    "dead_meters": ("dead_meters", "Meters given up and probed now and then."),
    "link_up": ("link_up", "1 while the line to a bus is up."),
}
BUS_COUNTERS = {
    "scans": ("scans", "Whole sweeps of a bus since the start."),
    "requests": ("requests", "Requests put on the wire."),
    "retries": ("retries", "Requests that were a second try or later."),
    "timeouts": ("timeouts", "Requests without a valid reply in time."),
    "bad_replies": ("bad_replies", "Replies that were damaged, foreign, late or did not fit."),
}
SPOOL_GAUGES = {
    "depth_records": ("depth", "Records that wait in the spool."),
    "bytes": ("depth_bytes", "Bytes of the records that wait in the spool."),
}
SPOOL_COUNTERS = {
    "published": ("published", "Records made durable since the start."),
    "duplicates": ("duplicates", "Records that were published a second time and not kept twice."),
    "accepted": ("accepted", "Records that a store has taken."),
    "rejected": ("rejected", "Records that a store will never take, kept aside with the reason."),
    "damaged": ("damaged", "Records found damaged in the spool."),
    "refused": ("refused_full", "Records refused because the spool was full."),
}


def registry_of(deps: ApiDeps) -> CollectorRegistry:
    """Return a registry of its own that tells the station's metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StationCollector(deps))
    return registry


class StationCollector(Collector):
    """Asks the station for its numbers; a part that can't tell does not silence the others."""

    def __init__(self, deps: ApiDeps) -> None:
        self._deps = deps
        self._parts: dict[str, Callable[[], Iterable[Metric]]] = {
            "buses": lambda: _buses(deps.bus_stats()),
            "spool": lambda: _spool(deps.stream_stats()),
            "station": lambda: _station(deps.station_stats()),
            "field": lambda: [_gauge("field_alive", "1 if the field's loop turns.", _alive(deps))],
        }

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        info = InfoMetricFamily("wattwarden", "The running station.")
        info.add_metric([], {"version": self._deps.version, "site": self._deps.site().name})
        yield info
        failed = GaugeMetricFamily(
            "wattwarden_part_unreadable", "1 where numbers can't be told now.", labels=["part"]
        )
        for name, part in self._parts.items():
            try:
                metrics = list(part())
            except WattwardenError as error:
                log.warning("metrics can't be told", part=name, reason=str(error))
                metrics = []
                failed.add_metric([name], 1)
            else:
                failed.add_metric([name], 0)
            yield from metrics
        yield failed


def _alive(deps: ApiDeps) -> float:
    return float(deps.field_alive())


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"wattwarden_{name}", words, value=value)


def _buses(buses: Iterable[BusStats]) -> Iterator[Metric]:
    buses = list(buses)
    for name, (field, words) in BUS_GAUGES.items():
        gauge = GaugeMetricFamily(f"wattwarden_bus_{name}", words, labels=["bus"])
        for bus in buses:
            value = getattr(bus, field)
            if value is not None:
                gauge.add_metric([bus.bus], float(value))
        yield gauge
    for name, (field, words) in BUS_COUNTERS.items():
        counter = CounterMetricFamily(f"wattwarden_bus_{name}", words, labels=["bus"])
        for bus in buses:
            counter.add_metric([bus.bus], getattr(bus, field))
        yield counter


def _spool(stats: StreamStats) -> Iterator[Metric]:
    for name, (field, words) in SPOOL_GAUGES.items():
        yield _gauge(f"spool_{name}", words, getattr(stats, field))
    for name, (field, words) in SPOOL_COUNTERS.items():
        yield CounterMetricFamily(f"wattwarden_spool_{name}", words, value=getattr(stats, field))


def _station(stats: StationStats) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "wattwarden_sweeps", "Sweeps of all buses since the start.", value=stats.sweeps
    )
    readings = {
        "acknowledged": stats.readings_acknowledged,
        "stored": stats.readings_stored,
        "refused": stats.readings_refused,
    }
    yield _counted("readings", "Readings by what became of them.", "state", readings)
    yield _rule_latency(stats)
    trips = dict.fromkeys((kind.value for kind in CauseKind), 0) | dict(stats.trips)
    yield _counted("trips", "Trip causes raised since the start.", "kind", trips)
    done = dict.fromkeys((status.value for status in ReceiptStatus), 0) | dict(stats.commands)
    # `pending` goes down again, so this is a gauge by its nature.
    commands = GaugeMetricFamily(
        "wattwarden_commands", "Commands issued since the start.", labels=["status"]
    )
    for status, count in done.items():
        commands.add_metric([status], count)
    yield commands


def _counted(name: str, words: str, label: str, counts: Mapping[str, int]) -> Metric:
    counter = CounterMetricFamily(f"wattwarden_{name}", words, labels=[label])
    for value, count in counts.items():
        counter.add_metric([value], count)
    return counter


def _rule_latency(stats: StationStats) -> Metric:
    name = "wattwarden_rule_latency_seconds"
    summary = SummaryMetricFamily(
        name, "Time to judge a sweep.", stats.sweeps_judged, stats.rule_seconds
    )
    quantiles = {"0.5": stats.rule_latency_p50_s, "0.99": stats.rule_latency_p99_s}
    for quantile, value in quantiles.items():
        if value is not None:
            summary.add_sample(name, {"quantile": quantile}, value)
    return summary
