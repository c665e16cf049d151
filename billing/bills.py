"""What a room is shown: the bill of a month, and use by the hour, day and month with its cost."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from billing.account_charge import AccountCharge
from billing.charging_store import ChargingStore, MonthRow
from billing.rating import Line


@dataclass(frozen=True, slots=True)
class Bill:
    """An account's month as the books hold it; lines and fees sum to its entries exactly.

    `accrued_micro` is what was used since and is not booked. Free energy in Wh.
    """

    account: str
    month: str
    lines: tuple[Line, ...]
    fees_micro: dict[str, int]
    energy_micro: int
    total_micro: int
    energy_wh: int
    free_granted_wh: int
    free_used_wh: int
    free_expired_wh: int
    accrued_micro: int
    final: bool


class Bills:
    """Makes bills and tables of use. `charge_of` gives an account's charging under the lock."""

    def __init__(
        self,
        store: ChargingStore,
        lock: "threading.RLock",
        charge_of: Callable[[str], AccountCharge],
        zone: ZoneInfo,
    ) -> None:
        self._store, self._lock, self._charge_of, self._zone = store, lock, charge_of, zone

    def bill(self, account_id: str, month: str) -> Bill:
        """Return an account's bill of a month."""
        with self._lock:
            charge = self._charge_of(account_id)
            known = charge.months.get(month)
            row = known.row if known is not None else None
            accrued = 0
            if known is not None and known.rated is not None:
                accrued = known.rated.amount_micro - known.row.amount_micro
        row = row or self._store.month_row(account_id, month) or MonthRow(account_id, month)
        fees = dict(row.fees_micro)
        return Bill(
            account=account_id,
            month=month,
            lines=row.lines,
            fees_micro=fees,
            energy_micro=row.amount_micro,
            total_micro=row.amount_micro + sum(fees.values()),
            energy_wh=sum(line.energy_wh for line in row.lines),
            free_granted_wh=row.granted_wh,
            free_used_wh=row.used_wh,
            free_expired_wh=row.expired_wh,
            accrued_micro=accrued,
            final=row.final,
        )
