"""Exceptions of Wattwarden: bugs and broken links. Data faults are values, see `faults`."""

from collections.abc import Sequence

from domain.faults import Fault


class WattwardenError(Exception):
    """Root of all errors raised on purpose."""


class InvalidInput(WattwardenError):
    """An input has faults; all of them are listed."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


class LinkDown(WattwardenError):
    """A serial line, socket or server can't be reached; it is tried again with back-off."""


class StoreUnavailable(WattwardenError):
    """A store did not take a write (down, locked, disk full); nothing half written counts."""


class StreamFull(WattwardenError):
    """The spool has reached its limit: the record was refused, not dropped."""


class CommandRefused(WattwardenError):
    """A command can't be taken: expired, altered, locked by keep-power, over the trip limit."""


class UnknownSubject(WattwardenError):
    """No meter, bus or record of that name."""


class Forbidden(WattwardenError):
    """Who asks may not do this."""


class RateLimited(WattwardenError):
    """Asked for more often than allowed; `retry_after_s` is when to ask again."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)
