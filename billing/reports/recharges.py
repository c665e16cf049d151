"""Recharges: what came in by each channel, what went back, day by day, and one by one.

Every amount is a movement of the channels' clearing accounts and the cashiers' drawers, so the
nets are what the trial balance shows for them. What comes in is positive, what goes out negative.
"""

from collections import defaultdict
from datetime import date

from billing.reports.figures import Scan, Tally
from billing.reports.model import Cell, Column, Kind, Table, count, moment, money, name, text
from billing.reports.source import Booked
from domain.books import EntryKind

_FIGURES = (
    count("recharges"),
    money("recharged", 1),
    count("refund_count"),
    money("refunded", 1),
    money("reversed", 1),
    money("otherwise", 1),
    money("net", -1),
)


def channel_of(book: str) -> str:
    """Return the channel a clearing account or a drawer belongs to."""
    prefix, _, rest = book.partition(":")
    return "cash" if prefix == "cash" else rest


def by_channel(scan: Scan) -> Table:
    """Tell what each channel took in and gave back."""
    groups: dict[str, dict[EntryKind, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for (_, book, kind), tally in scan.tills.items():
        _add(groups[channel_of(book)][kind], tally)
    rows: list[tuple[Cell, ...]] = [
        (channel, *_figures(groups[channel])) for channel in sorted(groups)
    ]
    return Table((name("channel"), *_FIGURES), rows)


def by_day(scan: Scan) -> Table:
    """Tell what each channel took in and gave back on each day."""
    groups: dict[tuple[date, str], dict[EntryKind, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for (day, book, kind), tally in scan.tills.items():
        _add(groups[day, channel_of(book)][kind], tally)
    rows: list[tuple[Cell, ...]] = [
        (day, channel, *_figures(groups[day, channel])) for day, channel in sorted(groups)
    ]
    return Table((Column("day", Kind.DATE), name("channel"), *_FIGURES), rows)


def one_by_one(scan: Scan) -> Table:
    """List every recharge with its order and the provider's number, as booked."""
    columns = (
        Column("number", Kind.TEXT),
        moment("booked_at"),
        moment("happened_at"),
        text("account"),
        name("channel"),
        text("order"),
        text("provider_ref"),
        text("person"),
        text("shift"),
        money("amount"),
    )
    return Table(columns, [_recharge(booked) for booked in scan.of_kind(EntryKind.RECHARGE)])


def _recharge(booked: Booked) -> tuple[Cell, ...]:
    details = booked.details
    taken = [leg for leg in booked.legs if leg.account.startswith(("clearing:", "cash:"))]
    given = [leg.account for leg in booked.legs if leg not in taken]
    channel = channel_of(taken[0].account) if taken else str(details.get("channel", ""))
    return (
        str(booked.number),
        booked.booked_at,
        booked.time,
        ", ".join(account.removeprefix("room:") for account in given),
        channel,
        _text(details.get("order")),
        _text(details.get("provider_ref")),
        _text(details.get("person")),
        _text(details.get("shift")),
        -sum(leg.amount for leg in taken),
    )


def _figures(kinds: dict[EntryKind, Tally]) -> tuple[int, ...]:
    # The house's money is negative in the books, see domain/books.py; people read it the other
    # way round.
    recharged = kinds.pop(EntryKind.RECHARGE, Tally())
    refunded = kinds.pop(EntryKind.REFUND, Tally())
    reversed_ = kinds.pop(EntryKind.REVERSAL, Tally())
    rest = sum(tally.amount for tally in kinds.values())
    net = recharged.amount + refunded.amount + reversed_.amount + rest
    return (
        recharged.entries,
        -recharged.amount,
        refunded.entries,
        -refunded.amount,
        -reversed_.amount,
        -rest,
        -net,
    )


def _add(to: Tally, tally: Tally) -> None:
    to.entries += tally.entries
    to.amount += tally.amount


def _text(value: object) -> str:
    return "" if value is None else str(value)
