"""What the ledger does not take is kept in order, and written once it takes it again."""

import pytest
from world import NOON, MemoryLedger

from control.journal import Journal
from domain.errors import StoreUnavailable
from domain.events import Event, EventKind


def event(number: int) -> Event:
    return Event(NOON, EventKind.COMMAND_DONE, "m1", f"number {number}")


async def test_what_has_happened_is_written_in_order_once_the_ledger_is_back() -> None:
    ledger, announced = MemoryLedger(), list[Event]()
    journal = Journal(ledger, announced.append)  # type: ignore[arg-type]
    ledger.down = True
    await journal.write_or_owe(event(1))
    ledger.down = False
    await journal.write_or_owe(event(2))  # it waits behind the first
    assert (journal.owed, ledger.rows, announced) == (2, [], [])
    assert await journal.pay()
    assert ledger.rows == announced == [event(1), event(2)]
    await journal.write_or_owe(event(3))
    assert ledger.rows[-1] == event(3)


async def test_what_is_about_to_happen_is_refused_while_the_ledger_is_down() -> None:
    ledger, announced = MemoryLedger(), list[Event]()
    journal = Journal(ledger, announced.append)  # type: ignore[arg-type]
    ledger.down = True
    with pytest.raises(StoreUnavailable):
        await journal.write(event(1))
    assert (journal.owed, announced) == (0, [])
    await journal.write_or_owe(event(2))
    assert not await journal.pay()
    assert journal.owed == 1
