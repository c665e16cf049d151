"""The malignant-load benchmark: rooms of recorded appliances, the product's rule, its bars.

Track a has active power only, track b also measured power factor (as the registers of a common
meter show it), track c is a real feeder with appliances switched in step, as a stress test.
"""

import multiprocessing
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from bench.detect_data import Recordings, load
from bench.detect_feeder import FeederScore, score_feeder
from bench.detect_rooms import Composer, Rooms, Scale
from bench.detect_run import policy_for, read_meters, run_plain, run_together, without_factor
from bench.detect_score import Rate, Score, score
from bench.report import Line, Report
from domain.errors import InvalidInput
from domain.faults import Fault

SEED = 20_240_301
FOLDER_VARIABLE = "WATTWARDEN_DATA"
DEFAULT_FOLDER = Path(__file__).resolve().parent.parent.parent / "shared/data/appliances"
PERIODS_S = (1, 2, 5, 10, 60)
MEASURED_PERIODS_S = (1, 2, 5)
FEEDER_PERIODS_S = (1, 2, 5)
QUICK_PERIODS_S = (5,)
QUICK_SCALE = Scale(8, 12, 4, 24, 1, 24)
# The bars: recall of uses of 30 s and more and of 10 s and more at periods up to 5 s, false trips
# a room-day without and with a refrigerator, trips a use of a confuser, samples to the verdict.
BAR_PERIOD_S = 5
RECALL_LONG_LEAST, RECALL_LEAST = 0.99, 0.97
FALSE_PLAIN_MOST, FALSE_COLD_MOST, CONFUSER_MOST, LATENCY_MOST = 0.01, 0.02, 0.05, 3.0

Track = Literal["a", "b", "c"]
TITLES: Mapping[str, str] = {
    "a": "power only",
    "b": "power and power factor",
    "c": "real feeder, stress test",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: a track, a sampling period and whether a sample is a mean over it."""

    track: Track
    period_s: int
    mean: bool

    @property
    def name(self) -> str:
        """How the run is called in tables and figures."""
        return f"{self.track} {self.period_s} s {'mean' if self.mean else 'instant'}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found: the product's score, the plain detector's, and that of the product
    without the power factor (track b only)."""

    run: Run
    rooms: int
    left_out: tuple[str, ...]
    product: Score
    plain: Score
    power_only: Score | None


def data_folder(data: Path | None = None) -> Path:
    """Return the folder of recordings: as given, from WATTWARDEN_DATA, or beside the project.

    Raises InvalidInput where there is none.
    """
    folder = data or Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER)
    if not folder.is_dir():
        message = f"no folder of recordings; name one with --data or {FOLDER_VARIABLE}"
        raise InvalidInput([Fault(str(folder), message)])
    return folder


def runs_of(period_s: int, *, quick: bool = False) -> list[Run]:
    """Return the runs at one sampling period. At one second a reading is a mean already."""
    modes = (False,) if period_s == 1 else (False, True)
    tracks: tuple[Track, ...] = ("a", "b") if period_s in MEASURED_PERIODS_S else ("a",)
    return [
        Run(track, period_s, mean) for track in tracks for mean in modes if not (quick and mean)
    ]


@lru_cache(maxsize=1)
def _recordings(folder: Path) -> Recordings:
    return load(folder)


