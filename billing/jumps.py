"""Jumps of a counter become reviews: explained by the register's size, or held for a person."""

from bisect import bisect_left
from dataclasses import replace
from datetime import datetime

from billing.calendar import to_time
from billing.chain import Decision, Reading, Ruling
from billing.charging_store import Review, ReviewState
from billing.register import Register

# A new count below this is a counter that began again rather than another meter.
RESET_MOST_WH = 1_000


def sync_reviews(register: Register) -> list[Review]:
    """Bring the reviews of a register in line with its jumps; return those that changed."""
    chain, changes = register.chain, []
    for at, review in list(register.reviews.items()):
        # What lies before the readings held in memory is as it was.
        held = at > chain.times[0]
        if held and at not in chain.jumps and review.state is not ReviewState.GONE:
            register.reviews[at] = replace(review, state=ReviewState.GONE)
            changes.append(register.reviews[at])
    for at, before in list(chain.jumps.items()):
        known = register.reviews.get(at)
        after = Reading(at, chain.counts[bisect_left(chain.times, at)])
        if known is None or known.state is ReviewState.GONE:
            changes.append(_found(register, before, after))
        elif (known.before, known.after) != (before, after):
            register.reviews[at] = _explained(register, replace(known, before=before, after=after))
            changes.append(register.reviews[at])
    return changes


def _found(register: Register, before: Reading, after: Reading) -> Review:
    key = register.key
    review = Review(
        id=f"{key.meter}-{to_time(after.ms):%Y%m%dT%H%M%S}{after.ms % 1000:03d}",
        key=key,
        account=register.account,
        found_at=to_time(after.ms),
        before=before,
        after=after,
        possible_wh=register.chain.limits.most_wh(after.ms - before.ms),
    )
    decision = register.chain.decisions.get(after.ms)
    if decision is not None:
        # It came along when a late reading moved the jump.
        origin = next((one for one in register.reviews.values() if one.decision == decision), None)
        review = replace(
            review,
            state=ReviewState.DECIDED,
            decision=decision,
            decided_by=origin.decided_by if origin else "",
            decided_at=origin.decided_at if origin else None,
            reason=origin.reason if origin else "",
        )
    else:
        review = _explained(register, review)
    register.reviews[after.ms] = review
    return review


def _explained(register: Register, review: Review) -> Review:
    """Let the size of the register explain an open jump, or suggest what may."""
    review = replace(
        review, possible_wh=register.chain.limits.most_wh(review.after.ms - review.before.ms)
    )
    if review.state is not ReviewState.OPEN:
        return review
    decision = register.chain.explain(review.after.ms)
    if decision is not None:
        register.chain.decide(review.after.ms, decision)
        return replace(review, state=ReviewState.EXPLAINED, decision=decision)
    return replace(review, suggestion=_suggestion(review))


def _suggestion(review: Review) -> Decision | None:
    """Propose what fits: a counter that began at 0 again, another meter, or a slip of the pen."""
    if review.difference_wh > 0:
        return Decision(Ruling.DROP)
    if review.after.energy_wh <= max(RESET_MOST_WH, review.possible_wh):
        return Decision(Ruling.SWAP, final_wh=review.before.energy_wh, first_wh=0)
    return Decision(Ruling.SWAP, final_wh=review.before.energy_wh, first_wh=review.after.energy_wh)


def resolved(
    register: Register, review: Review, decision: Decision, by: str, at: datetime, reason: str
) -> Review:
    """Let a person's decision hold for a jump."""
    done = review.decided(decision, by, at, reason)
    register.reviews[review.after.ms] = done
    register.chain.decide(review.after.ms, decision)
    return done
