"""Puts the folder's helpers on the path, and opens an office with its providers."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

from pay_office import Office, make_blank

from domain.clock import LeapClock
from simulator.payments.campus_card import CampusCardProvider


@pytest.fixture(scope="session")
def blank_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with the rooms' accounts, to be copied: bringing one up takes a while."""
    file = tmp_path_factory.mktemp("blank") / "ledger.db"
    make_blank(file)
    return file


@pytest.fixture(scope="session")
def bridge() -> Iterator[CampusCardProvider]:
    """A campus card's bridge that all tests share, one after the other."""
    made = CampusCardProvider()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def card(bridge: CampusCardProvider) -> CampusCardProvider:
    """The bridge as new."""
    bridge.trades.clear()
    bridge.requests = 0
    bridge.refuse_refunds = bridge.slow_refunds = bridge.down = False
    bridge.secret = b"0123456789abcdef0123456789abcdef"
    return bridge


@pytest.fixture
def office(tmp_path: Path, blank_ledger: Path, card: CampusCardProvider) -> Iterator[Office]:
    """A house with three rooms, a till and the campus card."""
    shutil.copy(blank_ledger, tmp_path / "ledger.db")
    made = Office(tmp_path, card)
    yield made
    made.close()


@pytest.fixture
def clock(office: Office) -> LeapClock:
    """The time there, for providers and station alike."""
    return office.clock