def run_period(folder: Path, period_s: int, *, quick: bool) -> list[Outcome]:
    """Compose the rooms of a sampling period and score all detectors on the same readings."""
    scale = QUICK_SCALE if quick else Scale()
    rooms: dict[Track, Rooms] = {}
    runs = runs_of(period_s, quick=quick)
    for track in dict.fromkeys(run.track for run in runs):
        measured = track == "b"
        composer = Composer(
            _recordings(folder), period_s, measured=measured, scale=scale, seed=SEED
        )
        rooms[track] = composer.compose()
    readings = [
        read_meters(rooms[r.track], period_s, mean=r.mean, seed=SEED, registers=r.track == "b")
        for r in runs
    ]
    blind = [
        number
        for number, r in enumerate(runs)
        if r.track == "b" and not r.mean and period_s == BAR_PERIOD_S
    ]
    unseen = [without_factor(readings[number]) for number in blind]
    trips = run_together(readings + unseen, policy_for())
    power_only = dict(zip(blind, trips[len(runs) :], strict=True))
    outcomes = []
    for number, r in enumerate(runs):
        own, only = rooms[r.track], power_only.get(number)
        outcomes.append(
            Outcome(
                r,
                len(own),
                own.left_out,
                product=score(own, trips[number], period_s),
                plain=score(own, run_plain(readings[number], period_s), period_s),
                power_only=score(own, only, period_s) if only else None,
            )
        )
    return outcomes


def run(*, data: Path | None = None, quick: bool = False, workers: int | None = None) -> Report:
    """Run the benchmark over a folder of recordings. Raises InvalidInput for an unusable folder.

    `quick` leaves out the fine sampling periods and most rooms; `workers` processes share the runs.
    """
    folder = data_folder(data)
    periods = QUICK_PERIODS_S if quick else PERIODS_S
    outcomes = _run_all(folder, periods, quick=quick, workers=workers or os.cpu_count() or 1)
    outcomes.sort(key=lambda o: (o.run.track, o.run.period_s, o.run.mean))
    feeders = [
        feeder
        for period in (QUICK_PERIODS_S if quick else FEEDER_PERIODS_S)
        for feeder in score_feeder(_recordings(folder), period)
    ]
    report = Report("detect")
    for outcome in outcomes:
        report.lines += _lines(outcome)
        report.figures[outcome.run.name] = _figures(outcome)
    report.lines += [line for feeder in feeders for line in _feeder_lines(feeder)]
    report.figures["c"] = [asdict(feeder) for feeder in feeders]
    _add_bars(report, outcomes)
    return report


def _run_all(folder: Path, periods: Sequence[int], *, quick: bool, workers: int) -> list[Outcome]:
    if workers == 1 or len(periods) == 1:
        found = [run_period(folder, period, quick=quick) for period in periods]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(periods)), mp_context=context) as pool:
            futures = [pool.submit(run_period, folder, p, quick=quick) for p in periods]
            found = [future.result() for future in futures]
    return [outcome for outcomes in found for outcome in outcomes]


def _add_bars(report: Report, outcomes: Sequence[Outcome]) -> None:
    """Hold the worst run of each track against the bars; what was not measured has no bar."""
    for track in ("a", "b"):
        own = [o for o in outcomes if o.run.track == track]
        fine = [o for o in own if o.run.period_s <= BAR_PERIOD_S]
        title = TITLES[track]

        def lowest(values: Iterable[float | None], name: str, least: float) -> None:
            told = [value for value in values if value is not None]
            if told:
                report.bar(name, min(told), least, "share", at_most=False)

        def highest(values: Iterable[float | None], name: str, most: float, unit: str) -> None:
            told = [value for value in values if value is not None]
            if told:
                report.bar(name, max(told), most, unit, at_most=True)

        lowest((o.product.recall_long for o in fine), f"{title}: recall, uses >= 30 s",
               RECALL_LONG_LEAST)  # fmt: skip
        lowest((o.product.recall for o in fine), f"{title}: recall, uses >= 10 s", RECALL_LEAST)
        highest(_false(own, "plain"), f"{title}: false trips, no refrigerator",
                FALSE_PLAIN_MOST, "per room-day")  # fmt: skip
        highest(_false(own, "refrigerator"), f"{title}: false trips, refrigerator",
                FALSE_COLD_MOST, "per room-day")  # fmt: skip
        for what, values in (
            ("latency p99", [o.product.latency_p99 for o in own]),
            ("latency p99, first switch-on", [o.product.latency_first_p99 for o in own]),
        ):
            highest(values, f"{title}: {what}", LATENCY_MOST, "samples")
        if track == "b":
            names = sorted({name for o in own for name in o.product.confuser_trips})
            for name in names:
                rates = (o.product.confuser_trips.get(name) for o in own)
                highest((r.value if r else None for r in rates), f"{title}: trips, {name}",
                        CONFUSER_MOST, "per use")  # fmt: skip


