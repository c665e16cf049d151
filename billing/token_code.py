"""The 20 digits of a recharge token: what they say, and what keeps others from making them.

    version 1 | serial 8 | amount class 2 | seal 8 | check digit 1

The seal is an HMAC-SHA256 under a secret of the ledger, cut to 8 digits: of the tokens that can be
typed for one serial that is on sale, one in 100 million is the right one. Serials are drawn by lot
from 100 million, so that a serial on sale has to be guessed too. The check digit (Damm) catches
every single wrong digit and every swap of neighbours; it keeps slips of the finger from counting
as guesses, and adds nothing to the secret.
"""

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass

from domain.errors import InvalidInput
from domain.faults import Fault
from domain.texts import Language, text

VERSION = 1
DIGITS = 20
SERIAL_DIGITS = 8
SEAL_DIGITS = 8
SERIALS = 100_000_000
SEALS = 100_000_000
GROUP = 4
# An amount class is d times ten to the e: "53" is 5000 fen, 50 yuan. From 1 yuan to 9000 yuan.
EXPONENTS = range(2, 6)
_DAMM = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip
# Spaces of any width, dashes of any length, and the dots that some people write between groups.
_BETWEEN = frozenset(" \t\u00a0\u2009\u202f\u3000-\u2010\u2011\u2012\u2013\u2014\u2212.\u00b7")


@dataclass(frozen=True, slots=True)
class TokenDigits:
    """What the digits of a token say, before anybody has looked whether they are genuine."""

    version: int
    serial: int
    amount_minor: int
    seal: int


def amount_class(amount_minor: int) -> str | None:
    """Return the two digits that stand for an amount, or None where none do."""
    for exponent in EXPONENTS:
        digit, rest = divmod(amount_minor, 10**exponent)
        if rest == 0 and 1 <= digit <= 9:
            return f"{digit}{exponent}"
    return None


def amount_of_class(digits: str) -> int | None:
    """Return the amount that two digits stand for, or None."""
    digit, exponent = int(digits[0]), int(digits[1])
    if digit == 0 or exponent not in EXPONENTS:
        return None
    return int(digit * 10**exponent)


def seal_of(key: bytes, serial: int, amount_minor: int, account: str, version: int) -> int:
    """Return the seal of a token. `account` is the one it is bound to, "" for its bearer."""
    content = f"wattwarden-token|{version}|{serial}|{amount_minor}|{account}".encode()
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return int.from_bytes(digest[:16], "big") % SEALS


def token_text(key: bytes, serial: int, amount_minor: int, account: str = "") -> str:
    """Return the digits of a token, in groups of four. Raises InvalidInput for the amount."""
    amount = amount_class(amount_minor)
    if amount is None:
        message = f"must be 1 to 9 times 1, 10, 100 or 1000 yuan (given: {amount_minor} fen)"
        raise InvalidInput([Fault("amount_minor", message)])
    seal = seal_of(key, serial, amount_minor, account, VERSION)
    body = f"{VERSION}{serial:0{SERIAL_DIGITS}d}{amount}{seal:0{SEAL_DIGITS}d}"
    digits = body + check_digit(body)
    return "-".join(digits[at : at + GROUP] for at in range(0, DIGITS, GROUP))


def read_token(typed: str, language: Language = "en") -> TokenDigits:
    """Read a token as it was typed, with or without spaces and dashes. Raises InvalidInput."""
    plain = unicodedata.normalize("NFKC", typed.strip())
    digits = "".join(mark for mark in plain if mark not in _BETWEEN)
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdecimal()):
        raise InvalidInput([Fault("token", text("tokens.digits", language))])
    amount_minor = amount_of_class(digits[9:11])
    version = int(digits[0])
    if check_digit(digits[:-1]) != digits[-1] or version != VERSION or amount_minor is None:
        raise InvalidInput([Fault("token", text("tokens.mistyped", language))])
    return TokenDigits(version, int(digits[1:9]), amount_minor, int(digits[11:19]))


def check_digit(digits: str) -> str:
    """Return the Damm check digit of some digits."""
    state = "0"
    for digit in digits:
        state = _DAMM[int(state)][int(digit)]
    return state
