"""The closed list of quantities a meter can tell: names with their unit last, one sign, one range.

Every meter model converts to these; nobody converts after it. Power and energy are positive when
the room consumes. Missing is null, never 0.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a quantity is held in a frame."""

    FLOAT = "float"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measurable thing: its name (unit last), kind, unit, plausible range and meaning."""

    name: str
    kind: Kind
    unit: str
    lowest: float | None
    highest: float | None
    meaning: str
    in_sweep: bool = False


def _table() -> tuple[Quantity, ...]:
    f, i, b = Kind.FLOAT, Kind.INTEGER, Kind.BOOLEAN
    q = Quantity
    return (
        q("voltage_v", f, "V", 0, 500, "RMS voltage, phase to neutral", True),
        q("current_a", f, "A", 0, 1000, "RMS current", True),
        q("power_w", f, "W", -500_000, 500_000, "active power, positive when consumed", True),
        q("power_factor", f, "1", -1, 1, "active over apparent power (P/S, not cos phi)", True),
        q("frequency_hz", f, "Hz", 40, 70, "mains frequency", True),
        q("energy_wh", i, "Wh", 0, None, "consumed active energy, the billing counter", True),
        q("balance_minor", i, "minor", None, None, "balance held in the meter, minor units", True),
        q("relay_closed", b, "", None, None, "relay read-back, true = closed", True),
        q("apparent_va", f, "VA", 0, 500_000, "apparent power"),
        q("reactive_var", f, "var", -500_000, 500_000, "reactive power, positive inductive"),
        q("energy_export_wh", i, "Wh", 0, None, "exported active energy"),
        q("energy_import_wh", i, "Wh", 0, None, "imported active energy where it is told apart"),
        q("energy_total_wh", i, "Wh", 0, None, "imported plus exported active energy"),
        q("energy_tariff1_wh", i, "Wh", 0, None, "energy of tariff register 1"),
        q("energy_tariff2_wh", i, "Wh", 0, None, "energy of tariff register 2"),
        q("energy_tariff3_wh", i, "Wh", 0, None, "energy of tariff register 3"),
        q("energy_tariff4_wh", i, "Wh", 0, None, "energy of tariff register 4"),
        q("purchase_count", i, "", 0, None, "purchases written to the meter so far"),
        q("load_trips", i, "", 0, None, "trips by the meter's own load control"),
        q("status_word", i, "", 0, 65535, "the model's status word, undecoded"),
        q("forced_closed", b, "", None, None, "the state that forced control asks for"),
        q("forced_control", b, "", None, None, "true while forced control overrides the meter"),
        q("over_limit", b, "", None, None, "the meter says its own power limit is exceeded"),
        q("in_arrears", b, "", None, None, "the meter says its prepaid balance is used up"),
        q("low_balance_1", b, "", None, None, "the meter's first low-balance alarm"),
        q("low_balance_2", b, "", None, None, "the meter's second low-balance alarm"),
        q("meter_fault", b, "", None, None, "the meter reports a fault of its own"),
        q("alarm_word", i, "", 0, 65535, "the model's alarm word, undecoded"),
        q("alarm_1_minor", i, "minor", None, None, "first low-balance level set in the meter"),
        q("alarm_2_minor", i, "minor", None, None, "second low-balance level set in the meter"),
        q("remaining_minor", i, "minor", 0, None, "amount left by the meter's own prepayment"),
        q("credit_limit_minor", i, "minor", None, None, "credit the meter allows below zero"),
        q("load_control_enabled", i, "", 0, 65535, "the meter's own load control, raw mode"),
        q("load_limit_w", f, "W", 0, 500_000, "the meter's own power limit"),
        q("step_limit_w", f, "W", 0, 500_000, "the meter's own power-increment limit"),
        q("step_factor_limit", f, "1", 0, 1, "the meter's own power-factor limit of a step"),
        q("allowed_trips", i, "", 0, 65535, "trips the meter allows before it locks"),
        q("recovery_s", f, "s", 0, 1_000_000, "the meter's own delay before it closes again"),
        q("undervoltage_v", f, "V", 0, 500, "the meter's own undervoltage limit"),
    )


QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _table()}
SWEEP_QUANTITIES: tuple[str, ...] = tuple(q.name for q in QUANTITIES.values() if q.in_sweep)
FAST_QUANTITIES: tuple[str, ...] = ("power_w", "current_a", "voltage_v", "power_factor")
SLOW_QUANTITIES: tuple[str, ...] = ("energy_wh", "relay_closed", "balance_minor", "frequency_hz")