def _false(outcomes: Iterable[Outcome], variant: str) -> Iterable[float | None]:
    rates = (o.product.false_trips.get(variant) for o in outcomes)
    return (rate.value if rate else None for rate in rates)


def _figures(outcome: Outcome) -> dict[str, Any]:
    return {
        "rooms": outcome.rooms,
        "left_out": list(outcome.left_out),
        "product": asdict(outcome.product),
        "plain": asdict(outcome.plain),
        "power_only": asdict(outcome.power_only) if outcome.power_only else None,
    }


def _lines(outcome: Outcome) -> list[Line]:
    """The table of one run: the product beside the plain detector on the same readings."""
    own, plain, name = outcome.product, outcome.plain, outcome.run.name
    only = outcome.power_only

    def line(figure: str, ours: str, theirs: str, limit: str = "") -> Line:
        return Line(f"{name}: {figure}", ours, theirs, limit)

    lines = [
        line(
            f"recall >= 10 s / >= 30 s ({own.uses} uses)",
            f"{_share(own.recall)} / {_share(own.recall_long)}",
            f"{_share(plain.recall)} / {_share(plain.recall_long)}",
            f">= {RECALL_LEAST} / {RECALL_LONG_LEAST}",
        ),
        line(
            "latency p50/p99, samples",
            f"{_number(own.latency_p50)}/{_number(own.latency_p99)}",
            f"{_number(plain.latency_p50)}/{_number(plain.latency_p99)}",
            f"p99 <= {LATENCY_MOST:g}",
        ),
        line(
            "the same from the use's first switch-on, p99",
            _number(own.latency_first_p99),
            _number(plain.latency_first_p99),
            f"p99 <= {LATENCY_MOST:g}",
        ),
        *(
            line(f"false trips a room-day, {variant}", _rate(rate), _rate_of(plain, variant), most)
            for (variant, rate), most in zip(
                own.false_trips.items(),
                (f"<= {FALSE_PLAIN_MOST}", f"<= {FALSE_COLD_MOST}"),
                strict=False,
            )
        ),
        line("recall, two uses within 5 s", _share(own.recall_pairs), _share(plain.recall_pairs)),
    ]
    most = f"<= {CONFUSER_MOST}" if outcome.run.track == "b" else ""
    for kind, ours, theirs, limit in (
        ("trips a use", own.confuser_trips, plain.confuser_trips, most),
        ("trips a use, limited", own.limited_trips, plain.limited_trips, ""),
    ):
        lines += [
            line(f"{kind}, {what}", _rate(rate), _rate(theirs[what]), limit)
            for what, rate in ours.items()
        ]
    if only is not None:
        trips = ", ".join(f"{what} {_rate(rate)}" for what, rate in only.confuser_trips.items())
        lines.append(line("the same without power factor: recall", _share(only.recall), ""))
        lines.append(line("the same without power factor: trips a use", trips or "-", ""))
    return lines


def _feeder_lines(feeder: FeederScore) -> list[Line]:
    name = f"c {feeder.session} {feeder.period_s} s"
    return [
        Line(f"{name}: forbidden uses tripped ({feeder.uses})", _share(feeder.recall)),
        Line(f"{name}: trips with no forbidden load on, an hour", _number(feeder.false_an_hour)),
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _rate(rate: Rate) -> str:
    return f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}] of {rate.of}"


def _rate_of(scored: Score, variant: str) -> str:
    rate = scored.false_trips.get(variant)
    return "-" if rate is None else _rate(rate)
