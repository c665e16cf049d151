"""Every Wh that a counter moved is billed, pending or held: the check an auditor asks for."""

from dataclasses import dataclass
from datetime import datetime

from billing.account_charge import AccountCharge
from billing.charging_store import ReviewState
from billing.register import Register


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """A register's books: what its counter moved and where that went, Wh. `difference_wh` is 0.

    Counter difference + `explained_wh` = billed + pending + held + difference. `explained_wh` is
    what rollovers and decisions add to or take from the plain difference of two readings. Of an
    account with several registers the newest answers for what its bills say beyond the others.
    """

    meter: str
    account: str
    since: datetime
    first_wh: int
    last_wh: int
    billed_wh: int
    pending_wh: int
    held_wh: int
    explained_wh: int
    difference_wh: int


def energy_rows(charge: AccountCharge, billed_wh: int) -> list[EnergyRow]:
    """Check the registers of an account against what its bills hold, Wh."""
    charge.flush()
    registers = sorted(charge.registers.values(), key=lambda one: one.since_ms)
    unbilled = billed_wh - sum(register.settled_wh for register in registers)
    rows = []
    for register in registers:
        own_wh = register.settled_wh
        if register is registers[-1]:
            own_wh += unbilled
        rows.append(_row(register, own_wh))
    return rows


def _row(register: Register, billed_wh: int) -> EnergyRow:
    reviews = register.reviews.values()
    held_wh = sum(one.difference_wh for one in reviews if one.state is ReviewState.OPEN)
    explained_wh = sum(
        one.counted_wh - one.difference_wh
        for one in reviews
        if one.state in (ReviewState.EXPLAINED, ReviewState.DECIDED)
    )
    last_wh = register.chain.last.energy_wh
    pending_wh = register.chain.total_wh - register.settled_wh
    moved_wh = last_wh - register.span.first_wh
    return EnergyRow(
        meter=register.span.meter,
        account=register.account,
        since=register.span.since,
        first_wh=register.span.first_wh,
        last_wh=last_wh,
        billed_wh=billed_wh,
        pending_wh=pending_wh,
        held_wh=held_wh,
        explained_wh=explained_wh,
        difference_wh=moved_wh + explained_wh - billed_wh - pending_wh - held_wh,
    )
