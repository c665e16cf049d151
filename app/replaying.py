"""Stored history through a rule set, an hour at a time, so that memory stays bounded."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from domain.causes import RuleMode, Verdict
from domain.policy import Policy
from domain.ports import TimeSeries
from domain.site import Site
from rules.engine import RuleEngine
from rules.replay import replay

SLICE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found: violations as they began, samples judged, seconds it took."""

    verdicts: tuple[Verdict, ...]
    samples: int
    took_s: float


def replay_history(
    series: TimeSeries,
    site: Site,
    policy: Policy,
    start: datetime,
    end: datetime,
    told: Callable[[datetime], None],
) -> Replayed:
    """Judge stored samples from `start` until `end` by a policy; `told` hears how far it has come.

    A violation that goes on is listed once, when it began; rules that are off are left out.
    """
    engine = RuleEngine(site.meters, policy, ZoneInfo(site.time_zone), shadow=True)
    begun = time.perf_counter()
    counted = 0

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal counted
        at = start
        while at < end:
            until = min(at + SLICE, end)
            frame = series.window(at, until)
            counted += frame.height
            told(until)
            if frame.height:
                yield frame
            at = until

    return Replayed(tuple(_beginnings(replay(engine, frames()))), counted,
                    time.perf_counter() - begun)  # fmt: skip


def _beginnings(verdicts: Iterator[Verdict]) -> Iterator[Verdict]:
    violated: set[tuple[str, str]] = set()
    for verdict in verdicts:
        key = (verdict.meter, verdict.rule)
        if verdict.violated and verdict.mode is not RuleMode.OFF:
            if key not in violated:
                yield verdict
            violated.add(key)
        elif verdict.violated is False:
            violated.discard(key)
