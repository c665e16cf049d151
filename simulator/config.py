"""What a simulator process is told: one JSON file, checked whole before anything opens."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import InvalidInput
from domain.faults import Fault
from domain.site import Site
from simulator.faults import FaultSpec

Port = Annotated[int, Field(ge=0, le=65_535)]
WEEK_S = 7 * 86_400.0


class SimulatorConfig(BaseModel):
    """The settings of one simulator process.

    - `site`: buses and meters, as `Site.model_dump(mode="json")` gives them.
    - `scenario`: "demo" lives the demonstration's evening, "campus" lets the rooms live by
      themselves, "constant" lets every room draw the same for ever (for scale).
    - `seed`: the same seed gives the same campus. `paced`: keep to the speed of the wires.
    - `start_s`: campus time at the start, Unix seconds (null: now); `duration_s`: what "demo"
      plans for. `clock_offset_s` is added to Unix time to get campus time; `day_shift_s` is added
      to that to get the hour that people of "campus" live by.
    - `data`: a folder of recorded appliances; `profiles`: a folder of more meter models.
    - `ports`: wanted TCP ports by bus, `control_port`; 0 or none is any free one.
    - `faults`: in force from the start, or from their own `start_s`.
    - `stop_with_parent`: end when standard input closes or the parent process is gone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: Site
    scenario: Literal["demo", "campus", "constant"] = "campus"
    seed: int = 1
    paced: bool = True
    start_s: Annotated[float, Field(ge=0)] | None = None
    duration_s: Annotated[float, Field(gt=0, le=WEEK_S)] = WEEK_S
    clock_offset_s: float = 0.0
    day_shift_s: float = 0.0
    data: Path | None = None
    profiles: Path | None = None
    ports: dict[str, Port] = {}
    control_port: Port = 0
    faults: tuple[FaultSpec, ...] = ()
    stop_with_parent: bool = False


def read_config(path: Path) -> SimulatorConfig:
    """Read a configuration file. Raises InvalidInput with every fault in it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return SimulatorConfig.model_validate(data)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidInput([Fault(str(path), f"not readable as JSON: {error}")]) from error
    except ValidationError as error:
        raise InvalidInput(
            [
                Fault(f"{path}: {'.'.join(str(part) for part in item['loc'])}", item["msg"])
                for item in error.errors()
            ]
        ) from error
