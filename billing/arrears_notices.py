"""What occupants are told when a balance reaches a level."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.levels import WARNINGS, Level, Standing
from billing.model import Account, Person
from domain.messages import Notice, Recipient
from domain.money import MICRO_PER_MINOR, MINOR_PER_UNIT


def level_notice(
    account: Account,
    level: Level,
    topic: str,
    standing: Standing,
    due: datetime | None,
    people: Sequence[Person],
    *,
    zone: ZoneInfo,
    urgent: bool,
) -> Notice:
    """Return the notice of a level to some occupants; `due` is when the power would be cut."""
    days = standing.days_left
    return Notice(
        topic=topic,
        template=f"level-{level.value}",
        recipients=tuple(recipient(person) for person in people),
        values={
            "building": account.building,
            "room": account.room,
            "balance": money_text(standing.balance_micro),
            "limit": money_text(-standing.credit_limit_micro),
            "days": None if days is None else int(days),
            "cut_time": None if due is None else f"{due.astimezone(zone):%Y-%m-%d %H:%M}",
        },
        account=account.id,
        building=account.building,
        must=level in WARNINGS,
        urgent=urgent and level in WARNINGS,
    )


def recipient(person: Person) -> Recipient:
    """Return a person as somebody to be told."""
    return Recipient(person.id, person.name, person.phone, person.email, person.language)


def money_text(amount_micro: int) -> str:
    """Return an amount with two decimals, towards minus infinity: nobody is told of part fen."""
    minor = amount_micro // MICRO_PER_MINOR
    sign = "-" if minor < 0 else ""
    whole, part = divmod(abs(minor), MINOR_PER_UNIT)
    return f"{sign}{whole}.{part:02d}"
