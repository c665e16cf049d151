"""A bus named on the command line: a name of the site file, a device, or a gateway's address."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from app.site_file import load_site_file
from app.validation import faults_of
from domain.errors import InvalidInput
from domain.faults import Fault
from domain.site import Bus

SCHEMES = ("tcp", "rtu-over-tcp")


def bus_of(text: str, site: Path, baud: int, parity: str, timeout_s: float) -> Bus:
    """Return the bus meant by `text`. Raises InvalidInput.

    `/dev/...` is a serial port, `tcp://HOST[:PORT]` a Modbus TCP gateway,
    `rtu-over-tcp://HOST:PORT` one that passes raw frames; anything else is a bus of the site file,
    whose own baud and parity count.
    """
    line = {"name": "command-line", "baud": baud, "parity": parity, "timeout_s": timeout_s}
    address = urlsplit(text)
    try:
        if text.startswith("/"):
            return Bus.model_validate({**line, "link": "serial", "port": text})
        if address.scheme in SCHEMES:
            place = {"host": address.hostname or "", "tcp_port": address.port or 502}
            return Bus.model_validate({**line, "link": address.scheme, **place})
    except ValidationError as error:
        raise InvalidInput(faults_of(error, "command line", "bus")) from error
    except ValueError as error:
        raise InvalidInput([Fault("BUS", f"not an address: {error} (given: {text!r})")]) from error
    buses = {bus.name: bus for bus in load_site_file(site).site.buses}
    if text not in buses:
        message = (
            f"no bus {text!r} in {site} (it has {', '.join(buses)}); a device such as"
            " /dev/ttyUSB0, tcp://HOST or rtu-over-tcp://HOST:PORT is allowed too"
        )
        raise InvalidInput([Fault("BUS", message)])
    return buses[text]


def unit_range(text: str) -> list[int]:
    """Read units such as `1-32,40` as a sorted list. Raises InvalidInput."""
    units: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            units.update(range(int(first), int(last or first) + 1))
    except ValueError:
        units = set()
    if not units or min(units) < 1 or max(units) > 247:
        message = f"units are 1 to 247, such as 1-32,40 (given: {text!r})"
        raise InvalidInput([Fault("--units", message)])
    return sorted(units)
