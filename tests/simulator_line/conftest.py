"""Rooms, meters and a line for the tests of the simulated field."""

import os
import shutil
from collections.abc import Callable, Mapping

import pytest

from collector.catalogue import load_profiles
from collector.profile import Profile
from domain.site import Bus, Meter, RoomKind
from simulator.exchange import Exchange
from simulator.faults import FaultBook
from simulator.meter import VirtualMeter
from simulator.modbus import Request, RtuCodec, crc16
from simulator.pacing import LinePacer
from simulator.scripted import ScriptedLoads


@pytest.fixture(scope="session")
def profiles() -> Mapping[str, Profile]:
    return load_profiles()


@pytest.fixture
def loads() -> ScriptedLoads:
    return ScriptedLoads()


MakeMeter = Callable[..., VirtualMeter]


@pytest.fixture
def make_meter(profiles: Mapping[str, Profile], loads: ScriptedLoads) -> MakeMeter:
    def make(
        profile: str = "acrel-ddsy1352",
        unit: int = 1,
        faults: FaultBook | None = None,
        **more: object,
    ) -> VirtualMeter:
        roster = Meter(
            name=f"room-{unit}", bus="bus-1", unit_id=unit, profile=profile, building="B1",
            room=str(unit), kind=RoomKind.DORM, rated_current_a=40,
        )  # fmt: skip
        meter = VirtualMeter(roster, profiles[profile], loads, **more)  # type: ignore[arg-type]
        if faults is not None:
            meter.attach(faults)
        return meter

    return make


class Talk:
    """One bus without sockets: ask raw frames at a time, get what comes back and when."""

    def __init__(self, meters: list[VirtualMeter], faults: FaultBook, pacer: LinePacer) -> None:
        for meter in meters:
            meter.attach(faults)
        by_unit = {meter.unit_id: meter for meter in meters}
        self.codec = RtuCodec()
        self.exchange = Exchange("bus-1", by_unit, faults, pacer, 0.02 if pacer.timing else 0.0)

    def ask(self, body: str, at_s: float = 0.0) -> list[tuple[float, bytes]]:
        """Send a frame given as hex without checksum; return (time, bytes) in order of time."""
        frame = framed(body)
        out: list[tuple[float, bytes]] = []
        for request, raw in self.codec.take(bytearray(frame)):
            self.exchange.carry(
                request, raw, self.codec, at_s, at_s, lambda when, data: out.append((when, data))
            )
        return sorted(out, key=lambda item: item[0])

    def hear(self, body: str, at_s: float = 0.0) -> str:
        """Send a frame and return the hex of the only reply, without its checksum."""
        ((_, data),) = self.ask(body, at_s)
        assert crc16(data[:-2]) == int.from_bytes(data[-2:], "little")
        return data[:-2].hex(" ")


@pytest.fixture
def talk() -> type[Talk]:
    return Talk


def framed(body: str) -> bytes:
    data = bytes.fromhex(body)
    return data + crc16(data).to_bytes(2, "little")


@pytest.fixture(name="framed")
def framed_fixture() -> Callable[[str], bytes]:
    return framed


@pytest.fixture
def read() -> Callable[..., Request]:
    def make(address: int, size: int = 1, function: int = 3, unit: int = 1) -> Request:
        return Request(unit, function, address, size, (), 8)

    return make


@pytest.fixture
def write() -> Callable[..., Request]:
    def make(address: int, *words: int, function: int = 16, unit: int = 1) -> Request:
        return Request(unit, function, address, len(words), words, 9 + 2 * len(words))

    return make


@pytest.fixture
def bus() -> Bus:
    return Bus(name="bus-1", link="rtu-over-tcp", host="127.0.0.1", baud=9600)


@pytest.fixture
def mbpoll() -> str:
    path = shutil.which("mbpoll")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mbpoll is not installed")
        pytest.skip("mbpoll is not installed")
    return path
