import sys
from pathlib import Path

import pytest

from collector.catalogue import load_profiles
from collector.profile import Profile

# The helpers of this folder (leap_line.py) are found whatever the import mode.
sys.path.insert(0, str(Path(__file__).parent))

DDSY = "acrel-ddsy1352"


@pytest.fixture(scope="session")
def profiles() -> dict[str, Profile]:
    return load_profiles()
