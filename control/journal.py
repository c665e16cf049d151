"""Writing down: what moves a relay is durable before it moves; what it did follows after."""

import asyncio
from collections import deque
from collections.abc import Callable

import structlog

from domain.errors import StoreUnavailable
from domain.events import Event
from domain.ports import JournalRow, Ledger

# Receipts and events that the ledger has not taken yet. What is dropped beyond it is told again
# after a restart: a command without a receipt is unknown and is read back.
OWED_MOST = 20_000

log = structlog.get_logger("control")


class Journal:
    """The ledger as the supervisor uses it: rows together or not at all, events announced after.

    `announce` is told every event once it is durable; it must not write it to the ledger again.
    """

    def __init__(self, ledger: Ledger, announce: Callable[[Event], None]) -> None:
        self.ledger = ledger
        self._announce = announce
        self._owed: deque[JournalRow] = deque(maxlen=OWED_MOST)

    @property
    def owed(self) -> int:
        """Rows that wait for the ledger."""
        return len(self._owed)

    async def write(self, *rows: JournalRow) -> None:
        """Make rows durable, all or none. Raises StoreUnavailable."""
        if not rows:
            return
        await asyncio.wrap_future(self.ledger.record(*rows))
        for row in rows:
            if isinstance(row, Event):
                self._announce(row)

    async def write_or_owe(self, *rows: JournalRow) -> None:
        """Make rows durable, now or once the ledger takes them again: for what has happened."""
        if self._owed:
            self._owed.extend(rows)
            return
        try:
            await self.write(*rows)
        except StoreUnavailable as error:
            log.warning("the ledger does not take what happened; kept", reason=str(error))
            self._owed.extend(rows)

    async def pay(self) -> bool:
        """Try to write what is owed, in order; say whether nothing is owed any more."""
        while self._owed:
            batch = [self._owed[place] for place in range(min(len(self._owed), 500))]
            try:
                await self.write(*batch)
            except StoreUnavailable:
                return False
            for _ in batch:
                self._owed.popleft()
        return True
