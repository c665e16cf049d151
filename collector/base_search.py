"""Finding where a model's registers lie (SunSpec): pure steps, the caller does the reading."""

from collections.abc import Generator, Sequence

from collector.encode import Image
from collector.plan import Block
from collector.profile import BaseSearch, Profile

END_OF_MODELS = 0xFFFF
COMMON_MODEL = 1
COMMON_MODEL_LENGTH = 66

BaseWalk = Generator[Block, Sequence[int] | None, int | None]


def walk_base(search: BaseSearch) -> BaseWalk:
    """Yield the blocks to read one by one; send each one's words (None: no answer).

    Returns the base, the address of the wanted model's id, or None where it is not found. At most
    `len(candidates) * (1 + max_models)` reads.
    """
    for candidate in search.candidates:
        found = yield Block(search.space, candidate, len(search.marker))
        if found is None or tuple(found) != search.marker:
            continue
        address = candidate + len(search.marker)
        for _ in range(search.max_models):
            header = yield Block(search.space, address, 2)
            if header is None or len(header) != 2 or header[0] == END_OF_MODELS:
                break
            if header[0] == search.model:
                return address
            address += 2 + header[1]
            if address + 1 > 0xFFFF:
                break
    return None


def base_image(profile: Profile) -> tuple[int, Image]:
    """Return a base and the registers that lead to it, as a simulated meter serves them.

    The marker at the first candidate, the common model, the wanted model's header, the end mark.
    Raises ValueError where the profile needs no base.
    """
    search = profile.base
    if search is None:
        raise ValueError(f"{profile.name}: its addresses need no base")
    start = search.candidates[0] + len(search.marker)
    base = start + 2 + COMMON_MODEL_LENGTH
    length = max(row.span.last for row in profile.rows) - 1
    registers = dict(enumerate(search.marker, search.candidates[0]))
    registers |= dict.fromkeys(range(start, base), 0)
    registers |= {start: COMMON_MODEL, start + 1: COMMON_MODEL_LENGTH}
    registers |= {base: search.model, base + 1: length}
    end = base + 2 + length
    registers |= {end: END_OF_MODELS, end + 1: 0}
    return base, {search.space: registers}
