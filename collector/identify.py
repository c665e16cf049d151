"""Guessing what hangs on a bus: which registers to try, and which models the answers fit. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.decode import Value, decode
from collector.plan import Block, plan_blocks
from collector.profile import Group, Profile
from domain.quantities import FAST_QUANTITIES

# None: the unit answered with an exception, or not at all.
Answers = Mapping[Block, Sequence[int] | None]

SURE_FROM = 0.5
# A found marker names the protocol, the walk to the model is still to come.
MARKER_SCORE = 0.8
# How far power may lie from voltage x current x power factor: meters round, and readings are
# not of one instant.
POWER_SLACK = 0.15
POWER_SLACK_W = 20.0


@dataclass(slots=True)
class _Marks:
    hits: int = 0
    misses: int = 0
    contradictions: int = 0

    def note(self, verdict: bool | None) -> None:
        """Count one mark: True fits, False contradicts, None could not be told."""
        self.hits += verdict is True
        self.misses += verdict is None
        self.contradictions += verdict is False

    @property
    def score(self) -> float:
        """Weigh the marks: 0 to just under 1, and more evidence of the same kind is better."""
        return self.hits / (self.hits + self.misses + 2 * self.contradictions + 1)


def probe_blocks(profile: Profile) -> tuple[Block, ...]:
    """Return the reads that tell whether a unit may be this model."""
    if profile.base is not None:
        search = profile.base
        return tuple(Block(search.space, at, len(search.marker)) for at in search.candidates)
    return plan_blocks(profile, _wanted(profile))


def scan_plan(profiles: Iterable[Profile]) -> tuple[Block, ...]:
    """Return the reads to try on an unknown unit, each once, those that serve most models first."""
    served: dict[Block, int] = {}
    for profile in profiles:
        for block in probe_blocks(profile):
            served[block] = served.get(block, 0) + 1
    return tuple(sorted(served, key=lambda block: (-served[block], block)))


def rank(profiles: Iterable[Profile], answers: Answers) -> list[tuple[str, float]]:
    """Return the models that the answers fit, best first, with a score above 0 and below 1.

    Models with the same registers score the same and come in order of name.
    """
    scored = [(profile.name, score(profile, answers)) for profile in profiles]
    return sorted(
        [(name, value) for name, value in scored if value > 0],
        key=lambda item: (-item[1], item[0]),
    )


def guess_profile(profiles: Iterable[Profile], answers: Answers) -> str | None:
    """Return the one model that fits best, or None where none does or several do equally."""
    ranking = rank(profiles, answers)
    if not ranking or ranking[0][1] < SURE_FROM:
        return None
    tied = len(ranking) > 1 and ranking[1][1] == ranking[0][1]
    return None if tied else ranking[0][0]


def score(profile: Profile, answers: Answers) -> float:
    """Return how well the answers fit one model, 0 (not at all) to just under 1."""
    if profile.base is not None:
        marker = profile.base.marker
        found = [answers.get(block) for block in probe_blocks(profile)]
        return MARKER_SCORE if any(tuple(words or ()) == marker for words in found) else 0.0
    words = {block: got for block in probe_blocks(profile) if (got := answers.get(block))}
    values, faults = decode(profile, words, _wanted(profile))
    marks = _Marks(contradictions=len(faults))
    for mark in profile.fingerprint:
        value = values[mark.quantity]
        fits = None if value is None else mark.range[0] <= value <= mark.range[1]
        if fits is False:
            return 0.0
        marks.note(fits)
    if marks.hits == 0:
        return 0.0
    if profile.phases == 1:
        marks.note(_power_fits(values))
    return marks.score


def _wanted(profile: Profile) -> tuple[str, ...]:
    marks = (mark.quantity for mark in profile.fingerprint)
    fast = (name for name in profile.quantities(Group.FAST) if name in FAST_QUANTITIES)
    return tuple(dict.fromkeys((*marks, *fast)))


def _power_fits(values: Mapping[str, Value]) -> bool | None:
    """Say whether power agrees with voltage, current and power factor: physics as a mark."""
    voltage, current = values.get("voltage_v"), values.get("current_a")
    power, factor = values.get("power_w"), values.get("power_factor")
    if voltage is None or current is None or power is None:
        return None
    apparent = voltage * current
    slack = POWER_SLACK * apparent + POWER_SLACK_W
    if factor is None:
        return abs(power) <= apparent + slack
    return abs(abs(power) - apparent * abs(factor)) <= slack
