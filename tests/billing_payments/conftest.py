"""Puts the folder's helpers on the path, and opens an office with its providers."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pay_office import Office

from domain.clock import LeapClock
from simulator.payments.campus_card import CampusCardProvider


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A house with three rooms, a till and the campus card."""
    made = Office(tmp_path)
    yield made
    made.close()


@pytest.fixture
def card(office: Office) -> CampusCardProvider:
    """The campus card's bridge of that office."""
    return office.card


@pytest.fixture
def clock(office: Office) -> LeapClock:
    """The time there, for providers and station alike."""
    return office.clock
