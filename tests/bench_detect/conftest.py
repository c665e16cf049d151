"""A small folder of made-up recordings in the benchmark's format."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

DAY_S = 86_400


class Folder:
    """Collects traces and uses, then writes the three files."""

    def __init__(self) -> None:
        self.samples: list[pl.DataFrame] = []
        self.traces: list[dict[str, object]] = []
        self.events: list[dict[str, object]] = []

    def trace(
        self, name: str, appliance: str, rule_class: str, power: np.ndarray, *,
        period_s: float = 1.0, factor: float | None = None, q_share: float = 0.0,
        start: str | None = "2024-03-01T00:00:00", group: str | None = None, session: str = "",
    ) -> None:  # fmt: skip
        t = (np.arange(len(power)) * period_s).astype(np.int32)
        columns: dict[str, object] = {"trace_id": name, "t": t, "power_w": power}
        if factor is not None:
            columns |= {
                "reactive_var": power * q_share,
                "current_a": power / factor / 230.0,
                "voltage_v": np.full(len(power), 230.0),
                "power_factor": np.full(len(power), factor),
            }
        self.samples.append(pl.DataFrame(columns).cast({"t": pl.Int32}))
        device = name.partition("-")[0]
        self.traces.append(
            {
                "trace_id": name, "appliance": appliance, "device": device,
                "device_group": group or device, "rule_class": rule_class,
                "median_period_s": period_s, "start": start, "session": session,
            }
        )  # fmt: skip

    def use(self, trace: str, t_on: int, t_off: int) -> None:
        self.events.append(
            {"trace_id": trace, "t_on": t_on, "t_off": t_off, "on_seconds": t_off - t_on}
        )

    def write(self, path: Path) -> Path:
        path.mkdir(parents=True, exist_ok=True)
        pl.concat(self.samples, how="diagonal_relaxed").write_parquet(path / "samples.parquet")
        pl.DataFrame(self.traces).write_parquet(path / "traces.parquet")
        pl.DataFrame(self.events).write_parquet(path / "events.parquet")
        return path


def burst(power_w: float, seconds: int, lead_s: int = 60) -> np.ndarray:
    return np.concatenate([np.zeros(lead_s), np.full(seconds, power_w), np.zeros(lead_s)])


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Folder()
    hour = np.arange(DAY_S) / 3600
    for number in range(4):
        day = np.where((hour > 8.1 + 0.3 * number) & (hour < 23), 40.0 + 5 * number, 2.0)
        made.trace(f"lap{number}-0", "PC-Laptop", "benign", day)
    made.trace("lamp-0", "Lamp", "benign", np.where((hour > 18) & (hour < 23), 30.0, 0.0))
    cold = np.where(np.arange(DAY_S) % 1800 < 600, 90.0, 0.0)
    cold[np.arange(DAY_S) % 1800 < 2] = 900.0
    made.trace("fridge-0", "Refrigerator", "benign", cold)
    for number in range(4):
        made.trace(f"kettle-{number}", "WaterKettle", "forbidden", burst(2000, 120))
        made.use(f"kettle-{number}", 60, 180)
    made.trace("toast-0", "Toaster", "forbidden", burst(700, 15))
    made.use("toast-0", 60, 75)
    steady = np.full(3600, 60.0)
    made.trace("tv-0", "TV-LCD", "benign", steady, factor=0.6, start=None)
    made.trace("bulb-0", "Lamp", "benign", steady, factor=1.0, start=None)
    made.trace("heat-0", "SpaceHeater", "forbidden", burst(1500, 90), factor=1.0)
    made.use("heat-0", 60, 150)
    made.trace("vac-0", "VacuumCleaner", "benign", burst(800, 90), factor=0.985, q_share=0.06)
    made.use("vac-0", 60, 150)
    return made.write(tmp_path_factory.mktemp("recordings"))
