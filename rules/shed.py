"""Selective limiting: under a site cap, rooms are shed by priority and come back in reverse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from domain.causes import CauseKind, Evidence, RuleMode, TripCause, Verdict
from domain.policy import Policy, ShedPolicy

RULE = "shed"


def fresh(stale_after_s: float) -> pl.Expr:
    """True where the meter's last good row is young enough to judge by."""
    return (pl.col("age_s") <= stale_after_s).fill_null(value=False)


@dataclass(frozen=True, slots=True)
class ShedMemory:
    """What shedding remembers: since when the site is above the cap or low enough to restore,
    which meters are shed (oldest first) and the power each had when it was shed, W."""

    over_since: datetime | None = None
    low_since: datetime | None = None
    shed: Mapping[str, float] = field(default_factory=dict)
    has_spoken: bool = False


@dataclass(frozen=True, slots=True)
class SiteLoad:
    """The site's load, W: what is certain (fresh readings) and the best estimate, which adds the
    last reading of stale meters and the mean of the fresh ones for each meter never read."""

    certain_w: float
    estimate_w: float | None
    fresh: int
    stale: int
    unread: int


def shed_memory(causes: Sequence[TripCause]) -> ShedMemory:
    """Return the memory that fits the open causes of a ledger, so that a restart forgets nothing
    and restores nobody out of turn."""
    open_causes = sorted(
        (c for c in causes if c.kind is CauseKind.SHED and c.cleared_at is None and not c.shadow),
        key=lambda cause: cause.since,
    )
    return ShedMemory(shed={cause.meter: _power_when_shed(cause) for cause in open_causes})


def _power_when_shed(cause: TripCause) -> float:
    matched = cause.evidence.matched if cause.evidence else {}
    return float(matched.get("power_w") or 0.0)


def site_load(state: pl.DataFrame, stale_after_s: float) -> SiteLoad:
    """Add up the site: by its head meter where a bus has a fresh one, else by its rooms."""
    told = pl.col("power_w").is_not_null()
    marked = state.select(
        "bus", "head", "power_w", living=fresh(stale_after_s) & told, told=told
    ).with_columns(by_head=(pl.col("head") & pl.col("living")).any().over("bus"))
    counted = marked.filter(pl.col("head") == pl.col("by_head"))
    living = counted.filter("living")["power_w"]
    stale = counted.filter(pl.col("told") & ~pl.col("living"))["power_w"]
    unread = counted.height - living.len() - stale.len()
    certain_w = float(living.sum())
    estimate_w = None
    if living.len():
        estimate_w = certain_w + float(stale.sum()) + unread * certain_w / living.len()
    return SiteLoad(certain_w, estimate_w, living.len(), stale.len(), unread)


def judge_shed(
    state: pl.DataFrame, memory: ShedMemory, policy: Policy, now: datetime, zone: ZoneInfo
) -> tuple[list[Verdict], ShedMemory]:
    """Judge the whole site against its cap; `state` holds every meter.

    Above the cap for the delay: the next few meters in order of priority are shed (True). Low
    enough for long enough: the last ones shed come back (False), as many as fit under the cap by
    what they drew when they were shed. Stale readings never shed anybody.
    """
    del zone  # every rule has the same shape; shedding does not look at local time
    rules = policy.shed
    if rules.cap_w is None and not memory.shed and memory.has_spoken:
        return [], memory
    load = site_load(state, policy.control.stale_after_s)
    timed = _timed(memory, rules, load, now)
    verdicts: list[Verdict] = []
    if not memory.has_spoken:
        free = state.filter(pl.col("shed_priority").is_not_null())["meter"].to_list()
        verdicts = [
            _verdict(meter, False, None, load, policy, now)
            for meter in free
            if meter not in memory.shed
        ]
        timed = replace(timed, has_spoken=True)
    if rules.cap_w is not None and _has_lasted(timed.over_since, rules.delay_s, now):
        shed = _next_to_shed(state, timed, policy)
        verdicts += [_verdict(m, True, power, load, policy, now) for m, power in shed.items()]
        return verdicts, replace(timed, over_since=now, shed={**timed.shed, **shed})
    back = _next_to_restore(timed, rules, load, now)
    if back:
        verdicts += [_verdict(m, False, timed.shed[m], load, policy, now) for m in back]
        left = {meter: w for meter, w in timed.shed.items() if meter not in back}
        return verdicts, replace(timed, low_since=now, shed=left)
    return verdicts, timed


def _timed(memory: ShedMemory, rules: ShedPolicy, load: SiteLoad, now: datetime) -> ShedMemory:
    if rules.cap_w is None:
        return replace(memory, over_since=None, low_since=None)
    over = load.certain_w > rules.cap_w
    low = load.estimate_w is not None and load.estimate_w <= rules.cap_w * rules.restore_below
    return replace(
        memory,
        over_since=(memory.over_since or now) if over else None,
        low_since=(memory.low_since or now) if low else None,
    )


def _has_lasted(since: datetime | None, for_s: float, now: datetime) -> bool:
    return since is not None and now - since >= timedelta(seconds=for_s)


def _next_to_shed(state: pl.DataFrame, memory: ShedMemory, policy: Policy) -> dict[str, float]:
    """The next meters in order: lowest priority number first, fresh, drawing, not yet open."""
    candidates = (
        state.filter(
            pl.col("shed_priority").is_not_null(),
            fresh(policy.control.stale_after_s),
            pl.col("power_w") > 0,
            pl.col("relay_closed").fill_null(value=True),
            ~pl.col("meter").is_in(list(memory.shed)),
        )
        .sort("shed_priority", maintain_order=True)
        .head(policy.shed.meters_a_step)
    )
    return dict(candidates.select("meter", "power_w").iter_rows())


def _next_to_restore(
    memory: ShedMemory, rules: ShedPolicy, load: SiteLoad, now: datetime
) -> list[str]:
    latest_first = list(memory.shed)[::-1]
    if rules.cap_w is None:
        return latest_first
    if load.estimate_w is None or not _has_lasted(memory.low_since, rules.restore_after_s, now):
        return []
    back: list[str] = []
    expected_w = load.estimate_w
    for meter in latest_first[: rules.meters_a_step]:
        expected_w += memory.shed[meter]
        if expected_w > rules.cap_w:
            break
        back.append(meter)
    return back


def _verdict(
    meter: str,
    violated: bool,
    power_w: float | None,
    load: SiteLoad,
    policy: Policy,
    now: datetime,
) -> Verdict:
    rules = policy.shed
    matched: dict[str, Any] = {
        "power_w": power_w,
        "site_w": load.certain_w,
        "estimate_w": load.estimate_w,
        "meters_fresh": load.fresh,
        "meters_stale": load.stale,
        "meters_unread": load.unread,
    }
    limits: dict[str, Any] = {
        "cap_w": rules.cap_w,
        "restore_below": rules.restore_below,
        "delay_s": rules.delay_s,
        "restore_after_s": rules.restore_after_s,
    }
    evidence = Evidence(RULE, matched, limits, (), policy.version)
    return Verdict(meter, CauseKind.SHED, RULE, RuleMode.TRIP, violated, now, evidence)
