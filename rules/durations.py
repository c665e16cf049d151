"""How long something has held: the memory that rules with a delay carry from sweep to sweep."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from domain.causes import RuleMode
from domain.policy import GroupPolicy, Policy

TIME = pl.Datetime("ms", "UTC")
TRACE_SCHEMA: dict[str, pl.DataType] = {
    "meter": pl.String(),
    "since": TIME,  # first sample of the stretch in which the condition held
    "seen": TIME,  # last sample in which it held
    "first": pl.Float64(),  # the value at `since`, for the evidence
    "said": pl.Boolean(),  # the last verdict; null = could not tell
}
_NOTHING = pl.DataFrame(schema=TRACE_SCHEMA)
_SAMPLE = ("power_w", "power_factor", "voltage_v", "current_a")


@dataclass(frozen=True, slots=True)
class Memory:
    """What the rules with a delay remember, one frame of TRACE_SCHEMA a rule.

    One memory serves several rules, and either the whole site or one bus; a memory for each bus
    is faster, because every judgement joins only the meters it was given.
    """

    traces: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def of(self, rule: str) -> pl.DataFrame:
        """Return what one rule remembers; nothing at first."""
        return self.traces.get(rule, _NOTHING)

    def having(self, rule: str, judged: pl.DataFrame) -> "Memory":
        """Return a memory in which the judged meters are as in `judged`, the others as before."""
        fresh = judged.select(*TRACE_SCHEMA)
        others = self.of(rule).join(fresh, on="meter", how="anti")
        merged = pl.concat([others, fresh]) if others.height else fresh
        return Memory({**self.traces, rule: merged})


def hold(frame: pl.DataFrame, trace: pl.DataFrame, now: datetime, gap_s: float) -> pl.DataFrame:
    """Turn a condition of this moment into verdicts about a stretch of time.

    `frame` has meter, time (of the sample, null if there never was one), condition (Boolean, null
    = cannot tell), value and delay_s. Added: since, seen, first, held_s, verdict, said (= verdict),
    emit. The verdict is True once the condition has held for delay_s by the samples' own times;
    null where the condition is null. A stretch survives samples that cannot tell for `gap_s`.
    `emit` marks what is worth saying: violated, changed, or judged for the first time.
    """
    at = pl.coalesce("time", pl.lit(now).cast(TIME))
    condition = pl.col("condition")
    unbroken = (at - pl.col("seen")).dt.total_milliseconds() <= gap_s * 1000
    kept = pl.when(unbroken).then(pl.col("since"))
    joined = frame.join(
        trace.with_columns(known=pl.lit(value=True)), on="meter", how="left", maintain_order="left"
    )
    traced = joined.with_columns(
        since=pl.when(condition)
        .then(pl.coalesce(kept, at))
        .when(condition.is_null())
        .then(kept)
        .cast(TIME),
        first=pl.when(condition & kept.is_null())
        .then(pl.col("value"))
        .when(condition | condition.is_null())
        .then(pl.col("first")),
        seen=pl.when(condition)
        .then(at)
        .when(condition.is_null())
        .then(pl.when(unbroken).then(pl.col("seen")))
        .cast(TIME),
        before=pl.col("said"),
    )
    held = (at - pl.col("since")).dt.total_milliseconds() / 1000
    judged = traced.with_columns(held_s=held).with_columns(
        verdict=pl.when(condition).then(pl.col("held_s") >= pl.col("delay_s")).otherwise(condition)
    )
    changed = pl.col("verdict").ne_missing(pl.col("before")) | pl.col("known").is_null()
    return judged.with_columns(
        said=pl.col("verdict"), emit=changed | pl.col("verdict").fill_null(value=False)
    )


def by_group(
    state: pl.DataFrame, policy: Policy, limits: Callable[[GroupPolicy], Mapping[str, Any]]
) -> pl.DataFrame:
    """Return the state with the limits of each meter's group as columns beside it."""
    groups: Iterable[str] = state["group"].unique(maintain_order=True)
    rows = [{"group": group, **limits(policy.group(group))} for group in groups]
    table = pl.DataFrame(rows, infer_schema_length=None) if rows else None
    if table is None:
        return state.with_columns(mode=pl.lit(RuleMode.OFF.value))
    return state.join(table, on="group", how="left", maintain_order="left")


def fresh(stale_after_s: float) -> pl.Expr:
    """True where the meter's last good row is young enough to judge by."""
    return (pl.col("age_s") <= stale_after_s).fill_null(value=False)


def known_if(certain: pl.Expr, condition: pl.Expr) -> pl.Expr:
    """The condition where it can be told, null elsewhere."""
    return pl.when(certain).then(condition)


def samples(row: Mapping[str, Any], quantity: str = "power_w") -> tuple[Mapping[str, Any], ...]:
    """Return the first and the last sample of a stretch as evidence rows, oldest first."""
    last = None
    if row.get("time") is not None:
        last = {"time": row["time"].isoformat(), **{name: row.get(name) for name in _SAMPLE}}
    first = None
    since = row.get("since")
    if since is not None and since != row.get("time"):
        first = {"time": since.isoformat(), quantity: row.get("first")}
    return tuple(sample for sample in (first, last) if sample is not None)
