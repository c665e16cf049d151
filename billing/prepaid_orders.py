"""What happens to a purchase order, given what the meter told: pure, no store, no clock."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from billing.model import Account
from billing.prepaid_model import PrepaidSettings, PurchaseOrder, PurchaseState
from domain.books import Entry, EntryKind, Leg, meter_book, room_book, transit_book
from domain.money import micro_to_minor, minor_to_micro
from domain.purchases import PrepaidReading, Purchase, PurchaseReceipt, PurchaseStatus

WH_PER_KWH = 1000
ACTOR = "prepaid"


def ready(
    order: PurchaseOrder, reading: PrepaidReading, settings: PrepaidSettings, now: datetime
) -> PurchaseOrder:
    """Return a queued order after a look at its meter: being written, still queued, or refused.

    An amount that the meter can't take whole is cut down; what is cut off stays the room's money,
    for another order.
    """
    if reading.remaining_minor is None or reading.count is None:
        return later(order, settings, now, f"the meter was not read: {reading.note or 'no answer'}")
    if not reading.writable:
        return refuse(order, now, "this model takes no purchases")
    amount_minor = min(order.amount_minor, reading.amount_most_minor or order.amount_minor)
    amount_minor -= amount_minor % reading.step_minor
    if amount_minor <= 0:
        reason = f"less than the meter's smallest step of {reading.step_minor} fen"
        return later(order, settings, now, reason)
    most_minor = reading.remaining_most_minor
    if most_minor is not None and reading.remaining_minor + amount_minor > most_minor:
        reason = f"the meter holds {reading.remaining_minor} fen, {most_minor} at the most"
        return later(order, settings, now, reason)
    return replace(
        order,
        state=PurchaseState.WRITING,
        amount_minor=amount_minor,
        attempts=order.attempts + 1,
        count_before=reading.count,
        remaining_before_minor=reading.remaining_minor,
        energy_before_wh=reading.energy_wh,
        use_most_minor=settings.use_most_minor,
        sent_at=now,
        reason="",
    )


def purchase_of(order: PurchaseOrder, settings: PrepaidSettings, key: bytes) -> Purchase:
    """Return the sealed purchase of an order that is being written."""
    assert order.count_before is not None  # noqa: S101 - made ready before
    assert order.remaining_before_minor is not None  # noqa: S101 - made ready before
    assert order.sent_at is not None  # noqa: S101 - made ready before
    return Purchase(
        id=f"{order.id}/{order.attempts}",
        meter=order.meter,
        amount_minor=order.amount_minor,
        count_before=order.count_before,
        remaining_before_minor=order.remaining_before_minor,
        use_most_minor=order.use_most_minor,
        requested_by=ACTOR,
        issued_at=order.sent_at,
        expires_at=order.sent_at + timedelta(seconds=settings.valid_s),
    ).sealed(key)


def after_write(
    order: PurchaseOrder, receipt: PurchaseReceipt, settings: PrepaidSettings, now: datetime
) -> PurchaseOrder:
    """Return an order that was being written, after its receipt."""
    order = replace(order, writes=order.writes + receipt.writes, proof=receipt.proof)
    match receipt.status:
        case PurchaseStatus.CONFIRMED:
            return confirm(order, now, receipt.reason)
        case PurchaseStatus.REFUSED:
            return refuse(order, now, receipt.reason)
        case PurchaseStatus.WAITING | PurchaseStatus.EXPIRED:
            return again(order, settings, now, receipt.reason)
    return unknown(order, settings, now, receipt.reason)


def after_look(
    order: PurchaseOrder, reading: PrepaidReading, settings: PrepaidSettings, now: datetime
) -> PurchaseOrder:
    """Return an unknown order after a read-back: settled by what the meter counts, or unknown."""
    count, remaining = reading.count, reading.remaining_minor
    before, held = order.count_before, order.remaining_before_minor
    if count is None or remaining is None or before is None or held is None:
        return later(order, settings, now, f"not read back: {reading.note or 'no answer'}")
    shows = f"the meter counts {count} purchases and holds {remaining} fen"
    if count == before + 1 and fits(order, reading, settings):
        return confirm(order, now, shows)
    if count == before and remaining <= held:
        # Whatever of the write may still lie in a gateway carries a count that is taken once.
        return again(order, settings, now, f"{shows}: it was not taken")
    reason = f"{shows}; before it counted {before} and held {held} fen"
    return later(order, settings, now, reason)


def fits(order: PurchaseOrder, reading: PrepaidReading, settings: PrepaidSettings) -> bool:
    """Say whether a remaining amount is what the purchase leaves, less what can have been used."""
    assert reading.remaining_minor is not None  # noqa: S101 - looked at by after_look
    assert order.remaining_before_minor is not None  # noqa: S101 - looked at by after_look
    full_minor = order.remaining_before_minor + order.amount_minor
    used_minor = settings.use_most_minor
    if reading.energy_wh is not None and order.energy_before_wh is not None:
        used_wh = max(reading.energy_wh - order.energy_before_wh, 0)
        used_minor += used_wh * settings.use_minor_per_kwh // WH_PER_KWH
    return full_minor - used_minor <= reading.remaining_minor <= full_minor


def confirm(order: PurchaseOrder, now: datetime, reason: str) -> PurchaseOrder:
    """Return an order that the meter counts."""
    return replace(order, state=PurchaseState.CONFIRMED, finished_at=now, reason=reason)


def refuse(order: PurchaseOrder, now: datetime, reason: str) -> PurchaseOrder:
    """Return an order that has come to nothing and waits for a person."""
    return replace(order, state=PurchaseState.REFUSED, finished_at=now, reason=reason)


def unknown(
    order: PurchaseOrder, settings: PrepaidSettings, now: datetime, reason: str
) -> PurchaseOrder:
    """Return an order of which nobody can tell; it is read back after a while."""
    next_at = now + timedelta(seconds=settings.resolve_after_s)
    return replace(order, state=PurchaseState.UNKNOWN, next_at=next_at, reason=reason)


def again(
    order: PurchaseOrder, settings: PrepaidSettings, now: datetime, reason: str
) -> PurchaseOrder:
    """Return an order that has certainly not been taken: queued again, or refused at the limit.

    Only tries that reached the wire are counted: an offline meter waits until the order expires.
    """
    if order.writes >= settings.attempts_most:
        return refuse(order, now, f"{reason}; {order.writes} writes came to nothing")
    return later(replace(order, state=PurchaseState.QUEUED), settings, now, reason)


def later(
    order: PurchaseOrder, settings: PrepaidSettings, now: datetime, reason: str
) -> PurchaseOrder:
    """Return an order that is looked at again after a while: the longer it waits, the later."""
    since = order.sent_at or order.created_at
    waited_s = max((now - since).total_seconds(), 0.0)
    wait_s = min(max(settings.retry_first_s, waited_s), settings.retry_most_s)
    return replace(order, next_at=now + timedelta(seconds=wait_s), reason=reason)


def entries_of(
    before: PurchaseOrder | None, order: PurchaseOrder, account: Account, now: datetime
) -> list[Entry]:
    """Return the entry that a change of state books: the money's way room -> transit -> meter."""
    was_away = before is not None and before.state in (
        PurchaseState.WRITING,
        PurchaseState.UNKNOWN,
    )
    room, transit = room_book(account.id), transit_book(order.meter)
    if order.state is PurchaseState.WRITING and not was_away:
        way, source, target = "out", room, transit
    elif was_away and order.state is PurchaseState.CONFIRMED:
        way, source, target = "in", transit, meter_book(order.meter)
    elif was_away and order.state not in (PurchaseState.WRITING, PurchaseState.UNKNOWN):
        way, source, target = "back", transit, room
    else:
        return []
    amount_micro = minor_to_micro(order.amount_minor)
    return [
        Entry(
            id=f"purchase:{order.id}:{order.attempts}:{way}",
            time=now,
            kind=EntryKind.METER_PURCHASE,
            legs=(Leg(source, -amount_micro), Leg(target, amount_micro)),
            actor=order.closed_by or ACTOR,
            description=_WAYS[way],
            reference=order.id,
            details={
                "meter": order.meter,
                "amount_minor": order.amount_minor,
                "attempt": order.attempts,
                "reason": order.reason,
                "building": account.building,
                "kind": account.kind.value,
            },
        )
    ]


