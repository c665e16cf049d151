"""Quick confirmation: a suspect meter is read again ahead of the round."""

import asyncio
from collections.abc import Mapping

from collector.bus import BusOwner
from collector.delivery import Delivery
from collector.poller import SweepMaker
from collector.request import Priority
from collector.row import MeterRows


class Confirmer:
    """Reads single meters ahead of the round; a meter already being confirmed gets no second run.

    The first read goes out at once, the others `confirm_gap_s` apart: meters renew their
    registers only now and then, and the same reading twice confirms nothing.
    """

    def __init__(
        self,
        owner: BusOwner,
        meters: Mapping[str, MeterRows],
        maker: SweepMaker,
        delivery: Delivery,
    ) -> None:
        self._owner, self._meters = owner, meters
        self._maker, self._delivery = maker, delivery
        self._running: dict[str, asyncio.Task[None]] = {}

    @property
    def running(self) -> int:
        """Meters being confirmed now."""
        return len(self._running)

    def start(self, meter: str, reads: int) -> bool:
        """Begin to confirm; False where the meter is unknown, silent or already being confirmed,
        or too many are."""
        settings = self._owner.settings
        rows = self._meters.get(meter)
        if rows is None or reads < 1 or rows.port.liveness.is_silent or not self._owner.is_up:
            return False
        if meter in self._running or len(self._running) >= settings.confirm_most:
            return False
        task = asyncio.ensure_future(self._confirm(rows, min(reads, settings.confirm_reads_most)))
        self._running[meter] = task
        task.add_done_callback(lambda _: self._running.pop(meter, None))
        return True

    async def stop(self) -> None:
        """End all runs."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _confirm(self, rows: MeterRows, reads: int) -> None:
        clock = self._owner.clock
        for number in range(reads):
            if number:
                await clock.sleep(self._owner.settings.confirm_gap_s)
            started_at = clock.now()
            readout = await rows.port.read(rows.fast, Priority.CONFIRM)
            if readout.link_lost:
                return
            row, ended_at = rows.row(readout), clock.now()
            sweep = self._maker.sweep(started_at, ended_at, [row], readout.wire_s, confirming=True)
            await self._delivery.hand_on(sweep)
