"""The shapes in which readings are given, and which one a client wants."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Format(StrEnum):
    """A shape of readings, in the order of preference where a client takes several."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


MEDIA: Mapping[Format, str] = MappingProxyType(
    {
        Format.JSON: "application/json",
        Format.CSV: "text/csv",
        Format.PARQUET: "application/vnd.apache.parquet",
        Format.ARROW: "application/vnd.apache.arrow.stream",
    }
)


def choose_format(accept: str | None) -> Format | None:
    """Return the format that an Accept header likes best, None where it takes none of them.

    Without a header it is JSON. Of ranges that fit, the most exact one counts (RFC 9110).
    """
    if accept is None or not accept.strip():
        return Format.JSON
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    liking = {kind: _liking(media, ranges) for kind, media in MEDIA.items()}
    best = max(Format, key=lambda kind: liking[kind])
    return best if liking[best] > 0 else None


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return name, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return name, 0.0
    return name, 1.0


def _liking(media: str, ranges: list[tuple[str, float]]) -> float:
    for wanted in (media, media.partition("/")[0] + "/*", "*/*"):
        fitting = [quality for name, quality in ranges if name == wanted]
        if fitting:
            return max(fitting)
    return 0.0
