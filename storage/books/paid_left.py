"""What is left of a recharge: what was paid, less what was given back or moved elsewhere."""

from collections.abc import Sequence

from sqlalchemy import Connection

from domain.books import EntryKind, Posted
from storage.books import money_reader

MOVES_OF_A_RECHARGE_MOST = 1_000
SPENDS = (EntryKind.REFUND, EntryKind.REVERSAL, EntryKind.TRANSFER)


def paid_left(connection: Connection, recharge: str, book: str) -> int | None:
    """Return what of a recharge can still leave a book account, micro-units.

    None where there is no such recharge, or where it paid into another account.
    """
    found = money_reader.entry_of_id(connection, recharge)
    if found is None or found.entry.kind is not EntryKind.RECHARGE:
        return None
    paid = _moved(found, book)
    if paid <= 0:
        return None
    # What rests on it names the entry or, as refunds of an order do, the order.
    names = {recharge, found.entry.reference, str(found.entry.details.get("order", ""))}
    spent = _resting_on(connection, names - {""}, SPENDS)
    # A refund that came to nothing was reversed: that money is there again.
    spent |= _resting_on(connection, set(spent), (EntryKind.REVERSAL,))
    return paid + sum(_moved(posted, book) for posted in spent.values())


def _resting_on(
    connection: Connection, names: set[str], kinds: Sequence[EntryKind]
) -> dict[str, Posted]:
    return {
        posted.entry.id: posted
        for name in names
        for kind in kinds
        for posted in money_reader.entries(
            connection, kind=kind, reference=name, limit=MOVES_OF_A_RECHARGE_MOST
        )
    }


def _moved(posted: Posted, book: str) -> int:
    return sum(leg.amount for leg in posted.entry.legs if leg.account == book)
