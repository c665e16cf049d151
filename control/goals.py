"""The next thing to do for one meter, from its causes, its lock, its relay and who waits."""

from collections.abc import Sequence

from control.standing import Goal, Standing
from domain.causes import TripCause
from domain.commands import Action


def next_goal(standing: Standing, held: Sequence[TripCause]) -> Goal | None:
    """Return the next action for a meter, None where it is as it shall be.

    `held` are the causes that hold the relay open now, the weightiest first.
    """
    ticket = standing.ticket
    asked = ticket.command.action if ticket is not None else None
    if asked is Action.RELEASE and (not held or _is_untried(standing)):
        return Goal(Action.RELEASE, None, ticket)
    if held:
        if asked is Action.TRIP and ticket is not None:
            own = [cause for cause in held if cause.id == ticket.cause_id]
            return Goal(Action.TRIP, (own or list(held))[0], ticket)
        return None if standing.closed is False else Goal(Action.TRIP, held[0])
    if ticket is not None and asked in (Action.CLOSE, Action.KEEP_POWER):
        return Goal(ticket.command.action, None, ticket)
    if _is_half_done(standing) and standing.order is not None:
        return Goal(standing.order.command.action, None, standing.order.ticket)
    if standing.closed is False:
        return Goal(Action.KEEP_POWER if standing.keep else Action.CLOSE)
    return Goal(standing.own_lock) if standing.own_lock is not None else None


def _is_half_done(standing: Standing) -> bool:
    """A closed relay does not prove these: the meter may still ignore its own protection, or not
    ignore it yet. They go on until the driver proves them."""
    order = standing.order
    if order is None or order.tries == 0:
        return False
    action = order.command.action
    return action is Action.CLOSE or (action is Action.KEEP_POWER and standing.keep is not None)


def _is_untried(standing: Standing) -> bool:
    return standing.order is None or standing.order.tries == 0


def overtaken(standing: Standing, held: Sequence[TripCause]) -> str:
    """Return why a person's order no longer fits what the relay shall be; empty where it does."""
    ticket = standing.ticket
    if ticket is None:
        return ""
    action = ticket.command.action
    if action is Action.TRIP and ticket.cause_id not in standing.causes:
        return "overtaken: the cause of this trip has ended"
    if action in (Action.CLOSE, Action.KEEP_POWER) and held:
        return f"overtaken: {names(held)} holds the relay open"
    return ""


def names(causes: Sequence[TripCause]) -> str:
    """Return the kinds of some causes as a list in words."""
    return ", ".join(dict.fromkeys(cause.kind.value for cause in causes))
