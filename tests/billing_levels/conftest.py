"""Puts the folder's helpers, and the supervisor's small world, on the path."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "control")]
