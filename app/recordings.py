"""Where recordings of appliances are found when nobody names a folder."""

import os
from pathlib import Path

from domain.errors import InvalidInput
from domain.faults import Fault

VARIABLE = "WATTWARDEN_DATA"
BESIDE = Path("shared") / "data" / "appliances"
PROJECT = Path(__file__).resolve().parent.parent


def recordings_folder(named: Path | None) -> Path | None:
    """Return the folder named, that of WATTWARDEN_DATA, or one beside the project if it exists.

    Raises InvalidInput where a folder was named but holds no recordings; None where none is there.
    """
    variable = os.environ.get(VARIABLE)
    wanted = named or (Path(variable) if variable else None)
    if wanted is not None:
        if not (wanted / "events.parquet").is_file():
            message = "holds no recordings (samples, traces, events .parquet)"
            raise InvalidInput([Fault(str(wanted), f"{message}; see `wattwarden traces import`")])
        return wanted
    found = PROJECT.parent / BESIDE
    return found if (found / "events.parquet").is_file() else None
