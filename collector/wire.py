"""How long the wire needs: character time, silence between frames, requests and replies."""

from dataclasses import dataclass
from math import ceil

from domain.site import Bus, Parity

SILENCE_CHARACTERS = 3.5
# Above this rate the standard fixes the silence instead of counting characters.
SILENCE_FIXED_ABOVE_BAUD = 19_200
SILENCE_FIXED_S = 0.00175
READ_REQUEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class WireTiming:
    """An RS-485 line: baud, parity, stop bits, and the delay a meter takes to answer, s."""

    baud: int = 9600
    parity: Parity = Parity.EVEN
    stop_bits: int = 1
    reply_delay_s: float = 0.02

    @classmethod
    def of(cls, bus: Bus) -> "WireTiming":
        """Return the timing of a bus; behind a gateway it is the RS-485 side that counts."""
        return cls(bus.baud, bus.parity, bus.stop_bits, bus.reply_delay_s)

    @property
    def character_s(self) -> float:
        """Time of one character: start bit, eight data bits, parity if any, stop bits."""
        bits = 1 + 8 + (self.parity is not Parity.NONE) + self.stop_bits
        return bits / self.baud

    @property
    def silence_s(self) -> float:
        """Silence that ends a frame: 3.5 characters, or 1.75 ms above 19200 baud."""
        if self.baud > SILENCE_FIXED_ABOVE_BAUD:
            return SILENCE_FIXED_S
        return SILENCE_CHARACTERS * self.character_s

    def transaction_s(self, request_bytes: int, reply_bytes: int) -> float:
        """Time of a request and its reply: bytes, one silence, and the meter's delay."""
        characters = request_bytes + reply_bytes
        return characters * self.character_s + self.silence_s + self.reply_delay_s

    def read_s(self, count: int, space: str = "holding") -> float:
        """Time to read `count` registers, or coils where space is "coil"."""
        return self.transaction_s(READ_REQUEST_BYTES, read_reply_bytes(count, space))

    def write_s(self, function: int, words: int = 1) -> float:
        """Time to write: functions 5 and 6 echo 8 bytes, function 16 carries 2 bytes a word."""
        request_bytes = 9 + 2 * words if function == 16 else 8
        return self.transaction_s(request_bytes, 8)


def read_reply_bytes(count: int, space: str = "holding") -> int:
    """Return the length of an RTU read reply: unit, function, count, data, checksum."""
    return 5 + (ceil(count / 8) if space == "coil" else 2 * count)
