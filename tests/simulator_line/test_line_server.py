"""The line over real sockets and ptys, read by programs that share no code with it."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import minimalmodbus
import pytest
from pyModbusTCP.client import ModbusClient

from domain.site import Bus
from simulator.faults import FaultBook, FaultKind, FaultSpec
from simulator.line import MOST_CONNECTIONS, Endpoint, LineServer
from simulator.meter import VirtualMeter
from simulator.scripted import ScriptedLoads

MakeMeter = Callable[..., VirtualMeter]
Framed = Callable[[str], bytes]
StartLine = Callable[..., Awaitable[tuple[LineServer, Endpoint]]]
READ_POWER = "01 03 00 0d 00 01"


@pytest.fixture
def faults() -> FaultBook:
    return FaultBook(seed=1)


@pytest.fixture
async def start_line(
    bus: Bus, make_meter: MakeMeter, faults: FaultBook, loads: ScriptedLoads
) -> AsyncIterator[StartLine]:
    """Start lines with meters 1 and 2 of 1500 W; the test's end stops them."""
    lines: list[LineServer] = []
    for unit in (1, 2):
        loads.set(f"room-{unit}", 1500, 0, 230.0)

    async def start(
        link: str = "rtu-over-tcp", profile: str = "acrel-ddsy1352", paced: bool = False
    ) -> tuple[LineServer, Endpoint]:
        meters = [make_meter(profile, unit, relay_travel_s=0) for unit in (1, 2)]
        line = LineServer(bus.model_copy(update={"link": link}), meters, faults, paced)
        lines.append(line)
        return line, await line.start()

    yield start
    for line in lines:
        await line.stop()


async def exchange(endpoint: Endpoint, frame: bytes, size: int, within_s: float = 5.0) -> bytes:
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    writer.write(frame)
    try:
        return await asyncio.wait_for(reader.readexactly(size), within_s)
    finally:
        writer.close()


async def test_a_line_answers_over_tcp(start_line: StartLine, framed: Framed) -> None:
    _, endpoint = await start_line()
    assert await exchange(endpoint, framed(READ_POWER), 7) == framed("01 03 02 05 dc")


async def test_the_endpoint_completes_the_settings_of_its_bus(
    start_line: StartLine, bus: Bus
) -> None:
    _, endpoint = await start_line()
    assert endpoint.of(bus).tcp_port == endpoint.port
    assert Endpoint(pty="/dev/pts/9").of(bus).port == "/dev/pts/9"


async def test_a_paced_reply_comes_when_its_last_byte_would_have(
    start_line: StartLine, framed: Framed
) -> None:
    _, endpoint = await start_line(paced=True)
    start_s = time.monotonic()
    await exchange(endpoint, framed(READ_POWER), 7)
    assert time.monotonic() - start_s >= 0.02 + 15 * 11 / 9600


async def test_a_half_request_is_forgotten_after_a_silence(
    start_line: StartLine, framed: Framed
) -> None:
    _, endpoint = await start_line()
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    writer.write(framed(READ_POWER)[:5])
    await asyncio.sleep(0.08)
    writer.write(framed(READ_POWER))
    assert await asyncio.wait_for(reader.readexactly(7), 5) == framed("01 03 02 05 dc")
    writer.close()


async def test_a_late_reply_arrives_on_a_live_connection(
    start_line: StartLine, framed: Framed, faults: FaultBook
) -> None:
    _, endpoint = await start_line()
    faults.add(FaultSpec(kind=FaultKind.LATE, delay_s=0.1, count=1))
    start_s = time.monotonic()
    assert await exchange(endpoint, framed(READ_POWER), 7) == framed("01 03 02 05 dc")
    assert time.monotonic() - start_s >= 0.1


async def test_a_gateway_takes_only_so_many_connections(start_line: StartLine) -> None:
    line, endpoint = await start_line()
    writers = []
    for _ in range(MOST_CONNECTIONS):
        _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        writers.append(writer)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await exchange(endpoint, b"", 1)
    assert line.refused == 1
    for writer in writers:
        writer.close()


