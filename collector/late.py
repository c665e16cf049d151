"""Replies that are still owed: RTU has no transaction id, so a late one must be told by its shape.

The silent window after a timeout catches most late replies. One that comes later still could be
taken for the answer to the same question asked again. While a reply is owed, that unit is asked
in requests of other lengths: what is owed then fits nothing that is waited for.
"""

from collections.abc import Iterable

from collector.plan import Block
from collector.profile import Profile
from collector.request import Request

Shape = tuple[int, int]
NOTHING: frozenset[Shape] = frozenset()


class OwedReplies:
    """Shapes of replies that units still owe, until they are seen or `memory_s` has passed."""

    def __init__(self, memory_s: float) -> None:
        self._memory_s = memory_s
        self._owed: dict[int, dict[Shape, float]] = {}

    def missed(self, request: Request, now_s: float) -> None:
        """A request went unanswered: its reply may come at any time."""
        self._owed.setdefault(request.unit, {})[request.shape] = now_s + self._memory_s

    def seen(self, unit: int, shape: Shape) -> bool:
        """A frame of this shape went by unwanted; return True if it was owed."""
        shapes = self._owed.get(unit)
        if shapes is None or shapes.pop(shape, None) is None:
            return False
        if not shapes:
            del self._owed[unit]
        return True

    def owed(self, unit: int, now_s: float) -> frozenset[Shape]:
        """Return the shapes that a reply of this unit can't be trusted to be new in."""
        shapes = self._owed.get(unit)
        if not shapes:
            return NOTHING
        live = {shape: until for shape, until in shapes.items() if until > now_s}
        if live:
            self._owed[unit] = live
        else:
            del self._owed[unit]
        return frozenset(live)


def clearing_request(
    profile: Profile, unit: int, wanted: Block, owed: Iterable[Shape], base: int = 0
) -> Request | None:
    """Return a read whose reply is of none of these shapes, or None if there is none.

    Tried in turn: parts of the wanted block, the model's single values, one register more.
    """
    taken = set(owed)
    for block in _candidates(profile, wanted, base):
        request = Request(unit, block.function, block.address, block.count)
        if request.shape not in taken:
            return request
    return None


def _candidates(profile: Profile, wanted: Block, base: int) -> Iterable[Block]:
    single = any(
        span.touches(wanted.space, wanted.address - base, wanted.last - base)
        for span in profile.single_reads
    )
    if not single:
        for count in range(wanted.count - 1, 0, -1):
            yield Block(wanted.space, wanted.address, count)
    for row in profile.rows:
        yield Block(row.space, base + row.span.first, row.span.last - row.span.first + 1)
    longer = Block(wanted.space, wanted.address, wanted.count + 1)
    forbidden = any(
        span.touches(longer.space, longer.address - base, longer.last - base)
        for span in (*profile.forbidden_reads, *profile.single_reads)
    )
    if not forbidden and longer.count <= profile.max_registers and longer.last <= 0xFFFF:
        yield longer
