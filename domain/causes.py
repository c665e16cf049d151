"""Verdicts of the rules, the evidence they keep, and the trip causes that hold a relay open."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class CauseKind(StrEnum):
    """Why a relay shall be open."""

    MALIGNANT = "malignant"
    OVERPOWER = "overpower"
    ARREARS = "arrears"
    SCHEDULE = "schedule"
    SHED = "shed"
    MANUAL = "manual"
    TAMPER = "tamper"


class RuleMode(StrEnum):
    """What a violated rule does: nothing, an alarm, or a trip."""

    OFF = "off"
    ALARM = "alarm"
    TRIP = "trip"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on: samples around the step, what matched, the limits then in force.

    `samples` are rows of {time (ISO UTC), power_w, power_factor, voltage_v, current_a};
    `matched` and `limits` map names with units to numbers or words. All JSON-able.
    """

    rule: str
    matched: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    samples: tuple[Mapping[str, Any], ...] = ()
    policy_version: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the evidence as plain JSON-able data."""
        return {
            "rule": self.rule,
            "matched": dict(self.matched),
            "limits": dict(self.limits),
            "samples": [dict(sample) for sample in self.samples],
            "policy_version": self.policy_version,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Evidence":
        """Read back what `as_dict` gave."""
        return cls(
            rule=data["rule"],
            matched=data.get("matched", {}),
            limits=data.get("limits", {}),
            samples=tuple(data.get("samples", ())),
            policy_version=data.get("policy_version", 0),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's word on one meter at one time.

    violated: True = violated, False = fine, None = cannot tell. `suspect` asks for a quick
    confirming read. `shadow` verdicts are recorded and never acted on.
    """

    meter: str
    kind: CauseKind
    rule: str
    mode: RuleMode
    violated: bool | None
    time: datetime
    evidence: Evidence | None = None
    suspect: bool = False
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class TripCause:
    """A reason for a relay to be open: it holds from `since` until `cleared_at`.

    `until` is a planned end (a manual trip for an hour); `mode` alarm causes never open a relay;
    `shadow` causes are what a rule set on trial would have done.
    """

    id: str
    meter: str
    kind: CauseKind
    since: datetime
    raised_by: str
    reason: str
    evidence: Evidence | None = None
    until: datetime | None = None
    cleared_at: datetime | None = None
    cleared_by: str | None = None
    mode: RuleMode = RuleMode.TRIP
    shadow: bool = False
