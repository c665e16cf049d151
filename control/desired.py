"""What a relay shall be, as pure functions of the causes, the keep-power lock and the policy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.causes import CauseKind, RuleMode, TripCause, Verdict
from domain.commands import Action
from domain.policy import ControlPolicy
from domain.ports import KeepPower
from domain.texts import rule_text

# Suspending one of these under keep-power raises an alarm at once.
SAFETY = frozenset({CauseKind.MALIGNANT, CauseKind.TAMPER})
# Once the relay has opened these say nothing more about the room: they end by automatic restore.
LOAD = frozenset({CauseKind.MALIGNANT, CauseKind.OVERPOWER})
# Foreseen by a person in the policy: they take turns under the trip limit and need no approval.
PLANNED = frozenset({CauseKind.SCHEDULE})
# What an operator's close ends; the others end by themselves.
OPERATOR_CLEARS = LOAD | {CauseKind.MANUAL, CauseKind.TAMPER}
# Which cause a trip is done for when several hold.
_RANK = {
    kind: rank
    for rank, kind in enumerate(
        (
            CauseKind.MANUAL,
            CauseKind.MALIGNANT,
            CauseKind.TAMPER,
            CauseKind.OVERPOWER,
            CauseKind.SHED,
            CauseKind.ARREARS,
            CauseKind.SCHEDULE,
        )
    )
}
Slot = tuple[CauseKind, str, bool]


def is_in_force(cause: TripCause, now: datetime) -> bool:
    """Say whether a cause asks for an open relay: open, not on trial, in mode trip, not over."""
    if cause.cleared_at is not None or cause.shadow or cause.mode is not RuleMode.TRIP:
        return False
    return cause.until is None or now < cause.until


def is_suspended(cause: TripCause, keep: KeepPower | None, policy: ControlPolicy) -> bool:
    """Say whether keep-power stops this cause from opening the relay."""
    locked = keep is not None and keep.released_at is None
    return locked and cause.kind in policy.keep_power_suspends


def holding(
    causes: Iterable[TripCause], keep: KeepPower | None, policy: ControlPolicy, now: datetime
) -> list[TripCause]:
    """Return the causes that hold the relay open now, the weightiest first; none = closed."""
    held = [c for c in causes if is_in_force(c, now) and not is_suspended(c, keep, policy)]
    return sorted(held, key=lambda cause: (_RANK[cause.kind], cause.since, cause.id))


def suspended(
    causes: Iterable[TripCause], keep: KeepPower | None, policy: ControlPolicy, now: datetime
) -> list[TripCause]:
    """Return the causes that would hold the relay open if it were not for keep-power."""
    return [c for c in causes if is_in_force(c, now) and is_suspended(c, keep, policy)]


def target(action: Action) -> bool | None:
    """Return the relay state an action shall lead to (True = closed); release leads to none."""
    return {Action.TRIP: False, Action.CLOSE: True, Action.KEEP_POWER: True}.get(action)


def slot(kind: CauseKind, rule: str, shadow: bool) -> Slot:
    """Return what makes two causes of one meter the same: each sign of tampering is its own."""
    return kind, rule if kind is CauseKind.TAMPER else "", shadow


def slot_of(cause: TripCause) -> Slot:
    """Return the slot of a cause."""
    return slot(cause.kind, cause.evidence.rule if cause.evidence else "", cause.shadow)


@dataclass(frozen=True, slots=True)
class Change:
    """What a verdict changes: causes cleared, causes raised, causes that the rule takes back while
    it is not known whether the relay has opened for them."""

    cleared: tuple[TripCause, ...] = ()
    raised: tuple[TripCause, ...] = ()
    denied: tuple[TripCause, ...] = ()
    affirmed: tuple[TripCause, ...] = ()


def change_by(
    verdict: Verdict,
    causes: Iterable[TripCause],
    *,
    may_be_cut: bool,
    new_id: Callable[[], str],
) -> Change:
    """Return what a verdict changes among a meter's open causes.

    `may_be_cut`: the relay is open, or nobody knows; then a load that is gone proves nothing.
    """
    own = slot(verdict.kind, verdict.rule, verdict.shadow)
    before = [cause for cause in causes if cause.cleared_at is None and slot_of(cause) == own]
    if verdict.violated is None:
        return Change()
    if verdict.violated and verdict.mode is not RuleMode.OFF:
        same = tuple(cause for cause in before if cause.mode is verdict.mode)
        if same:
            return Change(affirmed=same)
        return Change(tuple(before), (_cause(verdict, new_id()),))
    acting = tuple(c for c in before if c.mode is RuleMode.TRIP and not c.shadow)
    idle = tuple(cause for cause in before if cause not in acting)
    if verdict.kind is CauseKind.TAMPER:
        return Change(cleared=tuple(cause for cause in idle if cause.shadow))
    if verdict.kind in LOAD and may_be_cut:
        return Change(cleared=idle, denied=acting)
    return Change(cleared=idle + acting)


def _cause(verdict: Verdict, cause_id: str) -> TripCause:
    return TripCause(
        id=cause_id,
        meter=verdict.meter,
        kind=verdict.kind,
        since=verdict.time,
        raised_by=f"rule {verdict.rule}",
        reason=reason_of(verdict),
        evidence=verdict.evidence,
        mode=verdict.mode,
        shadow=verdict.shadow,
    )


def reason_of(verdict: Verdict) -> str:
    """Return a verdict in words."""
    if verdict.evidence is None:
        return verdict.rule
    return rule_text(verdict.rule, verdict.evidence.matched, verdict.evidence.limits)


def is_stale(verdict: Verdict, now: datetime, policy: ControlPolicy) -> bool:
    """Say whether a verdict's data are too old, or too far ahead of the clock, to trip on."""
    return abs(now - verdict.time) > timedelta(seconds=policy.stale_after_s)
