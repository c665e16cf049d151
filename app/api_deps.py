"""Gives the HTTP face what it needs of a station."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from api.deps import ApiDeps, BusStats, CommandRequest, StationStats
from app.access import access_token
from app.demo.summary import quantile
from app.money import Money
from app.station import Station
from domain.commands import Command, Receipt

ANSWER_WITHIN_S = 5.0


def api_deps(station: Station, money: Money | None = None, *, demo: bool = False) -> ApiDeps:
    """Wire the API to a station. A demo on loopback is open; anything else wants the token."""
    stores = station.stores

    async def submit(request: CommandRequest) -> tuple[Command, Receipt | None]:
        future = station.order(
            request.action, request.meter, request.requested_by, request.reason, request.id
        )
        return await asyncio.wrap_future(future)

    async def approve(approval_id: str, who: str, reason: str) -> Mapping[str, Any]:
        future = station.field.submit(station.approve(approval_id, who, reason))
        return await asyncio.wrap_future(future)

    def approvals() -> Sequence[Mapping[str, Any]]:
        return station.field.submit(station.approvals()).result(ANSWER_WITHIN_S)

    return ApiDeps(
        site=lambda: station.site,
        series=stores.series,
        ledger=stores.ledger,
        clock=station.clock,
        latest=station.latest.rows,
        stream_stats=stores.stream.stats,
        bus_stats=lambda: bus_stats(station),
        station_stats=lambda: station_stats(station),
        submit_command=submit,
        field_alive=station.field.is_alive,
        readiness=lambda: [*station.not_ready(), *(money.failing() if money else ())],
        billing=money.services.deps() if money else None,
        identity=money.services.identity if money else None,
        approvals=approvals,
        approve=approve,
        access_token="" if demo else access_token(station.settings),
        open_reads=demo,
        open_writes=demo,
        version=installed_version(),
    )


def bus_stats(station: Station) -> list[BusStats]:
    """Return one row a bus, from the health its owner keeps."""
    rows = []
    for name, runner in station.runners.items():
        health = runner.health()
        rows.append(
            BusStats(
                bus=name,
                meters=health.meters,
                dead_meters=len(health.silent_meters),
                link_up=health.link_up,
                scans=health.sweeps,
                scan_s=health.sweep_s,
                wire_s=health.wire_s,
                wire_share=health.wire_share,
                requests=health.transactions,
                retries=health.retries,
                timeouts=health.timeouts,
                bad_replies=health.crc_errors
                + health.truncated
                + health.foreign_replies
                + health.rejected_replies
                + health.late_replies,
                silent=health.silent_meters,
            )
        )
    return rows


def station_stats(station: Station) -> StationStats:
    """Return what a station has done since its start."""
    counters, latencies = station.counters, sorted(station.rule_latency_s)
    return StationStats(
        sweeps=counters.sweeps,
        readings_acknowledged=counters.readings_acknowledged,
        readings_refused=counters.readings_refused,
        readings_stored=station.recorder.stats.readings,
        sweeps_judged=counters.sweeps,
        rule_seconds=counters.rule_s,
        rule_latency_p50_s=quantile(latencies, 0.5),
        rule_latency_p99_s=quantile(latencies, 0.99),
        trips=dict(counters.trips),
        commands=dict(counters.commands),
    )


def installed_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("wattwarden")
    except PackageNotFoundError:
        return "0"
