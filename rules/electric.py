"""Electrical quantities of readings, by numpy: conductance and non-active power."""

import numpy as np

from rules.ring import Floats

# Resolution of a current register of common meters, A: bounds a power factor taken from P/(V*I).
CURRENT_STEP_A = 0.01
# A power factor lower than this gives no usable reactive power.
LOWEST_FACTOR = 0.05


def conductance_power(power_w: Floats, voltage_v: Floats, nominal_v: Floats) -> Floats:
    """Return the power at nominal voltage, P/V^2 x Vn^2, W: a resistor's own number.

    Where the voltage is not told (or is that of a dead phase) the power is left as it is.
    """
    told = voltage_v > nominal_v / 2
    scale = nominal_v / (voltage_v if told.all() else np.where(told, voltage_v, nominal_v))
    scale *= scale
    scale *= power_w
    return scale


def reactive_bounds(
    power_w: Floats,
    voltage_v: Floats,
    current_a: Floats,
    power_factor: Floats,
    factor_step: Floats,
) -> tuple[Floats, Floats]:
    """Return the least and the most non-active power that fit a reading, var; NaN = can't tell.

    From the power factor with its resolution, else from P/(V*I). The sign is lost in both.
    """
    with np.errstate(all="ignore"):
        apparent = voltage_v * current_a
        from_current = np.abs(power_w) / apparent
        told = np.abs(power_factor)
        usable = told >= LOWEST_FACTOR
        factor = np.where(usable, told, from_current)
        spare = np.where(usable, factor_step / 2, CURRENT_STEP_A / 2 / current_a + factor_step / 2)
        high = np.clip(factor + spare, 1e-3, 1.0)
        low = np.clip(factor - spare, 1e-3, 1.0)
        least = np.abs(power_w) * np.sqrt(1 / high**2 - 1)
        most = np.abs(power_w) * np.sqrt(1 / low**2 - 1)
    # An idle meter shows no usable power factor, but then there is no reactive power either.
    idle = (current_a < CURRENT_STEP_A) | (np.isnan(least) & (np.abs(power_w) < 1))
    return np.where(idle, 0.0, least), np.where(idle, 0.0, most)
