"""Entries that finance wants to see one by one: refunds, transfers, adjustments, late ones."""

from collections.abc import Iterable

from billing.reports.figures import Scan
from billing.reports.model import Cell, Column, Kind, Table, count, moment, money, name, text
from billing.reports.recharges import channel_of
from billing.reports.source import Booked, Move
from domain.books import EntryKind

_TILL = ("clearing:", "cash:")


def refunds(scan: Scan) -> Table:
    """List every refund: to whom, by which channel, who asked, who approved, why."""
    columns = (
        text("number"),
        moment("booked_at"),
        text("account"),
        name("channel"),
        text("reference"),
        text("requested_by"),
        text("approved_by"),
        text("reason"),
        money("amount"),
    )
    rows = [
        (
            str(booked.number),
            booked.booked_at,
            _accounts(booked, down=True),
            ", ".join(channel_of(leg.account) for leg in _paid_out(booked)),
            booked.reference,
            *_people(booked),
            booked.description,
            sum(leg.amount for leg in _paid_out(booked)),
        )
        for booked in scan.of_kind(EntryKind.REFUND)
    ]
    return Table(columns, rows)


def transfers(scan: Scan) -> Table:
    """List transfers and room moves: from, to, how much, who asked and who approved."""
    columns = (
        text("number"),
        moment("booked_at"),
        name("entry_kind"),
        text("from_account"),
        text("to_account"),
        text("reference"),
        text("requested_by"),
        text("approved_by"),
        text("reason"),
        money("amount"),
    )
    rows = [
        (
            str(booked.number),
            booked.booked_at,
            booked.kind.value,
            _accounts(booked, down=True),
            _accounts(booked, down=False),
            booked.reference,
            *_people(booked),
            booked.description,
            sum(leg.amount for leg in _money(booked) if leg.amount > 0),
        )
        for booked in scan.of_kind(EntryKind.TRANSFER, EntryKind.ROOM_MOVE)
    ]
    return Table(columns, rows)


def adjustments(scan: Scan) -> Table:
    """List adjustments, reversals and opening entries, one row an account moved."""
    columns = (
        text("number"),
        moment("booked_at"),
        moment("happened_at"),
        name("entry_kind"),
        text("book"),
        text("reference"),
        text("requested_by"),
        text("approved_by"),
        text("reason"),
        money("amount"),
        Column("energy", Kind.ENERGY),
    )
    kinds = (EntryKind.ADJUSTMENT, EntryKind.REVERSAL, EntryKind.OPENING)
    rows = [row for booked in scan.of_kind(*kinds) for row in _legs(booked)]
    return Table(columns, rows)


def late(scan: Scan) -> Table:
    """Count, by kind, what had happened before the period but was booked in it."""
    rows: list[tuple[Cell, ...]] = [
        (
            kind.value,
            tally.entries,
            None if kind in _FREE else tally.amount,
            tally.amount if kind in _FREE else None,
        )
        for kind, tally in sorted(scan.late.items())
    ]
    columns = (name("entry_kind"), count("entries"), money("amount"), Column("free", Kind.ENERGY))
    return Table(columns, rows)


_FREE = (EntryKind.FREE_GRANT, EntryKind.FREE_USE, EntryKind.FREE_EXPIRY)


def _legs(booked: Booked) -> Iterable[tuple[Cell, ...]]:
    for leg in booked.legs:
        in_wh = leg.account.startswith("free:")
        yield (
            str(booked.number),
            booked.booked_at,
            booked.time,
            booked.kind.value,
            leg.account,
            booked.reference,
            *_people(booked),
            booked.description,
            None if in_wh else leg.amount,
            leg.amount if in_wh else None,
        )


def _people(booked: Booked) -> tuple[str, str]:
    """Return who asked and who approved, as far as the entry says."""
    details = booked.details
    asked = details.get("requested_by") or booked.actor
    return str(asked), str(details.get("approved_by") or "")


def _money(booked: Booked) -> list[Move]:
    return [leg for leg in booked.legs if not leg.account.startswith("free:")]


def _paid_out(booked: Booked) -> list[Move]:
    """Return where a refund went out; a token's refund moves from one till to another."""
    return [leg for leg in booked.legs if leg.account.startswith(_TILL) and leg.amount > 0]


def _accounts(booked: Booked, *, down: bool) -> str:
    """Return the rooms that went down (or up); other accounts only where there is no room."""
    moved = [leg.account for leg in _money(booked) if (leg.amount < 0) is down]
    rooms = [account for account in moved if account.startswith("room:")]
    return ", ".join(account.removeprefix("room:") for account in rooms or moved)
