"""What a demonstration did, held against the campus's own truth: pure functions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.causes import CauseKind, RuleMode, TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus
from simulator.model import LoadUse

# A cause may be stamped by the reading before the relay moved and by the one that confirmed it.
EARLY_S, LATE_S = 1.0, 20.0
FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Judged:
    """A trip held against the truth: whether it was deserved, and how long it took."""

    cause: TripCause
    deserved: bool
    latency_s: float | None


def judge_trips(
    causes: Sequence[TripCause],
    uses: Sequence[LoadUse],
    commands: Sequence[tuple[Command, Receipt | None]],
    planned: Mapping[CauseKind, Sequence[str]],
) -> list[Judged]:
    """Judge every trip: malignant and overpower ones by the uses that really ran in that room,
    the others by what the scenario planned for that meter."""
    opened = {
        command.cause_id: receipt
        for command, receipt in commands
        if command.action is Action.TRIP
        and receipt
        and receipt.status is ReceiptStatus.CONFIRMED
        and command.cause_id
    }
    judged = []
    for cause in causes:
        if cause.shadow or cause.mode is not RuleMode.TRIP:
            continue
        culprit = _culprit(cause, uses)
        if cause.kind in (CauseKind.MALIGNANT, CauseKind.OVERPOWER):
            deserved = culprit is not None
        else:
            deserved = cause.meter in planned.get(cause.kind, ())
        receipt = opened.get(cause.id)
        latency_s = None
        if cause.kind is CauseKind.MALIGNANT and culprit and culprit.seen_s and receipt:
            latency_s = receipt.finished_at.timestamp() - culprit.seen_s
        judged.append(Judged(cause, deserved, latency_s))
    return judged


def summary(
    judged: Sequence[Judged],
    uses: Sequence[LoadUse],
    commands: Sequence[tuple[Command, Receipt | None]],
    counts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the summary of a run; absent figures are null, never 0."""
    seen = [use for use in uses if use.rule_class == FORBIDDEN and use.seen_s is not None]
    latencies = sorted(item.latency_s for item in judged if item.latency_s is not None)
    statuses = Counter(receipt.status.value for _, receipt in commands if receipt)
    return {
        **counts,
        "forbidden_uses": len(seen),
        "forbidden_uses_cut": sum(1 for use in seen if use.cut_s is not None),
        "trips": len(judged),
        "trips_by_kind": dict(sorted(Counter(item.cause.kind.value for item in judged).items())),
        "false_trips": sum(1 for item in judged if not item.deserved),
        "latency_p50_s": quantile(latencies, 0.50),
        "latency_p99_s": quantile(latencies, 0.99),
        "commands": len(commands),
        "commands_unproven": sum(
            1
            for _, receipt in commands
            if receipt is None or receipt.status is ReceiptStatus.UNKNOWN
        ),
        "commands_by_status": dict(sorted(statuses.items())),
    }


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank quantile of ordered values, or None of nothing."""
    if not ordered:
        return None
    rank = max(1, min(len(ordered), round(share * len(ordered) + 0.4999)))
    return round(ordered[rank - 1], 3)


def _culprit(cause: TripCause, uses: Sequence[LoadUse]) -> LoadUse | None:
    """Find the use that ran when a cause was raised: forbidden for malignant, any for overpower."""
    at = _seconds(cause.since)
    running = [
        use
        for use in uses
        if use.meter == cause.meter
        and use.seen_s is not None
        and use.seen_s - EARLY_S <= at <= _end(use) + LATE_S
        and (use.rule_class == FORBIDDEN or cause.kind is CauseKind.OVERPOWER)
    ]
    return max(running, key=lambda use: use.seen_s or 0.0, default=None)


def _end(use: LoadUse) -> float:
    ends = [end for end in (use.off_s, use.cut_s) if end is not None]
    return min(ends) if ends else float("inf")


def _seconds(at: datetime) -> float:
    return at.timestamp()
