"""All simulated buses of a site on one event loop, with what a test or a person may do to them."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from typing import Any

from collector.profile import Profile
from domain.errors import InvalidInput, UnknownSubject
from domain.faults import Fault
from domain.quantities import QUANTITIES
from domain.site import Meter, Site
from simulator.bus_total import BusTotal
from simulator.faults import FaultBook, FaultKind, FaultSpec, StandingFault
from simulator.line import Endpoint, LineServer
from simulator.meter import VirtualMeter
from simulator.model import LoadSource, LoadUse
from simulator.registers import RegisterMap

# So many meters are looked at before the lines get their turn: a reply must not wait for a report.
METERS_A_TURN = 8


class SimulatedField:
    """The meters and lines of a site, fed by a load source.

    `campus_now` tells the campus time, s. `ports` are wanted TCP ports by bus; 0 or none: any.
    Counters start at a seeded 50 to 9,000 kWh. Raises InvalidInput with every meter whose bus or
    profile is not known, and every port of a bus that is not there.
    """

    def __init__(
        self,
        site: Site,
        profiles: Mapping[str, Profile],
        source: LoadSource,
        *,
        campus_now: Callable[[], float],
        seed: int = 1,
        paced: bool = True,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        _check(site, profiles, ports or {})
        self.faults = FaultBook(seed)
        self.source = source
        self.campus_now = campus_now
        maps = {name: RegisterMap(profiles[name]) for name in {m.profile for m in site.meters}}

        def virtual(meter: Meter, loads: LoadSource) -> VirtualMeter:
            dice = random.Random(f"{seed}:{meter.name}:energy")
            return VirtualMeter(
                meter,
                profiles[meter.profile],
                loads,
                energy_wh=dice.uniform(50_000, 9_000_000),
                registers=maps[meter.profile],
            )

        self.meters = {m.name: virtual(m, source) for m in site.meters if not m.head}
        for head in (meter for meter in site.meters if meter.head):
            rooms = [self.meters[m.name] for m in site.meters_on(head.bus) if not m.head]
            self.meters[head.name] = virtual(head, BusTotal(rooms))
        self.lines = {
            bus.name: LineServer(
                bus,
                [self.meters[meter.name] for meter in site.meters_on(bus.name)],
                self.faults,
                paced,
                campus_now=campus_now,
                port=(ports or {}).get(bus.name, 0),
            )
            for bus in site.buses
        }
        self.endpoints: dict[str, Endpoint] = {}

    async def start(self) -> Mapping[str, Endpoint]:
        """Open every line. Raises OSError where a port is taken; nothing stays open then."""
        try:
            for name, line in self.lines.items():
                self.endpoints[name] = await line.start()
        except OSError:
            await self.stop()
            raise
        return self.endpoints

    async def stop(self) -> None:
        """Close every line."""
        for line in self.lines.values():
            await line.stop()

    def add_fault(self, spec: FaultSpec) -> int:
        """Put a fault in force and return its id.

        Raises UnknownSubject for an unknown meter or bus, InvalidInput for a quantity or a shown
        value that can't be, ValueError when the book is full.
        """
        if spec.meter is not None:
            self.meter(spec.meter)
        if spec.bus is not None and spec.bus not in self.lines:
            raise UnknownSubject(f"no bus {spec.bus!r}")
        if spec.kind is FaultKind.GLITCH and spec.quantity not in QUANTITIES:
            raise InvalidInput([Fault("quantity", "is not a known quantity", spec.quantity)])
        return self.faults.add(spec)

    def meter(self, name: str) -> VirtualMeter:
        """Return the meter of that name. Raises UnknownSubject."""
        if name not in self.meters:
            raise UnknownSubject(f"no meter {name!r}")
        return self.meters[name]

    def switch_on(self, meter: str, appliance: str, for_s: float) -> LoadUse:
        """Switch an appliance on in a room now. Raises UnknownSubject for either."""
        return self.meter(meter).source.switch_on(meter, appliance, self.campus_now(), for_s)

    async def states(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every meter as it truly is, with the ids and kinds of its faults."""
        for number, meter in enumerate(self.meters.values(), start=1):
            faults = self.faults.on_meter(meter.name, meter.bus)
            yield {
                **meter.state(self.campus_now()).as_dict(),
                "faults": [{"id": fault.id, "kind": fault.spec.kind.value} for fault in faults],
            }
            if number % METERS_A_TURN == 0:
                await asyncio.sleep(0)

    def truth(self, since_s: float = 0.0) -> list[dict[str, Any]]:
        """Return the uses of high-power appliances that trips are held against."""
        return [asdict(use) for use in self.source.uses(since_s)]

    def counters(self) -> dict[str, dict[str, Any]]:
        """Return what each meter and bus was asked so far; no meter is looked at for it."""
        return {
            "meters": {
                name: {
                    "requests": meter.requests,
                    "relay_writes": meter.relay_writes,
                    "relay_moves": meter.relay_moves,
                }
                for name, meter in self.meters.items()
            },
            "buses": {
                name: {
                    "requests": sum(meter.requests for meter in line.meters),
                    "refused": line.refused,
                }
                for name, line in self.lines.items()
            },
        }


def told(fault: StandingFault) -> dict[str, Any]:
    """Return a fault of the book as plain JSON-able data."""
    return {
        "id": fault.id,
        "since_s": fault.since_s,
        "struck": fault.struck,
        **fault.spec.model_dump(mode="json"),
    }


def _check(site: Site, profiles: Mapping[str, Profile], ports: Mapping[str, int]) -> None:
    buses = {bus.name for bus in site.buses}
    faults = [
        Fault(f"site.meters[{number}].bus", "is not a bus of the site", meter.name)
        for number, meter in enumerate(site.meters)
        if meter.bus not in buses
    ]
    faults += [
        Fault(f"site.meters[{number}].profile", f"no profile {meter.profile!r}", meter.name)
        for number, meter in enumerate(site.meters)
        if meter.profile not in profiles
    ]
    faults += [
        Fault(f"ports.{name}", "is not a bus of the site") for name in ports if name not in buses
    ]
    if faults:
        raise InvalidInput(faults)
