"""Stored history through a rule engine: what would have been said, and when."""

from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from domain.causes import Verdict
from domain.frame import SWEEP_SCHEMA, Quality, Sweep
from rules.engine import RuleEngine

# Samples of one bus within this time are judged as one sweep, ms.
SWEEP_MS = 1000


def replay(engine: RuleEngine, frames: Iterable[pl.DataFrame]) -> Iterator[Verdict]:
    """Judge stored samples again, in order of their own times.

    `frames` follow one another in time; each holds rows of SWEEP_SCHEMA in any order (a column that
    was not stored is null, a quality that was not stored is good). Rows of meters outside the
    engine's roster are passed over.
    """
    buses = {meter.name: meter.bus for meter in engine.meters}
    for number, frame in enumerate(frames):
        for sweep in sweeps_of(frame, buses, str(number)):
            yield from engine.judge(sweep)


def sweeps_of(frame: pl.DataFrame, buses: Mapping[str, str], name: str) -> Iterator[Sweep]:
    """Cut stored samples into sweeps: one bus, one second, each meter once."""
    told = frame.with_columns(
        pl.lit(None, dtype=kind).alias(column)
        for column, kind in SWEEP_SCHEMA.items()
        if column not in frame.columns
    ).with_columns(
        pl.col("quality").fill_null(Quality.GOOD.value),
        bus=pl.col("meter").replace_strict(buses, default=None, return_dtype=pl.String),
        slot=pl.col("time").dt.epoch("ms") // SWEEP_MS,
    )
    told = told.drop_nulls(["time", "bus"]).sort("time", maintain_order=True)
    told = told.with_columns(turn=pl.int_range(pl.len()).over("slot", "meter"))
    order = ["slot", "turn", "bus"]
    ordered = told.sort([*order, "meter"], maintain_order=True)
    for number, part in enumerate(ordered.partition_by(order, maintain_order=True)):
        yield Sweep(
            id=f"replay-{name}-{number}",
            bus=part["bus"][0],
            started_at=part["time"].min(),  # type: ignore[arg-type]
            ended_at=part["time"].max(),  # type: ignore[arg-type]
            frame=part.select(*SWEEP_SCHEMA),
        )
