"""The list of reports: a name, and the function that makes its table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType

from billing.model import Directory
from billing.reports import (
    arrears,
    balances,
    cashier,
    consumption,
    exceptions,
    fees,
    free_energy,
    movements,
    recharges,
    summary,
    trial_balance,
)
from billing.reports.cashier import CashierSource
from billing.reports.exceptions import HeldSource
from billing.reports.figures import Scan
from billing.reports.model import Report, Table, report_of
from billing.reports.period import Period
from domain.books import Unit
from domain.errors import UnknownSubject

ROWS_MOST = 200_000


@dataclass(frozen=True, slots=True)
class Material:
    """What reports are made of. Where a station keeps no cash or no reviews, that is None."""

    scan: Callable[[Period], Scan]
    directory: Directory
    now: Callable[[], datetime]
    cashier: CashierSource | None = None
    held: HeldSource | None = None
    rows_most: int = ROWS_MOST


_FromScan = Callable[[Scan], Table]
_WithDirectory = Callable[[Scan, Directory], Table]
_Maker = Callable[[Material, Period], Table]


def _folded(make: _FromScan) -> _Maker:
    return lambda material, period: make(material.scan(period))


def _placed(make: _WithDirectory) -> _Maker:
    return lambda material, period: make(material.scan(period), material.directory)


def _use(*dimensions: str) -> _Maker:
    return _folded(partial(consumption.consumption, dimensions=dimensions))


def _shifts(material: Material, period: Period) -> Table:
    if material.cashier is None:
        raise UnknownSubject("this station takes no cash")
    return cashier.shifts(material.cashier, period, material.rows_most)


def _receipts(material: Material, period: Period) -> Table:
    if material.cashier is None:
        raise UnknownSubject("this station takes no cash")
    return cashier.receipts(material.cashier, period, material.rows_most)


def _exceptions(material: Material, period: Period) -> Table:
    if material.held is None:
        raise UnknownSubject("this station keeps no reviews of energy")
    return exceptions.exceptions(material.held, period, material.rows_most)


REPORTS: Mapping[str, _Maker] = MappingProxyType(
    {
        "summary": _folded(summary.summary),
        "recharges": _folded(recharges.by_channel),
        "recharges-by-day": _folded(recharges.by_day),
        "recharge-list": _folded(recharges.one_by_one),
        "refunds": _folded(movements.refunds),
        "consumption": _use("building", "kind", "tariff", "version", "band", "tier", "rate"),
        "consumption-by-building": _use("building"),
        "consumption-by-tariff": _use("tariff", "version"),
        "consumption-by-band": _use("band"),
        "consumption-by-tier": _use("tier"),
        "consumption-by-kind": _use("kind"),
        "consumption-by-month": _use("reference"),
        "consumption-by-room": _placed(consumption.by_room),
        "consumption-by-day": _folded(consumption.by_day),
        "fees": _placed(fees.fees),
        "free-energy": _placed(free_energy.free_energy),
        "balances": _placed(balances.balances),
        "arrears": _placed(arrears.arrears),
        "transfers": _folded(movements.transfers),
        "adjustments": _folded(movements.adjustments),
        "late": _folded(movements.late),
        "exceptions": _exceptions,
        "shifts": _shifts,
        "receipts": _receipts,
        "trial-balance": _folded(partial(trial_balance.trial_balance, unit=Unit.MICRO)),
        "trial-balance-energy": _folded(partial(trial_balance.trial_balance, unit=Unit.WH)),
    }
)


def make_report(name: str, period: Period, material: Material) -> Report:
    """Make one report. Raises UnknownSubject, InvalidInput, StoreUnavailable."""
    maker = REPORTS.get(name)
    if maker is None:
        raise UnknownSubject(f"no report {name!r}; there are {', '.join(REPORTS)}")
    return report_of(name, period, material.now(), maker(material, period))
