"""Rules a tick: the engine's ring and rule beside polars `.over` and one pass over memory."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from bench.report import Line, Report
from domain.frame import SWEEP_SCHEMA, Quality, Sweep
from domain.policy import GroupPolicy, Policy
from domain.site import Meter, RoomKind
from rules.engine import RuleEngine
from rules.ring import Floats

SIZES = (324, 5_000, 50_000)
QUICK_SIZES = (324, 5_000)
SAMPLES = 300
TICKS = 60
OVER_RUNS = 3
# Of all meters, how many have a heater that comes on in the measured ticks.
STEP_SHARE = 0.0002
STEP_W, REACTIVE_RATIO = 250.0, 0.04
LEAST_RATIO = 500.0
START = datetime(2024, 3, 1, tzinfo=UTC)


def run(*, data: Path | None = None, quick: bool = False) -> Report:
    """Measure a tick (one sample of every meter, judged for malignant loads), ms, by site size.

    `.over` asks the same on a long frame that already holds the samples and their reactive power;
    one pass is a plain sum over the same window. `data` is not used.
    """
    del data
    report = Report("rules")
    sizes = QUICK_SIZES if quick else SIZES
    for meters in sizes:
        engine_ms, verdicts = _engine_ms(meters)
        over_ms, pass_ms = _over_ms(meters), _pass_ms(meters)
        ratio = over_ms / engine_ms
        report.lines += [
            Line(f"tick, {meters:,} meters x {SAMPLES} samples", f"{engine_ms:.3f} ms",
                 f".over {over_ms:.1f} ms", f"one pass {pass_ms:.3f} ms", f"{ratio:.0f}x"),
        ]  # fmt: skip
        report.figures[str(meters)] = {
            "engine_ms": engine_ms,
            "over_ms": over_ms,
            "pass_ms": pass_ms,
            "verdicts": verdicts,
            "ratio": ratio,
        }
        if meters == SIZES[-1]:
            name = f".over against the engine, {meters:,} meters"
            report.bar(name, ratio, LEAST_RATIO, "times", at_most=False)
    return report


def _engine_ms(meters: int) -> tuple[float, int]:
    """The median tick once every ring is full, ms, and the verdicts of the measured ticks."""
    roster = [
        Meter(
            name=f"m{number}", bus="b", unit_id=1 + number % 247, profile="bench", building="b",
            room=str(number), kind=RoomKind.DORM, rated_current_a=20,
        )
        for number in range(meters)
    ]  # fmt: skip
    engine = RuleEngine(
        roster, Policy(groups={"dorm": GroupPolicy()}), ZoneInfo("UTC"), samples=SAMPLES
    )
    rng = np.random.default_rng(1)
    base = rng.uniform(20, 200, meters)
    names = pl.Series("meter", [meter.name for meter in roster])
    stepping = rng.random(meters) < STEP_SHARE
    taken, verdicts = [], 0
    for tick in range(SAMPLES + TICKS):
        power = base * rng.uniform(0.97, 1.03, meters)
        if tick >= SAMPLES + TICKS // 3:
            power[stepping] += 1500
        sweep = _sweep(names, tick, power)
        begun = time.perf_counter()
        said = engine.judge_malignant(sweep)
        if tick >= SAMPLES:
            taken.append(time.perf_counter() - begun)
            verdicts += len(said)
    return float(np.median(taken)) * 1000, verdicts


def _sweep(names: pl.Series, tick: int, power: Floats) -> Sweep:
    at = START + timedelta(seconds=tick)
    frame = pl.DataFrame(
        {
            "time": pl.repeat(at, len(names), eager=True).cast(pl.Datetime("ms", "UTC")),
            "meter": names,
            "voltage_v": np.full(len(names), 221.0),
            "current_a": power / 221.0,
            "power_w": power,
            "power_factor": np.full(len(names), 0.999),
        }
    ).with_columns(
        *(
            pl.lit(None, dtype=kind).alias(name)
            for name, kind in SWEEP_SCHEMA.items()
            if name not in ("time", "meter", "voltage_v", "current_a", "power_w", "power_factor")
        )
    )
    frame = frame.with_columns(quality=pl.lit(Quality.GOOD.value, SWEEP_SCHEMA["quality"]))
    return Sweep(str(tick), "b", at, at + timedelta(seconds=1), frame.select(list(SWEEP_SCHEMA)))


def _over_ms(meters: int) -> float:
    """The same question by window expressions on a long frame of all samples, best of three, ms:
    the last two samples against the level before them, in active and in non-active power."""
    rng = np.random.default_rng(2)
    rows = meters * SAMPLES
    frame = pl.DataFrame(
        {
            "meter": np.repeat(np.arange(meters, dtype=np.uint32), SAMPLES),
            "power_w": rng.uniform(20, 200, rows).astype(np.float32),
            "reactive_var": rng.uniform(0, 60, rows).astype(np.float32),
        }
    )

    def judge() -> None:
        def level(name: str) -> pl.Expr:
            return pl.col(name).slice(-5, 3).median().over("meter")

        step_w = pl.col("power_w").slice(-2).min().over("meter") - level("power_w")
        step_var = pl.col("reactive_var").last().over("meter") - level("reactive_var")
        frame.filter((step_w >= STEP_W) & (step_var.abs() <= REACTIVE_RATIO * step_w))

    return _best_ms(judge)


def _pass_ms(meters: int) -> float:
    """One sum over the window of power, float32: what reading every sample costs at least, ms."""
    window = np.random.default_rng(3).random((SAMPLES, meters), np.float32)
    return _best_ms(lambda: window.sum(axis=0))


def _best_ms(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(OVER_RUNS):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best * 1000
