"""Money and energy as integers: micro-units of the currency, minor units at the till, Wh.

Rates are Decimal and never float. `round_half_even` is the only place where an amount is rounded.
"""

from decimal import ROUND_HALF_EVEN, Decimal

from domain.errors import InvalidInput
from domain.faults import Fault

MICRO = 1_000_000
MINOR_PER_UNIT = 100
MICRO_PER_MINOR = MICRO // MINOR_PER_UNIT
WH_PER_KWH = 1000
# No single amount of a dormitory or a shop comes near; a slipped key does.
AMOUNT_MOST_MINOR = 10_000_000


def round_half_even(amount: Decimal) -> int:
    """Return the nearest integer, a half going to the even one, so that halves favour nobody."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def exact_price(energy_wh: int, rate_per_kwh: Decimal) -> Decimal:
    """Return what energy costs, in exact micro-units: Wh times currency units a kWh."""
    return Decimal(energy_wh) * rate_per_kwh * (MICRO // WH_PER_KWH)


def minor_to_micro(amount_minor: int) -> int:
    """Return minor units (fen) in micro-units."""
    return amount_minor * MICRO_PER_MINOR


def micro_to_minor(amount_micro: int) -> int:
    """Return micro-units in whole minor units, towards minus infinity: nobody owns a part fen."""
    return amount_micro // MICRO_PER_MINOR


def decimal_of(amount_micro: int) -> Decimal:
    """Return micro-units in currency units, exactly."""
    return Decimal(amount_micro) / MICRO


def checked_amount_minor(value: object, source: str, most_minor: int = AMOUNT_MOST_MINOR) -> int:
    """Return an amount that may be paid: a whole number of minor units, above 0, not huge.

    Raises InvalidInput.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput([Fault(source, f"must be a whole number of fen (given: {value!r})")])
    if not 0 < value <= most_minor:
        raise InvalidInput([Fault(source, f"must be from 1 to {most_minor} fen (given: {value})")])
    return value


def parse_amount_minor(text: str, source: str, most_minor: int = AMOUNT_MOST_MINOR) -> int:
    """Read an amount as a person types it, '50' or '50.25'. Raises InvalidInput."""
    try:
        value = Decimal(text.strip()) * MINOR_PER_UNIT
    except ArithmeticError as error:
        message = f"must be an amount such as 50 or 50.25 (given: {text!r})"
        raise InvalidInput([Fault(source, message)]) from error
    if not value.is_finite() or value != value.to_integral_value():
        message = f"must have no more than two decimals (given: {text!r})"
        raise InvalidInput([Fault(source, message)])
    return checked_amount_minor(int(value), source, most_minor)
