"""Real sockets and pseudo terminals: what the leaping tests can't show."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from leap_line import KEY, Rooms

from collector.field import BusRunner, PollSettings
from collector.link import SerialLink, TcpLink
from domain.clock import SystemClock
from domain.errors import LinkDown
from domain.events import Event, EventKind
from domain.frame import Sweep
from domain.site import Bus, Meter, Parity, RoomKind
from simulator.faults import FaultBook
from simulator.line import LineServer
from simulator.meter import VirtualMeter

DDSY = "acrel-ddsy1352"
QUICK = PollSettings(late_window_s=0.02, reconnect_first_s=0.02, reconnect_most_s=0.1)
WITHIN_S = 10.0


@asynccontextmanager
async def polled(
    profiles, link: str, sweeps: list[Sweep], events: list[Event], meters: int = 3
) -> AsyncIterator[tuple[BusRunner, LineServer]]:
    """A simulated line without pace, and a runner that polls it."""
    bus = Bus.model_validate({"name": "b", "link": link, "parity": Parity.EVEN, "timeout_s": 0.5})
    roster = [
        Meter(
            name=f"m{unit}", bus="b", unit_id=unit, profile=DDSY, building="A", room=str(unit),
            kind=RoomKind.DORM, rated_current_a=20,
        )
        for unit in range(1, meters + 1)
    ]  # fmt: skip
    virtual = [VirtualMeter(meter, profiles[DDSY], Rooms()) for meter in roster]
    line = LineServer(bus, virtual, FaultBook(1), paced=False)
    reachable = (await line.start()).of(bus)
    runner = BusRunner(
        reachable, roster, profiles, SystemClock(), sweeps.append, events.append, QUICK, KEY
    )
    task = asyncio.create_task(runner.run())
    try:
        yield runner, line
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await line.stop()


async def until(is_so) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("link", ["rtu-over-tcp", "tcp", "serial"])
async def test_a_real_line_of_each_kind_is_polled_whole(profiles, link: str) -> None:
    sweeps: list[Sweep] = []
    events: list[Event] = []
    async with polled(profiles, link, sweeps, events) as (runner, _):
        await until(lambda: len(sweeps) >= 5)
        assert runner.health().timeouts == 0
    assert all(set(sweep.frame["quality"]) == {"good"} for sweep in sweeps[:5])
    assert events == []


async def test_a_gateway_that_restarts_is_found_again(profiles) -> None:
    sweeps: list[Sweep] = []
    events: list[Event] = []
    async with polled(profiles, "rtu-over-tcp", sweeps, events) as (runner, line):
        await until(lambda: len(sweeps) >= 2)
        line.drop_connections()
        await until(lambda: runner.health().reconnects >= 1)
        have = len(sweeps)
        await until(lambda: len(sweeps) >= have + 3)
    assert set(sweeps[have + 2].frame["quality"]) == {"good"}


async def test_a_gateway_that_goes_away_is_one_event_and_no_blocked_command(profiles) -> None:
    sweeps: list[Sweep] = []
    events: list[Event] = []
    async with polled(profiles, "tcp", sweeps, events) as (runner, line):
        await until(lambda: len(sweeps) >= 2)
        await line.stop()
        await until(lambda: not runner.health().link_up)
        assert not runner.confirm("m1")
    assert [event.kind for event in events] == [EventKind.BUS_DOWN]


async def test_on_tcp_a_reply_becomes_the_next_request_in_well_under_a_millisecond(
    profiles,
) -> None:
    """A peer that answers at once and notes how long the next request takes."""
    turns_s: list[float] = []
    reply = bytes.fromhex("01030c08fc00da01f4000001f603e8")
    from pymodbus.framer.rtu import FramerRTU

    frame = reply + FramerRTU.compute_CRC(reply).to_bytes(2, "big")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered_s = 0.0
        while request := await reader.read(256):
            now_s = time.perf_counter()
            if answered_s:
                turns_s.append(now_s - answered_s)
            # Every other request is for unit 2: the same one twice waits for doubled replies.
            unit = request[:1]
            body = unit + reply[1:]
            frame = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
            answered_s = time.perf_counter()
            writer.write(frame)
        writer.close()

    assert len(frame) == 17
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    bus = Bus(name="b", link="rtu-over-tcp", host="127.0.0.1",
              tcp_port=server.sockets[0].getsockname()[1], baud=115200)  # fmt: skip
    profile = profiles[DDSY].model_copy(
        update={"rows": tuple(row for row in profiles[DDSY].rows if row.group == "fast")}
    )
    roster = [
        Meter(name=f"m{unit}", bus="b", unit_id=unit, profile=DDSY, building="A", room=str(unit),
              kind=RoomKind.DORM, rated_current_a=20)
        for unit in (1, 2)
    ]  # fmt: skip
    sweeps: list[Sweep] = []
    runner = BusRunner(bus, roster, {DDSY: profile}, SystemClock(), sweeps.append,
                       lambda _: None, QUICK, KEY)  # fmt: skip
    task = asyncio.create_task(runner.run())
    try:
        await until(lambda: len(turns_s) >= 200)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()
        await server.wait_closed()
    # Both ends share this loop; the quickest tenth says what the code itself takes.
    assert sorted(turns_s)[20] < 0.001


async def test_nobody_listening_is_a_link_that_is_down() -> None:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    link = TcpLink("127.0.0.1", port, 1.0)
    with pytest.raises(LinkDown, match=str(port)):
        await link.open()
    assert not link.is_open
    with pytest.raises(LinkDown):
        link.send(b"x")


async def test_a_serial_device_that_is_not_there_is_a_link_that_is_down(tmp_path) -> None:
    link = SerialLink(Bus(name="b", link="serial", port=str(tmp_path / "ttyNONE")))
    with pytest.raises(LinkDown, match="ttyNONE"):
        await link.open()


async def test_an_unplugged_serial_adapter_is_noticed_and_opened_again() -> None:
    master, slave = os.openpty()
    link = SerialLink(Bus(name="b", link="serial", port=os.ttyname(slave)))
    await link.open()
    os.write(master, b"hello")
    assert await link.receive(1.0) == b"hello"
    assert await link.receive(0.01) == b""
    os.close(slave)
    os.close(master)  # the far end hangs up
    with pytest.raises(LinkDown):
        await link.receive(1.0)
        link.send(b"x")
        await link.receive(1.0)
    assert not link.is_open


async def test_a_serial_port_is_not_shared() -> None:
    master, slave = os.openpty()
    bus = Bus(name="b", link="serial", port=os.ttyname(slave))
    first, second = SerialLink(bus), SerialLink(bus)
    await first.open()
    with pytest.raises(LinkDown):
        await second.open()
    first.close()
    await second.open()
    second.close()
    os.close(master)
    os.close(slave)


async def test_input_that_waits_is_thrown_away_before_a_request() -> None:
    master, slave = os.openpty()
    link = SerialLink(Bus(name="b", link="serial", port=os.ttyname(slave)))
    await link.open()
    os.write(master, b"stale")
    assert link.discard() == 5
    assert await link.receive(0.01) == b""
    link.close()
    os.close(master)
    os.close(slave)
