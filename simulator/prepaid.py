"""The purse of a simulated prepaid meter: purchases in, used energy out."""

from collector.profile import Profile, PurchaseField, PurchaseWrite
from simulator.modbus import ILLEGAL_VALUE, Request

WH_PER_KWH = 1000


class MeterPurse:
    """What a prepaid meter holds and how many purchases it has counted.

    `price_minor_per_kwh` is what the meter takes for energy by itself; 0 leaves the balance alone.
    A purchase whose count is not the next one is refused, as real meters do: so the same one
    written twice is added once.
    """

    def __init__(
        self,
        profile: Profile,
        balance_minor: int | None,
        *,
        purchases: int = 0,
        price_minor_per_kwh: float = 0.0,
    ) -> None:
        self.purchases = purchases
        self.refused = 0
        self._profile = profile
        self._write: PurchaseWrite | None = profile.prepay.write if profile.prepay else None
        self.price_minor_per_kwh = price_minor_per_kwh
        self._held_minor: float | None = balance_minor

    @property
    def balance_minor(self) -> int | None:
        """What the meter shows; part of a minor unit is not shown. None: it keeps no balance."""
        return None if self._held_minor is None else round(self._held_minor)

    def use(self, energy_wh: float) -> None:
        """Take the price of energy from the balance, below zero too."""
        if self._held_minor is not None and self.price_minor_per_kwh:
            self._held_minor -= energy_wh / WH_PER_KWH * self.price_minor_per_kwh

    def change(self, by_minor: int) -> None:
        """Move the balance behind the station's back, as a hand at the meter does."""
        self._held_minor = (self._held_minor or 0.0) + by_minor

    def is_purchase(self, request: Request) -> bool:
        """Say whether a write touches the registers of a purchase."""
        if self._write is None or not request.is_write:
            return False
        last = request.address + max(len(request.words), 1) - 1
        return self._write.span.touches("holding", request.address, last)

    def take(self, request: Request) -> int:
        """Book a purchase; return 0 or the exception code of one that is refused."""
        write = self._write
        assert write is not None  # noqa: S101 - asked only of what is_purchase let through
        span = write.span
        whole = (write.function, span.first, span.last - span.first + 1)
        if (request.function, request.address, len(request.words)) != whole:
            self.refused += 1
            return ILLEGAL_VALUE
        amount_minor = self._number(request, write.amount) * write.amount.factor
        held = self._held_minor or 0.0
        fits = 0 < amount_minor <= write.amount_most_minor
        full = held + amount_minor > write.remaining_most_minor
        if self._number(request, write.sequence) != self.purchases + 1 or not fits or full:
            self.refused += 1
            return ILLEGAL_VALUE
        self._held_minor = held + amount_minor
        self.purchases += 1
        return 0

    def _number(self, request: Request, field: PurchaseField) -> int:
        assert self._write is not None  # noqa: S101 - see take
        first = field.address - self._write.span.first
        words = request.words[first : first + field.encoding.words]
        if self._profile.word_order == "low-first":
            words = words[::-1]
        number = 0
        for word in words:
            number = number << 16 | word
        return number
