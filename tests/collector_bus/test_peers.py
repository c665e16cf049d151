"""Against Modbus servers written by others."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from pyModbusTCP.server import DataBank, ModbusServer

from collector.bus import BusOwner
from collector.request import Outcome, Priority, Reply, Request
from collector.settings import PollSettings
from domain.clock import SystemClock
from domain.site import Bus


@pytest.fixture
def peer() -> Iterator[tuple[int, DataBank]]:
    """A pyModbusTCP server on a free port, and its registers."""
    bank = DataBank(h_regs_size=200, i_regs_size=200, coils_size=100)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ModbusServer("127.0.0.1", port, no_block=True, data_bank=bank)
    server.start()
    yield port, bank
    server.stop()
    assert threading.active_count() < 50


async def asked(port: int, *requests: Request) -> list[Reply]:
    bus = Bus(name="peer", link="tcp", host="127.0.0.1", tcp_port=port)
    owner = BusOwner(bus, SystemClock(), PollSettings(), lambda _: None)
    task = asyncio.create_task(owner.run())
    try:
        return [await owner.ask(request, Priority.ASKED) for request in requests]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_another_makers_server_is_read_and_written(peer: tuple[int, DataBank]) -> None:
    port, bank = peer
    bank.set_holding_registers(10, [0x08FC, 0x00DA, 0xFFFF])
    bank.set_input_registers(3, [7, 8])
    bank.set_coils(0, [True, False, True])
    replies = await asked(
        port,
        Request(1, 3, 10, 3),
        Request(1, 4, 3, 2),
        Request(1, 1, 0, 3),
        Request(1, 16, 20, 2, (1, 0xABCD)),
        Request(1, 6, 22, 1, (5,)),
        Request(1, 5, 9, 1, (0xFF00,)),
        Request(1, 3, 20, 3),
        Request(1, 3, 199, 2),
    )
    assert [reply.outcome for reply in replies[:7]] == [Outcome.OK] * 7
    assert replies[0].words == (0x08FC, 0x00DA, 0xFFFF)
    assert replies[1].words == (7, 8)
    assert replies[2].words == (1, 0, 1)
    assert replies[6].words == (1, 0xABCD, 5)
    assert bank.get_coils(9) == [True]
    assert (replies[7].outcome, replies[7].exception_code) == (Outcome.EXCEPTION, 2)