async def test_dropped_connections_can_be_made_again(start_line: StartLine, framed: Framed) -> None:
    line, endpoint = await start_line()
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    await exchange(endpoint, framed(READ_POWER), 7)
    line.drop_connections()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()
    assert await exchange(endpoint, framed(READ_POWER), 7) == framed("01 03 02 05 dc")


def test_two_meters_cannot_share_a_unit_id(
    bus: Bus, make_meter: MakeMeter, faults: FaultBook
) -> None:
    with pytest.raises(ValueError, match="same unit id"):
        LineServer(bus, [make_meter(unit=4), make_meter(unit=4)], faults)


async def test_minimalmodbus_reads_and_trips_over_a_pty(
    start_line: StartLine, loads: ScriptedLoads
) -> None:
    _, endpoint = await start_line("serial")

    def master() -> tuple[int, float, int]:
        port = minimalmodbus.Instrument(endpoint.pty, 2)
        port.serial.baudrate, port.serial.timeout = 9600, 2
        volts = port.read_register(0x0B, 1)
        power_w = port.read_register(0x0D, signed=True)
        port.write_registers(0x57, [1, 1])
        status = port.read_register(0x224)
        port.serial.close()
        return power_w, volts, status

    assert await asyncio.to_thread(master) == (1500, 230.0, 0x0008)
    assert [(meter, closed) for meter, closed, _ in loads.moves] == [("room-2", False)]


async def test_minimalmodbus_reads_floats_of_another_model(start_line: StartLine) -> None:
    _, endpoint = await start_line("serial", "eastron-sdm120")

    def master() -> tuple[float, float]:
        port = minimalmodbus.Instrument(endpoint.pty, 1)
        port.serial.timeout = 2
        values = port.read_float(0x0C, functioncode=4), port.read_float(0x46, functioncode=4)
        port.serial.close()
        return values

    assert await asyncio.to_thread(master) == (1500.0, 50.0)


async def test_pymodbustcp_reads_and_switches_over_mbap(start_line: StartLine) -> None:
    _, endpoint = await start_line("tcp", "hiking-dds238")

    def master() -> list[object]:
        client = ModbusClient(host=endpoint.host, port=endpoint.port, unit_id=1, timeout=2)
        said: list[object] = [client.read_holding_registers(0x0C, 3)]
        said.append(client.write_multiple_registers(0x1A, [0]))
        said.append(client.read_holding_registers(0x0D, 2))
        said.append(client.read_holding_registers(0x1A, 1))
        said.append(client.write_single_register(0x1A, 1))
        said.append(client.last_except)
        client.close()
        return said

    said = await asyncio.to_thread(master)
    assert said == [[2300, 652, 1500], True, [0, 0], [0], False, 1]


@pytest.mark.external
async def test_mbpoll_reads_the_same_over_a_pty(start_line: StartLine, mbpoll: str) -> None:
    _, endpoint = await start_line("serial")
    # -0: addresses as on the wire; -t 4: holding registers.
    command = [
        mbpoll, "-m", "rtu", "-a", "2", "-b", "9600", "-P", "even", "-0", "-r", "11", "-c", "3",
        "-t", "4", "-1", "-o", "2", endpoint.pty,
    ]  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    values = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("[")]
    assert values == ["2300", "652", "1500"]


@pytest.mark.external
async def test_mbpoll_reads_floats_over_mbap(start_line: StartLine, mbpoll: str) -> None:
    _, endpoint = await start_line("tcp", "eastron-sdm120")
    command = [
        mbpoll, "-m", "tcp", "-a", "1", "-p", str(endpoint.port), "-0", "-r", "12", "-c", "1",
        "-t", "3:float", "-B", "-1", "-o", "2", endpoint.host,
    ]  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    values = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("[")]
    assert values == ["1500"]
