"""One bus of the field, whole: its owner, its round, its commands and its health."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from collector.bus import BusOwner
from collector.confirm import Confirmer
from collector.delivery import Delivery, SweepTaker
from collector.frame_log import LoggedFrame
from collector.health import BusHealth
from collector.link import LinkFactory, link_of
from collector.meter_port import MeterPort, PlanKey, Readout
from collector.plan import Block
from collector.plausible import Plausibility
from collector.poller import Poller, SweepMaker
from collector.profile import Profile
from collector.purchase import PurchaseWorker
from collector.relay import RelayWorker
from collector.request import Priority
from collector.row import MeterRows
from collector.settings import PollSettings
from domain.clock import Clock
from domain.commands import Command, Receipt, ReceiptStatus
from domain.errors import UnknownSubject
from domain.events import Event
from domain.purchases import PrepaidReading, Purchase, PurchaseReceipt, PurchaseStatus
from domain.site import Bus, Meter

__all__ = ["BusHealth", "BusRunner", "PollSettings", "Readout"]


class BusRunner:
    """Polls one bus, carries out its commands and tells how it does.

    All methods belong to the event loop that `run` runs on. `profiles` must hold the profile of
    every meter. `on_sweep` gets each sweep in order and may be asynchronous; `on_event` must not
    block. `known_energy` maps meters to the energy counter last accepted, Wh, and its age, s, so
    that a swap or a reset during a stop of the service is noticed.
    """

    def __init__(
        self,
        bus: Bus,
        meters: Iterable[Meter],
        profiles: Mapping[str, Profile],
        clock: Clock,
        on_sweep: SweepTaker,
        on_event: Callable[[Event], None],
        settings: PollSettings,
        seal_key: bytes,
        *,
        link_factory: LinkFactory = link_of,
        known_energy: Mapping[str, tuple[int, float]] | None = None,
    ) -> None:
        self.bus = bus
        self._clock = clock
        self._owner = BusOwner(bus, clock, settings, on_event, link_factory)
        self._delivery = Delivery(on_sweep, settings.deliveries_most)
        plans: dict[PlanKey, tuple[Block, ...]] = {}
        self._rows: dict[str, MeterRows] = {}
        for meter in meters:
            profile = profiles[meter.profile]
            check = Plausibility(meter, profile, settings)
            if known_energy is not None and meter.name in known_energy:
                energy_wh, age_s = known_energy[meter.name]
                check.seed(energy_wh, clock.monotonic() - max(age_s, 0.0))
            port = MeterPort(meter, profile, self._owner, on_event, plans)
            self._rows[meter.name] = MeterRows(port, check, on_event)
        maker = SweepMaker(bus.name)
        self._poller = Poller(self._owner, list(self._rows.values()), maker, self._delivery)
        self._confirmer = Confirmer(self._owner, self._rows, maker, self._delivery)
        ports = {name: rows.port for name, rows in self._rows.items()}
        self._relay = RelayWorker(bus.name, ports, seal_key, on_event, self._poller.hurry)
        self._purchases = PurchaseWorker(bus.name, ports, seal_key, self._poller.hurry)
        self._started_s = clock.monotonic()

    async def run(self, *, poll: bool = True) -> None:
        """Run the bus until cancelled; without `poll` only what is asked for goes out.

        A transaction under way when this is cancelled is finished first.
        """
        self._started_s = self._clock.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._owner.run(), name=f"owner {self.bus.name}")
                if poll:
                    group.create_task(self._poller.run(), name=f"poller {self.bus.name}")
        finally:
            await self._confirmer.stop()
            await self._delivery.drain()

    async def execute(self, command: Command) -> Receipt:
        """Carry a relay command out and prove it by read-back."""
        rows = self._rows.get(command.meter)
        if rows is None:
            return Receipt(
                command.id, command.meter, command.action, ReceiptStatus.REFUSED,
                f"no such meter on bus {self.bus.name}", None, self._clock.now(),
            )  # fmt: skip
        return await self._relay.execute(command, rows.port)

    async def purchase(self, purchase: Purchase) -> PurchaseReceipt:
        """Write a purchase to a prepaid meter, once, and prove it by what the meter counts then."""
        rows = self._rows.get(purchase.meter)
        if rows is None:
            return PurchaseReceipt(
                purchase.id, purchase.meter, PurchaseStatus.REFUSED,
                f"no such meter on bus {self.bus.name}", self._clock.now(),
            )  # fmt: skip
        return await self._purchases.purchase(purchase, rows.port)

    async def read_prepaid(self, meter: str) -> PrepaidReading:
        """Read what a prepaid meter holds and how many purchases it has counted."""
        rows = self._rows.get(meter)
        if rows is None:
            note = f"no such meter on bus {self.bus.name}"
            return PrepaidReading(meter, self._clock.now(), note=note)
        return await self._purchases.read(rows.port)

    def confirm(self, meter: str, reads: int = 2) -> bool:
        """Read a meter's fast quantities `reads` times ahead of the round, a confirming sweep each.

        Returns False where that is not begun: unknown or silent meter, already being confirmed.
        """
        return self._confirmer.start(meter, reads)

    async def read_once(
        self, meter: str, quantities: Sequence[str] | None = None, *, raw: bool = False
    ) -> Readout:
        """Read a meter now, all its quantities or those named, with its registers where `raw`.

        The values are not checked for plausibility. Raises UnknownSubject.
        """
        rows = self._rows.get(meter)
        if rows is None:
            raise UnknownSubject(f"no meter {meter} on bus {self.bus.name}")
        wanted = rows.port.profile.quantities() if quantities is None else tuple(quantities)
        readout = await rows.port.read_patiently(wanted, Priority.ASKED)
        return readout if raw else replace(readout, words={})

    def frames(self) -> list[LoggedFrame]:
        """Return the last frames on the wire, oldest first."""
        return self._owner.log.frames()

    def health(self) -> BusHealth:
        """Return how the bus does."""
        owner, counts, times = self._owner, self._owner.counts, self._poller.times
        sweep_s, wire_s = times.last or (None, None)
        elapsed_s = max(self._clock.monotonic() - self._started_s, 1e-9)
        ports = [rows.port for rows in self._rows.values()]
        return BusHealth(
            bus=self.bus.name,
            link_up=owner.is_up,
            echoing=owner.echoing,
            sweeps=times.sweeps,
            sweep_s=sweep_s,
            wire_s=wire_s,
            wire_share=owner.wire_s / elapsed_s,
            meters=len(ports),
            silent_meters=tuple(port.meter.name for port in ports if port.liveness.is_silent),
            transactions=owner.transactions,
            timeouts=counts.timeouts,
            crc_errors=counts.crc_errors,
            truncated=counts.truncated,
            noise_bytes=counts.noise_bytes,
            foreign_replies=counts.foreign,
            rejected_replies=counts.rejected,
            late_replies=counts.late,
            exceptions=dict(counts.exceptions),
            retries=owner.retries,
            reconnects=max(owner.connections - 1, 0),
            split_blocks=sum(len(port.splits) for port in ports),
            commands=self._relay.done,
            commands_unproven=self._relay.unproven,
            queue_depth=owner.queue_depth,
            confirming=self._confirmer.running,
            sweeps_not_taken=self._delivery.failures,
        )
