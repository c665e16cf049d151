"""Codes sent to a user's own telephone, with which he sets a new password."""

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from domain.clock import Clock

CODE_S = 600.0
# With 8 digits so many tries in all find the code once in 500,000 floods.
TRIES_MOST = 200
CODES_MOST = 10_000

# Gives a message with a code to whoever sends messages: a person's id, the code, for how many
# seconds it counts. It must only queue it.
SendCode = Callable[[str, str, int], None]


@dataclass(frozen=True, slots=True)
class _Code:
    digits: str
    until_s: float
    tries: int = 0


class Codes:
    """The codes that are on somebody's telephone now; a restart forgets them. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._codes: OrderedDict[str, _Code] = OrderedDict()
        self._lock = threading.Lock()

    def give(self, user: str) -> tuple[str, int]:
        """Return a user's code and for how long it counts.

        Asking again gives the same one: whoever asks for others' codes takes none away.
        """
        with self._lock:
            now_s, known = self._clock.monotonic(), self._codes.get(user)
            if known is None or not _lives(known, now_s):
                known = _Code(f"{secrets.randbelow(10**8):08d}", now_s + CODE_S)
                self._codes[user] = known
                while len(self._codes) > CODES_MOST:
                    self._codes.popitem(last=False)
            return known.digits, int(known.until_s - now_s)

    def fits(self, user: str, code: str) -> bool:
        """Say whether this is the user's code now; a wrong one counts as a try."""
        with self._lock:
            known = self._codes.get(user)
            if known is None or not _lives(known, self._clock.monotonic()):
                return False
            given = "".join(code.split()).replace("-", "")
            if hmac.compare_digest(given.encode(), known.digits.encode()):
                return True
            self._codes[user] = replace(known, tries=known.tries + 1)
            return False

    def drop(self, user: str) -> None:
        """Forget a user's code: it was used."""
        with self._lock:
            self._codes.pop(user, None)


def _lives(code: _Code, now_s: float) -> bool:
    return now_s < code.until_s and code.tries < TRIES_MOST
