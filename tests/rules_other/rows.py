"""Literal rows in: the state frame that rules judge, written as a few keyword arguments a meter."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from domain.causes import Verdict

NOON = datetime(2026, 3, 4, 4, 0, tzinfo=UTC)  # a Wednesday, 12:00 in Shanghai
SHANGHAI = ZoneInfo("Asia/Shanghai")
SCHEMA = {
    "meter": pl.String(),
    "group": pl.String(),
    "building": pl.String(),
    "bus": pl.String(),
    "head": pl.Boolean(),
    "shed_priority": pl.Int64(),
    "time": pl.Datetime("ms", "UTC"),
    "age_s": pl.Float64(),
    "power_w": pl.Float64(),
    "current_a": pl.Float64(),
    "voltage_v": pl.Float64(),
    "power_factor": pl.Float64(),
    "relay_closed": pl.Boolean(),
    "relay_time": pl.Datetime("ms", "UTC"),
}


def at(seconds: float) -> datetime:
    """The time so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def state(now: datetime, **meters: dict[str, Any]) -> pl.DataFrame:
    """One row a meter; a reading is fresh unless `age_s` says otherwise."""
    rows = []
    for name, given in meters.items():
        age_s = given.get("age_s", 0.0)
        time = None if age_s is None or math.isinf(age_s) else now - timedelta(seconds=age_s)
        base = {
            "meter": name,
            "group": "dorm",
            "building": "B1",
            "bus": "bus1",
            "head": False,
            "time": time,
            "age_s": age_s,
            "relay_closed": True,
            "relay_time": time,
        }
        rows.append({**base, **given})
    columns = {name: [row.get(name) for row in rows] for name in SCHEMA}
    return pl.DataFrame(columns, schema=SCHEMA)


def said(verdicts: list[Verdict]) -> dict[str, bool | None]:
    """What was said about whom."""
    return {verdict.meter: verdict.violated for verdict in verdicts}