@dataclass(frozen=True, slots=True)
class TakenOut:
    """What takes a meter's money back to its room: the order that says so, and its entry."""

    order: PurchaseOrder
    entries: list[Entry]


def taken_out(
    account: Account,
    meter: str,
    held_micro: int,
    now: datetime,
    *,
    actor: str,
    reason: str,
    in_use: bool,
) -> TakenOut:
    """Return what gives a room the money that the books hold in a meter."""
    order_id = f"{meter}-{now:%Y%m%d%H%M%S%f}-out"
    held_back = in_use and held_micro > 0
    order = PurchaseOrder(
        id=order_id,
        account=account.id,
        meter=meter,
        amount_minor=micro_to_minor(max(held_micro, 0)),
        state=PurchaseState.REFUSED if held_back else PurchaseState.CLOSED,
        created_at=now,
        expires_at=now,
        next_at=now,
        finished_at=now,
        reason=f"taken out of the meter: {reason}",
        closed_by=actor,
    )
    if not held_micro:
        return TakenOut(order, [])
    entry = Entry(
        id=f"purchase:{order_id}:0:out-of-meter",
        time=now,
        kind=EntryKind.METER_PURCHASE,
        legs=(Leg(meter_book(meter), -held_micro), Leg(room_book(account.id), held_micro)),
        actor=actor,
        description=reason,
        reference=order_id,
        details={"meter": meter, "building": account.building, "kind": account.kind.value},
    )
    return TakenOut(order, [entry])


_WAYS = {
    "out": "purchase on its way to the meter",
    "in": "purchase counted by the meter",
    "back": "purchase not taken by the meter",
}
