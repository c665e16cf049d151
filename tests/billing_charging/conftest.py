"""Puts the folder's helpers on the path, and opens stations that are closed after the test."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from charging_station import ChargingStation


@pytest.fixture
def make_station(tmp_path: Path) -> Iterator[Callable[..., ChargingStation]]:
    """Open charging stations, each in a folder of its own."""
    made: list[ChargingStation] = []

    def make(**options: Any) -> ChargingStation:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(ChargingStation(folder, **options))
        return made[-1]

    yield make
    for station in made:
        station.close()
