"""What is due beside energy: fees by the month and the kWh, the least a month must bring. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from billing.tariff import Fees
from domain.money import MICRO, exact_price, round_half_even

PER_MONTH = "per-month"
PER_KWH = "per-kwh"
MINIMUM = "minimum"
FEE_NAMES = (PER_MONTH, PER_KWH, MINIMUM)


def month_fees(
    fees: Fees,
    *,
    energy_wh: int,
    charge_micro: Decimal,
    days_open: int,
    days_in_month: int,
    energy_known: bool,
) -> Mapping[str, int]:
    """Return the fees of a month that is over, micro-units each, without those that are 0.

    The sum a month and the minimum count by the days that the account was open. What rests on
    energy waits until the energy of the whole month is known.
    """
    share = Decimal(days_open) / Decimal(days_in_month)
    due = {PER_MONTH: round_half_even(fees.per_month * MICRO * share)}
    if energy_known:
        due[PER_KWH] = round_half_even(exact_price(energy_wh, fees.per_kwh))
        least = fees.minimum_per_month * MICRO * share
        due[MINIMUM] = max(round_half_even(least - charge_micro), 0)
    return {name: amount for name, amount in due.items() if amount}
