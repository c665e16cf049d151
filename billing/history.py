"""Months as the store holds them, read apart from what is being charged, so that nobody waits."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from billing.calendar import Grid, days_of, first_day, month_bounds_ms
from billing.chain import Chain, Decision, MeterLimits, Reading
from billing.charging_store import ChargingStore, RegisterKey
from billing.usage import spread


@dataclass(frozen=True, slots=True)
class Spent:
    """What has to be known of a register to read its past: its span and what was decided."""

    key: RegisterKey
    since_ms: int
    until_ms: int | None
    jumps: frozenset[int]
    decisions: dict[int, Decision]


def month_energies(
    store: ChargingStore, registers: Sequence[Spent], grid: Grid, zone: ZoneInfo
) -> Sequence[int]:
    """Return the energy of each stretch of a month from the kept readings, Wh."""
    low, high = month_bounds_ms(grid.month, zone)
    total = [0] * len(grid.bands)
    for register in registers:
        if register.since_ms >= high or (register.until_ms or high) <= low:
            continue
        chain = _chain(store, register, grid.month)
        if len(chain.times) < 2:
            continue
        energies = array("q", bytes(8 * len(grid.bands)))
        spread(chain, grid, energies, 0, len(grid.bands) - 1)
        total = [one + other for one, other in zip(total, energies, strict=True)]
    return total


def _chain(store: ChargingStore, register: Spent, month: str) -> Chain:
    first, last = first_day(month), days_of(month)[-1]
    readings: list[Reading] = []
    before = store.day_before(register.key, first)
    if before is not None:
        readings.append(before.readings[-1])
    for row in store.days(register.key, first, last):
        readings += row.readings
    after = store.day_after(register.key, last)
    if after is not None:
        readings.append(after.readings[0])
    chain = Chain(MeterLimits(), lambda ms: (ms, ms + 1))
    chain.decisions = dict(register.decisions)
    chain.load(readings, register.jumps)
    return chain
